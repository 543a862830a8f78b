/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel of the lab showed about a module. Facts to findings, nothing
 * else.
 *
 *	load	check "module"		not taken: reject; refused (signatures,
 *					lockdown): undecided
 *	attach	check "attach"		its hooks do not go in: reject
 *	exercise			as of an object: exercise.h; and memory
 *					that grows with each event: reject
 *	swap	check "exercise"	splats, a hook left behind, not out or not
 *					in again: reject
 *		check "swap"		the gap, a warning: a module of a name is
 *					there once
 *
 * A step that did not arrive is the end of its guest's to explain
 * (../kernel/vm_end.h); a load that did not is undecided here.
 */
#ifndef BL_GATE_MODULE_JUDGE_H
#define BL_GATE_MODULE_JUDGE_H

#include "loader/bundle/manifest.h"
#include "loader/gate/finding.h"
#include "loader/gate/kernel/answer.h"

/* At least one finding whatever the answer is. 0 or as bl_report_add. */
int bl_module_judge(const struct bl_answer *a,
		    const struct bl_exercise_limits *limits, const char *kernel,
		    struct bl_report *r);

#endif
