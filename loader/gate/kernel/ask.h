/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's side of the gate: runs a probe and writes its answer, line by
 * line (answer.h), to a descriptor. For guests and child processes.
 */
#ifndef BL_GATE_ASK_H
#define BL_GATE_ASK_H

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/kern/ask/probe.h"

/*
 * Takes the steps of @p and tells @fd after each; told and ctx of @p are filled
 * in here. What could not be done is told as well: below 0 only when
 * the answer could not be written, or memory ran out.
 */
int bl_gate_ask(const struct bl_probe *p, int fd, struct bl_err *err);

#endif
