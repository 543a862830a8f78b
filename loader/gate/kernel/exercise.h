/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "exercise": what a sensor did while it was attached and a workload ran.
 * Facts to findings, nothing else.
 *
 *	a splat in the kernel's log              reject, with its first line
 *	an expected kind of which no event came  reject: loads, attaches, sees
 *	                                         nothing
 *	more lost than the limit                 reject: operations without an
 *	                                         event, events without room in
 *	                                         the ring, operations let pass
 *	time per event, memory above the limit   reject
 *	a machine that cannot be used with it    reject: with a module
 *	it did not run                           undecided
 *	a foreign object, nothing of which ran   warning
 *
 * What is expected are the kinds that the manifest names or, without that, what
 * the content reports of what the workload did. What the content reports and
 * the workload cannot show is said, not passed over. Of a foreign object no
 * events are known; its runs, time, memory and splats are.
 *
 * What is lost is counted by operations, each known again by who did it. Runs
 * that the kernel skipped (recursion misses) are no loss by themselves: most
 *may have been somebody else's. Operations without an event that they explain
 *are held against all operations, as in a host's trial; the others against
 *those of their kind. Events without room in the ring are the version's doing: the
 *workload waits until what it did is read (loader/kern/ask/listen.h).
 */
#ifndef BL_GATE_EXERCISE_H
#define BL_GATE_EXERCISE_H

#include "loader/bundle/manifest.h"
#include "loader/gate/finding.h"

/* At least one finding whatever the facts are. 0 or as bl_report_add. */
int bl_exercise_check(const struct bl_facts *f,
		      const struct bl_exercise_limits *limits,
		      const char *kernel, struct bl_report *r);

#endif
