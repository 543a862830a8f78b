/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/catalog.h"

#define SCHEMA	      1
#define TEXT_MAX      400
#define INCIDENTS_MAX 8

/* One catalogue on its way in; @path is that of the object being read. */
struct reader {
	const struct bl_json_doc *doc;
	char path[BL_JSON_PATH_MAX];
	struct bl_err *err;
};

static int fail(struct reader *r, const char *key, const char *what)
{
	char path[BL_JSON_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s.%s", r->path, key);
	return bl_json_fail(r->doc, path, r->err, "%s", what);
}

/* The reader of what is below @key. */
static struct reader below(const struct reader *r, const char *key)
{
	struct reader b = *r;
	size_t len = strlen(b.path);

	snprintf(b.path + len, sizeof(b.path) - len, "%s%s", len ? "." : "",
		 key);
	return b;
}

static int read_object(struct reader *r, const json_t *obj,
		       const struct bl_json_field *fields, size_t count,
		       void *target)
{
	return bl_json_read(r->doc, obj, r->path, fields, count, target,
			    r->err);
}

/* --- where it ought to be stopped ----------------------------------------- */

static int read_word(struct reader *r, const char *key, const char *word,
		     enum bl_compare_stop *ret)
{
	return bl_compare_stop_find(word, ret)
		       ? 0
		       : fail(r, key, "names no line that stops a fault");
}

static int read_lines(struct reader *r, const json_t *obj,
		      struct bl_fault_lines *ret)
{
	struct raw {
		const char *gate, *past;
	} raw;
	static const struct bl_json_field fields[] = {
		{ "gate", BL_JSON_STRING, true, offsetof(struct raw, gate), 1,
		  32 },
		{ "past", BL_JSON_STRING, true, offsetof(struct raw, past), 1,
		  32 },
	};
	int e = read_object(r, obj, fields, BL_ARRAY_SIZE(fields), &raw);

	if (!e)
		e = read_word(r, "gate", raw.gate, &ret->gate);
	return e ? e : read_word(r, "past", raw.past, &ret->past);
}

struct raw_expect {
	const char *since, *a;
	json_t *b, *c, *later;
};

static int read_expect_ways(struct reader *r, const struct raw_expect *raw,
			    struct bl_fault_expect *ret)
{
	struct reader b = below(r, "B"), c = below(r, "C");
	int e = 0;

	*ret = (struct bl_fault_expect){ .since = raw->since };
	ret->said[BL_COMPARE_A] = raw->a;
	ret->said[BL_COMPARE_B] = raw->b;
	ret->said[BL_COMPARE_C] = raw->c;
	if (raw->a)
		e = read_word(r, "A", raw->a, &ret->lines[BL_COMPARE_A].past);
	if (!e && raw->b)
		e = read_lines(&b, raw->b, &ret->lines[BL_COMPARE_B]);
	if (!e && raw->c)
		e = read_lines(&c, raw->c, &ret->lines[BL_COMPARE_C]);
	return e;
}

static const struct bl_json_field expect_fields[] = {
	{ "A", BL_JSON_STRING, false, offsetof(struct raw_expect, a), 1, 32 },
	{ "B", BL_JSON_OBJECT, false, offsetof(struct raw_expect, b), 0, 0 },
	{ "C", BL_JSON_OBJECT, false, offsetof(struct raw_expect, c), 0, 0 },
	{ "later", BL_JSON_ARRAY, false, offsetof(struct raw_expect, later), 1,
	  BL_FAULT_LATER_MAX },
};

static const struct bl_json_field later_fields[] = {
	{ "since", BL_JSON_STRING, true, offsetof(struct raw_expect, since), 1,
	  32 },
	{ "A", BL_JSON_STRING, false, offsetof(struct raw_expect, a), 1, 32 },
	{ "B", BL_JSON_OBJECT, false, offsetof(struct raw_expect, b), 0, 0 },
	{ "C", BL_JSON_OBJECT, false, offsetof(struct raw_expect, c), 0, 0 },
};

static int read_later(struct reader *up, const json_t *obj, size_t i,
		      struct bl_fault *ret)
{
	char key[32];
	struct raw_expect raw = { 0 };
	struct reader r;
	int e;

	snprintf(key, sizeof(key), "later[%zu]", i);
	r = below(up, key);
	e = read_object(&r, obj, later_fields, BL_ARRAY_SIZE(later_fields),
			&raw);
	if (!e && i &&
	    bl_release_compare(raw.since, ret->later[i - 1].since) <= 0)
		e = fail(&r, "since", "is not later than the one before");
	return e ? e : read_expect_ways(&r, &raw, &ret->later[i]);
}

static int read_expect(struct reader *up, const json_t *obj,
		       struct bl_fault *ret)
{
	struct reader r = below(up, "expect");
	struct raw_expect raw = { 0 };
	int e = read_object(&r, obj, expect_fields,
			    BL_ARRAY_SIZE(expect_fields), &raw);

	if (!e)
		e = read_expect_ways(&r, &raw, &ret->expect);
	for (size_t i = 0; !e && i < json_array_size(raw.later);
	     i++, ret->later_count++)
		e = read_later(&r, json_array_get(raw.later, i), i, ret);
	return e;
}

/* --- what there is of it -------------------------------------------------- */

struct raw_twin {
	const char *none, *variant, *content, *before, *since;
	bool unload;
};

static const struct bl_json_field twin_fields[] = {
	{ "none", BL_JSON_STRING, false, offsetof(struct raw_twin, none), 1,
	  TEXT_MAX },
	{ "variant", BL_JSON_STRING, false, offsetof(struct raw_twin, variant),
	  1, 32 },
	{ "content", BL_JSON_STRING, false, offsetof(struct raw_twin, content),
	  1, 64 },
	{ "before", BL_JSON_STRING, false, offsetof(struct raw_twin, before), 1,
	  32 },
	{ "since", BL_JSON_STRING, false, offsetof(struct raw_twin, since), 1,
	  32 },
	{ "unload", BL_JSON_BOOL, false, offsetof(struct raw_twin, unload), 0,
	  0 },
};

static int read_twin(struct reader *up, const char *key, const json_t *obj,
		     struct bl_fault_twin *ret)
{
	struct reader r = below(up, key);
	struct raw_twin raw = { 0 };
	int e = read_object(&r, obj, twin_fields, BL_ARRAY_SIZE(twin_fields),
			    &raw);

	if (e)
		return e;
	if (!raw.none == !raw.variant)
		return fail(up, key, "must have one of none and variant");
	if (raw.variant && !bl_name_valid(raw.variant))
		return fail(&r, "variant", "is no name");
	if (raw.content && !bl_name_valid(raw.content))
		return fail(&r, "content", "is no file's name");
	if (raw.before && !bl_name_valid(raw.before))
		return fail(&r, "before", "is no name");
	*ret = (struct bl_fault_twin){ .none = raw.none,
				       .variant = raw.variant,
				       .content = raw.content,
				       .before = raw.before,
				       .unload = raw.unload };
	return 0;
}

static const struct {
	const char *inject, *how; /* @how: damage or replay */
	enum bl_fault_inject value;
} injects[] = {
	{ "bundle", NULL, BL_INJECT_BUNDLE },
	{ "content", NULL, BL_INJECT_CONTENT },
	{ "damage", "truncated", BL_INJECT_TRUNCATED },
	{ "damage", "flipped", BL_INJECT_FLIPPED },
	{ "replay", "older", BL_INJECT_OLDER },
	{ "replay", "tombstoned", BL_INJECT_TOMBSTONED },
	{ "power-cut", NULL, BL_INJECT_POWER_CUT },
	{ "agent-loop", NULL, BL_INJECT_AGENT_LOOP },
};

static int read_inject(struct reader *r, const char *inject, const char *damage,
		       const char *replay, enum bl_fault_inject *ret)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(injects); i++) {
		const char *is_damage =
			strcmp(inject, "damage") == 0 ? injects[i].how : NULL;
		const char *is_replay =
			strcmp(inject, "replay") == 0 ? injects[i].how : NULL;

		if (strcmp(inject, injects[i].inject) != 0 ||
		    !damage != !is_damage || !replay != !is_replay ||
		    (damage && strcmp(damage, is_damage) != 0) ||
		    (replay && strcmp(replay, is_replay) != 0))
			continue;
		*ret = injects[i].value;
		return 0;
	}
	return fail(
		r, "inject",
		"names no way to bring it to a host (damage and replay say which)");
}

