/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/bundle/archive.h"
#include "loader/bundle/content.h"

#define PROBATION_MAX_MS (24 * 60 * 60 * INT64_C(1000))
#define COUNT_MAX	 1000000000
#define MEMORY_MAX	 (INT64_C(1) << 40)

struct top {
	const char *name, *version, *object, *content;
	json_t *modules, *trial, *exercise, *state, *programs;
};

static const struct bl_json_field top_fields[] = {
	{ "name", BL_JSON_STRING, true, offsetof(struct top, name), 1,
	  BL_NAME_MAX },
	{ "version", BL_JSON_STRING, true, offsetof(struct top, version), 1,
	  BL_NAME_MAX },
	{ "object", BL_JSON_STRING, false, offsetof(struct top, object), 1,
	  BL_MEMBER_NAME_MAX },
	{ "modules", BL_JSON_ARRAY, false, offsetof(struct top, modules), 1,
	  BL_MODULES_MAX },
	{ "content", BL_JSON_STRING, false, offsetof(struct top, content), 1,
	  BL_MEMBER_NAME_MAX },
	{ "trial", BL_JSON_OBJECT, false, offsetof(struct top, trial), 0, 0 },
	{ "exercise", BL_JSON_OBJECT, false, offsetof(struct top, exercise), 0,
	  0 },
	{ "state", BL_JSON_OBJECT, false, offsetof(struct top, state), 0, 0 },
	{ "programs", BL_JSON_OBJECT, false, offsetof(struct top, programs), 0,
	  0 },
};

struct trial {
	int64_t probation_ms, max_ns_per_event, min_events, max_memory_bytes;
	double max_drop_ratio, max_cpu_ratio;
};

static const struct bl_json_field trial_fields[] = {
	{ "probation_ms", BL_JSON_INT, false,
	  offsetof(struct trial, probation_ms), 0, PROBATION_MAX_MS },
	{ "max_drop_ratio", BL_JSON_REAL, false,
	  offsetof(struct trial, max_drop_ratio), 0, 1 },
	{ "max_ns_per_event", BL_JSON_INT, false,
	  offsetof(struct trial, max_ns_per_event), 1, COUNT_MAX },
	{ "min_events", BL_JSON_INT, false, offsetof(struct trial, min_events),
	  0, COUNT_MAX },
	{ "max_memory_bytes", BL_JSON_INT, false,
	  offsetof(struct trial, max_memory_bytes), 1, MEMORY_MAX },
	{ "max_cpu_ratio", BL_JSON_REAL, false,
	  offsetof(struct trial, max_cpu_ratio), 0, 1 },
};

struct exercise {
	json_t *expect;
	int64_t max_ns_per_event, max_memory_bytes;
	double max_drop_ratio;
};

static const struct bl_json_field exercise_fields[] = {
	{ "expect", BL_JSON_ARRAY, false, offsetof(struct exercise, expect), 0,
	  BL_EVENT_KINDS },
	{ "max_drop_ratio", BL_JSON_REAL, false,
	  offsetof(struct exercise, max_drop_ratio), 0, 1 },
	{ "max_ns_per_event", BL_JSON_INT, false,
	  offsetof(struct exercise, max_ns_per_event), 1, COUNT_MAX },
	{ "max_memory_bytes", BL_JSON_INT, false,
	  offsetof(struct exercise, max_memory_bytes), 1, MEMORY_MAX },
};

static int check_name(const struct bl_json_doc *doc, const char *field,
		      const char *value, struct bl_err *err)
{
	if (bl_name_valid(value))
		return 0;
	return bl_json_fail(
		doc, field, err,
		"'%s' is not a plain name (letters, digits and . _ + -, beginning with none of . -)",
		value);
}

static int check_file(const struct bl_json_doc *doc, const char *field,
		      const char *value, struct bl_err *err)
{
	int r = check_name(doc, field, value, err);

	if (r < 0)
		return r;
	if (strcmp(value, BL_MEMBER_MANIFEST) != 0 &&
	    strcmp(value, BL_MEMBER_DIGESTS) != 0 &&
	    strcmp(value, BL_MEMBER_CONTENT_BIN) != 0)
		return 0;
	return bl_json_fail(doc, field, err,
			    "the name '%s' is taken by the bundle itself",
			    value);
}

/* A sensor is an object or a module, and only an object has maps and programs
 * that could be spoken of. */
