/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a program comes to an instruction that its loader had to poison.
 *
 * Programs guard what a kernel may lack: "if (bpf_core_field_exists(x))" is a
 * constant once it is loaded, and verifiers do not look at the side that it
 * cuts off. So the program is walked as they walk it, with constants followed
 * through registers and stack (core_state.h) and a branch on a constant taken
 * one way only. Static functions are walked from their calls with the constants
 * that they are given, callbacks and global functions with none.
 *
 *	NEVER	no way leads there: it is guarded;
 *	SURE	whatever those branches do that a verifier may decide and we
 *		cannot (on .rodata, kconfig, weak symbols), some way that it
 *		follows leads there;
 *	MAYBE	anything else: some of them decide. So it is where a global
 *		function is called by none but guarded code: kernels before 6.8
 *		verify it all the same. So it is also when a limit was met.
 *
 * For the check "core" alone. Pure. Work is bounded by the steps it is given,
 * memory by BL_CORE_POINTS_MAX.
 */
#ifndef BL_GATE_CORE_REACH_H
#define BL_GATE_CORE_REACH_H

#include "loader/gate/core/core_flow.h"
#include "loader/gate/core/core_match.h"

#define BL_CORE_POINTS_MAX  16384      /* beginnings of ways, per program */
#define BL_CORE_REACH_STEPS (1u << 20) /* instructions, per program */

enum bl_core_reach {
	BL_CORE_NEVER = 0,
	BL_CORE_MAYBE,
	BL_CORE_SURE,
};

/*
 * Walks @program on the kernel of @results (as relos->list). Sets ret[i] of
 * each poisoned relocation i that it comes to, and leaves all others. Takes
 * what it needs of *steps. 0 or -ENOMEM.
 */
int bl_core_walk(const struct bl_core_flow *f,
		 const struct bl_core_relos *relos,
		 const struct bl_core_result *results, uint32_t program,
		 uint64_t *steps, uint8_t *ret);

#endif
