/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a program of one generation gives way to that of the next: a table of
 * what hooks can do, and the choice for one program. Pure. For loader/kern
 * only.
 *
 *	dispatch	the hook can be tail-called: one write switches all
 *			hooks at once, and a lease in the kernel ends a trial
 *	replace		its link can be given another program
 *	overlap		new beside old, then old goes: for all others
 *
 * A program that can refuse something (a verdict) has a lease when it is
 * dispatched: if nobody renews it, the hook allows. Without one it is taken
 * only if the manifest says so, or if it never refuses: all its ends return 0.
 */
#ifndef BL_KERN_STRATEGY_H
#define BL_KERN_STRATEGY_H

#include <linux/bpf.h>
#include <stdbool.h>

#include "loader/kern/ops.h"

/* Where a program is attached. */
enum bl_place {
	BL_PLACE_TARGET,    /* what its section names: a function, … */
	BL_PLACE_CGROUP,    /* the manifest says which */
	BL_PLACE_INTERFACE, /* the manifest says which */
};

struct bl_hook_kind {
	const char *name; /* as in sections, and among the pins */
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
	enum bl_place place;
	bool dispatches; /* a program there may tail-call */
	bool updates;	 /* its links take another program */
	bool verdict;	 /* what it returns can refuse */
	int neutral;	 /* what allows, or changes nothing */
};

/* NULL: a kind that is not in the table; it overlaps. */
const struct bl_hook_kind *bl_hook_kind(enum bpf_prog_type type,
					enum bpf_attach_type attach);

/* The kind with this name; NULL. */
const struct bl_hook_kind *bl_hook_kind_named(const char *name);

struct bl_strategy_case {
	const struct bl_hook_kind *kind; /* NULL: not in the table */
	bool sleepable;
	bool harmless; /* whatever its kind, it refuses nothing */
	bool refused;  /* this kernel took no dispatcher there */
	const struct bl_kern_wish *wish; /* NULL: none */
};

struct bl_strategy_choice {
	enum bl_strategy strategy;
	enum bl_lease lease;
	const char *why; /* one clause, of the strategy; or of the refusal */
};

/* -EOPNOTSUPP with ret->why when it cannot be as it is wished, or would be a
 * verdict without a lease that nobody waived. */
int bl_strategy_choose(const struct bl_strategy_case *c,
		       struct bl_strategy_choice *ret);

#endif
