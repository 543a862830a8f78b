/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/object/code.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define CALL	  (BPF_JMP | BPF_CALL)
#define CALL_X	  (BPF_JMP | BPF_CALL | BPF_X) /* through a register */
#define LD_IMM64  (BPF_LD | BPF_IMM | BPF_DW)
#define NO_TARGET UINT32_MAX

static_assert(BL_OBJECT_INSN == sizeof(struct bpf_insn),
	      "an instruction has one size");

void bl_code_free(struct bl_code *c)
{
	free(c->functions);
	free(c->refs);
	free(c->callees);
	*c = (struct bl_code){ 0 };
}

/* The reading of one object. */
struct reader {
	const struct bl_object *o;
	struct bl_code code;
	size_t ref_room;
	size_t text;	 /* index of section .text, 0: none */
	uint32_t *order; /* functions by section and place in it */
	/* Of the section that is being read, by offset. */
	struct bl_object_reloc *relocs;
	size_t reloc_count, next_reloc;
};

static void reader_free(struct reader *r)
{
	bl_code_free(&r->code);
	free(r->order);
	free(r->relocs);
}

static const struct bl_object_program *function(const struct reader *r,
						size_t i)
{
	return &r->o->programs[r->order[i]];
}

static int by_place(const void *a, const void *b, void *ctx)
{
	const struct bl_object *o = ctx;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const struct bl_object_program *x = &o->programs[i];
	const struct bl_object_program *y = &o->programs[k];

	if (x->section_index != y->section_index)
		return x->section_index < y->section_index ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return i < k ? -1 : 1;
}

static bool same_place(const struct bl_object_program *a,
		       const struct bl_object_program *b)
{
	return a->section_index == b->section_index && a->offset == b->offset &&
	       a->size == b->size;
}

/* Two names for one function are fine; half of one is not. */
static int order_functions(struct reader *r, struct bl_err *err)
{
	size_t i, n = r->o->program_count;

	r->order = calloc(n, sizeof(*r->order));
	if (!r->order)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < n; i++)
		r->order[i] = (uint32_t)i;
	qsort_r(r->order, n, sizeof(*r->order), by_place, (void *)r->o);
	for (i = 1; i < n; i++) {
		const struct bl_object_program *a = function(r, i - 1);
		const struct bl_object_program *b = function(r, i);

		if (a->section_index == b->section_index &&
		    b->offset - a->offset < a->size && !same_place(a, b))
			return bl_err_set(
				err, -EBADMSG,
				"damaged: functions %s and %s of section %s overlap",
				a->name, b->name, a->section);
	}
	return 0;
}

static int find_text(struct reader *r, struct bl_err *err)
{
	size_t i;

	for (i = 1; i < r->o->section_count; i++) {
		const struct bl_object_section *s = &r->o->sections[i];

		if (s->type != SHT_PROGBITS || strcmp(s->name, ".text") != 0)
			continue;
		if (r->text)
			return bl_err_set(err, -EBADMSG,
					  "damaged: two sections .text");
		r->text = i;
	}
	return 0;
}

/* The function that holds instruction @insn of a section. */
static uint32_t function_at(const struct reader *r, size_t section,
			    int64_t insn)
{
	size_t low = 0, high = r->o->program_count;
	const struct bl_object_program *p;
	uint64_t offset;

	if (insn < 0)
		return NO_TARGET;
	offset = (uint64_t)insn * BL_OBJECT_INSN;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		p = function(r, mid);
		if (p->section_index < section ||
		    (p->section_index == section &&
		     p->offset + p->size <= offset))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == r->o->program_count)
		return NO_TARGET;
	p = function(r, low);
	if (p->section_index != section || p->offset > offset)
		return NO_TARGET;
	return r->order[low];
}

/* What libbpf looks up in the kernel. */
static bool is_extern(const struct bl_object_symbol *s)
{
	return s->external && s->type == STT_NOTYPE && *s->name &&
	       (s->bind == STB_GLOBAL || s->bind == STB_WEAK);
}

static void to_function(struct bl_code_ref *ref, enum bl_code_kind kind,
			uint32_t target)
{
	if (target == NO_TARGET)
		return;
	ref->kind = kind;
	ref->id = target;
}

static void resolve_call(const struct reader *r, const struct bpf_insn *insn,
			 const struct bl_object_symbol *symbol,
			 struct bl_code_ref *ref)
{
	int64_t first = (int64_t)(symbol->value / BL_OBJECT_INSN);

