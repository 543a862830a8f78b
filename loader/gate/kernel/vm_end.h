/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the end of a guest means for what was tried in it.
 *
 *				an object	a module
 *	could not boot		undecided	undecided
 *	panicked		reject		reject
 *	no answer by then	undecided	reject with a sign, else undecided
 *	gone without a word	undecided	reject, if by its own doing
 *	belay killed in it	undecided	reject: it used up the memory
 *	belay failed in it	undecided	undecided
 *
 * An object's verifier may well take longer than anybody waits, and what cannot
 * hang a kernel is no reason to think that it did. A module that was loaded can
 * do all of this, and there is next to nothing else in the guest that could.
 *
 * A machine that is merely slow misses a deadline too, so there must be a sign
 * that it was the module, which had come in (its load was answered, or the
 * console has the kernel's line about it):
 *  - the kernel complained behind that, of a CPU that is stuck, of a task that
 *    hangs, of anything; or
 *  - the guest stands still: it was silent for BL_VM_END_STILL times as long as
 *    all until then had taken, its boot included; that for each scale of the
 *    workload. On a slow machine the boot is slow as well, and what is left
 *    until the deadline is no such time. All that is asked of a good
 *    module takes about as long as its guest's boot.
 */
#ifndef BL_GATE_VM_END_H
#define BL_GATE_VM_END_H

#include "loader/gate/finding.h"
#include "loader/gate/kernel/answer.h"
#include "loader/lab/vm.h"

#define BL_VM_END_STILL 6

struct bl_vm_end {
	const char *kernel;
	const struct bl_vm_result *res;
	const struct bl_answer *answer; /* what had arrived */
	bool module;			/* it was a module; else an object */
	unsigned scale;			/* of the workload; at least 1 */
	unsigned mem_mib;		/* the guest's */
	size_t max_output;		/* bytes that were kept of its answer */
};

/* Adds a finding unless the guest ended well. Reads the console's log for the
 * words of a kernel that ended without a panic. 0 or as bl_report_add. */
int bl_vm_end_check(const struct bl_vm_end *e, struct bl_report *report);

/*
 * The first complaint of a kernel in its console's log, behind the line that
 * says that a module came in, if there is one; what follows it is mostly its
 * consequence. The first line of a splat, without its time. False: there is
 * none. Pure.
 */
bool bl_vm_end_complaint(const char *log, size_t len, char *ret, size_t size);

#endif