struct raw_fault {
	const char *id, *number, *title, *what, *story;
	const char *inject, *damage, *replay;
	json_t *incidents, *module, *ebpf, *expect;
};

#define TEXT(key, needed, most)                                                \
	{                                                                      \
#key, BL_JSON_STRING, needed, offsetof(struct raw_fault, key), \
			1, most                                                \
	}
#define PART(key, type, most)                                              \
	{                                                                  \
#key, type, true, offsetof(struct raw_fault, key), 0, most \
	}

static const struct bl_json_field fault_fields[] = {
	TEXT(id, true, 32),
	TEXT(number, true, 3),
	TEXT(title, true, 60),
	TEXT(what, true, TEXT_MAX),
	TEXT(story, true, TEXT_MAX),
	TEXT(inject, true, 32),
	TEXT(damage, false, 32),
	TEXT(replay, false, 32),
	PART(incidents, BL_JSON_ARRAY, INCIDENTS_MAX),
	PART(module, BL_JSON_OBJECT, 0),
	PART(ebpf, BL_JSON_OBJECT, 0),
	PART(expect, BL_JSON_OBJECT, 0),
};

/* A way that there is something for must have a word, and no other. */
static int check_expect(struct reader *r, const struct bl_fault *f)
{
	for (unsigned w = 0; w < BL_COMPARE_WAYS; w++) {
		bool there = !bl_fault_twin(f, w)->none;

		if (there != f->expect.said[w])
			return fail(
				r, "expect",
				there ? "says nothing of a way that there is a variant for"
				      : "says something of a way that there is nothing for");
	}
	return 0;
}

