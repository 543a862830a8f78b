/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object/mapdef.h"

#include <elf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define PIN_BY_NAME 1 /* enum libbpf_pin_type */

static void def_free(struct bl_map_def *d)
{
	free(d->inner); /* which has no inner one itself */
	*d = (struct bl_map_def){ 0 };
}

void bl_map_list_free(struct bl_map_list *l)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		def_free(&l->defs[i]);
	free(l->defs);
	bl_btf_free(&l->btf);
	*l = (struct bl_map_list){ 0 };
}

/* Takes what *def owns, whatever is returned. */
static int list_add(struct bl_map_list *l, struct bl_map_def *def,
		    struct bl_err *err)
{
	struct bl_map_def *list;

	if (l->count >= BL_MAPS_MAX) {
		def_free(def);
		return bl_err_set(err, -E2BIG, "more than the limit of %d maps",
				  BL_MAPS_MAX);
	}
	list = realloc(l->defs, (l->count + 1) * sizeof(*list));
	if (!list) {
		def_free(def);
		return bl_err_set(err, -ENOMEM, "out of memory");
	}
	l->defs = list;
	list[l->count++] = *def;
	return 0;
}

/* --- a map as a struct of types ------------------------------------------- */

/* One definition as it is read. */
struct reading {
	const struct bl_btf *btf;
	struct bl_map_def *def;
	bool is_inner;
	struct bl_err *err;
};

static int bad(const struct reading *r, const char *field, const char *why)
{
	return bl_err_set(r->err, -EBADMSG, "map %s%s: %s: %s",
			  r->is_inner ? "in " : "", r->def->name, field, why);
}

/* __uint(name, N): a pointer to an array of N elements. */
static int read_number(const struct reading *r, const char *field,
		       uint32_t type, uint32_t *ret)
{
	struct bl_btf_type t = bl_btf_resolve(r->btf, type);

	if (t.kind == BTF_KIND_PTR)
		t = bl_btf_type(r->btf, t.type);
	if (t.kind != BTF_KIND_ARRAY)
		return bad(r, field, "it is not made by __uint()");
	*ret = bl_btf_array(&t).count;
	return 0;
}

/* As above, or __ulong(name, N): an enum of one value. */
static int read_long(const struct reading *r, const char *field, uint32_t type,
		     uint64_t *ret)
{
	struct bl_btf_type t = bl_btf_resolve(r->btf, type);
	uint32_t n;
	int e;

	if (bl_btf_is_enum(t.kind) && t.count == 1) {
		*ret = bl_btf_value(r->btf, &t, 0).value;
		return 0;
	}
	e = read_number(r, field, type, &n);
	if (e == 0)
		*ret = n;
	return e;
}

static int set_size(const struct reading *r, const char *field, uint32_t size,
		    uint32_t *ret)
{
	if (*ret && *ret != size)
		return bad(r, field, "its size is given twice, and differs");
	*ret = size;
	return 0;
}

/* __type(name, T): a pointer to T. */
static int read_type(const struct reading *r, const char *field, uint32_t type,
		     uint32_t *ret_type, uint32_t *ret_size)
{
	struct bl_btf_type t = bl_btf_resolve(r->btf, type);
	uint32_t size;
	int e;

	if (t.kind != BTF_KIND_PTR)
		return bad(r, field, "it is not made by __type()");
	if (bl_btf_size(r->btf, t.type, &size) < 0)
		return bad(r, field, "its type has no size");
	e = set_size(r, field, size, ret_size);
	if (e == 0)
		*ret_type = t.type;
	return e;
}

static int read_struct(struct reading *r, const struct bl_btf_type *t);

/* __array(values, T): an array of no size, of pointers to the form of what the
 * map holds: a definition, or the signature of a program. */
static int read_values(const struct reading *r, uint32_t type)
{
	struct bl_btf_type t = bl_btf_resolve(r->btf, type);
	struct bl_map_def *inner;
	struct reading in;
	int e;

	if (t.kind != BTF_KIND_ARRAY || bl_btf_array(&t).count)
		return bad(r, "values", "it is not made by __array()");
	t = bl_btf_resolve(r->btf, bl_btf_array(&t).type);
	if (t.kind != BTF_KIND_PTR)
		return bad(r, "values", "it is not made by __array()");
	t = bl_btf_resolve(r->btf, t.type);
	e = set_size(r, "values", sizeof(uint32_t), &r->def->value_size);
	if (e < 0)
		return e;
	if (r->def->type == BPF_MAP_TYPE_PROG_ARRAY)
		return t.kind == BTF_KIND_FUNC_PROTO
			       ? 0
			       : bad(r, "values", "it holds no programs");
	if (!bl_map_type_is_outer(r->def->type) || r->is_inner)
		return bad(r, "values", "this map can hold no maps");
	if (t.kind != BTF_KIND_STRUCT || r->def->inner)
		return bad(r, "values", "this is no definition of a map");
	inner = calloc(1, sizeof(*inner));
	if (!inner)
		return bl_err_set(r->err, -ENOMEM, "out of memory");
	r->def->inner = inner; /* owned from here on, whatever comes */
	inner->name = r->def->name;
	inner->section = r->def->section;
	in = (struct reading){ r->btf, inner, true, r->err };
	return read_struct(&in, &t);
}

