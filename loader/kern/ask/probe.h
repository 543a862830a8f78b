/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows an object to the running kernel, step by step, and notes what it does:
 *
 *	load      the verifier on every program
 *	attach    every accepted program, where it belongs
 *	exercise  a workload while they are attached
 *	swap      this version → the previous one → this one, under a workload of
 *	          numbered operations
 *
 * Each step needs the one before it. The caller hears after each, so that what
 * is known is told before the next one takes the kernel down.
 *
 * It attaches a stranger's programs to the kernel it runs on: for guests of the
 * lab. On a kernel that matters, ask for the load alone.
 */
#ifndef BL_KERN_PROBE_H
#define BL_KERN_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"
#include "loader/kern/facts.h"

enum bl_probe_step {
	BL_PROBE_LOAD,
	BL_PROBE_ATTACH,
	BL_PROBE_EXERCISE,
	BL_PROBE_SWAP,
	BL_PROBE_STEPS,
};

/* "load", "attach", "exercise", "swap". */
const char *bl_probe_step_name(enum bl_probe_step step);

/* An object and, for belay's sensor, what its maps are filled with. */
struct bl_probe_part {
	const char *name; /* for messages */
	const void *object;
	size_t len;
	/* In its binary form. NULL: a sensor is told to report everything. */
	const void *content;
	size_t content_len;
	uint32_t generation; /* goes into every event; not 0 */
};

struct bl_probe {
	struct bl_probe_part now, previous; /* previous.object NULL: none */
	/* A kernel module's file, in the place of now.object (module_run.h has
	 * what the steps are then); NULL: it is an object. */
	const char *module;
	enum bl_probe_step last; /* the last step to take */
	unsigned scale;		 /* of the workloads; 0 counts as 1 */
	/* The facts of @step are in. Below 0 ends the probe with that. */
	int (*told)(void *ctx, enum bl_probe_step step,
		    const struct bl_facts *facts, struct bl_err *err);
	void *ctx;
};

/*
 * 0 when every step was taken, whatever it showed. -errno when libbpf cannot
 * open the object at all (err says why), memory ran out, or told() ended it.
 */
int bl_kern_probe(const struct bl_probe *p, struct bl_err *err);

#endif
