/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

void bl_json_doc_free(struct bl_json_doc *doc)
{
	json_decref(doc->root);
	free(doc->text);
	free(doc->name);
	*doc = (struct bl_json_doc){ 0 };
}

/* jansson's own limit is 2048 levels; ours keeps every later walk shallow. */
static bool too_deep(const char *text, size_t len)
{
	bool in_string = false;
	int depth = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > BL_JSON_DEPTH_MAX)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

static int parse(const char *name, const struct bl_json_place *place,
		 size_t flags, const char *text, size_t len,
		 struct bl_json_doc *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_json_doc_free)
	struct bl_json_doc doc = { .place = *place };
	json_error_t je;

	if (too_deep(text, len))
		return bl_err_set(err, -EBADMSG,
				  "%s: nested deeper than %d levels", name,
				  BL_JSON_DEPTH_MAX);
	doc.root = json_loadb(text, len, flags | JSON_REJECT_DUPLICATES, &je);
	if (!doc.root)
		return bl_err_set(err, -EBADMSG, "%s:%u:%u: %s", name,
				  place->lines + (unsigned)je.line,
				  (unsigned)je.column +
					  (je.line == 1 ? place->columns : 0),
				  je.text);
	doc.text = malloc(len + 1);
	doc.name = strdup(name);
	if (!doc.text || !doc.name)
		return bl_err_set(err, -ENOMEM, "out of memory");
	memcpy(doc.text, text, len);
	doc.text[len] = '\0';
	doc.len = len;
	*ret = doc;
	doc = (struct bl_json_doc){ 0 };
	return 0;
}

int bl_json_parse(const char *name, const char *text, size_t len,
		  struct bl_json_doc *ret, struct bl_err *err)
{
	static const struct bl_json_place whole = { 0 };

	return parse(name, &whole, 0, text, len, ret, err);
}

int bl_json_parse_piece(const char *name, const struct bl_json_place *place,
			const char *text, size_t len, struct bl_json_doc *ret,
			struct bl_err *err)
{
	return parse(name, place, JSON_DECODE_ANY, text, len, ret, err);
}

int bl_json_load(const char *path, size_t max_bytes, struct bl_json_doc *ret,
		 struct bl_err *err)
{
	bl_autobuf struct bl_buf b = { 0 };
	int r = bl_file_read(path, max_bytes, &b, err);

	if (r < 0)
		return r;
	return bl_json_parse(path, bl_buf_str(&b), b.len, ret, err);
}

/*
 * Line numbers. jansson forgets positions, so the path is followed through the
 * text again; the text is known to be valid JSON by then.
 */
struct scan {
	const char *p, *end;
};

static void skip_space(struct scan *s)
{
	while (s->p < s->end && strchr(" \t\r\n", *s->p))
		s->p++;
}

static void skip_string(struct scan *s)
{
	for (s->p++; s->p < s->end && *s->p != '"'; s->p++)
		if (*s->p == '\\')
			s->p++;
	s->p++;
}

static void skip_value(struct scan *s)
{
	int depth = 0;

	do {
		skip_space(s);
		if (s->p >= s->end)
			return;
		if (*s->p == '"') {
			skip_string(s);
			continue;
		}
		if (*s->p == '{' || *s->p == '[')
			depth++;
		else if (*s->p == '}' || *s->p == ']')
			depth--;
		else if (depth == 0) {
			while (s->p < s->end && !strchr(",]} \t\r\n", *s->p))
				s->p++;
			return;
		}
		s->p++;
	} while (depth > 0 && s->p < s->end);
}

/* Enters the member @key of the object at s->p; s->p is then the key. */
static bool enter_key(struct scan *s, const char *key, size_t len)
{
	skip_space(s);
	if (s->p >= s->end || *s->p != '{')
		return false;
	s->p++;
	for (;;) {
		const char *at;

		skip_space(s);
		if (s->p >= s->end || *s->p != '"')
			return false;
		at = s->p;
		skip_string(s);
		if ((size_t)(s->p - at) == len + 2 &&
		    memcmp(at + 1, key, len) == 0) {
			s->p = at;
			return true;
		}
		skip_space(s);
		s->p++; /* ':' */
		skip_value(s);
		skip_space(s);
		if (s->p >= s->end || *s->p != ',')
			return false;
		s->p++;
	}
}

