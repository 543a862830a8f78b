/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do about a refusal, in plain words. The verifier says what it could
 * not prove about a register; its author wants to know what to write instead.
 *
 * Pure: a table of what kernels say, tested with what kernels from 5.10 to 7.3
 * did say (tests/unit/hints).
 */
#ifndef BL_GATE_HINTS_H
#define BL_GATE_HINTS_H

#include "loader/gate/finding.h"

/*
 * One or two sentences about @reason, the line in which the verifier or libbpf
 * says why; NULL if there is nothing to add. @log ("" if there is none) tells
 * apart what kernels word alike. A constant string.
 */
const char *bl_hint_for(const char *reason, const char *log);

/*
 * What a report says below a finding: its own hint, else one for its message,
 * else what to do about a check that came to no decision. "" if none.
 */
const char *bl_hint_of(const struct bl_finding *f);

#endif
