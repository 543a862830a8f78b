/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_value.h"

#include <limits.h>
#include <string.h>

#include "loader/gate/object/insn.h"

/* Where a field is read, and how much of it. */
struct place {
	uint64_t byte_offset, bit_offset;
	uint32_t bytes, bits;
	bool bitfield;
	struct bl_btf_type type;
};

/* The smallest aligned integer that holds the whole bitfield. */
static enum bl_core_why place_bitfield(struct place *p)
{
	p->bytes = p->type.size;
	if (!p->bytes)
		return BL_CORE_WHY_DAMAGED;
	for (;; p->bytes *= 2) {
		p->byte_offset = p->bit_offset / 8 / p->bytes * p->bytes;
		if (p->bit_offset + p->bits - p->byte_offset * 8 <=
		    (uint64_t)p->bytes * 8)
			return BL_CORE_WHY_NONE;
		if (p->bytes >= 8)
			return BL_CORE_WHY_BITFIELD;
	}
}

static enum bl_core_why place_member(const struct bl_btf *b,
				     const struct bl_core_spec *spec,
				     struct place *ret)
{
	const struct bl_core_step *last = &spec->steps[spec->count - 1];
	struct bl_btf_type outer = bl_btf_type(b, last->type);
	struct bl_btf_member m = bl_btf_member(b, &outer, last->index);
	struct place p = { .bit_offset = spec->bit_offset,
			   .bits = m.bit_size,
			   .bitfield = m.bit_size > 0,
			   .type = bl_btf_resolve(b, m.type) };
	enum bl_core_why why = BL_CORE_WHY_NONE;

	if (p.bitfield) {
		why = place_bitfield(&p);
	} else {
		if (bl_btf_size(b, p.type.id, &p.bytes) < 0)
			return BL_CORE_WHY_DAMAGED;
		p.byte_offset = p.bit_offset / 8;
		p.bits = p.bytes * 8;
	}
	*ret = p;
	return why;
}

static bool is_signed(const struct bl_btf_type *t)
{
	if (bl_btf_is_enum(t->kind))
		return t->flag;
	return bl_btf_int(t).encoding & BTF_INT_SIGNED;
}

static enum bl_core_why value_of_member(const struct bl_btf *b,
					const struct bl_core_spec *spec,
					struct bl_core_value *v)
{
	struct place p;
	enum bl_core_why why = place_member(b, spec, &p);

	if (why != BL_CORE_WHY_NONE)
		return why;
	/* Compilers may choose another integer to read a bitfield by. */
	v->exact = !p.bitfield;
	switch (spec->kind) {
	case BPF_CORE_FIELD_BYTE_OFFSET:
		v->value = p.byte_offset;
		if (!p.bitfield) {
			v->size = p.bytes;
			v->type = p.type.id;
		}
		break;
	case BPF_CORE_FIELD_BYTE_SIZE:
		v->value = p.bytes;
		break;
	case BPF_CORE_FIELD_SIGNED:
		v->value = is_signed(&p.type);
		v->exact = true;
		break;
	case BPF_CORE_FIELD_LSHIFT_U64:
		v->value = 64 - (p.bit_offset + p.bits - p.byte_offset * 8);
		break;
	case BPF_CORE_FIELD_RSHIFT_U64:
		v->value = 64 - (uint64_t)p.bits;
		v->exact = true;
		break;
	default:
		return BL_CORE_WHY_DAMAGED;
	}
	return BL_CORE_WHY_NONE;
}

/* "a[3]" is an element, not a member. */
static enum bl_core_why value_of_element(const struct bl_btf *b,
					 const struct bl_core_spec *spec,
					 struct bl_core_value *v)
{
	uint32_t type = spec->steps[spec->count - 1].type, size;

	if (bl_btf_size(b, type, &size) < 0)
		return BL_CORE_WHY_DAMAGED;
	v->exact = true;
	switch (spec->kind) {
	case BPF_CORE_FIELD_BYTE_OFFSET:
		v->value = spec->bit_offset / 8;
		v->size = size;
		v->type = type;
		return BL_CORE_WHY_NONE;
	case BPF_CORE_FIELD_BYTE_SIZE:
		v->value = size;
		return BL_CORE_WHY_NONE;
	default:
		return BL_CORE_WHY_DAMAGED;
	}
}

static enum bl_core_why value_of_field(const struct bl_btf *b,
				       const struct bl_core_spec *spec,
				       struct bl_core_value *v)
{
	if (spec->kind == BPF_CORE_FIELD_EXISTS) {
		v->value = 1;
		v->exact = true;
		return BL_CORE_WHY_NONE;
	}
	return spec->steps[spec->count - 1].name ? value_of_member(b, spec, v)
						 : value_of_element(b, spec, v);
}

