/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of lab kernels, each from a microVM of its own (see verify.h). */
#ifndef BL_GATE_VERIFY_LAB_H
#define BL_GATE_VERIFY_LAB_H

#include "loader/gate/kernel/verify.h"
#include "loader/lab/vm.h"

/* Adds findings and kernels in the order of t->kernels. Errors as
 * bl_gate_verify. */
int bl_gate_verify_lab(const struct bl_gate_target *t, struct bl_report *report,
		       struct bl_err *err);

/*
 * What one VM's answer and its end mean, added to *report. Pure but for the
 * logs that it keeps in t->log_dir (may be NULL).
 */
int bl_gate_judge_vm(const struct bl_gate_target *t, const char *kernel,
		     const struct bl_vm_result *res, struct bl_report *report);

#endif
