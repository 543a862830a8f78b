/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_state.h"

#include <string.h>

#include "loader/gate/object/insn.h"

#ifndef BPF_MEMSX
#define BPF_MEMSX 0x80 /* since 6.6: loads that extend the sign */
#endif
#define LOAD_ACQUIRE 0x100 /* since 6.15 */

struct bl_core_cell bl_core_get(const struct bl_core_state *s, unsigned cell)
{
	return (struct bl_core_cell){ (enum bl_core_known)s->known[cell],
				      s->value[cell] };
}

void bl_core_set(struct bl_core_state *s, unsigned cell,
		 enum bl_core_known known, uint64_t value)
{
	bool valued = known == BL_CORE_KNOWN || known == BL_CORE_ADDRESS;

	s->known[cell] = (uint8_t)known;
	s->value[cell] = valued ? value : 0;
}

void bl_core_enter(struct bl_core_state *s, enum bl_core_known arguments)
{
	unsigned i;

	*s = (struct bl_core_state){ 0 };
	for (i = BPF_REG_1; i <= BPF_REG_5; i++)
		bl_core_set(s, i, arguments, 0);
	bl_core_set(s, BPF_REG_10, BL_CORE_ADDRESS, 0);
}

bool bl_core_same(const struct bl_core_state *a, const struct bl_core_state *b)
{
	return memcmp(a->known, b->known, sizeof(a->known)) == 0 &&
	       memcmp(a->value, b->value, sizeof(a->value)) == 0;
}

struct bl_core_cell bl_core_either(struct bl_core_cell a, struct bl_core_cell b)
{
	if (a.known == b.known && a.value == b.value)
		return a;
	return (struct bl_core_cell){ BL_CORE_HINTED, 0 };
}

bool bl_core_join(struct bl_core_state *into, const struct bl_core_state *s)
{
	bool changed = false;
	unsigned i;

	for (i = 0; i < BL_CORE_CELLS; i++) {
		struct bl_core_cell old = bl_core_get(into, i);
		struct bl_core_cell new =
			bl_core_either(old, bl_core_get(s, i));

		changed = changed || new.known != old.known;
		bl_core_set(into, i, new.known, new.value);
	}
	return changed;
}

/* What depends on both, neither being looked at. */
static enum bl_core_known mixed(struct bl_core_cell a, struct bl_core_cell b)
{
	bool open = (a.known == BL_CORE_OPEN || b.known == BL_CORE_OPEN) &&
		    a.known != BL_CORE_HINTED && b.known != BL_CORE_HINTED &&
		    a.known != BL_CORE_ADDRESS && b.known != BL_CORE_ADDRESS;

	return open ? BL_CORE_OPEN : BL_CORE_HINTED;
}

static uint64_t divide(uint64_t a, uint64_t b, bool is_signed, bool wide)
{
	if (!b)
		return 0;
	if (!is_signed)
		return a / b;
	if (b == UINT64_MAX || (!wide && (uint32_t)b == UINT32_MAX))
		return 0 - a;
	return wide ? (uint64_t)((int64_t)a / (int64_t)b)
		    : (uint64_t)((int32_t)a / (int32_t)b);
}

static uint64_t shift_right(uint64_t a, uint64_t b, bool wide)
{
	return wide ? (uint64_t)((int64_t)a >> (b & 63))
		    : (uint64_t)((int32_t)a >> (b & 31));
}

/* False for what is not worth following. */
static bool compute(const struct bpf_insn *insn, uint64_t a, uint64_t b,
		    bool wide, uint64_t *ret)
{
	uint64_t quotient;

	if (!wide) {
		a = (uint32_t)a;
		b = (uint32_t)b;
	}
	switch (BPF_OP(insn->code)) {
	case BPF_ADD:
		*ret = a + b;
		return true;
	case BPF_SUB:
		*ret = a - b;
		return true;
	case BPF_MUL:
		*ret = a * b;
		return true;
	case BPF_DIV:
		*ret = divide(a, b, insn->off == 1, wide);
		return true;
	case BPF_MOD:
		quotient = divide(a, b, insn->off == 1, wide);
		*ret = b ? a - quotient * b : a;
		return true;
	case BPF_OR:
		*ret = a | b;
		return true;
	case BPF_AND:
		*ret = a & b;
		return true;
	case BPF_XOR:
		*ret = a ^ b;
		return true;
	case BPF_LSH:
		*ret = a << (b & (wide ? 63 : 31));
		return true;
	case BPF_RSH:
		*ret = a >> (b & (wide ? 63 : 31));
		return true;
	case BPF_ARSH:
		*ret = shift_right(a, b, wide);
		return true;
	case BPF_NEG:
		*ret = 0 - a;
		return true;
	case BPF_MOV: /* off: since 6.6, extends the sign of so many bits */
		*ret = b;
		return !insn->off;
	default: /* byte order */
		return false;
	}
}

