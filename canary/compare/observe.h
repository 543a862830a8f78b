/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was seen of a fleet from outside, and what its journals say of one
 * version. Pure: times come from the caller, in ms from the moment at which the
 * fault reached the fleet (before it they are negative).
 *
 *	bl_observed_beat(&host, t_ms)		whenever somebody could use it
 *	bl_observed_history(&host, digest, json)	whenever it says its history
 *	…
 *	bl_observed_down_at(&host, 0, end_ms, &ret)
 *
 * A host is down from its last good beat on if the next one does not come within
 * BL_OBSERVED_GAP_MS: hosts beat four times a second, and a machine that has other
 * things to do delays them all.
 */
#ifndef BL_CANARY_COMPARE_OBSERVE_H
#define BL_CANARY_COMPARE_OBSERVE_H

#include "canary/compare/result.h"
#include "loader/bundle/digest.h"

#define BL_OBSERVED_GAP_MS  2500
#define BL_OBSERVED_LOST_MS 10000 /* without a good beat at the end */
#define BL_OBSERVED_HOSTS   8
#define BL_OBSERVED_WORDS   256

/* The newest transaction of the version in question, in a host's journal. */
struct bl_observed_txn {
	bool there;
	bool staged;	      /* its kernel took it; it was attached next */
	bool back;	      /* gone back from */
	bool open;	      /* nothing is decided yet */
	char attribution[16]; /* "convicted", "suspect", …; "" */
	char reason[BL_OBSERVED_WORDS];
};

struct bl_observed_host {
	char name[BL_COMPARE_NAME_MAX];
	int64_t *good; /* its good beats, ascending */
	size_t count, size;
	unsigned panics, resets, cuts; /* how its kernels went down */
	unsigned reboots;	       /* of the watch */
	bool dead;		       /* down, and it is not booted any more */
	bool exposed;		       /* the version reached it */
	bool tried;		       /* B, C: it said that it tries it, */
	bool told;		       /* and its journal what came of it */
	bool refused;		       /* way A: its kernel did not take it */
	char live[BL_DIGEST_HEX];      /* at the end, as it says; "" */
	char version[BL_COMPARE_NAME_MAX]; /* of that, in words */
	struct bl_observed_txn txn;
};

void bl_observed_free(struct bl_observed_host *h);

/* 0 or -ENOMEM. A time before the last one counts as the last one. */
int bl_observed_beat(struct bl_observed_host *h, int64_t t_ms);

/* Whether it could be used at @t_ms, as far as was seen by then. */
bool bl_observed_up(const struct bl_observed_host *h, int64_t t_ms);

/* Takes what the host's journal says of @digest out of `belay history --json`.
 * What cannot be read changes nothing: -EBADMSG. */
int bl_observed_history(struct bl_observed_host *h, const char *digest,
			const char *json, size_t len);

struct bl_observed_down {
	int64_t from_ms, to_ms;
};

/*
 * The @i-th stretch between 0 and @end_ms in which it was down; false: there are
 * no more. The last one ends at @end_ms if it did not come back.
 */
bool bl_observed_down_at(const struct bl_observed_host *h, size_t i,
			 int64_t end_ms, struct bl_observed_down *ret);

#endif