	if (is_extern(symbol)) {
		ref->kind = BL_CODE_KFUNC;
		ref->name = symbol->name;
		return;
	}
	if (symbol->external || insn->src_reg != BPF_PSEUDO_CALL ||
	    symbol->section != r->text || symbol->value % BL_OBJECT_INSN)
		return;
	to_function(ref, BL_CODE_CALL,
		    function_at(r, r->text, first + insn->imm + 1));
}

static void resolve_address(const struct reader *r, const struct bpf_insn *insn,
			    const struct bl_object_symbol *symbol,
			    struct bl_code_ref *ref)
{
	const struct bl_object_section *s = &r->o->sections[symbol->section];
	int64_t at = (int64_t)(symbol->value / BL_OBJECT_INSN);

	if (is_extern(symbol)) {
		ref->kind = BL_CODE_EXTERNAL;
		ref->name = symbol->name;
	} else if (symbol->external) {
		return;
	} else if (symbol->section == r->text) {
		if (symbol->value % BL_OBJECT_INSN == 0 &&
		    insn->imm % BL_OBJECT_INSN == 0)
			to_function(
				ref, BL_CODE_POINTER,
				function_at(r, r->text,
					    at + insn->imm / BL_OBJECT_INSN));
	} else if (!(s->flags & SHF_EXECINSTR)) {
		ref->kind = BL_CODE_DATA;
		ref->name = symbol->name;
		ref->section = (uint32_t)symbol->section;
		ref->offset = symbol->value;
		/* Of a variable the instruction holds the rest of the way. */
		if (strcmp(s->name, ".maps") != 0)
			ref->offset += (uint32_t)insn->imm;
	}
}

/* An instruction without a relocation. False when it refers to nothing. */
static bool resolve_plain(const struct reader *r, size_t at,
			  const struct bpf_insn *insn, struct bl_code_ref *ref)
{
	if (insn->code == LD_IMM64) /* a constant, unless it names its kind */
		return insn->src_reg != 0;
	if (insn->code == CALL_X)
		return true;
	if (insn->code != CALL)
		return false;
	switch (insn->src_reg) {
	case 0:
		ref->kind = BL_CODE_HELPER;
		ref->id = (uint32_t)insn->imm;
		break;
	case BPF_PSEUDO_KFUNC_CALL:
		ref->kind = BL_CODE_KFUNC;
		ref->id = (uint32_t)insn->imm;
		break;
	case BPF_PSEUDO_CALL:
		to_function(ref, BL_CODE_CALL,
			    function_at(r, r->text,
					(int64_t)(at / BL_OBJECT_INSN) +
						insn->imm + 1));
		break;
	default:
		break;
	}
	return true;
}

/* What fills the instruction at @at of the section, NULL for nothing. */
static const struct bl_object_reloc *reloc_at(struct reader *r, size_t at)
{
	while (r->next_reloc < r->reloc_count &&
	       r->relocs[r->next_reloc].offset < at)
		r->next_reloc++;
	if (r->next_reloc < r->reloc_count &&
	    r->relocs[r->next_reloc].offset < at + BL_OBJECT_INSN)
		return &r->relocs[r->next_reloc];
	return NULL;
}

static bool resolve(struct reader *r, size_t at, const struct bpf_insn *insn,
		    struct bl_code_ref *ref)
{
	const struct bl_object_reloc *rel = reloc_at(r, at);
	struct bl_object_symbol symbol = { 0 };

	if (!rel)
		return resolve_plain(r, at, insn, ref);
	if (rel->offset != at ||
	    bl_object_symbol_at(r->o, rel->symbol, &symbol) < 0)
		return true;
	if (insn->code == CALL)
		resolve_call(r, insn, &symbol, ref);
	else if (insn->code == LD_IMM64)
		resolve_address(r, insn, &symbol, ref);
	return true;
}

static int add_ref(struct reader *r, const struct bl_code_ref *ref,
		   struct bl_err *err)
{
	struct bl_code *c = &r->code;

	if (c->ref_count == BL_CODE_REFS_MAX)
		return bl_err_set(
			err, -EFBIG,
			"more than the limit of %u calls and references",
			BL_CODE_REFS_MAX);
	if (c->ref_count == r->ref_room) {
		size_t room = r->ref_room ? 2 * r->ref_room : 256;
		struct bl_code_ref *list =
			realloc(c->refs, room * sizeof(*list));

		if (!list)
			return bl_err_set(err, -ENOMEM, "out of memory");
		c->refs = list;
		r->ref_room = room;
	}
	c->refs[c->ref_count++] = *ref;
	return 0;
}

