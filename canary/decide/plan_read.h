/* SPDX-License-Identifier: Apache-2.0 */
/* What plan.c and plan_read.c share. */
#ifndef BL_CANARY_PLAN_READ_H
#define BL_CANARY_PLAN_READ_H

#include "canary/decide/plan.h"

/* The rates of the issue that are above the plan's p0. */
void bl_plan_default_ladder(struct bl_plan *plan);

/* As the plan says it: "pause", "stop". */
extern const char *const bl_plan_undecided_names[BL_PLAN_UNDECIDED_COUNT];

#endif
