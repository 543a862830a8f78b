/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When hosts were heard last, of many hosts in one record: what a poll that says
 * nothing new is worth writing. A host belongs to one of BL_HEARD_SHARDS records
 *
 *	heard/3f	{ "web-1": 1764133416000, … }
 *
 * by its name. A host's own record (host/NAME) has such a time, too, from when
 * that was written; the later one of the two counts (bl_heard_later).
 *
 * Clocks are set back. A time ahead of the clock says nothing about whether the
 * host is still there, and would say so until the clock is there again: it is
 * not believed where there is another.
 */
#ifndef BL_CANARY_HEARD_H
#define BL_CANARY_HEARD_H

#include "canary/ledger/record.h"

#define BL_HEARD_SHARDS 64
#define BL_HEARD_PREFIX "heard/"

/* How far the clocks of two controllers may be apart. */
#define BL_HEARD_AHEAD_MS 1000

struct bl_heard {
	json_t *shards[BL_HEARD_SHARDS];    /* NULL: nobody yet */
	int64_t revisions[BL_HEARD_SHARDS]; /* as read or written last */
	int64_t read;			    /* the newest that was read */
};
#define bl_autoheard __attribute__((cleanup(bl_heard_free)))
void bl_heard_free(struct bl_heard *h);

unsigned bl_heard_shard(const char *host);

/* "heard/3f" */
#define BL_HEARD_KEY_LEN 16
void bl_heard_key(unsigned shard, char ret[static BL_HEARD_KEY_LEN]);

/* Reads what changed since @h was read last (zero-initialised: everything).
 * Times in @h that are later than the store's stay, as bl_heard_later says. */
int bl_heard_load(struct bl_store *store, int64_t now_ms, struct bl_heard *h,
		  struct bl_err *err);

/* 0: never, as far as is written here. */
int64_t bl_heard_ms(const struct bl_heard *h, const char *host);

/* Notes that @host was heard at @ms, unless later already; -ENOMEM. */
int bl_heard_note(struct bl_heard *h, const char *host, int64_t ms,
		  int64_t now_ms);

/* The later one of two times, either of them 0 for never; but not one that is
 * ahead of @now_ms by more than BL_HEARD_AHEAD_MS if the other is not. */
int64_t bl_heard_later(int64_t a_ms, int64_t b_ms, int64_t now_ms);

#endif
