/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instructions of all functions of an object in one row, with what stands
 * at each: whether a way can begin there, what it refers to (code.h), which
 * relocation changes it. The same for every kernel. For the check "core" alone.
 * Pure.
 */
#ifndef BL_GATE_CORE_FLOW_H
#define BL_GATE_CORE_FLOW_H

#include <linux/bpf.h>

#include "loader/gate/core/core_relo.h"
#include "loader/gate/object/code.h"

#define BL_CORE_NO_FUNCTION UINT32_MAX

struct bl_core_node {
	uint32_t ref;  /* index into code->refs, plus 1; 0: none */
	uint32_t relo; /* index into the relocations, plus 1; 0: none */
	bool leads;    /* another instruction than the one before leads here */
};

struct bl_core_flow {
	const struct bl_code *code;
	struct bl_core_node *nodes;
	size_t count;
	uint32_t *first;  /* of each function: its first node. Two names of one
			     function share theirs */
	bool *global;	  /* of each function: verified for itself */
	uint32_t *also;	  /* of each relocation: another one, plus 1, of the
			     same instruction */
	uint32_t *holder; /* of each relocation: its function */
};

void bl_core_flow_free(struct bl_core_flow *f);

/* Borrows what it is given. 0 or -ENOMEM. */
int bl_core_flow_read(const struct bl_code *code,
		      const struct bl_core_relos *relos,
		      struct bl_core_flow *ret);

/* Instructions of a function, and one of them. */
uint32_t bl_core_flow_length(const struct bl_core_flow *f, uint32_t function);
struct bpf_insn bl_core_flow_insn(const struct bl_core_flow *f,
				  uint32_t function, uint32_t at);

/* Where the jump at @at leads; -1: out of its function. */
int64_t bl_core_flow_target(const struct bl_core_flow *f, uint32_t function,
			    uint32_t at, const struct bpf_insn *insn);

/* JA, a conditional jump; neither a call nor an exit. */
bool bl_core_is_goto(const struct bpf_insn *insn);
bool bl_core_is_branch(const struct bpf_insn *insn);
bool bl_core_is_call(const struct bpf_insn *insn);
bool bl_core_is_exit(const struct bpf_insn *insn);
bool bl_core_is_wide(const struct bpf_insn *insn);

#endif
