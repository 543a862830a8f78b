/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/core/core_value.h"

#define FILTER_BITS 16

/* A name to be looked for. */
struct wanted {
	const char *name; /* of a local type, its flavor behind len */
	size_t len;
	unsigned kind; /* ENUM64 counts as ENUM */
};

/* A local type at which accesses begin. */
struct root {
	uint32_t type;
	uint32_t wanted;
};

struct bl_core_index {
	const struct bl_btf *local;
	struct wanted *wanted; /* sorted */
	size_t wanted_count;
	struct root *roots;
	size_t root_count;
	uint32_t *root_of; /* of each local type: index into roots, plus 1 */
	/* Whether a name with this hash is wanted: most are not. */
	unsigned char filter[1 << (FILTER_BITS - 3)];
};

struct candidates {
	unsigned count;
	bool over; /* there are more than fit */
	uint32_t ids[BL_CORE_CANDIDATES_MAX];
};

struct bl_core_target {
	const struct bl_core_index *index;
	struct bl_core_pair pair;
	struct candidates *by_name; /* as index->wanted */
	struct candidates *by_root; /* as index->roots: those that fitted */
	/* Room for three accesses: the object's, a candidate's, the first
	 * candidate's that fitted. */
	struct bl_core_spec local, spec, first;
};

void bl_core_index_free(struct bl_core_index *x)
{
	if (!x)
		return;
	free(x->wanted);
	free(x->roots);
	free(x->root_of);
	free(x);
}

void bl_core_target_free(struct bl_core_target *t)
{
	if (!t)
		return;
	free(t->by_name);
	free(t->by_root);
	free(t);
}

static uint32_t hash_of(const struct wanted *w)
{
	uint32_t h = 2166136261u ^ w->kind;
	size_t i;

	for (i = 0; i < w->len; i++)
		h = (h ^ (unsigned char)w->name[i]) * 16777619u;
	return (h ^ h >> FILTER_BITS) & ((1u << FILTER_BITS) - 1);
}

static int by_name(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->name, y->name, x->len);
}

/* Functions, variables and the like are never looked for. */
static bool is_searchable(unsigned kind)
{
	switch (kind) {
	case BTF_KIND_INT:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_FLOAT:
		return true;
	default:
		return false;
	}
}

/* False when a type like that cannot be looked for. */
static bool wanted_of(const struct bl_btf_type *t, struct wanted *ret)
{
	if (!is_searchable(t->kind) || !*t->name)
		return false;
	*ret = (struct wanted){
		.name = t->name,
		.len = bl_core_name_len(t->name),
		.kind = bl_btf_is_enum(t->kind) ? BTF_KIND_ENUM : t->kind,
	};
	return ret->len > 0;
}

static void sort_wanted(struct bl_core_index *x)
{
	size_t i, n = 0;

	if (x->wanted_count)
		qsort(x->wanted, x->wanted_count, sizeof(*x->wanted), by_name);
	for (i = 0; i < x->wanted_count; i++) {
		uint32_t h = hash_of(&x->wanted[i]);

		if (n && by_name(&x->wanted[n - 1], &x->wanted[i]) == 0)
			continue;
		x->wanted[n++] = x->wanted[i];
		x->filter[h >> 3] |= (unsigned char)(1u << (h & 7));
	}
	x->wanted_count = n;
}

static struct wanted *find_wanted(const struct bl_core_index *x,
				  const struct wanted *w)
{
	uint32_t h = hash_of(w);

	if (!(x->filter[h >> 3] & 1u << (h & 7)))
		return NULL;
	return bsearch(w, x->wanted, x->wanted_count, sizeof(*w), by_name);
}

static void fill_index(const struct bl_core_relos *relos,
		       struct bl_core_index *x)
{
	struct bl_btf_type t;
	struct wanted w;
	size_t i;

	for (i = 0; i < relos->count; i++) {
		uint32_t type = relos->list[i].type;

		t = bl_btf_type(x->local, type);
		if (x->root_of[type] || !wanted_of(&t, &w))
			continue;
		x->wanted[x->wanted_count++] = w;
		x->roots[x->root_count++].type = type;
		x->root_of[type] = (uint32_t)x->root_count;
	}
	sort_wanted(x);
	for (i = 0; i < x->root_count; i++) {
		t = bl_btf_type(x->local, x->roots[i].type);
		(void)wanted_of(&t, &w);
		x->roots[i].wanted = (uint32_t)(find_wanted(x, &w) - x->wanted);
	}
}

