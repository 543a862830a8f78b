/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/maps/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

static int say(struct bl_report *report, enum bl_verdict verdict,
	       const char *hint, const char *message)
{
	struct bl_finding f = {
		.verdict = verdict,
		.check = (char *)"state",
		.message = (char *)message,
		.hint = (char *)hint,
	};

	return bl_report_add(report, &f);
}

static const struct bl_carry_map *find(const struct bl_carry *c,
				       const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->maps[i].name, name) == 0)
			return &c->maps[i];
	return NULL;
}

static int say_forth(const struct bl_carry_map *m, bool other_sensor,
		     struct bl_report *report)
{
	bl_autobuf struct bl_buf text = { 0 };
	enum bl_verdict verdict = BL_VERDICT_PASS;
	int r = bl_buf_printf(&text, "map %.64s: %s%s%s", m->name,
			      bl_carry_way_name(m->way), *m->why ? ": " : "",
			      m->why);

	if (m->way == BL_CARRY_REFUSE)
		verdict = BL_VERDICT_REJECT;
	else if (other_sensor)
		verdict = BL_VERDICT_WARN;
	return r < 0 ? r : say(report, verdict, m->hint, text.data);
}

/* What is carried over now, and would not be on the way back. */
static int say_back(const struct bl_carry_map *m, const struct bl_carry *back,
		    struct bl_report *report)
{
	const struct bl_carry_map *b = find(back, m->name);
	bl_autobuf struct bl_buf text = { 0 };
	int r;

	if (m->way == BL_CARRY_REFUSE || m->way == BL_CARRY_FRESH || !b ||
	    b->way != BL_CARRY_FRESH)
		return 0;
	r = bl_buf_printf(
		&text,
		"map %.64s: a rollback to the previous version would begin with it empty: %s",
		m->name, b->why);
	return r < 0 ? r : say(report, BL_VERDICT_WARN, NULL, text.data);
}

static int say_gone(const struct bl_map_list *before,
		    const struct bl_map_list *now, struct bl_report *report)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < before->count; i++) {
		const struct bl_map_def *d = &before->defs[i];

		if (bl_carry_is_state(d) && !bl_map_list_find(now, d->name))
			r = bl_report_note(
				report, BL_VERDICT_WARN, "state", NULL,
				"map %.64s: gone, and what it holds goes with the previous version",
				d->name);
	}
	return r;
}

static int check_lists(const struct bl_map_list *maps,
		       const struct bl_map_list *before,
		       const struct bl_carry_rules *words, bool same,
		       bool other_sensor, struct bl_report *report)
{
	BL_CLEANUP(bl_carry_free) struct bl_carry forth = { 0 };
	BL_CLEANUP(bl_carry_free) struct bl_carry back = { 0 };
	const struct bl_carry_ask asks[] = {
		{ .live = before,
		  .now = maps,
		  .rules = words,
		  .same_object = same,
		  .other_sensor = other_sensor },
		{ .live = maps,
		  .now = before,
		  .rules = words,
		  .same_object = same,
		  .other_sensor = other_sensor,
		  .back = true },
	};
	size_t had = report->count;
	int r = bl_carry_decide(&asks[0], &forth, NULL);

	if (r == 0)
		r = bl_carry_decide(&asks[1], &back, NULL);
	for (size_t i = 0; r == 0 && i < forth.count; i++) {
		r = say_forth(&forth.maps[i], other_sensor, report);
		if (r == 0)
			r = say_back(&forth.maps[i], &back, report);
	}
	if (r == 0)
		r = say_gone(before, maps, report);
	if (r < 0 || report->count > had)
		return r;
	return say(report, BL_VERDICT_PASS, NULL,
		   "the previous version has no state to carry over");
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
	return bl_report_note(report, BL_VERDICT_UNDECIDED, "state", NULL,
			      "the maps of the %s cannot be read: %s", which,
			      err.text);
}

static bool are_same(const struct bl_object *a, const struct bl_object *b)
{
	return a->copy && b->copy && a->len == b->len &&
	       memcmp(a->copy, b->copy, a->len) == 0;
}

int bl_state_check(const struct bl_object *now,
		   const struct bl_object *previous,
		   const struct bl_carry_rules *words, bool other_sensor,
		   struct bl_report *report)
{
	bl_automaps struct bl_map_list before = { 0 };
	bl_automaps struct bl_map_list maps = { 0 };
	bool read_before = false, read_now = false;
	int r = read_maps(previous, "previous version", &before, report,
			  &read_before);

	if (r == 0)
		r = read_maps(now, "new version", &maps, report, &read_now);
	if (r < 0 || !read_before || !read_now)
		return r;
	return check_lists(&maps, &before, words, are_same(now, previous),
			   other_sensor, report);
}