static bool enter_index(struct scan *s, long index)
{
	skip_space(s);
	if (s->p >= s->end || *s->p != '[')
		return false;
	s->p++;
	for (; index > 0; index--) {
		skip_value(s);
		skip_space(s);
		if (s->p >= s->end || *s->p != ',')
			return false;
		s->p++;
	}
	skip_space(s);
	return true;
}

unsigned bl_json_line(const struct bl_json_doc *doc, const char *path)
{
	struct scan s = { doc->text, doc->text + doc->len };
	bool at_key = false;
	unsigned line = 1;
	const char *c;

	while (*path) {
		if (at_key) {
			skip_string(&s);
			skip_space(&s);
			s.p++; /* ':' */
			at_key = false;
		}
		if (*path == '[') {
			char *rest;

			if (!enter_index(&s, strtol(path + 1, &rest, 10)))
				return 0;
			path = *rest ? rest + 1 : rest;
		} else {
			size_t len;

			path += *path == '.';
			len = strcspn(path, ".[");
			if (!enter_key(&s, path, len))
				return 0;
			at_key = true;
			path += len;
		}
	}
	skip_space(&s);
	for (c = doc->text; c < s.p; c++)
		line += *c == '\n';
	return line;
}

int bl_json_fail(const struct bl_json_doc *doc, const char *path,
		 struct bl_err *err, const char *fmt, ...)
{
	unsigned line = bl_json_line(doc, path);
	const char *at = doc->place.at;
	const char *dot = *at && *path && *path != '[' ? "." : "";
	char what[BL_ERR_TEXT_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!line)
		return bl_err_set(err, -EBADMSG, "%s: %s%s%s%s%s", doc->name,
				  at, dot, path, *at || *path ? ": " : "",
				  what);
	return bl_err_set(err, -EBADMSG, "%s:%u: %s%s%s%s%s", doc->name,
			  line + doc->place.lines, at, dot, path,
			  *at || *path ? ": " : "", what);
}

static const char *type_name(const json_t *v)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_INTEGER] = "a whole number",
		[JSON_REAL] = "a number",    [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};

	return names[json_typeof(v)];
}

static const char *const wanted[] = {
	[BL_JSON_STRING] = "a string",	[BL_JSON_INT] = "a whole number",
	[BL_JSON_REAL] = "a number",	[BL_JSON_BOOL] = "true or false",
	[BL_JSON_OBJECT] = "an object", [BL_JSON_ARRAY] = "an array",
	[BL_JSON_ANY] = "a value",
};

static bool type_fits(const json_t *v, enum bl_json_type type)
{
	switch (type) {
	case BL_JSON_STRING:
		return json_is_string(v);
	case BL_JSON_INT:
		return json_is_integer(v);
	case BL_JSON_REAL:
		return json_is_number(v);
	case BL_JSON_BOOL:
		return json_is_boolean(v);
	case BL_JSON_OBJECT:
		return json_is_object(v);
	case BL_JSON_ARRAY:
		return json_is_array(v);
	case BL_JSON_ANY:
		return !json_is_null(v);
	}
	return false;
}

static int check_range(const struct bl_json_doc *doc, const json_t *v,
		       const char *path, const struct bl_json_field *f,
		       struct bl_err *err)
{
	long long lo = f->min, hi = f->max, n;
	const char *unit = "";

	if (!lo && !hi)
		return 0;
	if (f->type == BL_JSON_REAL) {
		double d = json_number_value(v);

		if (d < (double)lo || d > (double)hi)
			return bl_json_fail(doc, path, err,
					    "%g is outside %lld to %lld", d, lo,
					    hi);
		return 0;
	}
	if (f->type == BL_JSON_STRING) {
		n = (long long)json_string_length(v);
		unit = " bytes";
	} else if (f->type == BL_JSON_ARRAY) {
		n = (long long)json_array_size(v);
		unit = " elements";
	} else {
		n = json_integer_value(v);
	}
	if (n < lo || n > hi)
		return bl_json_fail(doc, path, err,
				    "%lld%s is outside %lld to %lld", n, unit,
				    lo, hi);
	return 0;
}

