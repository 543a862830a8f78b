/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The course of simulated rollouts as a picture: hosts that were ever exposed,
 * and hosts that are down, over time, a line for each rule. Pure: text in
 * memory.
 */
#ifndef BL_CANARY_SIMULATE_CHART_H
#define BL_CANARY_SIMULATE_CHART_H

#include "canary/simulate/simulate.h"
#include "loader/base/buf.h"

#define BL_SIM_LINES_MAX 5

struct bl_sim_line {
	const char *name;
	const struct bl_sim_result *result; /* with points */
};

/* An SVG document; -ENOMEM. */
int bl_sim_chart(const char *title, unsigned hosts,
		 const struct bl_sim_line *lines, unsigned count,
		 struct bl_buf *ret);

#endif