int bl_core_index_new(const struct bl_core_relos *relos,
		      struct bl_core_index **ret)
{
	struct bl_core_index *x = calloc(1, sizeof(*x));
	size_t n = relos->count + 1;

	if (!x)
		return -ENOMEM;
	x->local = &relos->btf;
	x->wanted = calloc(n, sizeof(*x->wanted));
	x->roots = calloc(n, sizeof(*x->roots));
	x->root_of = calloc((size_t)relos->btf.count + 1, sizeof(*x->root_of));
	if (!x->wanted || !x->roots || !x->root_of) {
		bl_core_index_free(x);
		return -ENOMEM;
	}
	fill_index(relos, x);
	*ret = x;
	return 0;
}

static void add_candidate(struct candidates *c, uint32_t id)
{
	if (c->count < BL_CORE_CANDIDATES_MAX)
		c->ids[c->count++] = id;
	else
		c->over = true;
}

static void find_candidates(struct bl_core_target *t)
{
	const struct bl_core_index *x = t->index;
	struct wanted w, *found;
	uint32_t id;
	size_t i;

	for (id = 1; id < t->pair.target->count; id++) {
		struct bl_btf_type type = bl_btf_type(t->pair.target, id);

		found = wanted_of(&type, &w) ? find_wanted(x, &w) : NULL;
		if (found)
			add_candidate(&t->by_name[found - x->wanted], id);
	}
	for (i = 0; i < x->root_count; i++)
		t->by_root[i] = t->by_name[x->roots[i].wanted];
}

int bl_core_target_new(const struct bl_core_index *x, const struct bl_btf *btf,
		       struct bl_core_target **ret)
{
	struct bl_core_target *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->index = x;
	t->pair = (struct bl_core_pair){ x->local, btf, BL_CORE_STEPS_MAX };
	t->by_name = calloc(x->wanted_count + 1, sizeof(*t->by_name));
	t->by_root = calloc(x->root_count + 1, sizeof(*t->by_root));
	if (!t->by_name || !t->by_root) {
		bl_core_target_free(t);
		return -ENOMEM;
	}
	find_candidates(t);
	*ret = t;
	return 0;
}

/* How far the candidates got, for the message. */
static void note_miss(struct bl_core_result *res, unsigned step, uint32_t in,
		      enum bl_core_why why)
{
	if (res->in && step <= res->fits)
		return;
	res->fits = step;
	res->in = in;
	res->why = why;
}

/*
 * Looks for the member @name below @id, anonymous ones included. 1 with *ret
 * its step and *offset moved by its place; 0; -errno.
 */
static int find_member(struct bl_core_target *t, const char *name, uint32_t id,
		       unsigned *raw, struct bl_core_step *ret,
		       uint64_t *offset)
{
	struct bl_btf_type type = bl_btf_resolve(t->pair.target, id);
	unsigned i;
	int r = 0;

	if (!bl_btf_is_composite(type.kind))
		return 0;
	for (i = 0; r == 0 && i < type.count; i++) {
		struct bl_btf_member m =
			bl_btf_member(t->pair.target, &type, i);
		uint64_t at = *offset + m.bit_offset;

		if (bl_core_step(&t->pair) < 0)
			return -ETIME;
		if (*raw == BL_CORE_DEPTH_MAX)
			return -E2BIG;
		(*raw)++;
		if (!*m.name) {
			r = find_member(t, name, m.type, raw, ret, &at);
		} else if (strcmp(m.name, name) == 0) {
			*ret = (struct bl_core_step){ type.id, i, m.name };
			r = 1;
		}
		if (r > 0)
			*offset = at;
		else
			(*raw)--;
	}
	return r;
}

/* The member of the same name as that of the local step. */
static int match_member(struct bl_core_target *t, unsigned step, uint32_t *id,
			struct bl_core_result *res)
{
	const struct bl_core_step *local = &t->local.steps[step];
	struct bl_btf_type outer = bl_btf_type(t->pair.local, local->type);
	struct bl_core_spec *spec = &t->spec;
	struct bl_btf_member m;
	uint32_t in = *id;
	int r = find_member(t, local->name, in, &spec->raw, &spec->steps[step],
			    &spec->bit_offset);

