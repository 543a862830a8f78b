/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/base/text.h"

void bl_answer_free(struct bl_answer *a)
{
	bl_facts_free(&a->facts);
	free(a->error);
	*a = (struct bl_answer){ 0 };
}

/* --- one table for both directions ----------------------------------------- */

enum type {
	COUNT,	/* uint64_t */
	SMALL,	/* unsigned */
	SIGNED, /* int64_t */
	CODE,	/* int: an errno, negative */
	FLAG,	/* bool */
	TEXT,	/* char * */
	LOAD,	/* the enums of facts.h */
	ATTACH,
	SWAP,
};

struct field {
	const char *key;
	enum type type;
	size_t offset;
};

static const char *const load_names[] = { "undecided", "accepted", "rejected",
					  "missing",   "refused",  NULL };
static const char *const attach_names[] = { "untried", "attached", "elsewhere",
					    "missing", "failed",   NULL };
static const char *const swap_names[] = { "unknown", "replace", "overlap",
					  "none", NULL };

static const char *const *names_of(enum type type)
{
	if (type == LOAD)
		return load_names;
	return type == ATTACH ? attach_names : swap_names;
}

#define AT(type, member) offsetof(struct type, member)

static const struct field load_program[] = {
	{ "name", TEXT, AT(bl_facts_program, name) },
	{ "section", TEXT, AT(bl_facts_program, section) },
	{ "optional", FLAG, AT(bl_facts_program, optional) },
	{ "load", LOAD, AT(bl_facts_program, load) },
	{ "insns", COUNT, AT(bl_facts_program, effort.insns) },
	{ "states", COUNT, AT(bl_facts_program, effort.states) },
	{ "peak_states", COUNT, AT(bl_facts_program, effort.peak_states) },
	{ "verify_us", COUNT, AT(bl_facts_program, effort.time_us) },
	{ "stack_bytes", COUNT, AT(bl_facts_program, effort.stack_bytes) },
	{ "insn", SIGNED, AT(bl_facts_program, insn) },
	{ "code", CODE, AT(bl_facts_program, code) },
	{ "why", TEXT, AT(bl_facts_program, why) },
	{ "log", TEXT, AT(bl_facts_program, log) },
	{ 0 },
};

static const struct field attach_program[] = {
	{ "attach", ATTACH, AT(bl_facts_program, attach) },
	{ "why", TEXT, AT(bl_facts_program, attach_why) },
	{ "swap", SWAP, AT(bl_facts_program, swap) },
	{ 0 },
};

static const struct field exercise_program[] = {
	{ "runs", COUNT, AT(bl_facts_program, runs) },
	{ "run_ns", COUNT, AT(bl_facts_program, run_ns) },
	{ "missed", COUNT, AT(bl_facts_program, missed) },
	{ 0 },
};

static const struct field map_fields[] = {
	{ "name", TEXT, AT(bl_facts_map, name) },
	{ "bytes", COUNT, AT(bl_facts_map, bytes) },
	{ 0 },
};

static const struct field load_fields[] = {
	{ 0 },
};

#define EX(key, type, member)                                                  \
	{                                                                      \
		key, type,                                                     \
			AT(bl_facts, exercise) + AT(bl_facts_exercise, member) \
	}

static const struct field exercise_fields[] = {
	EX("ran", FLAG, ran),
	EX("why_not", TEXT, why_not),
	EX("sensor", FLAG, sensor),
	EX("reports", SMALL, reports),
	EX("visible", SMALL, visible),
	EX("wall_ms", COUNT, wall_ms),
	EX("done_exec", COUNT, done[BL_EVENT_EXEC]),
	EX("done_open", COUNT, done[BL_EVENT_OPEN]),
	EX("done_connect", COUNT, done[BL_EVENT_CONNECT]),
	EX("shown_exec", COUNT, shown[BL_EVENT_EXEC]),
	EX("shown_open", COUNT, shown[BL_EVENT_OPEN]),
	EX("shown_connect", COUNT, shown[BL_EVENT_CONNECT]),
	EX("done_dns", COUNT, done[BL_EVENT_DNS]),
	EX("shown_dns", COUNT, shown[BL_EVENT_DNS]),
	EX("forks", COUNT, forks),
	EX("events_exec", COUNT, events[BL_EVENT_EXEC]),
	EX("events_open", COUNT, events[BL_EVENT_OPEN]),
	EX("events_connect", COUNT, events[BL_EVENT_CONNECT]),
	EX("events_dns", COUNT, events[BL_EVENT_DNS]),
	EX("seen", COUNT, seen),
	EX("emitted", COUNT, emitted),
	EX("dropped", COUNT, dropped),
	EX("torn", COUNT, torn),
	EX("denied", COUNT, denied),
	EX("ns_per_run", COUNT, ns_per_run),
	EX("prog_bytes", COUNT, prog_bytes),
	EX("map_bytes", COUNT, map_bytes),
	EX("splats", SMALL, splats),
	EX("first_splat", TEXT, first_splat),
	EX("broken", TEXT, broken),
	EX("grown_bytes", COUNT, grown_bytes),
	EX("unseen", TEXT, unseen),
	{ 0 },
};

