/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many runs of the same rollout, each with its own seed: what to expect, and
 * what one time in a hundred.
 */
#ifndef BL_CANARY_SIMULATE_CHANCES_H
#define BL_CANARY_SIMULATE_CHANCES_H

#include <jansson.h>

#include "canary/simulate/simulate.h"

#define BL_SIM_RUNS_MAX 1000000

/* Over runs; times of those that stopped. */
struct bl_sim_chances {
	unsigned runs, stopped;
	unsigned first_wave; /* stopped in it */
	double exposed_mean, down_mean, down_hours_mean;
	unsigned exposed_p50, exposed_p99, exposed_max;
	unsigned stratum_max; /* exposed in one stratum */
	unsigned most_down;
	double undecided_mean, holds_mean;
	unsigned holds_max;
	/* From the first sign of a bad host to the stop; seconds. */
	double decide_mean_s, decide_p99_s, decide_max_s;
	double stop_mean_s, end_mean_s; /* since the start */
};

/* Runs @runs times with the seeds opts->seed, + 1, …; calls @done (may be NULL)
 * after each. Keeps the first run in @ret_first. As bl_sim_run. */
int bl_sim_chances(const struct bl_sim_opts *opts, unsigned runs,
		   void (*done)(void *ctx, unsigned runs), void *ctx,
		   struct bl_sim_chances *ret, struct bl_sim_result *ret_first,
		   struct bl_err *err);

json_t *bl_sim_chances_json(const struct bl_sim_chances *c);

#endif
