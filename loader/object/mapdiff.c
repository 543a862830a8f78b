/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object/mapdiff.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/object/layout.h"

#define LOG_FIELDS_MAX 64	  /* of each layout that is shown */
#define ALL_FIELDS_MAX (1u << 18) /* of all maps together */

/* One map and the comparison of it. */
struct pair {
	const struct bl_map_list *lists[2]; /* before, now */
	const struct bl_map_def *defs[2];
	struct bl_map_diff *diff;
	bool is_inner;
	size_t *fields;
};

enum { BEFORE, NOW };

void bl_map_diff_free(struct bl_map_diff *d)
{
	bl_buf_free(&d->why);
	bl_buf_free(&d->log);
	*d = (struct bl_map_diff){ 0 };
}

const char *bl_alike_name(enum bl_alike alike)
{
	static const char *const names[] = {
		[BL_ALIKE_SAME] = "same",
		[BL_ALIKE_UNCLEAR] = "same form",
		[BL_ALIKE_EXTENDED] = "extended",
		[BL_ALIKE_UNDECIDED] = "cannot be compared",
		[BL_ALIKE_INCOMPATIBLE] = "incompatible",
	};

	return names[alike];
}

static int note(struct pair *p, enum bl_alike alike, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int note(struct pair *p, enum bl_alike alike, const char *fmt, ...)
{
	char text[BL_LAYOUT_TEXT_MAX + 256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (alike > p->diff->alike)
		p->diff->alike = alike;
	return bl_buf_printf(&p->diff->why, "%s%s%s",
			     p->diff->why.len ? "; " : "",
			     p->is_inner ? "in its maps: " : "", text);
}

/* --- keys and values ------------------------------------------------------ */

/* "value struct counters", "key" */
static void side_words(const struct pair *p, const char *side, uint32_t id,
		       char *ret, size_t size)
{
	struct bl_btf_type t = bl_btf_resolve(&p->lists[BEFORE]->btf, id);

	if (bl_btf_is_composite(t.kind) && *t.name)
		snprintf(ret, size, "%s %s %.100s", side,
			 bl_btf_kind_name(t.kind), t.name);
	else
		snprintf(ret, size, "%s", side);
}

static int show(struct pair *p, const char *what, const char *when,
		const struct bl_layout *l)
{
	int r = bl_buf_printf(&p->diff->log, "%s %s: %u bytes\n", what, when,
			      l->size);

	return r < 0 ? r : bl_layout_print(l, LOG_FIELDS_MAX, &p->diff->log);
}

/* The first change of a sort, and how many there are besides. */
static int note_first(struct pair *p, enum bl_alike alike, const char *what,
		      const char *first, unsigned count)
{
	int r = count ? note(p, alike, "%s: %s", what, first) : 0;

	if (r < 0 || count < 2)
		return r;
	return bl_buf_printf(&p->diff->why, ", and %u more", count - 1);
}

static int judge_diff(struct pair *p, const char *what, bool is_key,
		      const struct bl_layout *before,
		      const struct bl_layout *now,
		      const struct bl_layout_diff *d)
{
	/* All bytes of a key count, those between its members too. */
	enum bl_alike alike = is_key ? BL_ALIKE_INCOMPATIBLE
				     : BL_ALIKE_EXTENDED;
	bool resized = now->size != before->size;
	bool bad = d->broken || (is_key && (d->added || resized));
	int r;

	r = note_first(p, BL_ALIKE_INCOMPATIBLE, what, d->first_broken,
		       d->broken);
	if (r == 0 && (is_key || !d->broken))
		r = note_first(p, alike, what, d->first_added, d->added);
	if (r == 0)
		r = note_first(p, BL_ALIKE_EXTENDED, what, d->first_renamed,
			       d->renamed);
	if (r == 0 && resized) {
		p->diff->resized = true;
		r = note(p, alike, "%s: %u bytes, %u now",
			 is_key ? "key" : "value", before->size, now->size);
	}
	if (r < 0 || !bad)
		return r;
	r = show(p, what, "before", before);
	return r < 0 ? r : show(p, what, "now", now);
}

static int compare_types(struct pair *p, const char *what, bool is_key,
			 const uint32_t ids[2])
{
	bl_autolayout struct bl_layout before = { 0 };
	bl_autolayout struct bl_layout now = { 0 };
	struct bl_layout_diff diff = { 0 };
	int r;

	if (*p->fields > ALL_FIELDS_MAX)
		return note(p, BL_ALIKE_UNDECIDED,
			    "%s: more than %u members in all maps", what,
			    ALL_FIELDS_MAX);
	r = bl_layout_read(&p->lists[BEFORE]->btf, ids[BEFORE], &before);
	if (r == 0)
		r = bl_layout_read(&p->lists[NOW]->btf, ids[NOW], &now);
	*p->fields += before.count + now.count;
	if (r == 0)
		r = bl_layout_compare(&before, &now, &diff);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return note(p, BL_ALIKE_UNDECIDED, "%s: %s", what,
			    r == -E2BIG ? "the type is too large for it"
					: "the type has a part of no size");
	return judge_diff(p, what, is_key, &before, &now, &diff);
}

static int compare_side(struct pair *p, bool is_key)
{
	const struct bl_map_def *a = p->defs[BEFORE], *b = p->defs[NOW];
	uint32_t ids[2] = { is_key ? a->key_type : a->value_type,
			    is_key ? b->key_type : b->value_type };
	uint32_t sizes[2] = { is_key ? a->key_size : a->value_size,
			      is_key ? b->key_size : b->value_size };
	const char *side = is_key ? "key" : "value";
	char what[160];

	if (ids[BEFORE] && ids[NOW]) {
		side_words(p, side, ids[BEFORE], what, sizeof(what));
		return compare_types(p, what, is_key, ids);
	}
	if (sizes[BEFORE] != sizes[NOW])
		return note(p, BL_ALIKE_INCOMPATIBLE, "%s: %u bytes, %u now",
			    side, sizes[BEFORE], sizes[NOW]);
	if (!ids[BEFORE] == !ids[NOW])
		return 0;
	return note(p, BL_ALIKE_UNCLEAR,
		    "%s: compared by size alone, its type is not described %s",
		    side, ids[NOW] ? "before" : "now");
}

/* --- the rest of a definition --------------------------------------------- */

/* A flag that readers in user space notice when it comes (or goes). */
static const struct {
	uint32_t flag;
	bool comes, goes;
	const char *what;
} noticed[] = {
	{ BPF_F_RDONLY, true, false, "user space may not write it any more" },
	{ BPF_F_WRONLY, true, false, "user space may not read it any more" },
	{ BPF_F_MMAPABLE, false, true, "user space cannot mmap it any more" },
};

static int compare_flags(struct pair *p)
{
	uint32_t before = p->defs[BEFORE]->flags, now = p->defs[NOW]->flags;
	uint32_t changed = before ^ now;
	size_t i;
	int r = 0;

	if (!changed && p->defs[BEFORE]->extra == p->defs[NOW]->extra)
		return 0;
	if (p->defs[BEFORE]->pinned)
		return note(
			p, BL_ALIKE_INCOMPATIBLE,
			"flags 0x%x (extra %llu), 0x%x (extra %llu) now: no loader takes over a pinned map whose flags differ",
			before, (unsigned long long)p->defs[BEFORE]->extra, now,
			(unsigned long long)p->defs[NOW]->extra);
	for (i = 0; r == 0 && i < BL_ARRAY_SIZE(noticed); i++) {
		if (!(changed & noticed[i].flag))
			continue;
		if (now & noticed[i].flag ? noticed[i].comes : noticed[i].goes)
			r = note(p, BL_ALIKE_INCOMPATIBLE, "%s",
				 noticed[i].what);
	}
	return r < 0 ? r
		     : note(p, BL_ALIKE_EXTENDED, "flags 0x%x, 0x%x now",
			    before, now);
}

static int compare_entries(struct pair *p)
{
	const struct bl_map_def *a = p->defs[BEFORE], *b = p->defs[NOW];

	/* What its loader sizes has no size to compare. */
	if (a->max_entries == b->max_entries || a->sized_by_loader ||
	    b->sized_by_loader)
		return 0;
	/* Only maps of one form go into one map. */
	if (p->is_inner)
		return note(p, BL_ALIKE_EXTENDED, "%u entries, %u now",
			    a->max_entries, b->max_entries);
	if (!a->pinned)
		return note(p,
			    b->max_entries < a->max_entries ? BL_ALIKE_UNCLEAR
							    : BL_ALIKE_SAME,
			    "%u entries, %u now", a->max_entries,
			    b->max_entries);
	return note(p,
		    b->max_entries < a->max_entries ? BL_ALIKE_INCOMPATIBLE
						    : BL_ALIKE_EXTENDED,
		    "%u entries, %u now", a->max_entries, b->max_entries);
}

static int compare_pinning(struct pair *p)
{
	if (p->defs[BEFORE]->pinned == p->defs[NOW]->pinned)
		return 0;
	if (p->defs[BEFORE]->pinned)
		return note(
			p, BL_ALIKE_INCOMPATIBLE,
			"it was pinned and is not any more: what it holds is lost, and nobody finds it");
	return note(p, BL_ALIKE_SAME, "it is pinned now");
}

static bool is_stream(uint32_t type)
{
	return type == BPF_MAP_TYPE_RINGBUF ||
	       type == BPF_MAP_TYPE_USER_RINGBUF ||
	       type == BPF_MAP_TYPE_PERF_EVENT_ARRAY;
}

static int compare_form(struct pair *p)
{
	const struct bl_map_def *a = p->defs[BEFORE], *b = p->defs[NOW];
	char from[BL_MAP_TYPE_NAME_LEN], to[BL_MAP_TYPE_NAME_LEN];
	int r;

	if (a->type != b->type)
		return note(p, BL_ALIKE_INCOMPATIBLE,
			    "it was of type %s, and is %s now",
			    bl_map_type_name(a->type, from),
			    bl_map_type_name(b->type, to));
	if (is_stream(a->type))
		return 0;
	r = compare_side(p, true);
	if (r == 0)
		r = compare_side(p, false);
	if (r == 0)
		r = compare_flags(p);
	return r < 0 ? r : compare_entries(p);
}

static int compare_inner(struct pair *p)
{
	const struct bl_map_def *a = p->defs[BEFORE], *b = p->defs[NOW];
	int r;

	if (!a->inner && !b->inner)
		return 0;
	if (!a->inner || !b->inner)
		return note(p, BL_ALIKE_UNCLEAR,
			    "the form of the maps in it is not described %s",
			    a->inner ? "now" : "before");
	p->defs[BEFORE] = a->inner;
	p->defs[NOW] = b->inner;
	p->is_inner = true;
	r = compare_form(p);
	p->defs[BEFORE] = a;
	p->defs[NOW] = b;
	p->is_inner = false;
	return r;
}

/* --- in all --------------------------------------------------------------- */

static bool has_one_form(const struct bl_map_def *a, const struct bl_map_def *b)
{
	return a->type == b->type && a->key_size == b->key_size &&
	       a->value_size == b->value_size && a->flags == b->flags &&
	       a->max_entries == b->max_entries && a->extra == b->extra;
}

int bl_map_compare(const struct bl_map_list *before, const struct bl_map_def *a,
		   const struct bl_map_list *now, const struct bl_map_def *b,
		   size_t *fields, struct bl_map_diff *ret)
{
	struct bl_map_diff diff = { .one_form = has_one_form(a, b) };
	struct pair p = { .lists = { before, now },
			  .defs = { a, b },
			  .diff = &diff,
			  .fields = fields };
	int r = compare_form(&p);

	if (r == 0 && a->type == b->type)
		r = compare_inner(&p);
	if (r == 0)
		r = compare_pinning(&p);
	if (r < 0) {
		bl_map_diff_free(&diff);
		return r;
	}
	*ret = diff;
	return 0;
}
