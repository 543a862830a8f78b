/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/maps/abi.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/object/layout.h"
#include "loader/object/mapdef.h"

#define LOG_FIELDS_MAX 64	  /* of each layout that is shown */
#define ALL_FIELDS_MAX (1u << 18) /* of all maps together */

/* How much a change matters; the worst counts. */
enum level {
	SAME,
	UNCLEAR, /* as far as it can be seen, the same */
	EXTENDED,
	UNDECIDED,
	INCOMPATIBLE,
};

static const struct {
	const char *word;
	enum bl_verdict verdict;
} levels[] = {
	[SAME] = { "same", BL_VERDICT_PASS },
	[UNCLEAR] = { "same form", BL_VERDICT_WARN },
	[EXTENDED] = { "extended", BL_VERDICT_WARN },
	[UNDECIDED] = { "cannot be compared", BL_VERDICT_UNDECIDED },
	[INCOMPATIBLE] = { "incompatible", BL_VERDICT_REJECT },
};

/* One map and the comparison of it. */
struct pair {
	const struct bl_map_list *lists[2]; /* before, now */
	const struct bl_map_def *defs[2];
	enum level level;
	struct bl_buf why; /* "; " between reasons */
	struct bl_buf log; /* layouts, when they do not fit together */
	bool moved;	   /* the size of its values changed */
	bool is_inner;
	size_t *fields; /* looked at so far, of all maps */
};

enum { BEFORE, NOW };

static void pair_free(struct pair *p)
{
	bl_buf_free(&p->why);
	bl_buf_free(&p->log);
}

