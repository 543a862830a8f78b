/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object/layout.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define STEPS_MAX (1u << 16) /* members looked at, fields or not */
#define PAIRS_MAX (1u << 18) /* fields, or names of enums, compared */

void bl_layout_free(struct bl_layout *l)
{
	free(l->fields);
	free(l->sorted);
	bl_buf_free(&l->paths);
	*l = (struct bl_layout){ 0 };
}

/* --- reading -------------------------------------------------------------- */

/* A field whose path still moves with the buffer that it is in. */
struct found {
	struct bl_field field;
	size_t at; /* of its path in layout->paths */
};

/* A walk through a type; the path is that of the place it is at. */
struct walk {
	struct bl_layout *layout;
	struct found *found;
	size_t room; /* of found */
	unsigned steps;
	size_t len;
	char path[BL_LAYOUT_PATH_MAX];
};

/* "pad", "_pad2", "__reserved[]"; not "paddr" and not "reserved_bytes". */
static bool is_room_name(const char *part, size_t len)
{
	static const char *const words[] = { "pad",    "padding", "reserved",
					     "unused", "rsvd",	  "resv",
					     "filler" };
	size_t lead = strspn(part, "_"), i, n;

	for (i = 0; i < BL_ARRAY_SIZE(words); i++) {
		n = lead + strlen(words[i]);
		if (n <= len && strncmp(part + lead, words[i], n - lead) == 0 &&
		    n + strspn(part + n, "_0123456789[]") >= len)
			return true;
	}
	return false;
}

/* Whether a part of "a.b[].c" names no data. */
static bool names_room(const char *path)
{
	size_t len;

	for (; *path; path += len + (path[len] == '.')) {
		len = strcspn(path, ".");
		if (is_room_name(path, len))
			return true;
	}
	return false;
}

