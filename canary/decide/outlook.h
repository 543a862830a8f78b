/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plan would do to a fleet if the version is good, and what each wave
 * would see if it is not. Pure: no I/O, no clock.
 */
#ifndef BL_CANARY_OUTLOOK_H
#define BL_CANARY_OUTLOOK_H

#include "canary/decide/decision.h"

/* How long a host takes from the order to its commit if the plan does not say:
 * fetch, load, a probation of half a minute. */
#define BL_OUTLOOK_TRIAL_MS 35000

struct bl_outlook {
	unsigned hosts; /* that have it when the wave ends, in all */
	unsigned more;	/* of these new in this wave */
	unsigned said;	/* by the plan; below hosts: it is widened */
	double rate;	/* the wave is to find; 0: none */
	/* The chance that a version of each rate of the ladder (of 20, 5, 1 and
	 * 0.1 % without one) shows a bad host by its end. */
	double sees[BL_PLAN_LADDER_MAX];
	bool excluded;	    /* its rate, if all are good */
	int64_t at_best_ms; /* when it ends, since the start */
};

/* The rates that bl_outlook.sees is about; how many. */
unsigned bl_outlook_rates(const struct bl_plan *plan,
			  double ret[static BL_PLAN_LADDER_MAX]);

/* For every wave of view->plan; @view is of a rollout that has not begun. */
void bl_outlook(const struct bl_view *view,
		struct bl_outlook ret[static BL_PLAN_WAVES_MAX]);

#endif
