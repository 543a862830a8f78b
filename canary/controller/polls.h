/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polls, answered from what is remembered where that is enough, and written in
 * groups where it is not.
 *
 *	r = bl_polls_open(store, &polls, err);
 *	…
 *	if (!bl_polls_take(polls, &job))	(job.poll, job.host, job.now_ms)
 *		bl_polls_commit(polls);		(at the latest now:)
 *	job.r, job.order
 *	…
 *	bl_polls_flush(polls, now_ms, false, err);	(now and then)
 *
 * What is remembered: of every host the records that were read or written last,
 * and the rollouts, not older than BL_POLLS_FRESH_MS. A poll is judged on these
 * by the same function (poll.h) as ever. Nothing more happens if it says nothing
 * new and there is no order; else what was judged is written by compare-and-swap
 * with the revisions of what was remembered, with that of other hosts in one
 * transaction, and answered when that is durable. An order that is given again is
 * part of that transaction, too, which then expects the records that it follows
 * from, and writes none of them. Where something had changed, everything is
 * forgotten, read and judged anew.
 *
 * Invariants:
 *  - I7: an exposure is durable, by compare-and-swap, before it is answered; for
 *    an order that is repeated the store was asked, for this answer, whether host,
 *    exposure and rollout are what it was judged on;
 *  - a host's records are used only for the poll that directly follows the one
 *    that they are of (same session, next seq), and not if somebody else wrote its
 *    exposure since, as of BL_POLLS_FRESH_MS: polls may be late, and then
 *    another controller handles one that was sent before;
 *  - what is remembered may be lost at any instruction. That costs reading it
 *    again, and that hosts were heard, of at most the time that silence is
 *    judged with as slack (I6): bl_poll_refresh_ms;
 *  - a store that does not answer makes polls fail, as without a memory.
 *
 * One thread at a time, that of the store's handle.
 */
#ifndef BL_CANARY_POLLS_H
#define BL_CANARY_POLLS_H

#include "canary/ledger/protocol.h"
#include "canary/wire/peer.h"

/* How old a rollout's record may be, which delays an order; and what is known of
 * certificates that another controller took back, which lets a host be heard for
 * so long. */
#define BL_POLLS_FRESH_MS 100

struct bl_polls;

struct bl_polls_job {
	char host[BL_NAME_MAX + 1];
	struct bl_poll poll;
	int64_t now_ms;
	/* The answer: errors as controller.h says. */
	int r;
	struct bl_order order;
	struct bl_err err;
};

int bl_polls_open(struct bl_store *store, struct bl_polls **ret,
		  struct bl_err *err);
void bl_polls_close(struct bl_polls *p);

/* Reads at once what the store has of the hosts of @jobs that nothing is known of,
 * for the bl_polls_take of each that comes next. What fails is read again by that,
 * which says why. At most BL_STORE_MANY_MAX. */
void bl_polls_ahead(struct bl_polls *p, struct bl_polls_job *const *jobs,
		    size_t count);

/* true: answered. false: @job stays where it is until bl_polls_commit, or any
 * other call for @p, has answered it. */
bool bl_polls_take(struct bl_polls *p, struct bl_polls_job *job);

/* Answers all that were taken. */
void bl_polls_commit(struct bl_polls *p);

/* Writes who was heard, as far as it is due, or @all. -EAGAIN is no failure. */
int bl_polls_flush(struct bl_polls *p, int64_t now_ms, bool all,
		   struct bl_err *err);

/* Whether a rollout is open (1), as of BL_POLLS_FRESH_MS. A store that does not
 * answer is an error. */
int bl_polls_busy(struct bl_polls *p, int64_t now_ms, struct bl_err *err);

/* Whether the certificate of a host that polls (NULL: it has none) still counts,
 * as of BL_POLLS_FRESH_MS. -EACCES: it was taken back; @err says why. */
int bl_polls_check(struct bl_polls *p, const struct bl_peer *peer,
		   int64_t now_ms, struct bl_err *err);

/* Somebody in this process changed a rollout, or took a certificate back: no
 * need to wait. */
void bl_polls_forget_rollouts(struct bl_polls *p);

#endif
