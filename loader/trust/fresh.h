/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fresh what a host trusts is, when it is to be asked for again, and how that
 * went the last time: what an agent goes by, and what people are told.
 *
 *	r = bl_fresh_refresh(&tuf, &fetcher, now_ms, &random, &f, err);
 *	…again after f.next_ms, whatever became of it…
 *	r = bl_fresh_read(dir, &f, err);	belay status
 *
 * What no signed file says is noted beside the files of state.h, by whoever asked
 * a repository last:
 *
 *	freshness.json	{ "format": 1, "refreshed": …, "failed": …, "why": …, … }
 *
 * Invariants:
 *  H1 The note decides nothing but when to ask: what counts is in trusted.json,
 *     and every use of that judges its expiry by itself (tuf.h).
 *  H2 A refresh that fails leaves what is trusted as it was (F1 of tuf.h), and its
 *     reason is in the note until one goes well.
 *  H3 Who is refused, or hears nothing, asks again within BL_FRESH_RETRY_MAX_MS;
 *     who was answered, within a day and while half of the time is left.
 */
#ifndef BL_TRUST_FRESH_H
#define BL_TRUST_FRESH_H

#include <stdbool.h>

#include "loader/trust/tuf.h"

#define BL_FRESH_FILE	    "freshness.json"
#define BL_FRESH_FILE_BYTES 8192
#define BL_FRESH_FAULT_LEN  24

#define BL_FRESH_DAY_MS	      (24 * 3600 * INT64_C(1000))
#define BL_FRESH_MIN_MS	      INT64_C(5000)  /* between two, unasked */
#define BL_FRESH_RETRY_MS     INT64_C(30000) /* doubles with each failure */
#define BL_FRESH_RETRY_MAX_MS (15 * 60 * INT64_C(1000))

struct bl_fresh {
	/* By enum bl_meta_kind; version 0: it is not there. */
	struct {
		int64_t version, expires_s;
	} role[BL_META_ROLES];
	/* Wall clock; 0: never. */
	int64_t since_ms;     /* the timestamp's version was first here */
	int64_t refreshed_ms; /* the last refresh that went well */
	int64_t failed_ms;    /* the last one, if it did not */
	int64_t next_ms;      /* when the agent asks again */
	int64_t failures;     /* in a row */
	char fault[BL_FRESH_FAULT_LEN]; /* as in fault.h; "": no attack */
	char why[BL_ERR_HINT_MAX], hint[BL_ERR_HINT_MAX]; /* of that failure */
};

/*
 * bl_tuf_refresh, and notes how it went. *ret, if it is not NULL, also on failure:
 * what is trusted from here on. @random: of who comes again by itself, and when is
 * noted, and what cannot be noted is an error; NULL: of who does not. -ECANCELED, of
 * the fetcher: somebody stopped it, which nothing is noted of; *ret is untouched.
 */
int bl_fresh_refresh(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		     int64_t now_ms, const uint32_t *random,
		     struct bl_fresh *ret, struct bl_err *err);

/* Of the files alone. -ENOENT: @dir has no root.json, its host asks nobody;
 * -EBADMSG: one of them is damaged. */
int bl_fresh_read(const char *dir, struct bl_fresh *ret, struct bl_err *err);

/* The note alone, with what was trusted when it was made: cheap. -ENOENT: there
 * is none. */
int bl_fresh_noted(const char *dir, struct bl_fresh *ret, struct bl_err *err);

/* The role that expires first, of those that are there; BL_META_ROLES: not all
 * of them are there, so nothing is trusted yet. Pure, as the rest is. */
enum bl_meta_kind bl_fresh_first(const struct bl_fresh *f);

/* Milliseconds until it is to be asked for again, of any @random. */
int64_t bl_fresh_wait_ms(const struct bl_fresh *f, int64_t now_ms,
			 uint32_t random);

enum bl_fresh_state {
	BL_FRESH_NEVER, /* no repository was asked yet: all is refused */
	BL_FRESH_GOOD,
	BL_FRESH_SOON, /* a role expires soon, and should have been renewed */
	BL_FRESH_EXPIRED, /* all is refused until there is news */
};
/* And which role it is for. */
enum bl_fresh_state bl_fresh_state(const struct bl_fresh *f, int64_t now_ms,
				   enum bl_meta_kind *ret_role);
/* "never", "good", "soon", "expired". */
const char *bl_fresh_state_name(enum bl_fresh_state state);

#endif
