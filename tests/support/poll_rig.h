/* SPDX-License-Identifier: Apache-2.0 */
/* Two controllers' memories of polls (polls.h) over one store, whose calls are
 * counted and may fail; for test_polls.c and test_polls_many.c. */
#ifndef BL_TESTS_POLL_RIG_H
#define BL_TESTS_POLL_RIG_H

#include "canary/controller/polls.h"
#include "tests/support/sim_fleet.h"

#define POLL_RIG_HOSTS 30
#define POLL_RIG_MANY  110 /* more than are written at once */

struct poll_rig {
	struct sim s; /* for its store, its clock and its rollouts */
	struct bl_polls *polls, *others;
	struct bl_polls_job jobs[POLL_RIG_MANY];
	/* What is asked of the store, and when it fails. */
	const struct bl_store_ops *real_ops;
	struct bl_store_ops ops;
	unsigned reads, writes, asked; /* the last: without writing */
	int fails;		       /* an errno, for the next transaction */
	bool fails_after;
};
extern struct poll_rig polling;

void poll_rig_set_up(void);
void poll_rig_tear_down(void);

/* From now on transactions are counted, and one of them may fail. */
void poll_rig_count(void);

/* The next poll of host @i, which says what its job says. */
struct bl_polls_job *poll_rig_next_poll(unsigned i);
int poll_rig_poll_now(struct bl_polls *p, unsigned i);
void poll_rig_poll_all(struct bl_polls *p);

/* How many were told to apply something by their last poll. */
unsigned poll_rig_orders(void);

/* A rollout to everybody, @cap at a time, that may begin. */
void poll_rig_roll_out(unsigned cap);

#endif
