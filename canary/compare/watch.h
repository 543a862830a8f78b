/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fleet under observation for the length of one run: what its hosts say
 * becomes beats, a timeline, logs and evidence; a host that went down is booted
 * again, as often as BL_WATCH_REBOOTS.
 *
 *	r = bl_watch_begin(&w, guests, result, digest);
 *	… bl_watch_step until bl_watch_ready …
 *	bl_watch_push(&w);			time begins
 *	… bl_watch_step …
 *	bl_watch_end(&w);			logs go to the result
 *
 * A beat counts from when the host made it, not from when it was heard: the
 * observer has other things to do as well, and its pauses are no outages.
 *
 * The guests must outlive the watch or be told of another one. One thread.
 */
#ifndef BL_CANARY_COMPARE_WATCH_H
#define BL_CANARY_COMPARE_WATCH_H

#include "canary/compare/guests.h"
#include "canary/compare/observe.h"

#define BL_WATCH_REBOOTS 2    /* of a host */
#define BL_WATCH_FAULT	 "v2" /* way A: what the version in question is called */

struct bl_watch_host {
	bool beats;	 /* since its last boot */
	bool bad;	 /* its last beat was bad */
	bool down;	 /* waits to be booted */
	int64_t boot_ms; /* when it said so last; -1: it boots */
	int64_t load_ms; /* way A: when it began to load that version */
	/* From its clock to ours: the least that a beat of this boot took to be
	 * heard. What else it took is ours, not the host's. */
	int64_t offset_ms;
	char loaded[32];    /* way A: what it loaded last; "" */
	char loading[32];   /* way A: what it began to load */
	struct bl_buf said; /* its log */
	unsigned boots;
};

struct bl_watch {
	struct bl_guests *guests;
	struct bl_compare_result *result;
	char digest[BL_DIGEST_HEX]; /* of the version in question */
	uint64_t zero_ms;
	bool pushed;
	size_t count;
	struct bl_observed_host seen[BL_GUESTS_MAX];
	struct bl_watch_host host[BL_GUESTS_MAX];
	int failed; /* -ENOMEM in a callback */
	/* A VM ended as no host does: what was seen is of no use. "": none. */
	char broken[BL_COMPARE_LINE_MAX];
};

/* @digest may be "" (way A). *w is zeroed by the caller. */
void bl_watch_begin(struct bl_watch *w, struct bl_guests *guests,
		    struct bl_compare_result *result, const char *digest);

/* Hears, boots what is down; waits at most a moment. -EINTR: a signal. */
int bl_watch_step(struct bl_watch *w, struct bl_err *err);

/* All run, beat, and (way A, @version not NULL) have loaded @version. */
bool bl_watch_ready(const struct bl_watch *w, const char *version);

void bl_watch_push(struct bl_watch *w);
int64_t bl_watch_now(const struct bl_watch *w); /* ms since the push */

/* Something worth a line in the timeline; @i of no host: of the fleet. */
void bl_watch_say(struct bl_watch *w, size_t i, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Cuts the power of host @i; it is booted again. */
void bl_watch_cut(struct bl_watch *w, size_t i);

/* Gives the logs to the result. 0 or -ENOMEM, from any time of the watch. */
int bl_watch_end(struct bl_watch *w);

void bl_watch_free(struct bl_watch *w);

#endif