/* The other side of an arithmetic instruction or a jump. */
static struct bl_core_cell operand(const struct bl_core_state *s,
				   const struct bpf_insn *insn)
{
	if (BPF_SRC(insn->code) == BPF_K)
		return (struct bl_core_cell){ BL_CORE_KNOWN,
					      (uint64_t)(int64_t)insn->imm };
	return bl_core_get(s, insn->src_reg);
}

/* Stack addresses are copied and moved by known distances; zero swallows what
 * it is multiplied or masked with. */
static struct bl_core_cell alu_special(const struct bpf_insn *insn,
				       struct bl_core_cell a,
				       struct bl_core_cell b, bool wide)
{
	unsigned op = BPF_OP(insn->code);

	if (op == BPF_MOV && wide && !insn->off)
		return b;
	if (wide && a.known == BL_CORE_ADDRESS && b.known == BL_CORE_KNOWN &&
	    (op == BPF_ADD || op == BPF_SUB))
		return (struct bl_core_cell){
			BL_CORE_ADDRESS,
			op == BPF_ADD ? a.value + b.value : a.value - b.value,
		};
	if ((op == BPF_AND || op == BPF_MUL) &&
	    ((a.known == BL_CORE_KNOWN && !a.value) ||
	     (b.known == BL_CORE_KNOWN && !b.value)))
		return (struct bl_core_cell){ BL_CORE_KNOWN, 0 };
	return (struct bl_core_cell){ mixed(a, b), 0 };
}

static void exec_alu(struct bl_core_state *s, const struct bpf_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
	struct bl_core_cell a = bl_core_get(s, insn->dst_reg);
	struct bl_core_cell b = operand(s, insn);
	unsigned op = BPF_OP(insn->code);
	struct bl_core_cell r;

	if (op == BPF_MOV)
		a = (struct bl_core_cell){ BL_CORE_KNOWN, 0 };
	if (op == BPF_NEG || op == BPF_END)
		b = (struct bl_core_cell){ BL_CORE_KNOWN, 0 };
	if (a.known == BL_CORE_KNOWN && b.known == BL_CORE_KNOWN &&
	    compute(insn, a.value, b.value, wide, &r.value)) {
		r.known = BL_CORE_KNOWN;
		if (!wide)
			r.value = (uint32_t)r.value;
	} else {
		r = alu_special(insn, a, b, wide);
	}
	bl_core_set(s, insn->dst_reg, r.known, r.value);
}

/* The cell of the stack that holds byte @at (negative, from the top); 0 when
 * there is none. */
static unsigned stack_cell(int64_t at)
{
	if (at >= 0 || at < -BL_CORE_STACK)
		return 0;
	return BL_CORE_REGS + (unsigned)(at + BL_CORE_STACK) / 8;
}

static void exec_load(struct bl_core_state *s, const struct bpf_insn *insn)
{
	struct bl_core_cell base = bl_core_get(s, insn->src_reg);
	int64_t at = (int64_t)(base.value + (uint64_t)(int64_t)insn->off);
	unsigned bytes = bl_insn_bytes(insn), cell;
	struct bl_core_cell r = { BL_CORE_OPEN, 0 };

	if (base.known == BL_CORE_HINTED)
		r.known = BL_CORE_HINTED;
	cell = base.known == BL_CORE_ADDRESS ? stack_cell(at) : 0;
	if (cell) {
		unsigned shift = (unsigned)(at & 7);

		r = bl_core_get(s, cell);
		if (bytes == 8 && shift == 0) {
			/* as it was spilled, addresses too */
		} else if (r.known != BL_CORE_KNOWN || shift + bytes > 8 ||
			   BPF_MODE(insn->code) != BPF_MEM) {
			if (r.known != BL_CORE_OPEN)
				r.known = BL_CORE_HINTED;
		} else {
			r.value = r.value >> shift * 8;
			if (bytes < 8)
				r.value &= (UINT64_C(1) << bytes * 8) - 1;
		}
	}
	bl_core_set(s, insn->dst_reg, r.known, r.value);
}

