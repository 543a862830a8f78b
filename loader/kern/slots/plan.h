/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be done with each program of an object that is opened or loaded:
 * its hook, its strategy. No kernel is asked. For loader/kern only.
 */
#ifndef BL_KERN_PLAN_H
#define BL_KERN_PLAN_H

#include "loader/kern/slots/hook.h"

struct bl_plan_step {
	struct bpf_program *program;
	const struct bl_kern_wish *wish; /* NULL: none; the generation's */
	struct bl_hook hook;
	struct bl_strategy_choice choice;
	/* What attach made and persist has not pinned: one of them. */
	struct bpf_link *link; /* NULL */
	int link_fd;	       /* -1 */
};

struct bl_plan {
	struct bl_plan_step step[BL_KERN_PROGRAMS_MAX];
	unsigned count;
};

/*
 * For all programs that are to be loaded. -EOPNOTSUPP: a strategy that is not
 * possible, or a verdict without a lease; -EINVAL: the manifest names a program
 * that the object has not, or leaves out where one belongs.
 */
int bl_plan_make(const struct bpf_object *object,
		 const struct bl_generation *gen, struct bl_plan *ret,
		 struct bl_err *err);

/* The kernel took no dispatcher for this one: the next best. -EOPNOTSUPP. */
int bl_plan_refused(struct bl_plan_step *step, struct bl_err *err);

#endif