static int check_kind(const struct bl_json_doc *doc, const struct top *t,
		      struct bl_err *err)
{
	if (!t->object && !t->modules)
		return bl_json_fail(
			doc, "", err,
			"required key 'object' is missing (or 'modules', for a kernel module)");
	if (!t->modules)
		return 0;
	if (t->object)
		return bl_json_fail(
			doc, "modules", err,
			"a bundle has an object or modules, not both");
	if (t->state)
		return bl_json_fail(
			doc, "state", err,
			"a kernel module has no maps that could be kept");
	if (t->programs)
		return bl_json_fail(
			doc, "programs", err,
			"a kernel module has no programs to speak of");
	return 0;
}

static int read_modules(const struct bl_json_doc *doc, const json_t *list,
			struct bl_manifest_modules *ret, struct bl_err *err)
{
	struct bl_manifest_modules m = { 0 };
	char at[32];

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		int r;

		snprintf(at, sizeof(at), "modules[%zu]", i);
		if (!name || strlen(name) > BL_MEMBER_NAME_MAX)
			return bl_json_fail(
				doc, at, err,
				"no name of a file of at most %d bytes",
				BL_MEMBER_NAME_MAX);
		r = check_file(doc, at, name, err);
		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(m.file[k], name))
				return bl_json_fail(doc, at, err,
						    "'%s' is named twice",
						    name);
		snprintf(m.file[i], sizeof(m.file[i]), "%s", name);
		m.count++;
	}
	*ret = m;
	return 0;
}

/* The names of the files inside the bundle must not meet. */
static int check_files(const struct bl_json_doc *doc, const struct top *t,
		       const struct bl_manifest_modules *modules,
		       struct bl_err *err)
{
	int r = t->object ? check_file(doc, "object", t->object, err) : 0;

	if (r || !t->content)
		return r;
	r = check_file(doc, "content", t->content, err);
	if (r)
		return r;
	if (t->object && !strcmp(t->content, t->object))
		return bl_json_fail(doc, "content", err,
				    "object and content have the same name");
	for (size_t i = 0; i < modules->count; i++)
		if (!strcmp(t->content, modules->file[i]))
			return bl_json_fail(
				doc, "content", err,
				"a module and the content have the same name");
	return 0;
}

static int read_trial(const struct bl_json_doc *doc, const json_t *obj,
		      struct bl_trial_limits *ret, struct bl_err *err)
{
	struct trial t = { .probation_ms = BL_TRIAL_PROBATION_MS,
			   .max_drop_ratio = BL_TRIAL_MAX_DROP_RATIO,
			   .max_ns_per_event = BL_TRIAL_MAX_NS_PER_EVENT,
			   .min_events = BL_TRIAL_MIN_EVENTS,
			   .max_memory_bytes = BL_TRIAL_MAX_MEMORY_BYTES,
			   .max_cpu_ratio = BL_TRIAL_MAX_CPU_RATIO };
	int r = 0;

	if (obj)
		r = bl_json_read(doc, obj, "trial", trial_fields,
				 BL_ARRAY_SIZE(trial_fields), &t, err);
	if (r < 0)
		return r;
	ret->probation_ms = (uint64_t)t.probation_ms;
	ret->max_drop_ratio = t.max_drop_ratio;
	ret->max_ns_per_event = (uint64_t)t.max_ns_per_event;
	ret->min_events = (uint64_t)t.min_events;
	ret->max_memory_bytes = (uint64_t)t.max_memory_bytes;
	ret->max_cpu_ratio = t.max_cpu_ratio;
	return 0;
}

/* The bit of the kind that the @i-th element of expect names. */
static int read_kind(const struct bl_json_doc *doc, const json_t *list,
		     size_t i, unsigned *ret, struct bl_err *err)
{
	const char *name = json_string_value(json_array_get(list, i));
	char at[64];

	for (unsigned kind = 0; name && kind < BL_EVENT_KINDS; kind++)
		if (strcmp(name, bl_event_kind_name(kind)) == 0) {
			*ret = BL_EXPECT(kind);
			return 0;
		}
	snprintf(at, sizeof(at), "exercise.expect[%zu]", i);
	return bl_json_fail(doc, at, err,
			    "no kind of event (known: exec, open, connect, dns)");
}

static int read_expect(const struct bl_json_doc *doc, const json_t *list,
		       struct bl_exercise_limits *ret, struct bl_err *err)
{
	unsigned bit = 0, bits = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		int r = read_kind(doc, list, i, &bit, err);

		if (r < 0)
			return r;
		bits |= bit;
	}
	ret->expect = bits;
	ret->expect_given = true;
	return 0;
}

