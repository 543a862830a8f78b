/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks that need a kernel: "verifier", and behind it attach, exercise and
 * swap, on every chosen kernel.
 *
 * On a lab kernel belay itself runs in the guest (`belay probe`) and tells what
 * it saw (answer.h); on the running kernel a child process does, and is asked
 * for the load alone: libbpf and the kernel may not survive what a stranger
 * wrote, and the one who asks must. What the answer means is decided here.
 *
 * What a kernel says of a program:
 *
 *	accepted  pass
 *	rejected  reject
 *	missing   reject: the object does not load there; a warning for an
 *	          optional program; undecided on the running kernel, which may
 *	          be a restricted one and is nobody's target
 *	refused   undecided
 *	none      undecided, for every program that no answer names
 */
#ifndef BL_GATE_VERIFY_H
#define BL_GATE_VERIFY_H

#include "loader/bundle/manifest.h"
#include "loader/gate/finding.h"
#include "loader/gate/gate.h"
#include "loader/gate/kernel/answer.h"
#include "loader/gate/module/module.h"
#include "loader/kern/ask/probe.h"
#include "loader/lab/catalog.h"
#include "loader/object/object.h"

struct bl_gate_target {
	const struct bl_gate_opts *opts;
	const struct bl_object *object;
	/* In the place of the object: a module for each of kernels, which is
	 * asked of the lab alone. NULL: it is an object. */
	const struct bl_gate_module *modules;
	struct bl_probe probe;		  /* what the lab's kernels are asked */
	struct bl_exercise_limits limits; /* for what they show */
	const char *log_dir;
	const struct bl_kernel *const *kernels; /* of the lab */
	size_t kernel_count;
	bool host; /* the running kernel too */
};

/* Adds findings and kernels to *report. 0, -ENOMEM, -E2BIG, or -EINTR after a
 * signal, with every VM gone. */
int bl_gate_verify(const struct bl_gate_target *t, struct bl_report *report,
		   struct bl_err *err);

/* The verdict of one program's status, by the table above. */
enum bl_verdict bl_gate_judge(enum bl_status status, bool optional, bool host);

/* For content with deny rules: LSM programs are not optional then, for a rule
 * that cannot act would be silent. */
void bl_gate_require_lsm(struct bl_report *report);

/* The same for content that says something of DNS, and the programs for it. */
void bl_gate_require_dns(struct bl_report *report);

/* The same for content with rules for digests; deny rules alone do without. */
void bl_gate_require_sums(struct bl_report *report);

/*
 * What the answer of one kernel means, step by step, added to *report; steps
 * that did not arrive are the caller's to explain, except that every program
 * which the load does not name is undecided. @host: the running kernel.
 * t->log_dir (may be NULL) gets the verifier's logs. 0 or as bl_report_add.
 */
int bl_gate_judge_answer(const struct bl_gate_target *t, const char *kernel,
			 bool host, const struct bl_answer *a,
			 struct bl_report *report);

#endif
