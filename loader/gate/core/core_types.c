/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_types.h"

#include <errno.h>
#include <string.h>

#include "loader/gate/core/core_relo.h"

#define LEVELS_MAX 32 /* functions within functions, structs within structs */

int bl_core_step(struct bl_core_pair *p)
{
	if (!p->steps)
		return -ETIME;
	p->steps--;
	return 0;
}

bool bl_core_kinds_equal(unsigned a, unsigned b)
{
	return a == b || (bl_btf_is_enum(a) && bl_btf_is_enum(b));
}

bool bl_core_names_equal(const char *a, const char *b)
{
	size_t len = bl_core_name_len(a);

	return len == bl_core_name_len(b) && memcmp(a, b, len) == 0;
}

/* Two types at a time, without typedefs and modifiers. */
struct both {
	struct bl_btf_type local, target;
};

static struct both resolve(const struct bl_core_pair *p, uint32_t local,
			   uint32_t target)
{
	return (struct both){ bl_btf_resolve(p->local, local),
			      bl_btf_resolve(p->target, target) };
}

int bl_core_fields_compatible(struct bl_core_pair *p, uint32_t local,
			      uint32_t target)
{
	struct both t = resolve(p, local, target);

	while (t.local.kind == BTF_KIND_ARRAY &&
	       t.target.kind == BTF_KIND_ARRAY) {
		if (bl_core_step(p) < 0)
			return -ETIME;
		t = resolve(p, bl_btf_array(&t.local).type,
			    bl_btf_array(&t.target).type);
	}
	if (bl_btf_is_composite(t.local.kind) &&
	    bl_btf_is_composite(t.target.kind))
		return 1;
	if (!bl_core_kinds_equal(t.local.kind, t.target.kind))
		return 0;
	switch (t.local.kind) {
	case BTF_KIND_PTR:
	case BTF_KIND_FLOAT:
		return 1;
	case BTF_KIND_FWD:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return !*t.local.name || !*t.target.name ||
		       bl_core_names_equal(t.local.name, t.target.name);
	case BTF_KIND_INT:
		/* Not the bitfields of old compilers. */
		return !bl_btf_int(&t.local).offset &&
		       !bl_btf_int(&t.target).offset;
	default:
		return 0;
	}
}

static int compatible(struct bl_core_pair *p, uint32_t local, uint32_t target,
		      unsigned levels);

static int functions_compatible(struct bl_core_pair *p, const struct both *t,
				unsigned levels)
{
	unsigned i;
	int r = 1;

	if (t->local.count != t->target.count)
		return 0;
	for (i = 0; r > 0 && i < t->local.count; i++)
		r = compatible(p, bl_btf_param(p->local, &t->local, i).type,
			       bl_btf_param(p->target, &t->target, i).type,
			       levels);
	return r;
}

static int compatible(struct bl_core_pair *p, uint32_t local, uint32_t target,
		      unsigned levels)
{
	struct both t = resolve(p, local, target);
	int r;

	if (!levels)
		return -EINVAL;
	for (;; t = resolve(p, local, target)) {
		if (bl_core_step(p) < 0)
			return -ETIME;
		if (!levels--)
			return -EINVAL;
		if (!bl_core_kinds_equal(t.local.kind, t.target.kind))
			return 0;
		switch (t.local.kind) {
		case BTF_KIND_UNKN:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_FWD:
			return 1;
		case BTF_KIND_INT:
			return !bl_btf_int(&t.local).offset &&
			       !bl_btf_int(&t.target).offset;
		case BTF_KIND_PTR:
			local = t.local.type;
			target = t.target.type;
			break;
		case BTF_KIND_ARRAY:
			local = bl_btf_array(&t.local).type;
			target = bl_btf_array(&t.target).type;
			break;
		case BTF_KIND_FUNC_PROTO:
			r = functions_compatible(p, &t, levels);
			if (r <= 0)
				return r;
			local = t.local.type;
			target = t.target.type;
			break;
		default:
			return 0;
		}
	}
}

int bl_core_types_compatible(struct bl_core_pair *p, uint32_t local,
			     uint32_t target)
{
	if (!bl_core_kinds_equal(bl_btf_type(p->local, local).kind,
				 bl_btf_type(p->target, target).kind))
		return 0;
	return compatible(p, local, target, LEVELS_MAX);
}

