/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number that a relocation puts into an instruction, and whether that
 * instruction can take it; as libbpf 1.x computes them for little-endian
 * kernels. For core_match.c alone. Pure.
 */
#ifndef BL_GATE_CORE_VALUE_H
#define BL_GATE_CORE_VALUE_H

#include "loader/gate/core/core_match.h"

struct bl_core_value {
	uint64_t value;
	uint32_t size; /* bytes of what is read, for loads and stores; 0 */
	uint32_t type; /* … and its type */
	bool exact;    /* the compiler must have put the same value there */
};

/* BL_CORE_WHY_NONE, or why there is none. @spec lies in @b. */
enum bl_core_why bl_core_value(const struct bl_btf *b,
			       const struct bl_core_spec *spec,
			       struct bl_core_value *ret);

/*
 * Whether the instruction that was compiled with @local can be given @target.
 * WHY_NONE, WHY_SIZE (it is poisoned), WHY_FAR or WHY_DAMAGED (refused).
 */
enum bl_core_why bl_core_patch(const struct bl_core_pair *p,
			       const struct bl_core_value *local,
			       const struct bl_core_value *target,
			       const unsigned char *insn, size_t len);

#endif
