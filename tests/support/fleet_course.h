/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a rollout of a fleet (fleet.h), looked at until it is over,
 * with things that happen on the way:
 *
 *	static const struct fleet_act acts[] = { { 20, kill_controllers } };
 *
 *	fleet_rollout(digest, &plan, id);
 *	fleet_follow(id, acts, 1, NULL, &course);
 *	fleet_accounts(id, &counts);
 */
#ifndef BL_TESTS_FLEET_COURSE_H
#define BL_TESTS_FLEET_COURSE_H

#include "tests/support/etcd.h"
#include "tests/support/fleet.h"

/* Once so many percent of the fleet are exposed, or the rollout runs no more:
 * it may be over before anybody looks. */
struct fleet_act {
	unsigned percent;
	void (*fn)(void);
};

struct fleet_course {
	enum bl_rollout_state state;
	unsigned exposed_at_stop;   /* when it was first seen to be stopping */
	char reason[BL_REASON_MAX]; /* of that */
	uint64_t took_ms;	    /* to its state */
};

/* Looks on until the rollout is over, or @until; all acts happen. */
void fleet_follow(const char *id, const struct fleet_act *acts, size_t count,
		  bool (*until)(const struct bl_rollout *r),
		  struct fleet_course *ret);

/* What a stop came to, by the store. Times are ms since the decision. */
struct fleet_halt {
	unsigned states[BL_EXPOSURE_UNDECIDED + 1]; /* exposed hosts in each */
	unsigned exposed;			    /* the sum of them */
	int64_t last_exposed_ms, last_back_ms;
	int64_t decided_ms; /* since the first report of a host that failed */
};
void fleet_halted(const char *id, struct fleet_halt *ret);

/* Of these, who went back, or never came to keep it. */
unsigned fleet_without(const struct fleet_halt *h);

/*
 * Every record of the rollout that etcd has ever had: in none is the cap passed
 * (I7). An exposure is written with the record's sums, so there was no other
 * moment. Returns how many there were.
 */
unsigned fleet_cap_held(const struct etcd *e, const char *prefix,
			const char *id);

#endif
