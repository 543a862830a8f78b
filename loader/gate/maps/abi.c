/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/maps/abi.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/object/mapdef.h"
#include "loader/object/mapdiff.h"

static const enum bl_verdict verdicts[] = {
	[BL_ALIKE_SAME] = BL_VERDICT_PASS,
	[BL_ALIKE_UNCLEAR] = BL_VERDICT_WARN,
	[BL_ALIKE_EXTENDED] = BL_VERDICT_WARN,
	[BL_ALIKE_UNDECIDED] = BL_VERDICT_UNDECIDED,
	[BL_ALIKE_INCOMPATIBLE] = BL_VERDICT_REJECT,
};

static const char *hint_of(const struct bl_map_diff *d, bool pinned)
{
	switch (d->alike) {
	case BL_ALIKE_INCOMPATIBLE:
		return pinned ? "give the new form another name, and let its loader carry the entries over; or keep the old form, with new members at the end"
			      : "readers of the old form would read nonsense: keep the old form, with new members at the end, or give the new one another name";
	case BL_ALIKE_EXTENDED:
		if (d->resized)
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

static int check_pair(const struct bl_map_list *before,
		      const struct bl_map_list *now, const struct bl_map_def *a,
		      const struct bl_map_def *b,
		      const struct bl_carry_rules *words, size_t *fields,
		      struct bl_report *report)
{
	BL_CLEANUP(bl_map_diff_free) struct bl_map_diff d = { 0 };
	bl_autobuf struct bl_buf message = { 0 };
	enum bl_verdict verdict;
	int r = bl_map_compare(before, a, now, b, fields, &d);

	if (r == 0)
		r = bl_buf_printf(&message, "map %.100s: %s%s%s", a->name,
				  bl_alike_name(d.alike), d.why.len ? ": " : "",
				  bl_buf_str(&d.why));
	if (r < 0)
		return r;
	verdict = verdicts[d.alike];
	if (verdict > BL_VERDICT_WARN &&
	    bl_carry_word_of(words, b->name) != BL_CARRY_UNSAID)
		verdict = BL_VERDICT_WARN;
	return say(report, verdict, hint_of(&d, a->pinned), bl_buf_str(&d.log),
		   message.data);
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
		       const struct bl_map_list *now,
		       const struct bl_carry_rules *words,
		       struct bl_report *report)
{
	size_t i, seen = 0, fields = 0;
	int r = 0;

	for (i = 0; r == 0 && i < before->count; i++) {
		const struct bl_map_def *a = &before->defs[i];
		const struct bl_map_def *b = partner(now, a);

		if (!has_interface(a))
			continue;
		seen++;
		r = b ? check_pair(before, now, a, b, words, &fields, report)
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
		 const struct bl_carry_rules *words, struct bl_report *report)
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
	return check_lists(&before, &list, words, report);
}
