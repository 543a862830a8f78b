/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rollout over a fleet that does not exist: millions of hosts in seconds,
 * driven by the functions that drive a real one (plan, strata, ledger, rates,
 * decision), or by the rules of others.
 *
 *	struct bl_sim_opts opts = { .plan = &plan, .hosts = 8500000, … };
 *	bl_autosim struct bl_sim_result result = { 0 };
 *	bl_sim_run(&opts, &result, err);
 *
 * What is simulated: hosts of some strata poll, take the version when the rule
 * lets them, go down with it and come back (as belay's boot recovery has it), or
 * commit it; some fail for reasons of their own. Every host is drawn when it is
 * exposed, so that a run costs what it exposes. A host whose trial cannot be judged
 * goes back and holds the rollout, as in decision.h; an operator resumes it
 * BL_SIM_OPERATOR_MS later. What is not: the store, the
 * network and accidents of either (tests/sim has those), and the gate, which
 * would have stopped most of it.
 *
 * The baselines know no host that cannot be judged: there it keeps the version.
 * They are the rules with the defaults or the documented examples of
 * their projects; hosts, their polls and their way back are belay's:
 *
 *	all	  everybody, at once; there is no decision
 *	hawkbit	  ten equal groups; the next one when half of the hosts of a
 *		  group have it, an end when half of them failed. Eclipse hawkBit,
 *		  docs/rollout-management.md and the defaults of its
 *		  RolloutGroupConditionBuilder (success 50, error 50)
 *	kayenta	  1 % of the fleet beside 1 % that is watched; after windows of
 *		  10, 20 and 30 min a Mann-Whitney test (98 %, and an effect
 *		  above 25 %, the numbers of its NetflixACAJudge) of who is bad
 *		  and of time per event; then everybody. Spinnaker, "How canary
 *		  judgment works"
 *	flagger	  10 % more each minute up to 50 %, then everybody; a minute of
 *		  less than 99 % good hosts, or of a median time above the
 *		  plan's tolerance, is a failed check, the fifth goes back.
 *		  Flagger, the canary of its documentation (interval 1m,
 *		  threshold 5, stepWeight 10, maxWeight 50)
 *
 * Chance comes from the seed alone. No I/O, no clock.
 */
#ifndef BL_CANARY_SIMULATE_SIMULATE_H
#define BL_CANARY_SIMULATE_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "canary/decide/plan.h"
#include "loader/base/err.h"

#define BL_SIM_HOSTS_MAX  20000000
#define BL_SIM_STRATA_MAX 64
#define BL_SIM_POINTS	  1024
#define BL_SIM_NEVER	  INT64_MIN
/* Until somebody has looked at a rollout that is held, and resumes it. */
#define BL_SIM_OPERATOR_MS (10 * 60 * 1000)

enum bl_sim_fault {
	BL_SIM_NONE,
	BL_SIM_CRASH,	  /* every host, or one in so many */
	BL_SIM_STRATUM,	  /* every host of one stratum */
	BL_SIM_SLOW,	  /* takes so many times as long for an event */
	BL_SIM_UNDECIDED, /* no fault: one in so many hosts cannot judge it */
};

struct bl_sim_rule;
/* NULL: there is no such rule. */
const struct bl_sim_rule *bl_sim_rule_find(const char *name);
const char *bl_sim_rule_name(const struct bl_sim_rule *rule);
/* Whether hosts judge their trials by it, and may find that they cannot. */
bool bl_sim_rule_judges(const struct bl_sim_rule *rule);

struct bl_sim_opts {
	const struct bl_plan *plan;
	const struct bl_sim_rule *rule;
	unsigned hosts, strata;
	enum bl_sim_fault fault;
	/* Of CRASH, UNDECIDED: the part of hosts; of STRATUM: its share of the fleet; of
	 * SLOW: how many times as long. */
	double size;
	double background; /* part of hosts that fails for its own reasons */
	uint64_t seed;
	bool series; /* keep the course of it */
	/* Now and then; false ends the run. May be NULL. */
	bool (*go_on)(void *ctx);
	void *ctx;
};

/* CRASH, RARE:20%, STRATUM:1%, SLOW:3, UNDECIDED:1%, NONE, in lower case, with
 * defaults.
 * -EINVAL with the forms in @err. */
int bl_sim_fault_parse(const char *text, struct bl_sim_opts *ret,
		       struct bl_err *err);

struct bl_sim_point {
	int64_t t_ms;
	unsigned exposed, down, has_it;
};

struct bl_sim_result {
	bool stopped;	  /* else it is done */
	char reason[256]; /* of the decision that ended it */
	unsigned exposed; /* ever */
	unsigned most_of_a_stratum;
	unsigned wave;	    /* in which it ended, from 0 */
	unsigned undecided; /* of the exposed */
	unsigned holds;	    /* times that it waited for an operator */
	unsigned went_down, most_down;
	double down_hours; /* of all hosts together */
	/* Since the start; BL_SIM_NEVER. */
	int64_t first_sign_ms, stop_ms, end_ms;
	struct bl_sim_point *points;
	unsigned point_count;
};
#define bl_autosim __attribute__((cleanup(bl_sim_result_free)))
void bl_sim_result_free(struct bl_sim_result *r);

/* -EINTR: @go_on said so; -ENOMEM; -EINVAL: numbers beyond the limits. */
int bl_sim_run(const struct bl_sim_opts *opts, struct bl_sim_result *ret,
	       struct bl_err *err);

#endif