static int make_room(struct walk *w)
{
	size_t room = w->room ? 2 * w->room : 16;
	struct found *list;

	if (w->layout->count < w->room)
		return 0;
	if (w->room >= BL_LAYOUT_FIELDS_MAX)
		return -E2BIG;
	list = realloc(w->found, room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	w->found = list;
	w->room = room;
	return 0;
}

static int add_field(struct walk *w, enum bl_field_kind kind,
		     uint64_t bit_offset, uint64_t bit_size,
		     struct bl_field **ret)
{
	struct bl_layout *l = w->layout;
	struct found *f;
	int r = make_room(w);

	if (r < 0)
		return r;
	f = &w->found[l->count];
	*f = (struct found){ .at = l->paths.len };
	r = bl_buf_add(&l->paths, w->path, w->len + 1);
	if (r < 0)
		return r;
	f->field.bit_offset = bit_offset;
	f->field.bit_size = bit_size;
	f->field.kind = kind;
	f->field.is_room = names_room(w->path);
	l->count++;
	*ret = &f->field;
	return 0;
}

static int push(struct walk *w, const char *a, const char *b)
{
	size_t room = sizeof(w->path) - w->len;
	int n = snprintf(w->path + w->len, room, "%s%s", a, b);

	if (n < 0 || (size_t)n >= room)
		return -E2BIG;
	w->len += (size_t)n;
	return 0;
}

static void pop(struct walk *w, size_t len)
{
	w->len = len;
	w->path[len] = '\0';
}

static enum bl_field_kind int_kind(const struct bl_btf_type *t)
{
	unsigned encoding = bl_btf_int(t).encoding;

	if (encoding & BTF_INT_BOOL)
		return BL_FIELD_BOOL;
	return encoding & BTF_INT_SIGNED ? BL_FIELD_SIGNED : BL_FIELD_UNSIGNED;
}

/* A number of any kind; @bits: of a bitfield, or 0. */
static int walk_scalar(struct walk *w, const struct bl_btf_type *t,
		       uint64_t offset, uint32_t bits)
{
	uint64_t size = bits ? bits : (uint64_t)t->size * 8;
	struct bl_field *f;
	int r;

	switch (t->kind) {
	case BTF_KIND_INT:
		return add_field(w, int_kind(t), offset, size, &f);
	case BTF_KIND_FLOAT:
		return add_field(w, BL_FIELD_FLOAT, offset, size, &f);
	case BTF_KIND_PTR:
		return add_field(w, BL_FIELD_POINTER, offset, 64, &f);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		r = add_field(w, BL_FIELD_ENUM, offset, size, &f);
		if (r == 0)
			f->type = t->id;
		return r;
	default:
		return -EINVAL;
	}
}

static int walk_type(struct walk *w, uint32_t type, uint64_t offset,
		     unsigned depth);

static int walk_array(struct walk *w, const struct bl_btf_type *t,
		      uint64_t offset, unsigned depth)
{
	struct bl_btf_array a = bl_btf_array(t);
	size_t len = w->len;
	struct bl_field *f;
	uint32_t size;
	int r;

	if (bl_btf_size(w->layout->btf, t->id, &size) < 0)
		return -EINVAL;
	r = add_field(w, BL_FIELD_ARRAY, offset, (uint64_t)size * 8, &f);
	if (r < 0)
		return r;
	f->count = a.count;
	r = push(w, "[]", "");
	if (r == 0)
		r = walk_type(w, a.type, offset, depth);
	pop(w, len);
	return r;
}

static int walk_members(struct walk *w, const struct bl_btf_type *t,
			uint64_t offset, unsigned depth)
{
	const struct bl_btf *b = w->layout->btf;
	size_t len = w->len;
	unsigned i;
	int r = 0;

	for (i = 0; r == 0 && i < t->count; i++) {
		struct bl_btf_member m = bl_btf_member(b, t, i);
		struct bl_btf_type of = bl_btf_resolve(b, m.type);

		if (++w->steps > STEPS_MAX)
			return -E2BIG;
		if (*m.name)
			r = push(w, len ? "." : "", m.name);
		if (r == 0 && m.bit_size)
			r = walk_scalar(w, &of, offset + m.bit_offset,
					m.bit_size);
		else if (r == 0)
			r = walk_type(w, m.type, offset + m.bit_offset, depth);
		pop(w, len);
	}
	return r;
}

/* Recursion ends: a type in itself is deeper each time. */
static int walk_type(struct walk *w, uint32_t type, uint64_t offset,
		     unsigned depth)
{
	struct bl_btf_type t = bl_btf_resolve(w->layout->btf, type);

	if (depth > BL_BTF_DEPTH_MAX)
		return -E2BIG;
	if (bl_btf_is_composite(t.kind))
		return walk_members(w, &t, offset, depth + 1);
	if (t.kind == BTF_KIND_ARRAY)
		return walk_array(w, &t, offset, depth + 1);
	return walk_scalar(w, &t, offset, 0);
}

static int by_path(const void *a, const void *b)
{
	const struct bl_field *x = a, *y = b;
	int d = strcmp(x->path, y->path);

	/* Of one name twice, which C has not, the first is the first. */
	if (!d)
		d = (x->bit_offset > y->bit_offset) -
		    (x->bit_offset < y->bit_offset);
	return d;
}

/* The fields with their paths, in both orders. */
static int finish(const struct walk *w)
{
	struct bl_layout *l = w->layout;
	size_t i;

	l->fields = calloc(l->count + 1, sizeof(*l->fields));
	l->sorted = calloc(l->count + 1, sizeof(*l->sorted));
	if (!l->fields || !l->sorted)
		return -ENOMEM;
	assert(w->found || !l->count);
	for (i = 0; i < l->count; i++) {
		l->fields[i] = w->found[i].field;
		l->fields[i].path = l->paths.data + w->found[i].at;
		l->sorted[i] = l->fields[i];
	}
	if (l->count)
		qsort(l->sorted, l->count, sizeof(*l->sorted), by_path);
	return 0;
}

int bl_layout_read(const struct bl_btf *b, uint32_t type, struct bl_layout *ret)
{
	bl_autolayout struct bl_layout l = { .btf = b };
	struct walk w = { .layout = &l };
	int r;

	if (bl_btf_size(b, type, &l.size) < 0)
		return -EINVAL;
	r = walk_type(&w, type, 0, 0);
	if (r == 0)
		r = finish(&w);
	free(w.found);
	if (r < 0)
		return r;
	*ret = l;
	l = (struct bl_layout){ 0 };
	return 0;
}

/* --- words ---------------------------------------------------------------- */

#define WORDS_LEN 96

/* "4 unsigned bytes", "an array of 16", "3 signed bits" */
static const char *kind_words(const struct bl_field *f,
			      char ret[static WORDS_LEN])
{
	static const char *const names[] = {
		[BL_FIELD_UNSIGNED] = "unsigned", [BL_FIELD_SIGNED] = "signed",
		[BL_FIELD_BOOL] = "bool",	  [BL_FIELD_FLOAT] = "float",
		[BL_FIELD_POINTER] = "pointer",	  [BL_FIELD_ENUM] = "enum",
		[BL_FIELD_ARRAY] = "array",
	};
	bool bits = f->bit_size % 8;

	if (f->kind == BL_FIELD_ARRAY)
		snprintf(ret, WORDS_LEN, "array of %u, %" PRIu64 " bytes",
			 f->count, f->bit_size / 8);
	else
		snprintf(ret, WORDS_LEN, "%s of %" PRIu64 " %s", names[f->kind],
			 bits ? f->bit_size : f->bit_size / 8,
			 bits ? "bits" : "bytes");
	return ret;
}

/* "byte 8", "byte 8 bit 3" */
static const char *place_words(const struct bl_field *f,
			       char ret[static WORDS_LEN])
{
	if (f->bit_offset % 8)
		snprintf(ret, WORDS_LEN, "byte %" PRIu64 " bit %" PRIu64,
			 f->bit_offset / 8, f->bit_offset % 8);
	else
		snprintf(ret, WORDS_LEN, "byte %" PRIu64, f->bit_offset / 8);
	return ret;
}

static const char *path_words(const struct bl_field *f,
			      char ret[static BL_LAYOUT_PATH_MAX + 16])
{
	if (*f->path)
		snprintf(ret, BL_LAYOUT_PATH_MAX + 16, "member \"%s\"",
			 f->path);
	else
		snprintf(ret, BL_LAYOUT_PATH_MAX + 16, "it");
	return ret;
}

int bl_layout_print(const struct bl_layout *l, size_t max, struct bl_buf *ret)
{
	char kind[WORDS_LEN], bit[8];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < l->count && i < max; i++) {
		const struct bl_field *f = &l->fields[i];

		bit[0] = '\0';
		if (f->bit_offset % 8)
			snprintf(bit, sizeof(bit), ":%u",
				 (unsigned)(f->bit_offset % 8));
		r = bl_buf_printf(ret, "%6" PRIu64 "%-2s  %s: %s\n",
				  f->bit_offset / 8, bit,
				  *f->path ? f->path : "-",
				  kind_words(f, kind));
	}
	if (r == 0 && i < l->count)
		r = bl_buf_printf(ret, "          and %zu more\n",
				  l->count - i);
	return r;
}