static int read_fault(struct reader *r, const json_t *obj, struct bl_fault *ret)
{
	struct raw_fault raw = { 0 };
	struct bl_fault f = { .json = obj };
	int e = read_object(r, obj, fault_fields, BL_ARRAY_SIZE(fault_fields),
			    &raw);

	if (e)
		return e;
	if (!bl_name_valid(raw.id))
		return fail(r, "id", "is no name");
	f.id = raw.id;
	f.number = raw.number;
	f.title = raw.title;
	e = read_inject(r, raw.inject, raw.damage, raw.replay, &f.inject);
	if (!e)
		e = read_twin(r, "module", raw.module, &f.module);
	if (!e)
		e = read_twin(r, "ebpf", raw.ebpf, &f.ebpf);
	if (!e)
		e = read_expect(r, raw.expect, &f);
	if (!e)
		e = check_expect(r, &f);
	if (!e)
		*ret = f;
	return e;
}

static int read_faults(const struct bl_json_doc *doc, struct bl_faults *ret,
		       struct bl_err *err)
{
	struct raw {
		int64_t schema;
		json_t *faults;
	} raw;
	static const struct bl_json_field fields[] = {
		{ "schema", BL_JSON_INT, true, offsetof(struct raw, schema),
		  SCHEMA, SCHEMA },
		{ "faults", BL_JSON_ARRAY, true, offsetof(struct raw, faults),
		  1, BL_FAULTS_MAX },
	};
	int e = bl_json_read(doc, doc->root, "", fields, BL_ARRAY_SIZE(fields),
			     &raw, err);

	for (size_t i = 0; !e && i < json_array_size(raw.faults); i++) {
		struct reader r = { .doc = doc, .err = err };

		snprintf(r.path, sizeof(r.path), "faults[%zu]", i);
		e = read_fault(&r, json_array_get(raw.faults, i),
			       &ret->fault[i]);
		if (!e && bl_faults_find(ret, ret->fault[i].id))
			e = fail(&r, "id", "is there twice");
		ret->count += !e;
	}
	return e;
}

/* Takes @doc. */
static int take(struct bl_json_doc *doc, struct bl_faults *ret,
		struct bl_err *err)
{
	int e;

	ret->count = 0;
	e = read_faults(doc, ret, err);
	if (e) {
		bl_json_doc_free(doc);
		*ret = (struct bl_faults){ 0 };
		return e;
	}
	ret->doc = *doc;
	*doc = (struct bl_json_doc){ 0 };
	return 0;
}

int bl_faults_parse(const char *name, const char *text, size_t len,
		    struct bl_faults *ret, struct bl_err *err)
{
	struct bl_json_doc doc = { 0 };
	int e = bl_json_parse(name, text, len, &doc, err);

	return e ? e : take(&doc, ret, err);
}

int bl_faults_load(const char *path, struct bl_faults *ret, struct bl_err *err)
{
	struct bl_json_doc doc = { 0 };
	int e = bl_json_load(path, BL_FAULTS_BYTES_MAX, &doc, err);

	return e ? e : take(&doc, ret, err);
}

void bl_faults_free(struct bl_faults *f)
{
	bl_json_doc_free(&f->doc);
	*f = (struct bl_faults){ 0 };
}

const struct bl_fault *bl_faults_find(const struct bl_faults *f,
				      const char *name)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->fault[i].id, name) == 0 ||
		    strcmp(f->fault[i].number, name) == 0)
			return &f->fault[i];
	return NULL;
}

const struct bl_fault_twin *bl_fault_twin(const struct bl_fault *f,
					  enum bl_compare_way way)
{
	return way == BL_COMPARE_C ? &f->ebpf : &f->module;
}

static bool is_since(const char *release, const char *since)
{
	return bl_release_compare(release, since) >= 0 ||
	       bl_release_matches(release, since);
}

bool bl_fault_lines(const struct bl_fault *f, const char *release,
		    enum bl_compare_way way, struct bl_fault_lines *ret)
{
	const struct bl_fault_expect *e = &f->expect;

	for (size_t i = 0; i < f->later_count; i++)
		if (f->later[i].said[way] &&
		    is_since(release, f->later[i].since))
			e = &f->later[i];
	if (!e->said[way])
		return false;
	*ret = e->lines[way];
	return true;
}
