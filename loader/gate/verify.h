/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "verifier": every program of an object on every chosen kernel.
 *
 * On a lab kernel belay itself runs in the guest, as `belay check OBJECT
 * --kernel host --json`, and its report is read back; on the running kernel a
 * child process does the same work, because libbpf and the kernel may not
 * survive what a stranger wrote and the one who asks must.
 *
 * What a kernel's answer means:
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

#include "loader/gate/finding.h"
#include "loader/gate/gate.h"
#include "loader/gate/object.h"
#include "loader/lab/catalog.h"

struct bl_gate_target {
	const struct bl_gate_opts *opts;
	const struct bl_object *object;
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

/*
 * Reads what `belay check --kernel host --json` said (@text, about @object)
 * into *report as the answers of @kernel; @host: the running one. An answer
 * that cannot be read becomes an undecided finding. @log_dir (may be NULL) gets
 * the verifier's logs. 0 or as bl_report_add.
 */
int bl_gate_merge(const struct bl_object *object, const char *kernel, bool host,
		  const char *text, size_t len, const char *log_dir,
		  struct bl_report *report);

#endif