	if (r <= 0) {
		note_miss(res, step, in, BL_CORE_WHY_NO_STEP);
		return r;
	}
	spec->count++;
	m = bl_btf_member(t->pair.local, &outer, local->index);
	outer = bl_btf_type(t->pair.target, spec->steps[step].type);
	*id = bl_btf_member(t->pair.target, &outer, spec->steps[step].index)
		      .type;
	r = bl_core_fields_compatible(&t->pair, m.type, *id);
	if (r == 0)
		note_miss(res, step, in, BL_CORE_WHY_OTHER);
	return r;
}

static int match_element(struct bl_core_target *t, unsigned step, uint32_t *id,
			 struct bl_core_result *res)
{
	struct bl_btf_type type = bl_btf_resolve(t->pair.target, *id);
	struct bl_btf_array a = bl_btf_array(&type);
	struct bl_core_spec *spec = &t->spec;
	uint32_t index = t->local.steps[step].index, size;
	int r;

	if (step > 0) {
		if (type.kind != BTF_KIND_ARRAY ||
		    (index >= a.count &&
		     !bl_core_flexible(t->pair.target, &spec->steps[step - 1],
				       &a))) {
			note_miss(res, step, *id, BL_CORE_WHY_NO_STEP);
			return 0;
		}
		type = bl_btf_resolve(t->pair.target, a.type);
	}
	*id = type.id;
	r = bl_btf_size(t->pair.target, *id, &size);
	if (r < 0)
		return r;
	if (spec->raw++ == BL_CORE_DEPTH_MAX)
		return -E2BIG;
	spec->steps[spec->count++] = (struct bl_core_step){ *id, index, NULL };
	spec->bit_offset += (uint64_t)index * size * 8;
	return 1;
}

static int match_field(struct bl_core_target *t, uint32_t id,
		       struct bl_core_result *res)
{
	unsigned i;
	int r = 1;

	for (i = 0; r > 0 && i < t->local.count; i++)
		r = t->local.steps[i].name ? match_member(t, i, &id, res)
					   : match_element(t, i, &id, res);
	return r > 0 && t->spec.bit_offset > UINT32_MAX ? -E2BIG : r;
}

static int match_value(struct bl_core_target *t, uint32_t id,
		       struct bl_core_result *res)
{
	struct bl_btf_type type = bl_btf_resolve(t->pair.target, id);
	unsigned i;

	for (i = 0; bl_btf_is_enum(type.kind) && i < type.count; i++) {
		const char *name = bl_btf_value(t->pair.target, &type, i).name;

		if (bl_core_step(&t->pair) < 0)
			return -ETIME;
		if (!bl_core_names_equal(name, t->local.steps[0].name))
			continue;
		t->spec.steps[0] = (struct bl_core_step){ type.id, i, name };
		t->spec.count = 1;
		return 1;
	}
	note_miss(res, 0, id, BL_CORE_WHY_NO_STEP);
	return 0;
}

/* Fills in t->spec for the candidate @id. 1 if it fits, 0, -errno. */
static int match(struct bl_core_target *t, uint32_t id,
		 struct bl_core_result *res)
{
	int r;

	t->spec.root = id;
	t->spec.kind = t->local.kind;
	t->spec.bit_offset = 0;
	t->spec.raw = t->spec.count = 0;
	switch (bl_core_class(t->local.kind)) {
	case BL_CORE_FIELD:
		return match_field(t, id, res);
	case BL_CORE_ENUM:
		return match_value(t, id, res);
	default:
		r = t->local.kind == BPF_CORE_TYPE_MATCHES
			    ? bl_core_types_match(&t->pair, t->local.root, id)
			    : bl_core_types_compatible(&t->pair, t->local.root,
						       id);
		if (r == 0)
			note_miss(res, 0, id, BL_CORE_WHY_OTHER);
		return r;
	}
}

static struct bl_core_result failed(enum bl_core_outcome outcome,
				    enum bl_core_why why)
{
	return (struct bl_core_result){ .outcome = outcome, .why = why };
}

static struct bl_core_result refused(int r)
{
	if (r == -ETIME)
		return failed(BL_CORE_GAVE_UP, BL_CORE_WHY_NONE);
	return failed(BL_CORE_REFUSED, BL_CORE_WHY_DAMAGED);
}