#define SW(key, type, member)                                             \
	{                                                                 \
		key, type, AT(bl_facts, swap) + AT(bl_facts_swap, member) \
	}

static const struct field swap_fields[] = {
	SW("ran", FLAG, ran),
	SW("why_not", TEXT, why_not),
	SW("switches", SMALL, switches),
	SW("sent", COUNT, sent),
	SW("lost", COUNT, lost),
	SW("doubled", COUNT, doubled),
	SW("worst_ms", COUNT, worst_ms),
	SW("splats", SMALL, splats),
	SW("first_splat", TEXT, first_splat),
	SW("left_behind", TEXT, left_behind),
	SW("unseen", TEXT, unseen),
	{ 0 },
};

/* What each step says: of the object, of its programs, of its maps. */
static const struct {
	const struct field *top, *program, *map;
} step_fields[BL_PROBE_STEPS] = {
	[BL_PROBE_LOAD] = { load_fields, load_program, map_fields },
	[BL_PROBE_ATTACH] = { load_fields, attach_program, NULL },
	[BL_PROBE_EXERCISE] = { exercise_fields, exercise_program, NULL },
	[BL_PROBE_SWAP] = { swap_fields, NULL, NULL },
};

/* --- writing ---------------------------------------------------------------- */

/* A verifier's log may quote any bytes of the object. */
static json_t *text_json(const char *text)
{
	bl_autofree char *safe = bl_text_clean(text);

	return safe ? json_string(safe) : NULL;
}

static json_t *value_of(const struct field *f, const void *base)
{
	const void *at = (const char *)base + f->offset;

	switch (f->type) {
	case COUNT:
	case SIGNED:
		return json_integer(*(const int64_t *)at);
	case SMALL:
		return json_integer(*(const unsigned *)at);
	case CODE:
		return json_integer(*(const int *)at);
	case FLAG:
		return json_boolean(*(const bool *)at);
	case TEXT:
		return text_json(*(char *const *)at);
	default:
		return json_string(names_of(f->type)[*(const unsigned *)at]);
	}
}

static int put_fields(json_t *o, const struct field *f, const void *base)
{
	for (; f->key; f++)
		if (json_object_set_new(o, f->key, value_of(f, base)) < 0)
			return -ENOMEM;
	return 0;
}

static int put_list(json_t *o, const char *key, const struct field *f,
		    const void *items, size_t count, size_t size)
{
	json_t *list = json_array();
	size_t i;
	int r = json_object_set_new(o, key, list);

	for (i = 0; r == 0 && i < count; i++) {
		json_t *item = json_object();

		r = json_array_append_new(list, item);
		if (r == 0)
			r = put_fields(item, f, (const char *)items + i * size);
	}
	return r < 0 ? -ENOMEM : 0;
}

static char *to_line(json_t *o)
{
	bl_autofree char *text =
		json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	char *line = NULL;

	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	return line;
}

char *bl_answer_line(enum bl_probe_step step, const struct bl_facts *facts)
{
	bl_autojson json_t *o = json_object();
	int r = json_object_set_new(o, "step",
				    json_string(bl_probe_step_name(step)));

	if (r == 0)
		r = put_fields(o, step_fields[step].top, facts);
	if (r == 0 && step_fields[step].program)
		r = put_list(o, "programs", step_fields[step].program,
			     facts->programs, facts->program_count,
			     sizeof(*facts->programs));
	if (r == 0 && step_fields[step].map)
		r = put_list(o, "maps", step_fields[step].map, facts->maps,
			     facts->map_count, sizeof(*facts->maps));
	if (r == 0 && step == BL_PROBE_LOAD)
		r = json_object_set_new(o, "notes",
					text_json(bl_buf_str(&facts->notes)));
	return r < 0 ? NULL : to_line(o);
}

char *bl_answer_error_line(const char *text)
{
	bl_autojson json_t *o = json_object();

	if (json_object_set_new(o, "error", text_json(text)) < 0)
		return NULL;
	return to_line(o);
}

/* --- reading ---------------------------------------------------------------- */

