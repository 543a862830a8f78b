/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the running kernel's verifier about every program of an object. Nothing
 * is attached and nothing stays loaded.
 *
 * How: all programs are loaded at once, as a loader would. When one fails,
 * those before it are good and those behind it are tried again without it. Each
 * that failed is then loaded alone with the verifier's full log. Programs that
 * their loader would switch on ("?" sections) are checked too.
 *
 * libbpf is not made for hostile objects and its messages go through one
 * process-wide function: call this from one thread, and in a process whose
 * death is survivable (gate/verify.c forks).
 */
#ifndef BL_KERN_VERIFY_H
#define BL_KERN_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

enum bl_verify_status {
	BL_VERIFY_UNDECIDED = 0, /* so that a forgotten result is no pass */
	BL_VERIFY_ACCEPTED,
	BL_VERIFY_REJECTED, /* by the verifier */
	BL_VERIFY_MISSING,  /* hook, BTF, map or program type is not there */
	BL_VERIFY_REFUSED,  /* privilege or lockdown */
};

struct bl_verify_program {
	char *name, *section;
	bool optional; /* "?" in its section's name */
	enum bl_verify_status status;
	uint64_t insns; /* processed; 0: not known */
	int64_t insn;	/* index at which it was rejected; -1: not known */
	int code;	/* negative errno of the failed load; 0 */
	char *why;	/* one sentence; "" when accepted */
	char *log;	/* verifier's log of a failed load (its last part) */
};

struct bl_verify_result {
	struct bl_verify_program *programs;
	size_t count;
	struct bl_buf notes; /* what was assumed, one line each */
};

void bl_verify_result_free(struct bl_verify_result *r);

/*
 * Verifies all programs of the object in memory. 0 with one entry per program,
 * whatever became of it. -errno when libbpf cannot open the object at all
 * (-EINVAL and the like: err says why) or memory ran out.
 */
int bl_kern_verify(const char *name, const void *object, size_t len,
		   struct bl_verify_result *ret, struct bl_err *err);

#endif
