/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a program's registers and stack at an instruction, and what
 * one instruction makes of it: constants, followed through registers and whole
 * stack slots as a verifier follows them. For core_reach.c alone. Pure.
 *
 * A value is one of four things. The difference between the second and the
 * third decides whether a branch proves something:
 *
 *	KNOWN	this number, also to every verifier;
 *	OPEN	no verifier can know it: read from kernel memory, or returned by
 *		a helper;
 *	HINTED	a verifier may know it, we do not: read-only data and kconfig,
 *		which its loader fills in, addresses of weak symbols, numbers
 *		that several ways brought here;
 *	STACK	an address in this function's stack.
 *
 * Ranges are not followed: after "if (x > 4)" an open x stays open. Compilers
 * leave no branch that such a range decides.
 */
#ifndef BL_GATE_CORE_STATE_H
#define BL_GATE_CORE_STATE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BL_CORE_STACK 512 /* bytes, as the kernel's MAX_BPF_STACK */
#define BL_CORE_REGS  11
#define BL_CORE_CELLS (BL_CORE_REGS + BL_CORE_STACK / 8)

enum bl_core_known {
	BL_CORE_OPEN = 0,
	BL_CORE_KNOWN,
	BL_CORE_HINTED,
	BL_CORE_ADDRESS, /* in the stack; value: bytes from its top, negative */
};

/* Registers, then stack slots from the lowest. Values of OPEN and HINTED cells
 * are 0, so that equal states have equal bytes. */
struct bl_core_state {
	uint64_t value[BL_CORE_CELLS];
	uint8_t known[BL_CORE_CELLS]; /* enum bl_core_known */
};

struct bl_core_cell {
	enum bl_core_known known;
	uint64_t value;
};

struct bl_core_cell bl_core_get(const struct bl_core_state *s, unsigned cell);
void bl_core_set(struct bl_core_state *s, unsigned cell,
		 enum bl_core_known known, uint64_t value);

/* At the beginning of a function: arguments of that kind, the stack open. */
void bl_core_enter(struct bl_core_state *s, enum bl_core_known arguments);

bool bl_core_same(const struct bl_core_state *a, const struct bl_core_state *b);

/* Makes *into stand for @s too: cells that differ become HINTED. False when it
 * did already. */
bool bl_core_join(struct bl_core_state *into, const struct bl_core_state *s);

/* One value for two ways. */
struct bl_core_cell bl_core_either(struct bl_core_cell a,
				   struct bl_core_cell b);

/* Arithmetic, loads and stores; not jumps, calls and 64-bit constants. */
void bl_core_exec(struct bl_core_state *s, const struct bpf_insn *insn);

/* What a call does to the memory whose addresses it is given. */
enum bl_core_callee {
	BL_CORE_READER,	  /* nothing */
	BL_CORE_HELPER,	  /* fills it, as far as a size beside it says */
	BL_CORE_KERNEL,	  /* fills it */
	BL_CORE_FUNCTION, /* of the object: a verifier knows what it does */
};

/* After a call: r0 to r5 are open, and what could be written was. */
void bl_core_called(struct bl_core_state *s, enum bl_core_callee callee);

enum bl_core_edge {
	BL_CORE_BOTH,	/* nobody knows */
	BL_CORE_EITHER, /* a verifier may know */
	BL_CORE_TAKEN,
	BL_CORE_PASSED,
};

/* Which way a conditional jump goes. */
enum bl_core_edge bl_core_jump(const struct bl_core_state *s,
			       const struct bpf_insn *insn);

/* On the edge where both sides are equal, an open one gets the other's. */
void bl_core_narrow(struct bl_core_state *s, const struct bpf_insn *insn,
		    bool taken);

#endif