static int take_text(char **to, const json_t *v)
{
	char *copy;

	if (!json_is_string(v) ||
	    json_string_length(v) != strlen(json_string_value(v)))
		return -EBADMSG;
	copy = strdup(json_string_value(v));
	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int take_name(unsigned *to, const char *const *names, const json_t *v)
{
	unsigned i;

	for (i = 0; names[i] && json_is_string(v); i++) {
		if (strcmp(names[i], json_string_value(v)) != 0)
			continue;
		*to = i;
		return 0;
	}
	return -EBADMSG;
}

static int take_number(const struct field *f, void *at, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return -EBADMSG;
	if (f->type == SIGNED || (f->type == COUNT && n >= 0))
		*(int64_t *)at = n;
	else if (f->type == SMALL && n >= 0 && n <= UINT32_MAX)
		*(unsigned *)at = (unsigned)n;
	else if (f->type == CODE && n <= 0 && n >= -4096)
		*(int *)at = (int)n;
	else
		return -EBADMSG;
	return 0;
}

static int take(const struct field *f, void *base, const json_t *v)
{
	void *at = (char *)base + f->offset;

	switch (f->type) {
	case COUNT:
	case SIGNED:
	case SMALL:
	case CODE:
		return take_number(f, at, v);
	case FLAG:
		if (!json_is_boolean(v))
			return -EBADMSG;
		*(bool *)at = json_is_true(v);
		return 0;
	case TEXT:
		return take_text(at, v);
	default:
		return take_name(at, names_of(f->type), v);
	}
}

/* Every field must be there: both ends are one version. */
static int take_fields(const json_t *o, const struct field *f, void *base)
{
	int r = json_is_object(o) ? 0 : -EBADMSG;

	for (; r == 0 && f->key; f++)
		r = take(f, base, json_object_get(o, f->key));
	return r;
}

static int take_list(const json_t *list, const struct field *f, void *items,
		     size_t count, size_t size)
{
	size_t i;
	int r = json_array_size(list) == count ? 0 : -EBADMSG;

	for (i = 0; r == 0 && i < count; i++)
		r = take_fields(json_array_get(list, i), f,
				(char *)items + i * size);
	return r;
}

/* Room for what the load says; later steps speak of the same programs. */
static int make_room(const json_t *o, struct bl_facts *f)
{
	size_t programs = json_array_size(json_object_get(o, "programs"));
	size_t maps = json_array_size(json_object_get(o, "maps"));
	const json_t *notes = json_object_get(o, "notes");

	if (programs > BL_ANSWER_PROGRAMS_MAX || maps > BL_ANSWER_MAPS_MAX ||
	    !json_is_string(notes))
		return -EBADMSG;
	f->programs = calloc(programs + 1, sizeof(*f->programs));
	f->maps = calloc(maps + 1, sizeof(*f->maps));
	if (!f->programs || !f->maps)
		return -ENOMEM;
	f->program_count = programs;
	f->map_count = maps;
	return bl_buf_add(&f->notes, json_string_value(notes),
			  strlen(json_string_value(notes)));
}

static int take_step(const json_t *o, enum bl_probe_step step,
		     struct bl_answer *a)
{
	struct bl_facts *f = &a->facts;
	int r = 0;

	/* In their order, and each once. */
	if (a->have[step] || (step > 0 && !a->have[step - 1]))
		return -EBADMSG;
	if (step == BL_PROBE_LOAD)
		r = make_room(o, f);
	if (r == 0)
		r = take_fields(o, step_fields[step].top, f);
	if (r == 0 && step_fields[step].program)
		r = take_list(json_object_get(o, "programs"),
			      step_fields[step].program, f->programs,
			      f->program_count, sizeof(*f->programs));
	if (r == 0 && step_fields[step].map)
		r = take_list(json_object_get(o, "maps"), step_fields[step].map,
			      f->maps, f->map_count, sizeof(*f->maps));
	if (r == 0)
		a->have[step] = true;
	return r;
}

static int take_line(const char *line, size_t len, struct bl_answer *a)
{
	bl_autojson json_t *o =
		json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *step = json_object_get(o, "step");
	const json_t *error = json_object_get(o, "error");
	unsigned i;

	if (json_is_string(error))
		return take_text(&a->error, error);
	for (i = 0; json_is_string(step) && i < BL_PROBE_STEPS; i++)
		if (strcmp(json_string_value(step), bl_probe_step_name(i)) == 0)
			return take_step(o, i, a);
	return -EBADMSG;
}

int bl_answer_read(const char *text, size_t len, struct bl_answer *ret,
		   struct bl_err *err)
{
	bl_autoanswer struct bl_answer a = { 0 };
	const char *line = text, *end;
	unsigned number = 0;
	int r;

	while ((end = memchr(line, '\n', len - (size_t)(line - text)))) {
		number++;
		r = take_line(line, (size_t)(end - line), &a);
		if (r == -ENOMEM)
			return bl_err_set(err, r, "out of memory");
		if (r < 0)
			return bl_err_set(
				err, r, "line %u of it is no step: %.*s",
				number,
				end - line < 80 ? (int)(end - line) : 80, line);
		line = end + 1;
	}
	*ret = a;
	a = (struct bl_answer){ 0 };
	return 0;
}