static void store(const json_t *v, const struct bl_json_field *f, void *target)
{
	void *at = (char *)target + f->offset;

	switch (f->type) {
	case BL_JSON_STRING:
		*(const char **)at = json_string_value(v);
		break;
	case BL_JSON_INT:
		*(int64_t *)at = json_integer_value(v);
		break;
	case BL_JSON_REAL:
		*(double *)at = json_number_value(v);
		break;
	case BL_JSON_BOOL:
		*(bool *)at = json_is_true(v);
		break;
	case BL_JSON_OBJECT:
	case BL_JSON_ARRAY:
	case BL_JSON_ANY:
		*(json_t **)at = (json_t *)(uintptr_t)v;
		break;
	}
}

static int read_field(const struct bl_json_doc *doc, const json_t *v,
		      const char *path, const struct bl_json_field *f,
		      void *target, struct bl_err *err)
{
	int r;

	if (!type_fits(v, f->type))
		return bl_json_fail(doc, path, err,
				    "%s was expected, this is %s",
				    wanted[f->type], type_name(v));
	if (f->type == BL_JSON_STRING &&
	    strlen(json_string_value(v)) != json_string_length(v))
		return bl_json_fail(doc, path, err,
				    "the string has a NUL byte inside");
	r = check_range(doc, v, path, f, err);
	if (!r)
		store(v, f, target);
	return r;
}

static const struct bl_json_field *find(const struct bl_json_field *fields,
					size_t count, const char *key)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

static int fail_unknown(const struct bl_json_doc *doc, const char *path,
			const struct bl_json_field *fields, size_t count,
			struct bl_err *err)
{
	bl_autobuf struct bl_buf known = { 0 };
	size_t i;

	for (i = 0; i < count; i++)
		if (bl_buf_printf(&known, "%s%s", i ? ", " : "",
				  fields[i].key) < 0)
			break;
	return bl_json_fail(doc, path, err, "unknown key (known: %s)",
			    bl_buf_str(&known));
}

int bl_json_read(const struct bl_json_doc *doc, const json_t *obj,
		 const char *path, const struct bl_json_field *fields,
		 size_t count, void *target, struct bl_err *err)
{
	char at[BL_JSON_PATH_MAX];
	const char *dot = *path ? "." : "";
	const char *key;
	json_t *v;
	size_t i;
	int r;

	if (!json_is_object(obj))
		return bl_json_fail(doc, path, err,
				    "an object was expected, this is %s",
				    obj ? type_name(obj) : "nothing");
	json_object_foreach ((json_t *)(uintptr_t)obj, key, v) {
		const struct bl_json_field *f = find(fields, count, key);

		snprintf(at, sizeof(at), "%s%s%s", path, dot, key);
		r = f ? read_field(doc, v, at, f, target, err)
		      : fail_unknown(doc, at, fields, count, err);
		if (r < 0)
			return r;
	}
	for (i = 0; i < count; i++)
		if (fields[i].required && !json_object_get(obj, fields[i].key))
			return bl_json_fail(doc, path, err,
					    "required key '%s' is missing",
					    fields[i].key);
	return 0;
}

int bl_json_read_known(const struct bl_json_doc *doc, const json_t *obj,
		       const char *path, const struct bl_json_field *fields,
		       size_t count, void *target, struct bl_err *err)
{
	bl_autojson json_t *known = json_object();

	if (!json_is_object(obj))
		return bl_json_read(doc, obj, path, fields, count, target, err);
	for (size_t i = 0; i < count; i++) {
		json_t *v = json_object_get(obj, fields[i].key);

		if (v && json_object_set(known, fields[i].key, v) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	return bl_json_read(doc, known, path, fields, count, target, err);
}

static int clean_text(json_t *v)
{
	bl_autofree char *clean = bl_text_clean(json_string_value(v));

	return clean && !json_string_set(v, clean) ? 0 : -ENOMEM;
}

/* As deep as the parser lets it be. */
int bl_json_clean(json_t *v)
{
	const char *key;
	json_t *inner;
	size_t i;
	int r = 0;

	if (json_is_string(v))
		return clean_text(v);
	json_object_foreach (v, key, inner)
		r = r ? r : bl_json_clean(inner);
	json_array_foreach (v, i, inner)
		r = r ? r : bl_json_clean(inner);
	return r;
}

char *bl_json_dump(json_t *v)
{
	char *s = json_dumps(v, JSON_INDENT(2) | JSON_SORT_KEYS);
	char *line;

	json_decref(v);
	if (!s)
		return NULL;
	line = bl_path("%s\n", s);
	free(s);
	return line;
}
