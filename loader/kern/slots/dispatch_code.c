/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/dispatch_code.h"

#include <assert.h>

#define BITS 8u
#define MASK ((1u << BITS) - 1)

/* 0 in the word is nobody, so that an empty map dispatches to nobody. */
uint64_t bl_dispatch_pack(struct bl_dispatch_word w)
{
	return (uint64_t)(w.live + 1) | (uint64_t)(w.trial + 1) << BITS;
}

static int slot_of(uint64_t bits)
{
	return bits >= 1 && bits <= BL_SLOT_COUNT ? (int)bits - 1
						  : BL_DISPATCH_NOBODY;
}

struct bl_dispatch_word bl_dispatch_unpack(uint64_t word)
{
	return (struct bl_dispatch_word){ slot_of(word & MASK),
					  slot_of(word >> BITS & MASK) };
}

struct code {
	struct bpf_insn *insns;
	size_t count;
};

static size_t put(struct code *c, uint8_t code, uint8_t dst, uint8_t src,
		  int off, int64_t imm)
{
	assert(c->count < BL_DISPATCH_INSNS_MAX);
	c->insns[c->count] = (struct bpf_insn){ .code = code,
						.dst_reg = dst & 0xf,
						.src_reg = src & 0xf,
						.off = (int16_t)off,
						.imm = (int32_t)imm };
	return c->count++;
}

static void move(struct code *c, uint8_t dst, uint8_t src)
{
	put(c, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void calc(struct code *c, uint8_t op, uint8_t dst, int imm)
{
	put(c, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

/* The address of a map, or of the value in an array of one. */
static void map(struct code *c, uint8_t dst, int fd, bool value)
{
	put(c, BPF_LD | BPF_IMM | BPF_DW, dst,
	    value ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD, 0, fd);
	put(c, 0, 0, 0, 0, 0);
}

static void load(struct code *c, uint8_t dst, uint8_t src, size_t off)
{
	put(c, BPF_LDX | BPF_MEM | BPF_DW, dst, src, (int)off, 0);
}

static void call(struct code *c, int helper)
{
	put(c, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

/* A jump to somewhere that land() will say. */
static size_t jump_if(struct code *c, uint8_t op, uint8_t dst, uint8_t src)
{
	return put(c, BPF_JMP | op | BPF_X, dst, src, 0, 0);
}

static size_t jump_if_zero(struct code *c, uint8_t dst)
{
	return put(c, BPF_JMP | BPF_JEQ | BPF_K, dst, 0, 0, 0);
}

static void land(struct code *c, size_t jump)
{
	c->insns[jump].off = (int16_t)(c->count - jump - 1);
}

#define R0    BPF_REG_0
#define CTX   BPF_REG_6
#define STATE BPF_REG_7
#define SLOT  BPF_REG_8 /* 1, 2; 0: nobody */
#define TRIAL BPF_REG_9

static void tail_call(struct code *c, int array_fd, int first_entry)
{
	move(c, BPF_REG_1, CTX);
	map(c, BPF_REG_2, array_fd, false);
	move(c, BPF_REG_3, SLOT);
	calc(c, BPF_ADD, BPF_REG_3, first_entry - 1);
	call(c, BPF_FUNC_tail_call);
}

/* Jumps when now >= the word at @off. */
static size_t jump_if_over(struct code *c, size_t off)
{
	call(c, BPF_FUNC_ktime_get_ns);
	load(c, BPF_REG_1, STATE, off);
	return jump_if(c, BPF_JGE, R0, BPF_REG_1);
}

size_t bl_dispatch_code(const struct bl_dispatch_code *d,
			struct bpf_insn ret[static BL_DISPATCH_INSNS_MAX])
{
	struct code code = { .insns = ret }, *c = &code;
	size_t no_trial, lapsed, nobody, expired = 0;

	move(c, CTX, BPF_REG_1);
	map(c, STATE, d->state_fd, true);
	load(c, SLOT, STATE, offsetof(struct bl_dispatch_state, word));
	move(c, TRIAL, SLOT);
	calc(c, BPF_AND, SLOT, MASK);
	calc(c, BPF_RSH, TRIAL, BITS);
	no_trial = jump_if_zero(c, TRIAL);
	lapsed = jump_if_over(c, offsetof(struct bl_dispatch_state,
					  trial_until_ns));
	move(c, SLOT, TRIAL);
	land(c, no_trial);
	land(c, lapsed);
	nobody = jump_if_zero(c, SLOT);
	if (d->verdict) {
		tail_call(c, d->array_fd,
			  (int)bl_dispatch_entry(BL_SLOT_A, false));
		expired = jump_if_over(c, offsetof(struct bl_dispatch_state,
						   verdict_until_ns));
	}
	tail_call(c, d->array_fd, (int)bl_dispatch_entry(BL_SLOT_A, true));
	land(c, nobody);
	if (d->verdict)
		land(c, expired);
	put(c, BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, d->neutral);
	put(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return c->count;
}