/* --- comparing ------------------------------------------------------------ */

struct comparison {
	const struct bl_layout *before, *now;
	struct bl_layout_diff *diff;
	unsigned pairs;
};

static bool is_number(enum bl_field_kind k)
{
	return k == BL_FIELD_UNSIGNED || k == BL_FIELD_SIGNED;
}

/* A number that got names for its values is the same number. */
static bool same_kind(const struct bl_field *a, const struct bl_field *b)
{
	bool same = a->kind == b->kind ||
		    (a->kind == BL_FIELD_ENUM && is_number(b->kind)) ||
		    (b->kind == BL_FIELD_ENUM && is_number(a->kind));

	return same && a->bit_size == b->bit_size && a->count == b->count;
}

static void say(unsigned *count, char text[static BL_LAYOUT_TEXT_MAX],
		const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(unsigned *count, char text[static BL_LAYOUT_TEXT_MAX],
		const char *fmt, ...)
{
	va_list ap;

	if ((*count)++)
		return;
	va_start(ap, fmt);
	vsnprintf(text, BL_LAYOUT_TEXT_MAX, fmt, ap);
	va_end(ap);
}

/* What the name of @v means in @t. 0 with another value in *ret; -ENOENT: the
 * same, or nothing. */
static int find_other_value(struct comparison *c, const struct bl_btf_type *t,
			    const struct bl_btf_value *v, uint64_t *ret)
{
	int r = -ENOENT;
	unsigned i;

	for (i = 0; i < t->count; i++) {
		struct bl_btf_value u = bl_btf_value(c->now->btf, t, i);

		if (++c->pairs > PAIRS_MAX)
			return -E2BIG;
		if (strcmp(v->name, u.name) != 0)
			continue;
		if (v->value == u.value)
			return -ENOENT;
		*ret = u.value;
		r = 0;
	}
	return r;
}

/* A name of an enum that means another number now: entries that are there
 * would be read as something else. */
static int compare_enums(struct comparison *c, const struct bl_field *a,
			 const struct bl_field *b)
{
	struct bl_btf_type x = bl_btf_type(c->before->btf, a->type);
	struct bl_btf_type y = bl_btf_type(c->now->btf, b->type);
	char path[BL_LAYOUT_PATH_MAX + 16];
	uint64_t value;
	unsigned i;
	int r;

	for (i = 0; i < x.count; i++) {
		struct bl_btf_value v = bl_btf_value(c->before->btf, &x, i);

		r = find_other_value(c, &y, &v, &value);
		if (r == -E2BIG)
			return r;
		if (r == 0)
			say(&c->diff->broken, c->diff->first_broken,
			    "%s: %.100s was %" PRId64 " and is %" PRId64 " now",
			    path_words(a, path), v.name, (int64_t)v.value,
			    (int64_t)value);
	}
	return 0;
}

/* A field that both have. */
static int compare_fields(struct comparison *c, const struct bl_field *a,
			  const struct bl_field *b)
{
	char path[BL_LAYOUT_PATH_MAX + 16], from[WORDS_LEN], to[WORDS_LEN];
	struct bl_layout_diff *d = c->diff;

	if (a->is_room)
		return 0;
	if (a->bit_offset != b->bit_offset)
		say(&d->broken, d->first_broken, "%s moved from %s to %s",
		    path_words(a, path), place_words(a, from),
		    place_words(b, to) + strlen("byte "));
	else if (!same_kind(a, b))
		say(&d->broken, d->first_broken, "%s was %s and is %s now",
		    path_words(a, path), kind_words(a, from),
		    kind_words(b, to));
	else if (a->kind == BL_FIELD_ENUM && b->kind == BL_FIELD_ENUM)
		return compare_enums(c, a, b);
	return 0;
}

static bool has_path(const struct bl_layout *l, const struct bl_field *f)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int d = strcmp(f->path, l->sorted[mid].path);

		if (d == 0)
			return true;
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

/* The field of @in that has the place of @f, like for like, and a name that
 * @other does not have. */
static int find_twin(struct comparison *c, const struct bl_field *f,
		     const struct bl_layout *in, const struct bl_layout *other,
		     const struct bl_field **ret)
{
	size_t i;

	*ret = NULL;
	for (i = 0; i < in->count; i++) {
		const struct bl_field *g = &in->fields[i];

		if (++c->pairs > PAIRS_MAX)
			return -E2BIG;
		if (g->bit_offset != f->bit_offset || !same_kind(f, g) ||
		    g->is_room || has_path(other, g))
			continue;
		*ret = g;
		return 0;
	}
	return 0;
}

static int compare_gone(struct comparison *c, const struct bl_field *f)
{
	char path[BL_LAYOUT_PATH_MAX + 16], place[WORDS_LEN];
	const struct bl_field *g;
	int r;

	if (f->is_room)
		return 0;
	r = find_twin(c, f, c->now, c->before, &g);
	if (r < 0)
		return r;
	if (g)
		say(&c->diff->renamed, c->diff->first_renamed,
		    "%s is called \"%s\" now", path_words(f, path), g->path);
	else
		say(&c->diff->broken, c->diff->first_broken,
		    "%s is gone from %s", path_words(f, path),
		    place_words(f, place));
	return 0;
}

static int compare_new(struct comparison *c, const struct bl_field *f)
{
	char path[BL_LAYOUT_PATH_MAX + 16], place[WORDS_LEN];
	const struct bl_field *g;
	int r;

	if (f->is_room)
		return 0;
	r = find_twin(c, f, c->before, c->now, &g);
	if (r == 0 && !g) /* otherwise told as a new name */
		say(&c->diff->added, c->diff->first_added, "%s is new at %s",
		    path_words(f, path), place_words(f, place));
	return r;
}

int bl_layout_compare(const struct bl_layout *before,
		      const struct bl_layout *now, struct bl_layout_diff *ret)
{
	struct bl_layout_diff diff = { 0 };
	struct comparison c = { .before = before, .now = now, .diff = &diff };
	size_t i = 0, k = 0;
	int d, r = 0;

	while (r == 0 && (i < before->count || k < now->count)) {
		if (i == before->count)
			d = 1;
		else if (k == now->count)
			d = -1;
		else
			d = strcmp(before->sorted[i].path, now->sorted[k].path);
		if (d < 0)
			r = compare_gone(&c, &before->sorted[i++]);
		else if (d > 0)
			r = compare_new(&c, &now->sorted[k++]);
		else
			r = compare_fields(&c, &before->sorted[i++],
					   &now->sorted[k++]);
	}
	if (r == 0)
		*ret = diff;
	return r;
}
