/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload (listen.h) while a session's programs are attached, and what they
 * made of it: events, counters, runs, time, memory, the kernel's log. For
 * loader/kern only.
 */
#ifndef BL_KERN_EXERCISE_RUN_H
#define BL_KERN_EXERCISE_RUN_H

#include "loader/kern/ask/session.h"

/*
 * Fills facts->exercise and runs, run_ns, missed of its programs. 0 also when
 * the workload could not run (ran is false and why_not says why); -ENOMEM.
 * @s is loaded and attached. A sensor without content in its part is told to
 * report everything. @scale: times the usual number of rounds; 0 counts as 1.
 */
int bl_exercise_run(struct bl_session *s, unsigned scale,
		    struct bl_facts *facts, struct bl_err *err);

#endif