static int read_pinning(const struct reading *r, uint32_t type)
{
	uint32_t n;
	int e = read_number(r, "pinning", type, &n);

	if (e < 0)
		return e;
	if (n > PIN_BY_NAME || r->is_inner)
		return bad(r, "pinning", "no such way to pin it");
	r->def->pinned = n == PIN_BY_NAME;
	return 0;
}

static int read_ignored(const struct reading *r, const char *field,
			uint32_t type)
{
	uint32_t n;

	return read_number(r, field, type, &n);
}

static int read_member(const struct reading *r, const struct bl_btf_member *m)
{
	struct bl_map_def *d = r->def;
	const struct {
		const char *name;
		uint32_t *to;
	} numbers[] = {
		{ "type", &d->type },
		{ "max_entries", &d->max_entries },
		{ "map_flags", &d->flags },
	};
	const struct {
		const char *name;
		uint32_t *type, *size;
	} sides[] = {
		{ "key", &d->key_type, &d->key_size },
		{ "value", &d->value_type, &d->value_size },
	};
	uint32_t n;
	size_t i;
	int e;

	for (i = 0; i < BL_ARRAY_SIZE(numbers); i++)
		if (strcmp(m->name, numbers[i].name) == 0)
			return read_number(r, m->name, m->type, numbers[i].to);
	for (i = 0; i < BL_ARRAY_SIZE(sides); i++) {
		size_t len = strlen(sides[i].name);

		if (strncmp(m->name, sides[i].name, len) != 0)
			continue;
		if (!m->name[len])
			return read_type(r, m->name, m->type, sides[i].type,
					 sides[i].size);
		if (strcmp(m->name + len, "_size") != 0)
			continue;
		e = read_number(r, m->name, m->type, &n);
		return e < 0 ? e : set_size(r, m->name, n, sides[i].size);
	}
	if (strcmp(m->name, "values") == 0)
		return read_values(r, m->type);
	if (strcmp(m->name, "pinning") == 0)
		return read_pinning(r, m->type);
	if (strcmp(m->name, "map_extra") == 0)
		return read_long(r, m->name, m->type, &d->extra);
	if (strcmp(m->name, "numa_node") == 0)
		return read_ignored(r, m->name, m->type);
	return bl_err_set(
		r->err, -ENOTSUP,
		"map %s: it has a parameter \"%.64s\", which is not known here",
		d->name, m->name);
}

/* Types for which no entries is a number that the kernel or libbpf takes. */
static bool needs_no_size(uint32_t type)
{
	switch (type) {
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY: /* libbpf: one for each CPU */
	case BPF_MAP_TYPE_CGROUP_STORAGE:
	case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BL_MAP_TYPE_CGRP_STORAGE:
	case BPF_MAP_TYPE_STRUCT_OPS:
		return true;
	default:
		return false;
	}
}

static int read_struct(struct reading *r, const struct bl_btf_type *t)
{
	unsigned i;
	int e;

	if (t->count > BL_MAP_MEMBERS_MAX)
		return bl_err_set(r->err, -EBADMSG,
				  "map %s: %u parameters; the limit is %d",
				  r->def->name, t->count, BL_MAP_MEMBERS_MAX);
	for (i = 0; i < t->count; i++) {
		struct bl_btf_member m = bl_btf_member(r->btf, t, i);

		e = read_member(r, &m);
		if (e < 0)
			return e;
	}
	if (r->def->type == BPF_MAP_TYPE_UNSPEC)
		return bad(r, "type", "it is not given");
	r->def->sized_by_loader = !r->def->max_entries &&
				  !needs_no_size(r->def->type);
	return 0;
}

/* --- sections of variables in BTF ----------------------------------------- */

struct sections {
	uint32_t *ids;
	size_t count;
	struct bl_map_list *list;
};

