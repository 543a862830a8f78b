/* SPDX-License-Identifier: Apache-2.0 */
/* The running kernel's answer, by way of a child process (see verify.h). */
#ifndef BL_GATE_VERIFY_HOST_H
#define BL_GATE_VERIFY_HOST_H

#include "loader/gate/kernel/verify.h"

/* Adds findings of kernel "host". Errors as bl_gate_verify. */
int bl_gate_verify_host(const struct bl_gate_target *t,
			struct bl_report *report, struct bl_err *err);

#endif