struct bl_exercise_limits bl_exercise_defaults(void)
{
	return (struct bl_exercise_limits){
		.max_drop_ratio = BL_EXERCISE_MAX_DROP_RATIO,
		.max_ns_per_event = BL_EXERCISE_MAX_NS_PER_EVENT,
		.max_memory_bytes = BL_EXERCISE_MAX_MEMORY_BYTES,
	};
}

static int read_exercise(const struct bl_json_doc *doc, const json_t *obj,
			 struct bl_exercise_limits *ret, struct bl_err *err)
{
	struct bl_exercise_limits limits = bl_exercise_defaults();
	struct exercise e = {
		.max_drop_ratio = limits.max_drop_ratio,
		.max_ns_per_event = (int64_t)limits.max_ns_per_event,
		.max_memory_bytes = (int64_t)limits.max_memory_bytes,
	};
	int r = 0;

	if (obj)
		r = bl_json_read(doc, obj, "exercise", exercise_fields,
				 BL_ARRAY_SIZE(exercise_fields), &e, err);
	if (!r && e.expect)
		r = read_expect(doc, e.expect, &limits, err);
	if (r < 0)
		return r;
	limits.max_drop_ratio = e.max_drop_ratio;
	limits.max_ns_per_event = (uint64_t)e.max_ns_per_event;
	limits.max_memory_bytes = (uint64_t)e.max_memory_bytes;
	*ret = limits;
	return 0;
}

static int read_rule(const struct bl_json_doc *doc, const char *map,
		     const json_t *value, struct bl_carry_rules *rules,
		     struct bl_err *err)
{
	struct bl_carry_rule *rule = &rules->rules[rules->count];
	const char *word = json_string_value(value);
	char at[BL_CARRY_NAME_MAX + 16];

	if (!bl_carry_name_valid(map))
		return bl_json_fail(
			doc, "state", err,
			"'%.80s' is no name of a map (at most %d letters, digits, _ and dots)",
			map, BL_CARRY_NAME_MAX);
	snprintf(at, sizeof(at), "state.%s", map);
	if (rules->count == BL_CARRY_RULES_MAX)
		return bl_json_fail(doc, at, err,
				    "more than the limit of %d maps",
				    BL_CARRY_RULES_MAX);
	if (!word || bl_carry_word_find(word, &rule->word))
		return bl_json_fail(
			doc, at, err,
			"not a word for a map (known: keep, reset, migrate)");
	snprintf(rule->map, sizeof(rule->map), "%s", map);
	rules->count++;
	return 0;
}

static int read_state(const struct bl_json_doc *doc, json_t *obj,
		      struct bl_carry_rules *ret, struct bl_err *err)
{
	struct bl_carry_rules rules = { 0 };
	const char *map;
	json_t *value;

	json_object_foreach (obj, map, value) {
		int r = read_rule(doc, map, value, &rules, err);

		if (r < 0)
			return r;
	}
	*ret = rules;
	return 0;
}

int bl_manifest_parse(const char *name, const char *text, size_t len,
		      struct bl_manifest *ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_manifest m = { 0 };
	struct top t = { 0 };
	int r;

	if (len > BL_MANIFEST_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s is larger than the limit of %u bytes",
				  name, BL_MANIFEST_MAX);
	r = bl_json_parse(name, text, len, &doc, err);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", top_fields,
				 BL_ARRAY_SIZE(top_fields), &t, err);
	if (!r)
		r = check_name(&doc, "name", t.name, err);
	if (!r)
		r = check_name(&doc, "version", t.version, err);
	if (!r)
		r = check_kind(&doc, &t, err);
	if (!r)
		r = read_modules(&doc, t.modules, &m.modules, err);
	if (!r)
		r = check_files(&doc, &t, &m.modules, err);
	if (!r)
		r = read_trial(&doc, t.trial, &m.trial, err);
	if (!r)
		r = read_exercise(&doc, t.exercise, &m.exercise, err);
	if (!r)
		r = read_state(&doc, t.state, &m.state, err);
	if (!r)
		r = bl_programs_read(&doc, t.programs, &m.programs, err);
	if (r < 0)
		return r;
	snprintf(m.name, sizeof(m.name), "%s", t.name);
	snprintf(m.version, sizeof(m.version), "%s", t.version);
	snprintf(m.object, sizeof(m.object), "%s", t.object ? t.object : "");
	snprintf(m.content, sizeof(m.content), "%s",
		 t.content ? t.content : "");
	*ret = m;
	return 0;
}