/* A write through an address that may lie anywhere in the stack, or not. */
static void blur_stack(struct bl_core_state *s)
{
	unsigned i;

	for (i = BL_CORE_REGS; i < BL_CORE_CELLS; i++)
		if (s->known[i] != BL_CORE_OPEN)
			bl_core_set(s, i, BL_CORE_HINTED, 0);
}

static void store(struct bl_core_state *s, struct bl_core_cell base, int off,
		  unsigned bytes, struct bl_core_cell v)
{
	int64_t at = (int64_t)(base.value + (uint64_t)(int64_t)off);
	unsigned cell, last;

	if (base.known == BL_CORE_HINTED)
		blur_stack(s);
	if (base.known != BL_CORE_ADDRESS)
		return;
	cell = stack_cell(at);
	last = stack_cell(at + bytes - 1);
	if (cell && bytes == 8 && (at & 7) == 0) {
		bl_core_set(s, cell, v.known, v.value);
		return;
	}
	for (; cell && cell <= last; cell++)
		if (v.known != BL_CORE_OPEN || s->known[cell] != BL_CORE_OPEN)
			bl_core_set(s, cell, BL_CORE_HINTED, 0);
}

static void exec_atomic(struct bl_core_state *s, const struct bpf_insn *insn)
{
	struct bl_core_cell base = bl_core_get(s, insn->dst_reg);
	struct bl_core_cell from = bl_core_get(s, insn->src_reg);

	if (insn->imm == LOAD_ACQUIRE) {
		bl_core_set(s, insn->dst_reg,
			    from.known == BL_CORE_OPEN ? BL_CORE_OPEN
						       : BL_CORE_HINTED,
			    0);
		return;
	}
	store(s, base, insn->off, 4,
	      (struct bl_core_cell){ BL_CORE_HINTED, 0 });
	if (insn->imm == BPF_CMPXCHG)
		bl_core_set(s, BPF_REG_0, BL_CORE_OPEN, 0);
	else if (insn->imm & BPF_FETCH)
		bl_core_set(s, insn->src_reg, BL_CORE_OPEN, 0);
}

void bl_core_exec(struct bl_core_state *s, const struct bpf_insn *insn)
{
	struct bl_core_cell imm = { BL_CORE_KNOWN,
				    (uint64_t)(int64_t)insn->imm };

	if (insn->dst_reg >= BL_CORE_REGS || insn->src_reg >= BL_CORE_REGS)
		return; /* no verifier takes it */
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		exec_alu(s, insn);
		break;
	case BPF_LDX:
		exec_load(s, insn);
		break;
	case BPF_ST:
		store(s, bl_core_get(s, insn->dst_reg), insn->off,
		      bl_insn_bytes(insn), imm);
		break;
	case BPF_STX:
		if (BPF_MODE(insn->code) == BPF_ATOMIC)
			exec_atomic(s, insn);
		else
			store(s, bl_core_get(s, insn->dst_reg), insn->off,
			      bl_insn_bytes(insn),
			      bl_core_get(s, insn->src_reg));
		break;
	default: /* loads from packets, of old */
		bl_core_called(s, BL_CORE_READER);
	}
}

/*
 * The part of the stack whose address is in register @i: for helpers as much
 * of it as the next register says if that may be a size, else all above. False
 * for none.
 */
static bool given(const struct bl_core_state *s, unsigned i, bool helper,
		  unsigned *ret_from, unsigned *ret_to)
{
	int64_t at = (int64_t)s->value[i];
	uint64_t size = s->value[i + 1];

	*ret_from = s->known[i] == BL_CORE_ADDRESS ? stack_cell(at) : 0;
	*ret_to = BL_CORE_CELLS;
	if (helper && i < BPF_REG_5 && s->known[i + 1] == BL_CORE_KNOWN &&
	    size && size <= BL_CORE_STACK && at + (int64_t)size <= 0)
		*ret_to = stack_cell(at + (int64_t)size - 1) + 1;
	return *ret_from != 0;
}

