/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decision with all that it was made from, kept for whoever asks why, and
 * made again from that.
 *
 *	decision/ID/NUMBER
 *	{ "at_ms": …, "kind": "stop", "reason": "…", "target": 12, "widened": 0,
 *	  "inputs": { "state": "running", "wave": 0, … "strata":
 *		    [["6.1 / x86_64", waiting, open, good, bad], …],
 *		    "pairs": { "memory": [worse, pairs] }, "host": { … } } }
 *
 * Of the hosts only the one is kept that a decision is about: all others were
 * well, or are in the sums. The plan is the rollout's, which never changes.
 * What an operator decided says by whom ("by"), and is not made again; its
 * inputs are those of the rollout's record: one sum for all exposed hosts.
 *
 * Pure: no I/O, no clock.
 */
#ifndef BL_CANARY_EXPLAIN_H
#define BL_CANARY_EXPLAIN_H

#include "canary/ledger/record.h"
#include "canary/ledger/strata.h"

/* Beyond so many of one rollout, marks of single hosts are not kept. */
#define BL_DECISIONS_MAX 1000

/* NULL: out of memory. */
json_t *bl_explain_json(const struct bl_view *view,
			const struct bl_decision *d);

/* One of them, read: the view borrows from this, which must stay in place. */
struct bl_explained {
	struct bl_view view;
	struct bl_tally strata[BL_STRATA_MAX];
	char names[BL_STRATA_MAX][BL_STRATUM_LEN];
	struct bl_view_host host;
	char host_name[BL_NAME_MAX + 1], host_reason[BL_REASON_MAX];
	struct bl_decision said;
	/* It can be made again: not what an operator decided, and not the end
	 * of going back, which is made from hosts that are not kept. */
	bool again;
};

/* @plan stays the caller's. -EBADMSG: not what bl_explain_json wrote. */
int bl_explain_read(const json_t *obj, const struct bl_plan *plan,
		    struct bl_explained *ret, struct bl_err *err);

/* Makes it again: whether it is the same in kind, numbers and words. */
bool bl_explain_holds(const struct bl_explained *e, struct bl_decision *ret);

#endif