/*
 * Every eight bytes are taken as an instruction, also those behind a 64-bit
 * constant: there a kernel refuses anything but its upper half, which refers to
 * nothing.
 */
static int read_function(struct reader *r, size_t index, struct bl_err *err)
{
	const struct bl_object_program *p = &r->o->programs[index];
	const unsigned char *code = r->o->sections[p->section_index].data;
	struct bpf_insn insn;
	size_t at;
	int ret;

	for (at = p->offset; at < p->offset + p->size; at += sizeof(insn)) {
		struct bl_code_ref ref = {
			.kind = BL_CODE_UNKNOWN,
			.insn = (uint32_t)((at - p->offset) / sizeof(insn)),
		};

		memcpy(&insn, code + at, sizeof(insn));
		if (!resolve(r, at, &insn, &ref))
			continue;
		ret = add_ref(r, &ref, err);
		if (ret < 0)
			return ret;
		r->code.functions[index].ref_count++;
		if (ref.kind == BL_CODE_CALL || ref.kind == BL_CODE_POINTER)
			r->code.callees[index].bits[ref.id / 64] |=
				UINT64_C(1) << (ref.id % 64);
	}
	return 0;
}

static int enter_section(struct reader *r, size_t section, struct bl_err *err)
{
	free(BL_TAKE(r->relocs));
	r->next_reloc = 0;
	return bl_object_relocs(r->o, section, &r->relocs, &r->reloc_count,
				err);
}

static int read_functions(struct reader *r, struct bl_err *err)
{
	size_t i, n = r->o->program_count;
	int ret = 0;

	for (i = 0; i < n && ret == 0; i++) {
		uint32_t index = r->order[i];
		const struct bl_object_program *p = function(r, i);

		if (i > 0 && same_place(function(r, i - 1), p)) {
			r->code.functions[index].ref_count =
				r->code.functions[r->order[i - 1]].ref_count;
			r->code.callees[index] =
				r->code.callees[r->order[i - 1]];
			continue;
		}
		if (i == 0 ||
		    function(r, i - 1)->section_index != p->section_index)
			ret = enter_section(r, p->section_index, err);
		if (ret == 0)
			ret = read_function(r, index, err);
	}
	return ret;
}

/* Only now does the list of references stay where it is. */
static void hand_out_refs(struct reader *r)
{
	size_t i, at = 0, before = 0;

	for (i = 0; i < r->o->program_count; i++) {
		struct bl_code_function *f = &r->code.functions[r->order[i]];

		if (i > 0 && same_place(function(r, i - 1), function(r, i)))
			at = before;
		before = at;
		f->refs = f->ref_count ? r->code.refs + at : NULL;
		at += f->ref_count;
	}
}

int bl_code_read(const struct bl_object *o, struct bl_code *ret,
		 struct bl_err *err)
{
	BL_CLEANUP(reader_free) struct reader r = { .o = o };
	int ret_code;

	assert(o->program_count && o->program_count <= BL_OBJECT_PROGRAMS_MAX);
	r.code.object = o;
	r.code.function_count = o->program_count;
	r.code.functions = calloc(o->program_count, sizeof(*r.code.functions));
	r.code.callees = calloc(o->program_count, sizeof(*r.code.callees));
	if (!r.code.functions || !r.code.callees)
		return bl_err_set(err, -ENOMEM, "out of memory");
	ret_code = find_text(&r, err);
	if (ret_code == 0)
		ret_code = order_functions(&r, err);
	if (ret_code == 0)
		ret_code = read_functions(&r, err);
	if (ret_code < 0)
		return ret_code;
	hand_out_refs(&r);
	*ret = r.code;
	r.code = (struct bl_code){ 0 };
	return 0;
}

/* Takes one out of what was reached and not looked at; -1 when all was. */
static int take_pending(const struct bl_code_set *reached,
			struct bl_code_set *done)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(done->bits); i++) {
		uint64_t pending = reached->bits[i] & ~done->bits[i];

		if (!pending)
			continue;
		done->bits[i] |= pending & -pending;
		return (int)(i * 64) + __builtin_ctzll(pending);
	}
	return -1;
}

void bl_code_reach(const struct bl_code *c, size_t from,
		   struct bl_code_set *ret)
{
	struct bl_code_set reached = { 0 }, done = { 0 };
	int next;
	size_t i;

	reached.bits[from / 64] |= UINT64_C(1) << (from % 64);
	while ((next = take_pending(&reached, &done)) >= 0)
		for (i = 0; i < BL_ARRAY_SIZE(reached.bits); i++)
			reached.bits[i] |= c->callees[next].bits[i];
	*ret = reached;
}
