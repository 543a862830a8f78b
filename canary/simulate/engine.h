/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a simulated rollout: shared by the engine, which knows hosts
 * and time, and the rules, which say who may have the version. Only they
 * include it.
 *
 * A rule sees what a controller sees (the record of the rollout, who waits,
 * pairs of guard metrics), never a host's fate.
 */
#ifndef BL_CANARY_SIMULATE_ENGINE_H
#define BL_CANARY_SIMULATE_ENGINE_H

#include "canary/decide/decision.h"
#include "canary/ledger/record.h"
#include "canary/simulate/simulate.h"

#define SIM_SAMPLE 512 /* values of time per event that a rule may look at */

struct sim {
	const struct bl_sim_opts *opts;
	uint64_t random;
	int64_t now_ms;
	/* The record, as a controller's: its strata are those of the fleet, its
	 * sums are kept by the engine, all else by the rule. */
	struct bl_rollout rollout;
	unsigned waiting[BL_SIM_STRATA_MAX];
	struct bl_tally tallies[BL_SIM_STRATA_MAX];
	char names[BL_SIM_STRATA_MAX][32];
	struct bl_pairs pairs[BL_GUARD_METRICS];
	/* Time per event of hosts with the version and without it. */
	double slow[SIM_SAMPLE], other[SIM_SAMPLE];
	unsigned samples;
	bool held;  /* no host may have it now: look again when it can change */
	bool dirty; /* something happened that a rule may want to see */
	/* the rules' own */
	unsigned step, failed_checks;
	int64_t due_ms;
	unsigned holds;
	char reason[256];
};

struct bl_sim_rule {
	const char *name;
	/* Whether one more host of stratum @s may have it. */
	bool (*may)(const struct sim *sim, unsigned s);
	/* Decides, by changing rollout: every @tick_ms if there is news, every
	 * @wake_ms if there is none. */
	void (*tick)(struct sim *sim);
	int64_t tick_ms, wake_ms;
	bool judges; /* hosts, by their trials */
};

double sim_uniform(struct sim *sim);
/* A host's time per event: hosts differ. */
double sim_time_per_event(struct sim *sim);
/* The sums of all strata; fills sim->tallies. */
struct bl_tally sim_sum(struct sim *sim);

#endif