enum bl_core_why bl_core_value(const struct bl_btf *b,
			       const struct bl_core_spec *spec,
			       struct bl_core_value *ret)
{
	struct bl_core_value v = { .exact = true };
	enum bl_core_why why = BL_CORE_WHY_NONE;
	struct bl_btf_type t;
	uint32_t size;

	switch (spec->kind) {
	case BPF_CORE_TYPE_ID_LOCAL:
	case BPF_CORE_TYPE_ID_TARGET:
		v.value = spec->root;
		v.exact = false; /* linking renumbers types */
		break;
	case BPF_CORE_TYPE_EXISTS:
	case BPF_CORE_TYPE_MATCHES:
	case BPF_CORE_ENUMVAL_EXISTS:
		v.value = 1;
		break;
	case BPF_CORE_TYPE_SIZE:
		if (bl_btf_size(b, spec->root, &size) < 0)
			return BL_CORE_WHY_DAMAGED;
		v.value = size;
		break;
	case BPF_CORE_ENUMVAL_VALUE:
		t = bl_btf_type(b, spec->steps[0].type);
		v.value = bl_btf_value(b, &t, spec->steps[0].index).value;
		break;
	default:
		why = value_of_field(b, spec, &v);
	}
	if (why == BL_CORE_WHY_NONE)
		*ret = v;
	return why;
}

static bool is_unsigned_int(const struct bl_btf_type *t)
{
	return t->kind == BTF_KIND_INT &&
	       bl_btf_int(t).encoding != BTF_INT_SIGNED;
}

/* A load of another size is right for pointers and unsigned integers. */
static bool can_resize(const struct bl_core_pair *p,
		       const struct bl_core_value *local,
		       const struct bl_core_value *target)
{
	struct bl_btf_type a = bl_btf_type(p->local, local->type);
	struct bl_btf_type b = bl_btf_type(p->target, target->type);

	return (a.kind == BTF_KIND_PTR && b.kind == BTF_KIND_PTR) ||
	       (is_unsigned_int(&a) && is_unsigned_int(&b));
}

static enum bl_core_why patch_access(const struct bl_core_pair *p,
				     const struct bl_core_value *local,
				     const struct bl_core_value *target,
				     const struct bpf_insn *insn)
{
	if (local->exact && (uint64_t)(int64_t)insn->off != local->value)
		return BL_CORE_WHY_DAMAGED;
	if (target->value > SHRT_MAX)
		return BL_CORE_WHY_FAR;
	if (local->size == target->size)
		return BL_CORE_WHY_NONE;
	if (!can_resize(p, local, target))
		return BL_CORE_WHY_SIZE;
	if (bl_insn_bytes(insn) != local->size || !target->size ||
	    target->size > 8 || (target->size & (target->size - 1)))
		return BL_CORE_WHY_DAMAGED;
	return BL_CORE_WHY_NONE;
}

static enum bl_core_why patch_wide(const struct bl_core_value *local,
				   const unsigned char *insn, size_t len)
{
	struct bpf_insn i[2];

	if (len < sizeof(i))
		return BL_CORE_WHY_DAMAGED;
	memcpy(i, insn, sizeof(i));
	if (i[0].code != (BPF_LD | BPF_IMM | BPF_DW) || i[0].src_reg ||
	    i[0].off || i[1].code || i[1].dst_reg || i[1].src_reg || i[1].off)
		return BL_CORE_WHY_DAMAGED;
	if (local->exact &&
	    ((uint32_t)i[0].imm | (uint64_t)(uint32_t)i[1].imm << 32) !=
		    local->value)
		return BL_CORE_WHY_DAMAGED;
	return BL_CORE_WHY_NONE;
}

enum bl_core_why bl_core_patch(const struct bl_core_pair *p,
			       const struct bl_core_value *local,
			       const struct bl_core_value *target,
			       const unsigned char *insn, size_t len)
{
	struct bpf_insn i;

	if (len < sizeof(i))
		return BL_CORE_WHY_DAMAGED;
	memcpy(&i, insn, sizeof(i));
	switch (BPF_CLASS(i.code)) {
	case BPF_ALU:
	case BPF_ALU64:
		if (BPF_SRC(i.code) != BPF_K ||
		    (local->exact && (uint64_t)(int64_t)i.imm != local->value))
			return BL_CORE_WHY_DAMAGED;
		return BL_CORE_WHY_NONE;
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		return patch_access(p, local, target, &i);
	case BPF_LD:
		return patch_wide(local, insn, len);
	default:
		return BL_CORE_WHY_DAMAGED;
	}
}
