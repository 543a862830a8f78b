/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One poll, judged: what it says about its host, what that means for the
 * rollouts, and what the host is to do. Pure: records in, records changed;
 * polls.h reads and writes them. For polls.c only.
 */
#ifndef BL_CANARY_POLL_H
#define BL_CANARY_POLL_H

#include "canary/ledger/ledger.h"

struct bl_poll_state {
	struct bl_fleet_host *host;
	struct bl_rollout *own;	      /* that exposed the host last; or NULL */
	struct bl_exposure *exposure; /* by it; or NULL */
	struct bl_rollout *active;    /* the open one, if it is not the own */
	/* What came of it: a record changes only where one of these says so. */
	bool host_changed; /* of weight; what is not: seq, heard_ms, counters */
	bool own_changed;  /* and the exposure */
	bool exposed;	   /* to active, as fresh has it */
	struct bl_exposure fresh;
};

/* -ESTALE: it came late, twice, or from another agent of that name; nothing
 * but the host's record may have changed then. */
int bl_poll_judge(struct bl_poll_state *s, const struct bl_poll *poll,
		  int64_t now_ms, struct bl_order *ret, struct bl_err *err);

/* How often the host is to have been written down as heard, since silence is
 * judged by what is written. */
int64_t bl_poll_refresh_ms(const struct bl_poll_state *s);

#endif
