/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object/harmless.h"

#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>

static struct bpf_insn insn_at(const void *insns, size_t index)
{
	struct bpf_insn insn;

	memcpy(&insn, (const char *)insns + index * sizeof(insn), sizeof(insn));
	return insn;
}

static bool is_zero(struct bpf_insn i)
{
	return i.code == (BPF_ALU64 | BPF_MOV | BPF_K) &&
	       i.dst_reg == BPF_REG_0 && !i.src_reg && !i.off && !i.imm;
}

/* Where a jump goes, counted from behind it; 0 for all else. */
static int64_t jump_of(struct bpf_insn i)
{
	unsigned class = BPF_CLASS(i.code), op = BPF_OP(i.code);

	if ((class != BPF_JMP && class != BPF_JMP32) || op == BPF_CALL ||
	    op == BPF_EXIT)
		return 0;
	/* gotol, of 6.6 */
	return class == BPF_JMP32 && op == BPF_JA ? i.imm : i.off;
}

static bool jumped_to(const void *insns, size_t count, size_t index)
{
	size_t i;

	for (i = 0; i < count; i++) {
		int64_t jump = jump_of(insn_at(insns, i));

		if (jump && (int64_t)i + 1 + jump == (int64_t)index)
			return true;
	}
	return false;
}

/*
 * Whether it may leave the program by another way than its ends. A tail call
 * answers what the other program does. Of a call that is no helper's nothing is
 * known before the load, when a kernel function looks like one of the object's:
 * it may be bpf_throw() (6.7), or lead to it, which ends the program with what it
 * was given. Where a jump by register goes (6.19) is in a map.
 */
static bool leaves(struct bpf_insn i)
{
	if (BPF_CLASS(i.code) != BPF_JMP)
		return false;
	if (BPF_OP(i.code) == BPF_CALL)
		return i.code != (BPF_JMP | BPF_CALL) || i.src_reg ||
		       i.imm == BPF_FUNC_tail_call;
	return i.code == (BPF_JMP | BPF_JA | BPF_X);
}

bool bl_object_harmless(const void *insns, size_t size)
{
	size_t count = size / sizeof(struct bpf_insn), ends = 0, i;

	for (i = 0; i < count; i++) {
		if (leaves(insn_at(insns, i)))
			return false;
		if (insn_at(insns, i).code != (BPF_JMP | BPF_EXIT))
			continue;
		/* Not the second half of a number of 64 bits. */
		if (!i || !is_zero(insn_at(insns, i - 1)) ||
		    (i > 1 && insn_at(insns, i - 2).code ==
				      (BPF_LD | BPF_IMM | BPF_DW)) ||
		    jumped_to(insns, count, i))
			return false;
		ends++;
	}
	return ends;
}