static int note(struct pair *p, enum level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int note(struct pair *p, enum level level, const char *fmt, ...)
{
	char text[BL_LAYOUT_TEXT_MAX + 256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (level > p->level)
		p->level = level;
	return bl_buf_printf(&p->why, "%s%s%s", p->why.len ? "; " : "",
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
	int r = bl_buf_printf(&p->log, "%s %s: %u bytes\n", what, when,
			      l->size);

	return r < 0 ? r : bl_layout_print(l, LOG_FIELDS_MAX, &p->log);
}

/* The first change of a sort, and how many there are besides. */
static int note_first(struct pair *p, enum level level, const char *what,
		      const char *first, unsigned count)
{
	int r = count ? note(p, level, "%s: %s", what, first) : 0;

	if (r < 0 || count < 2)
		return r;
	return bl_buf_printf(&p->why, ", and %u more", count - 1);
}

static int judge_diff(struct pair *p, const char *what, bool is_key,
		      const struct bl_layout *before,
		      const struct bl_layout *now,
		      const struct bl_layout_diff *d)
{
	/* All bytes of a key count, those between its members too. */
	enum level level = is_key ? INCOMPATIBLE : EXTENDED;
	bool resized = now->size != before->size;
	bool bad = d->broken || (is_key && (d->added || resized));
	int r;

	r = note_first(p, INCOMPATIBLE, what, d->first_broken, d->broken);
	if (r == 0 && (is_key || !d->broken))
		r = note_first(p, level, what, d->first_added, d->added);
	if (r == 0)
		r = note_first(p, EXTENDED, what, d->first_renamed, d->renamed);
	if (r == 0 && resized) {
		p->moved = true;
		r = note(p, level, "%s: %u bytes, %u now",
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
		return note(p, UNDECIDED,
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
		return note(p, UNDECIDED, "%s: %s", what,
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
		return note(p, INCOMPATIBLE, "%s: %u bytes, %u now", side,
			    sizes[BEFORE], sizes[NOW]);
	if (!ids[BEFORE] == !ids[NOW])
		return 0;
	return note(p, UNCLEAR,
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
			p, INCOMPATIBLE,
			"flags 0x%x (extra %llu), 0x%x (extra %llu) now: no loader takes over a pinned map whose flags differ",
			before, (unsigned long long)p->defs[BEFORE]->extra, now,
			(unsigned long long)p->defs[NOW]->extra);
	for (i = 0; r == 0 && i < BL_ARRAY_SIZE(noticed); i++) {
		if (!(changed & noticed[i].flag))
			continue;
		if (now & noticed[i].flag ? noticed[i].comes : noticed[i].goes)
			r = note(p, INCOMPATIBLE, "%s", noticed[i].what);
	}
	return r < 0 ? r
		     : note(p, EXTENDED, "flags 0x%x, 0x%x now", before, now);
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
		return note(p, EXTENDED, "%u entries, %u now", a->max_entries,
			    b->max_entries);
	if (!a->pinned)
		return note(p, b->max_entries < a->max_entries ? UNCLEAR : SAME,
			    "%u entries, %u now", a->max_entries,
			    b->max_entries);
	return note(p,
		    b->max_entries < a->max_entries ? INCOMPATIBLE : EXTENDED,
		    "%u entries, %u now", a->max_entries, b->max_entries);
}

static int compare_pinning(struct pair *p)
{
	if (p->defs[BEFORE]->pinned == p->defs[NOW]->pinned)
		return 0;
	if (p->defs[BEFORE]->pinned)
		return note(
			p, INCOMPATIBLE,
			"it was pinned and is not any more: what it holds is lost, and nobody finds it");
	return note(p, SAME, "it is pinned now");
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
		return note(p, INCOMPATIBLE, "it was of type %s, and is %s now",
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
		return note(p, UNCLEAR,
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

/* --- findings ------------------------------------------------------------- */

static const char *hint_of(const struct pair *p)
{
	bool pinned = p->defs[BEFORE]->pinned;

	switch (p->level) {
	case INCOMPATIBLE:
		return pinned ? "give the new form another name, and let its loader carry the entries over; or keep the old form, with new members at the end"
			      : "readers of the old form would read nonsense: keep the old form, with new members at the end, or give the new one another name";
	case EXTENDED:
		if (p->moved)
			return pinned ? "needs migration: the kernel cannot take the pinned map over as it is; the loader makes a new one, copies each entry, and sets what is new to 0"
				      : "a lookup writes as many bytes as a value has now: update the readers first";
		return pinned ? "a pinned map is taken over as it is only where sizes, flags and entries are equal: otherwise the loader makes a new one and copies the entries; members in padding begin with what the padding held"
			      : "readers of the old form still find what they know";
	default:
		return NULL;
	}
}

static int say(struct bl_report *report, enum bl_verdict verdict,
	       const char *hint, const char *log, const char *message)
{
	struct bl_finding f = {
		.verdict = verdict,
		.check = (char *)"abi",
		.message = (char *)message,
		.hint = (char *)hint,
		.log = (char *)log,
	};

	return bl_report_add(report, &f);
}

static int report_pair(const struct pair *p, struct bl_report *report)
{
	bl_autobuf struct bl_buf message = { 0 };
	int r = bl_buf_printf(&message, "map %.100s: %s%s%s",
			      p->defs[BEFORE]->name, levels[p->level].word,
			      p->why.len ? ": " : "", bl_buf_str(&p->why));

	if (r < 0)
		return r;
	return say(report, levels[p->level].verdict, hint_of(p),
		   bl_buf_str(&p->log), message.data);
}

static int check_pair(const struct bl_map_list *before,
		      const struct bl_map_list *now, const struct bl_map_def *a,
		      const struct bl_map_def *b, size_t *fields,
		      struct bl_report *report)
{
	BL_CLEANUP(pair_free)
	struct pair p = { .lists = { before, now },
			  .defs = { a, b },
			  .fields = fields };
	int r = compare_form(&p);

	if (r == 0 && a->type == b->type)
		r = compare_inner(&p);
	if (r == 0)
		r = compare_pinning(&p);
	return r < 0 ? r : report_pair(&p, report);
}

static int check_gone(const struct bl_map_def *d, struct bl_report *report)
{
	char message[256];

	snprintf(
		message, sizeof(message), "map %.100s: gone%s", d->name,
		d->pinned
			? ", and it was pinned: what it holds stays behind and nothing uses it"
			: "");
	return say(
		report, d->pinned ? BL_VERDICT_REJECT : BL_VERDICT_WARN,
		d->pinned
			? "keep it, or take its entries over and remove its pin in the loader; if it was renamed, keep the name"
			: "who reads it by its name finds nothing",
		NULL, message);
}

/* Whether a map has an interface; see the header. */
static bool has_interface(const struct bl_map_def *d)
{
	return !d->implicit && d->type != BPF_MAP_TYPE_STRUCT_OPS;
}

static const struct bl_map_def *partner(const struct bl_map_list *l,
					const struct bl_map_def *d)
{
	const struct bl_map_def *other = bl_map_list_find(l, d->name);

	return other && has_interface(other) ? other : NULL;
}

static int check_lists(const struct bl_map_list *before,
		       const struct bl_map_list *now, struct bl_report *report)
{
	size_t i, seen = 0, fields = 0;
	int r = 0;

	for (i = 0; r == 0 && i < before->count; i++) {
		const struct bl_map_def *a = &before->defs[i];
		const struct bl_map_def *b = partner(now, a);

		if (!has_interface(a))
			continue;
		seen++;
		r = b ? check_pair(before, now, a, b, &fields, report)
		      : check_gone(a, report);
	}
	for (i = 0; r == 0 && i < now->count; i++) {
		const struct bl_map_def *b = &now->defs[i];

		if (!has_interface(b) || partner(before, b))
			continue;
		seen++;
		r = bl_report_note(report, BL_VERDICT_PASS, "abi", NULL,
				   "map %.100s: new", b->name);
	}
	if (r < 0 || seen)
		return r;
	return bl_report_note(
		report, BL_VERDICT_PASS, "abi", NULL,
		"neither version has a map that others could use");
}

static int read_maps(const struct bl_object *o, const char *which,
		     struct bl_map_list *ret, struct bl_report *report,
		     bool *ret_read)
{
	struct bl_err err = { 0 };
	int r = bl_map_list_read(o, ret, &err);

	*ret_read = r == 0;
	if (r == 0 || r == -ENOMEM)
		return r;
	return bl_report_note(report, BL_VERDICT_UNDECIDED, "abi", NULL,
			      "the maps of the %s cannot be read: %s", which,
			      err.text);
}

int bl_abi_check(const struct bl_object *now, const struct bl_object *previous,
		 struct bl_report *report)
{
	bl_automaps struct bl_map_list before = { 0 };
	bl_automaps struct bl_map_list list = { 0 };
	bool read_before = false, read_now = false;
	int r;

	r = read_maps(previous, "previous version", &before, report,
		      &read_before);
	if (r == 0)
		r = read_maps(now, "new version", &list, report, &read_now);
	if (r < 0 || !read_before || !read_now)
		return r;
	return check_lists(&before, &list, report);
}
