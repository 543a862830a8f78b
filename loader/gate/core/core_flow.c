/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_flow.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

void bl_core_flow_free(struct bl_core_flow *f)
{
	free(f->nodes);
	free(f->first);
	free(f->global);
	free(f->also);
	free(f->holder);
	*f = (struct bl_core_flow){ 0 };
}

static const struct bl_object_program *function_of(const struct bl_core_flow *f,
						   uint32_t function)
{
	return &f->code->object->programs[function];
}

uint32_t bl_core_flow_length(const struct bl_core_flow *f, uint32_t function)
{
	return (uint32_t)(function_of(f, function)->size / BL_OBJECT_INSN);
}

struct bpf_insn bl_core_flow_insn(const struct bl_core_flow *f,
				  uint32_t function, uint32_t at)
{
	const struct bl_object_program *p = function_of(f, function);
	const struct bl_object_section *s =
		&f->code->object->sections[p->section_index];
	struct bpf_insn insn;

	memcpy(&insn, s->data + p->offset + (size_t)at * sizeof(insn),
	       sizeof(insn));
	return insn;
}

static bool is_jump(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP ||
	       BPF_CLASS(insn->code) == BPF_JMP32;
}

bool bl_core_is_call(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP &&
	       BPF_OP(insn->code) == BPF_CALL;
}

bool bl_core_is_exit(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP &&
	       BPF_OP(insn->code) == BPF_EXIT;
}

bool bl_core_is_goto(const struct bpf_insn *insn)
{
	return is_jump(insn) && BPF_OP(insn->code) == BPF_JA;
}

bool bl_core_is_branch(const struct bpf_insn *insn)
{
	return is_jump(insn) && !bl_core_is_goto(insn) &&
	       BPF_OP(insn->code) != BPF_CALL && BPF_OP(insn->code) != BPF_EXIT;
}

bool bl_core_is_wide(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
}

int64_t bl_core_flow_target(const struct bl_core_flow *f, uint32_t function,
			    uint32_t at, const struct bpf_insn *insn)
{
	/* gotol, since 6.6, is a JA of 32 bits. */
	bool far = BPF_CLASS(insn->code) == BPF_JMP32 && bl_core_is_goto(insn);
	int64_t to = (int64_t)at + 1 + (far ? insn->imm : insn->off);

	return to < 0 || to >= bl_core_flow_length(f, function) ? -1 : to;
}

/* Functions by place, so that an instruction's function can be found. */
struct order {
	const struct bl_object *object;
	uint32_t *list;
	size_t count;
};

static void order_free(struct order *o)
{
	free(o->list);
}

static int compare_places(const struct bl_object_program *p, size_t section,
			  size_t offset)
{
	if (p->section_index != section)
		return p->section_index < section ? -1 : 1;
	if (p->offset != offset)
		return p->offset < offset ? -1 : 1;
	return 0;
}

static int by_place(const void *a, const void *b, void *ctx)
{
	const struct bl_object *o = ctx;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	int r = compare_places(&o->programs[i], o->programs[k].section_index,
			       o->programs[k].offset);

	return r ? r : (i < k ? -1 : 1);
}