static void write_given(struct bl_core_state *s, bool helper,
			enum bl_core_known known)
{
	unsigned i, cell, to;

	for (i = BPF_REG_1; i <= BPF_REG_5; i++)
		if (given(s, i, helper, &cell, &to))
			for (; cell < to; cell++)
				bl_core_set(s, cell, known, 0);
}

void bl_core_called(struct bl_core_state *s, enum bl_core_callee callee)
{
	enum bl_core_known written = BL_CORE_OPEN;
	unsigned i;

	/* A callback of the object's may write what verifiers know. */
	for (i = BPF_REG_1; i <= BPF_REG_5; i++)
		if (s->known[i] == BL_CORE_HINTED)
			written = BL_CORE_HINTED;
	if (callee == BL_CORE_FUNCTION)
		written = BL_CORE_HINTED;
	if (callee != BL_CORE_READER)
		write_given(s, callee == BL_CORE_HELPER, written);
	for (i = BPF_REG_0; i <= BPF_REG_5; i++)
		bl_core_set(s, i, BL_CORE_OPEN, 0);
}

static bool compare(unsigned op, uint64_t a, uint64_t b, bool wide)
{
	int64_t x = wide ? (int64_t)a : (int32_t)a;
	int64_t y = wide ? (int64_t)b : (int32_t)b;

	if (!wide) {
		a = (uint32_t)a;
		b = (uint32_t)b;
	}
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JLT:
		return a < b;
	case BPF_JLE:
		return a <= b;
	case BPF_JSET:
		return a & b;
	case BPF_JSGT:
		return x > y;
	case BPF_JSGE:
		return x >= y;
	case BPF_JSLT:
		return x < y;
	default: /* BPF_JSLE */
		return x <= y;
	}
}

enum bl_core_edge bl_core_jump(const struct bl_core_state *s,
			       const struct bpf_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_JMP;
	unsigned op = BPF_OP(insn->code);
	struct bl_core_cell a, b;

	if (op > BPF_JSLE) /* may_goto, since 6.9 */
		return BL_CORE_BOTH;
	if (insn->dst_reg >= BL_CORE_REGS || insn->src_reg >= BL_CORE_REGS)
		return BL_CORE_EITHER;
	a = bl_core_get(s, insn->dst_reg);
	b = operand(s, insn);
	if (a.known == BL_CORE_KNOWN && b.known == BL_CORE_KNOWN)
		return compare(op, a.value, b.value, wide) ? BL_CORE_TAKEN
							   : BL_CORE_PASSED;
	/* Nobody can know whether an open number equals any other. That none
	 * is below zero, a verifier does know. */
	if ((op == BPF_JEQ || op == BPF_JNE) &&
	    (a.known == BL_CORE_OPEN || b.known == BL_CORE_OPEN))
		return BL_CORE_BOTH;
	return mixed(a, b) == BL_CORE_OPEN ? BL_CORE_BOTH : BL_CORE_EITHER;
}

static void make_equal(struct bl_core_state *s, unsigned reg,
		       struct bl_core_cell other, bool wide)
{
	if (s->known[reg] != BL_CORE_OPEN || other.known == BL_CORE_OPEN)
		return;
	if (wide && other.known == BL_CORE_KNOWN)
		bl_core_set(s, reg, BL_CORE_KNOWN, other.value);
	else /* or only its lower half */
		bl_core_set(s, reg, BL_CORE_HINTED, 0);
}

void bl_core_narrow(struct bl_core_state *s, const struct bpf_insn *insn,
		    bool taken)
{
	bool wide = BPF_CLASS(insn->code) == BPF_JMP;
	unsigned op = BPF_OP(insn->code);
	struct bl_core_cell a, b;

	if ((op != BPF_JEQ || !taken) && (op != BPF_JNE || taken))
		return;
	if (insn->dst_reg >= BL_CORE_REGS || insn->src_reg >= BL_CORE_REGS)
		return;
	a = bl_core_get(s, insn->dst_reg);
	b = operand(s, insn);
	make_equal(s, insn->dst_reg, b, wide);
	if (BPF_SRC(insn->code) == BPF_X)
		make_equal(s, insn->src_reg, a, wide);
}