static int index_sections(struct sections *x, struct bl_err *err)
{
	const struct bl_btf *b = &x->list->btf;
	uint32_t id;

	x->ids = calloc(BL_OBJECT_SECTIONS_MAX, sizeof(*x->ids));
	if (!x->ids)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (id = 1; id < b->count; id++) {
		if (bl_btf_type(b, id).kind != BTF_KIND_DATASEC)
			continue;
		if (x->count == BL_OBJECT_SECTIONS_MAX)
			return bl_err_set(
				err, -E2BIG,
				"its BTF describes more than %d sections",
				BL_OBJECT_SECTIONS_MAX);
		x->ids[x->count++] = id;
	}
	return 0;
}

/* The description of a section; its kind is 0 if there is none. */
static struct bl_btf_type find_section(const struct sections *x,
				       const char *name)
{
	struct bl_btf_type t;
	size_t i;

	for (i = 0; i < x->count; i++) {
		t = bl_btf_type(&x->list->btf, x->ids[i]);
		if (strcmp(t.name, name) == 0)
			return t;
	}
	return (struct bl_btf_type){ .name = "" };
}

/* The variables of section .maps. */
static int read_defined(const struct bl_object *o, const struct sections *x,
			struct bl_err *err)
{
	struct bl_map_list *l = x->list;
	const struct bl_object_section *s = bl_object_section(o, ".maps");
	struct bl_btf_type sec, var, t;
	unsigned i;
	int e;

	if (!s || !s->size)
		return 0;
	sec = find_section(x, ".maps");
	if (sec.kind != BTF_KIND_DATASEC)
		return bl_err_set(
			err, -EBADMSG,
			"its section .maps is not described by BTF: was it built without -g?");
	for (i = 0; i < sec.count; i++) {
		struct bl_map_def def = { .section = ".maps" };
		struct reading r = { &l->btf, &def, false, err };

		var = bl_btf_type(&l->btf, bl_btf_var(&sec, i).type);
		t = bl_btf_resolve(&l->btf, var.type);
		if (var.kind != BTF_KIND_VAR || !*var.name ||
		    strlen(var.name) >= BL_OBJECT_NAME_MAX ||
		    t.kind != BTF_KIND_STRUCT)
			return bl_err_set(
				err, -EBADMSG,
				"number %u in its section .maps is no definition of a map",
				i);
		def.name = var.name;
		e = read_struct(&r, &t);
		if (e < 0)
			def_free(&def);
		else
			e = list_add(l, &def, err);
		if (e < 0)
			return e;
	}
	return 0;
}

/* --- maps that libbpf makes by itself ------------------------------------- */

static bool begins(const char *name, const char *with)
{
	size_t len = strlen(with);

	return strncmp(name, with, len) == 0 &&
	       (!name[len] || name[len] == '.');
}

/* libbpf lets user space mmap what has a variable that is not static. */
static bool has_global(const struct bl_btf *b, const struct bl_btf_type *sec)
{
	unsigned i;

	for (i = 0; i < sec->count; i++) {
		struct bl_btf_type var =
			bl_btf_type(b, bl_btf_var(sec, i).type);

		if (var.kind == BTF_KIND_VAR && var.linkage != BTF_VAR_STATIC)
			return true;
	}
	return false;
}

static int read_variables(const struct bl_object *o, const struct sections *x,
			  struct bl_err *err)
{
	struct bl_map_list *l = x->list;
	struct bl_btf_type sec;
	size_t i;
	int e = 0;

	for (i = 1; e == 0 && i < o->section_count; i++) {
		const struct bl_object_section *s = &o->sections[i];
		bool bss = s->type == SHT_NOBITS && begins(s->name, ".bss");
		bool constant = s->type == SHT_PROGBITS &&
				begins(s->name, ".rodata");
		bool data = s->type == SHT_PROGBITS && begins(s->name, ".data");
		struct bl_map_def def = {
			.name = s->name,
			.section = s->name,
			.type = BPF_MAP_TYPE_ARRAY,
			.key_size = sizeof(uint32_t),
			.value_size = s->size > UINT32_MAX ? UINT32_MAX
							   : (uint32_t)s->size,
			.max_entries = 1,
			.flags = constant ? BPF_F_RDONLY_PROG : 0,
			.implicit = true,
		};

		if (!s->size || !(bss || constant || data) ||
		    (s->flags & SHF_EXECINSTR))
			continue;
		sec = find_section(x, s->name);
		def.value_type = sec.id;
		if (has_global(&l->btf, &sec))
			def.flags |= BPF_F_MMAPABLE;
		e = list_add(l, &def, err);
	}
	return e;
}