/*
 * The value that all fitting candidates agree on; *ret_fits tells how many
 * there are. They become the candidates of the next relocation.
 */
static struct bl_core_result agree(struct bl_core_target *t,
				   struct candidates *c,
				   struct bl_core_value *value,
				   unsigned *ret_fits)
{
	struct bl_core_result res = { .outcome = BL_CORE_RESOLVED };
	struct bl_core_value v;
	enum bl_core_why why;
	unsigned i, n = 0;
	int r;

	for (i = 0; i < c->count; i++) {
		r = match(t, c->ids[i], &res);
		if (r < 0)
			return refused(r);
		if (r == 0)
			continue;
		why = bl_core_value(t->pair.target, &t->spec, &v);
		if (why != BL_CORE_WHY_NONE)
			return failed(BL_CORE_REFUSED, why);
		if (n == 0) {
			*value = v;
			t->first.bit_offset = t->spec.bit_offset;
		} else if (t->first.bit_offset != t->spec.bit_offset ||
			   value->value != v.value) {
			return failed(BL_CORE_REFUSED, BL_CORE_WHY_AMBIGUOUS);
		}
		c->ids[n++] = c->ids[i];
	}
	*ret_fits = n;
	if (n)
		c->count = n;
	else if (!c->count)
		res.why = BL_CORE_WHY_NO_TYPE;
	return res;
}

/* What loaders do when nothing fits. */
static struct bl_core_result absent(struct bl_core_result res, unsigned kind)
{
	res.absent = true;
	res.value = 0;
	switch (kind) {
	case BPF_CORE_FIELD_EXISTS:
	case BPF_CORE_ENUMVAL_EXISTS:
	case BPF_CORE_TYPE_EXISTS:
	case BPF_CORE_TYPE_MATCHES:
	case BPF_CORE_TYPE_SIZE:
	case BPF_CORE_TYPE_ID_TARGET:
		res.outcome = BL_CORE_RESOLVED;
		break;
	default:
		res.outcome = BL_CORE_POISONED;
	}
	return res;
}

static struct bl_core_result patched(struct bl_core_target *t,
				     struct bl_core_result res,
				     const struct bl_core_value *local,
				     const struct bl_core_value *target,
				     const unsigned char *insn, size_t len)
{
	enum bl_core_why why =
		bl_core_patch(&t->pair, local, target, insn, len);

	if (why == BL_CORE_WHY_NONE) {
		res.why = BL_CORE_WHY_NONE;
		return res;
	}
	if (why != BL_CORE_WHY_SIZE)
		return failed(BL_CORE_REFUSED, why);
	res = failed(BL_CORE_POISONED, why);
	res.size[0] = local->size;
	res.size[1] = target->size;
	return res;
}

struct bl_core_result bl_core_resolve(struct bl_core_target *t,
				      const struct bl_core_relo *relo,
				      const unsigned char *insn, size_t len)
{
	struct bl_core_value local, target = { 0 };
	struct bl_core_result res;
	struct candidates *c;
	enum bl_core_why why;
	unsigned fits = 0;
	uint32_t root;

	if (bl_core_spec_read(t->pair.local, relo, &t->local) < 0)
		return failed(BL_CORE_REFUSED, BL_CORE_WHY_DAMAGED);
	why = bl_core_value(t->pair.local, &t->local, &local);
	if (why != BL_CORE_WHY_NONE)
		return failed(BL_CORE_REFUSED, why);
	if (relo->kind == BPF_CORE_TYPE_ID_LOCAL) {
		res = failed(BL_CORE_RESOLVED, BL_CORE_WHY_NONE);
		res.value = relo->type;
		return patched(t, res, &local, &local, insn, len);
	}
	root = t->index->root_of[relo->type];
	if (!root)
		return failed(BL_CORE_REFUSED, BL_CORE_WHY_UNNAMED);
	c = &t->by_root[root - 1];
	if (c->over)
		return failed(BL_CORE_GAVE_UP, BL_CORE_WHY_NONE);
	res = agree(t, c, &target, &fits);
	if (res.outcome != BL_CORE_RESOLVED)
		return res;
	res.value = target.value;
	if (!fits)
		res = absent(res, relo->kind);
	if (res.outcome == BL_CORE_POISONED)
		return res;
	return patched(t, res, &local, &target, insn, len);
}