/* Each value of the object's enum has a name that the kernel's has too. */
static int enums_match(struct bl_core_pair *p, const struct both *t)
{
	unsigned i, k;

	if (t->local.count > t->target.count || t->local.size != t->target.size)
		return 0;
	for (i = 0; i < t->local.count; i++) {
		const char *name = bl_btf_value(p->local, &t->local, i).name;

		for (k = 0; k < t->target.count; k++) {
			if (bl_core_step(p) < 0)
				return -ETIME;
			if (bl_core_names_equal(
				    name,
				    bl_btf_value(p->target, &t->target, k).name))
				break;
		}
		if (k == t->target.count)
			return 0;
	}
	return 1;
}

static int match(struct bl_core_pair *p, uint32_t local, uint32_t target,
		 bool behind_pointer, unsigned levels);

/* Each member of the object's has one of its name and type in the kernel's. */
static int members_match(struct bl_core_pair *p, const struct both *t,
			 unsigned levels)
{
	unsigned i, k;
	int r;

	if (t->local.count > t->target.count)
		return 0;
	for (i = 0; i < t->local.count; i++) {
		struct bl_btf_member m = bl_btf_member(p->local, &t->local, i);

		for (k = 0, r = 0; r == 0 && k < t->target.count; k++) {
			struct bl_btf_member other =
				bl_btf_member(p->target, &t->target, k);

			if (bl_core_step(p) < 0)
				return -ETIME;
			if (bl_core_names_equal(m.name, other.name))
				r = match(p, m.type, other.type, false, levels);
		}
		if (r <= 0)
			return r;
	}
	return 1;
}

static int functions_match(struct bl_core_pair *p, const struct both *t,
			   bool behind_pointer, unsigned levels)
{
	unsigned i;
	int r = 1;

	if (t->local.count != t->target.count)
		return 0;
	for (i = 0; r > 0 && i < t->local.count; i++)
		r = match(p, bl_btf_param(p->local, &t->local, i).type,
			  bl_btf_param(p->target, &t->target, i).type,
			  behind_pointer, levels);
	return r;
}

/* A forward declaration says no more than struct or union. */
static bool forward_matches(const struct bl_btf_type *forward,
			    const struct bl_btf_type *t)
{
	return t->kind == (forward->flag ? BTF_KIND_UNION : BTF_KIND_STRUCT);
}

static int composites_match(struct bl_core_pair *p, const struct both *t,
			    bool behind_pointer, unsigned levels)
{
	bool same = t->local.kind == t->target.kind;

	if (!behind_pointer)
		return same ? members_match(p, t, levels) : 0;
	return same || (t->target.kind == BTF_KIND_FWD &&
			forward_matches(&t->target, &t->local));
}

static int match(struct bl_core_pair *p, uint32_t local, uint32_t target,
		 bool behind_pointer, unsigned levels)
{
	struct bl_btf_array a, b;
	struct both t;
	unsigned depth;
	int r;

	if (!levels--)
		return -EINVAL;
	for (depth = 0; depth < LEVELS_MAX; depth++) {
		if (bl_core_step(p) < 0)
			return -ETIME;
		t = resolve(p, local, target);
		if (!bl_core_names_equal(t.local.name, t.target.name))
			return 0;
		if (bl_btf_is_enum(t.local.kind))
			return bl_btf_is_enum(t.target.kind)
				       ? enums_match(p, &t)
				       : 0;
		if (bl_btf_is_composite(t.local.kind))
			return composites_match(p, &t, behind_pointer, levels);
		if (t.local.kind == BTF_KIND_FWD && behind_pointer &&
		    forward_matches(&t.local, &t.target))
			return 1;
		if (t.local.kind != t.target.kind)
			return 0;
		switch (t.local.kind) {
		case BTF_KIND_UNKN:
			return 1;
		case BTF_KIND_FWD:
			return t.local.flag == t.target.flag;
		case BTF_KIND_INT:
			return t.local.size == t.target.size &&
			       !((bl_btf_int(&t.local).encoding ^
				  bl_btf_int(&t.target).encoding) &
				 BTF_INT_SIGNED);
		case BTF_KIND_PTR:
			behind_pointer = true;
			local = t.local.type;
			target = t.target.type;
			break;
		case BTF_KIND_ARRAY:
			a = bl_btf_array(&t.local);
			b = bl_btf_array(&t.target);
			if (a.count != b.count)
				return 0;
			local = a.type;
			target = b.type;
			break;
		case BTF_KIND_FUNC_PROTO:
			r = functions_match(p, &t, behind_pointer, levels);
			if (r <= 0)
				return r;
			local = t.local.type;
			target = t.target.type;
			break;
		default:
			return 0;
		}
	}
	return -EINVAL;
}

int bl_core_types_match(struct bl_core_pair *p, uint32_t local, uint32_t target)
{
	return match(p, local, target, false, LEVELS_MAX);
}