static int order_functions(const struct bl_object *o, struct order *ret)
{
	size_t i;

	ret->object = o;
	ret->count = o->program_count;
	ret->list = calloc(ret->count, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (i = 0; i < ret->count; i++)
		ret->list[i] = (uint32_t)i;
	qsort_r(ret->list, ret->count, sizeof(*ret->list), by_place, (void *)o);
	return 0;
}

static uint32_t function_at(const struct order *o, size_t section,
			    size_t offset)
{
	size_t low = 0, high = o->count;
	const struct bl_object_program *p;

	/* The last that begins at or before it. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_places(&o->object->programs[o->list[mid]], section,
				   offset) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return BL_CORE_NO_FUNCTION;
	p = &o->object->programs[o->list[low - 1]];
	if (p->section_index != section || offset - p->offset >= p->size)
		return BL_CORE_NO_FUNCTION;
	return o->list[low - 1];
}

/* bl_code_read saw to it that functions are the same or apart. */
static int place_functions(struct bl_core_flow *f, const struct order *o)
{
	const struct bl_object_program *list = o->object->programs;
	size_t i;

	for (i = 0; i < o->count; i++) {
		uint32_t function = o->list[i];
		const struct bl_object_program *p = &list[function];

		if (i > 0 && compare_places(&list[o->list[i - 1]],
					    p->section_index, p->offset) == 0) {
			f->first[function] = f->first[o->list[i - 1]];
			continue;
		}
		f->first[function] = (uint32_t)f->count;
		f->count += bl_core_flow_length(f, function);
	}
	f->nodes = calloc(f->count + 1, sizeof(*f->nodes));
	return f->nodes ? 0 : -ENOMEM;
}

/* Marks what jumps, calls and callbacks lead to, and what they come back to. */
static void mark_ways(struct bl_core_flow *f, uint32_t function)
{
	uint32_t at, length = bl_core_flow_length(f, function);
	struct bl_core_node *nodes = f->nodes + f->first[function];
	struct bpf_insn insn;
	int64_t to;

	nodes[0].leads = true;
	for (at = 0; at < length; at++) {
		insn = bl_core_flow_insn(f, function, at);
		if (bl_core_is_wide(&insn)) {
			at++;
			continue;
		}
		if (bl_core_is_branch(&insn) || bl_core_is_call(&insn))
			nodes[at + 1].leads = true;
		if (!bl_core_is_branch(&insn) && !bl_core_is_goto(&insn))
			continue;
		to = bl_core_flow_target(f, function, at, &insn);
		if (to >= 0)
			nodes[to].leads = true;
	}
}

static void mark_refs(struct bl_core_flow *f, uint32_t function)
{
	const struct bl_code_function *c = &f->code->functions[function];
	struct bl_core_node *nodes = f->nodes + f->first[function];
	size_t i;

	for (i = 0; i < c->ref_count; i++)
		nodes[c->refs[i].insn].ref =
			(uint32_t)(c->refs + i - f->code->refs) + 1;
}

static void mark_relos(struct bl_core_flow *f, const struct order *o,
		       const struct bl_core_relos *relos)
{
	size_t i;

	for (i = 0; i < relos->count; i++) {
		const struct bl_core_relo *r = &relos->list[i];
		const struct bl_object_program *p;
		struct bl_core_node *n;

		f->holder[i] = function_at(o, r->section, r->offset);
		if (f->holder[i] == BL_CORE_NO_FUNCTION)
			continue;
		p = &o->object->programs[f->holder[i]];
		n = &f->nodes[f->first[f->holder[i]] +
			      (r->offset - p->offset) / BL_OBJECT_INSN];
		f->also[i] = n->relo;
		n->relo = (uint32_t)i + 1;
	}
}

/* Global functions are those that libbpf leaves global: hidden ones it turns
 * into static ones. */
static void mark_global(struct bl_core_flow *f)
{
	const struct bl_object *o = f->code->object;
	const struct bl_object_section *table = &o->sections[o->symtab];
	size_t i, function = 0;
	Elf64_Sym sym;

	for (i = 0; i + sizeof(sym) <= table->size; i += sizeof(sym)) {
		memcpy(&sym, table->data + i, sizeof(sym));
		if (ELF64_ST_TYPE(sym.st_info) != STT_FUNC ||
		    sym.st_shndx == SHN_UNDEF)
			continue;
		if (function < o->program_count)
			f->global[function++] =
				ELF64_ST_BIND(sym.st_info) != STB_LOCAL &&
				ELF64_ST_VISIBILITY(sym.st_other) ==
					STV_DEFAULT;
	}
}

int bl_core_flow_read(const struct bl_code *code,
		      const struct bl_core_relos *relos,
		      struct bl_core_flow *ret)
{
	BL_CLEANUP(bl_core_flow_free) struct bl_core_flow f = { .code = code };
	BL_CLEANUP(order_free) struct order order = { 0 };
	uint32_t i, n = (uint32_t)code->function_count;

	f.first = calloc(n, sizeof(*f.first));
	f.global = calloc(n, sizeof(*f.global));
	f.also = calloc(relos->count + 1, sizeof(*f.also));
	f.holder = calloc(relos->count + 1, sizeof(*f.holder));
	if (!f.first || !f.global || !f.also || !f.holder ||
	    order_functions(code->object, &order) < 0 ||
	    place_functions(&f, &order) < 0)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		uint32_t function = order.list[i];

		if (i > 0 && f.first[order.list[i - 1]] == f.first[function])
			continue; /* another name for the same */
		mark_ways(&f, function);
		mark_refs(&f, function);
	}
	mark_relos(&f, &order, relos);
	mark_global(&f);
	*ret = f;
	f = (struct bl_core_flow){ 0 };
	return 0;
}
