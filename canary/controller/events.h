/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live view: what changed in rollouts, as server-sent events.
 *
 *	event: rollout		as in GET /v1/rollouts
 *	event: host		{"rollout", "host", "state", "wave", "reason", …}
 *	event: decision		{"rollout", "number", …} and what explain.h keeps
 *	id: 1234
 *
 * An event is a record of the store that is newer than what the reader has
 * seen, its ID the revision of the transaction that wrote it. So nothing is
 * remembered here: any controller goes on where another one ended, after any
 * time. A reader that comes back sees each record as it is now, not what it was
 * in between; decisions are never changed, so it sees all of them. Who begins
 * with 0 is shown the newest rollout whole.
 *
 * Of a transaction all or nothing is read: an ID stands on its last event only.
 * What is newer is asked of the store by revision, for every rollout at once: an
 * old one whose silent host comes back is seen as the newest one is.
 *
 * No sockets and no clock; http_stream.c keeps the connections.
 */
#ifndef BL_CANARY_EVENTS_H
#define BL_CANARY_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "canary/store/store.h"

#define BL_EVENTS_TYPE "text/event-stream"
/* Bytes at one time, but for the last transaction of them. */
#define BL_EVENTS_BYTES_MAX (256 * 1024)
/* Rollouts that a reader who comes back is told of: those that changed last. */
#define BL_EVENTS_ROLLOUTS_MAX 8

/*
 * Adds to @ret what is newer than revision @since, the oldest first, and says
 * in *ret_until what is seen with that: the next @since. If it did not fit,
 * *ret_more.
 */
int bl_events_read(struct bl_store *store, int64_t since, struct bl_buf *ret,
		   int64_t *ret_until, bool *ret_more, struct bl_err *err);

/* What a Last-Event-ID says (NULL: none came); 0 if it is none of ours. */
int64_t bl_events_id(const char *text);

#endif