/* Variables that libbpf fills in from the kernel's configuration. */
static int read_kconfig(const struct sections *x, struct bl_err *err)
{
	struct bl_map_list *l = x->list;
	struct bl_btf_type sec = find_section(x, ".kconfig");
	struct bl_map_def def = {
		.name = ".kconfig",
		.section = ".kconfig",
		.type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_type = sec.id,
		.max_entries = 1,
		.flags = BPF_F_RDONLY_PROG | BPF_F_MMAPABLE,
		.implicit = true,
	};
	uint64_t size = 0;
	uint32_t one;
	unsigned i;

	for (i = 0; i < sec.count; i++) {
		struct bl_btf_type var =
			bl_btf_type(&l->btf, bl_btf_var(&sec, i).type);

		if (var.kind == BTF_KIND_VAR &&
		    bl_btf_size(&l->btf, var.type, &one) == 0)
			size += (one + UINT64_C(7)) & ~UINT64_C(7);
	}
	if (!size)
		return 0;
	def.value_size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	return list_add(l, &def, err);
}

/* Each variable in .struct_ops… is a table of callbacks, and a map. */
static int read_struct_ops(const struct bl_object *o, const struct sections *x,
			   struct bl_err *err)
{
	struct bl_map_list *l = x->list;
	size_t i;
	unsigned k;
	int e = 0;

	for (i = 1; i < o->section_count; i++) {
		const struct bl_object_section *s = &o->sections[i];
		const char *name = s->name + (s->name[0] == '?');
		struct bl_btf_type sec;

		if (!begins(name, ".struct_ops") || !s->size)
			continue;
		sec = find_section(x, s->name);
		for (k = 0; e == 0 && k < sec.count; k++) {
			struct bl_btf_type var =
				bl_btf_type(&l->btf, bl_btf_var(&sec, k).type);
			struct bl_map_def def = {
				.name = var.name,
				.section = s->name,
				.type = BPF_MAP_TYPE_STRUCT_OPS,
				.key_size = sizeof(uint32_t),
				.value_type = var.type,
				.max_entries = 1,
			};

			if (var.kind != BTF_KIND_VAR || !*var.name)
				continue;
			(void)bl_btf_size(&l->btf, var.type, &def.value_size);
			e = list_add(l, &def, err);
		}
	}
	return e;
}

/* --- in all --------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct bl_map_def *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Whoever asks for a map by its name means one. */
static int require_names(const struct bl_map_list *l, struct bl_err *err)
{
	bl_autofree const struct bl_map_def **sorted =
		calloc(l->count + 1, sizeof(*sorted));
	size_t i, n = 0;

	if (!sorted)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < l->count; i++)
		if (!l->defs[i].implicit)
			sorted[n++] = &l->defs[i];
	if (n)
		qsort(sorted, n, sizeof(*sorted), by_name);
	for (i = 1; i < n; i++)
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			return bl_err_set(err, -EBADMSG,
					  "two maps have the name %.100s",
					  sorted[i]->name);
	return 0;
}

static int read_all(const struct bl_object *o, struct bl_map_list *l,
		    struct bl_err *err)
{
	struct sections x = { .list = l };
	int r = index_sections(&x, err);

	if (r == 0)
		r = read_defined(o, &x, err);
	if (r == 0)
		r = read_struct_ops(o, &x, err);
	if (r == 0)
		r = read_variables(o, &x, err);
	if (r == 0)
		r = read_kconfig(&x, err);
	if (r == 0)
		r = require_names(l, err);
	free(x.ids);
	return r;
}

int bl_map_list_read(const struct bl_object *o, struct bl_map_list *ret,
		     struct bl_err *err)
{
	const struct bl_object_section *s = bl_object_section(o, ".BTF");
	bl_automaps struct bl_map_list l = { 0 };
	int r = 0;

	if (s && s->data && s->size)
		r = bl_btf_open("its BTF", s->data, s->size, &l.btf, err);
	if (r == 0)
		r = read_all(o, &l, err);
	if (r < 0)
		return r;
	s = bl_object_section(o, "maps");
	l.legacy = s && s->size;
	*ret = l;
	l = (struct bl_map_list){ 0 };
	return 0;
}

const struct bl_map_def *bl_map_list_find(const struct bl_map_list *l,
					  const char *name)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		if (!l->defs[i].implicit && strcmp(l->defs[i].name, name) == 0)
			return &l->defs[i];
	return NULL;
}
