/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/content_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bpf/content.h"
#include "loader/base/cleanup.h"

void bl_content_text_close(struct bl_content_text *t)
{
	bl_json_doc_free(&t->doc);
	bl_json_doc_free(&t->piece);
	*t = (struct bl_content_text){ 0 };
}

/* --- where a value ends --------------------------------------------------- */

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* Behind the string at @p; NULL if it does not end. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : NULL;
}

/* Behind the value at @p, which may be no JSON at all; NULL if it does not
 * end. Only brackets and strings are looked at. */
static const char *skip_value(const char *p, const char *end)
{
	int depth = 0;

	while (p < end) {
		char c = *p;

		if (c == '"') {
			p = skip_string(p, end);
			if (!p || !depth)
				return p;
			continue;
		}
		if (!depth && (c == ',' || c == ']' || c == '}'))
			return p;
		depth += (c == '{' || c == '[') - (c == '}' || c == ']');
		p++;
		if (!depth && (c == '}' || c == ']'))
			return p;
	}
	return depth ? NULL : p;
}

/* --- lines ---------------------------------------------------------------- */

/* Goes forward from where it counted last: all rules together cost one pass. */
static struct bl_json_place place_of(struct bl_content_text *t, uint32_t number,
				     size_t offset)
{
	struct bl_json_place place = { 0 };
	const char *p, *to = t->text + offset, *line;

	if (offset < t->counted) {
		t->counted = 0;
		t->lines = 0;
	}
	for (p = t->text + t->counted;
	     p < to && (p = memchr(p, '\n', (size_t)(to - p))); p++)
		t->lines++;
	t->counted = offset;
	line = offset ? memrchr(t->text, '\n', offset) : NULL;
	place.lines = t->lines;
	place.columns = (unsigned)(to - (line ? line + 1 : t->text));
	snprintf(place.at, sizeof(place.at), "rules[%u]", number);
	return place;
}

int bl_content_text_fail(struct bl_content_text *t,
			 const struct bl_content_rule *rule, const char *field,
			 struct bl_err *err, const char *fmt, ...)
{
	/* Only the text is needed, and it is only read. */
	struct bl_json_doc doc = {
		.text = (char *)t->text + rule->offset,
		.len = t->len - rule->offset,
		.name = (char *)t->name,
		.place = place_of(t, rule->number, rule->offset),
	};
	char what[BL_ERR_TEXT_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return bl_json_fail(&doc, field, err, "%s", what);
}

/* --- the document around the rules ---------------------------------------- */

/* Finds the list of rules in an object: *ret_start is its '[', *ret_stop is
 * behind its ']', or NULL if it has none. false: there is no such list. */
static bool find_rules(const char *p, const char *end, const char **ret_start,
		       const char **ret_stop)
{
	static const char key[] = "\"rules\"";

	p = skip_space(p, end);
	if (p == end || *p != '{')
		return false;
	do {
		const char *name = skip_space(p + 1, end), *value;

		if (name == end || *name != '"' ||
		    !(p = skip_string(name, end)))
			return false;
		value = skip_space(p, end);
		if (value == end || *value != ':')
			return false;
		value = skip_space(value + 1, end);
		if (value < end && *value == '[' &&
		    p - name == sizeof(key) - 1 &&
		    !memcmp(name, key, sizeof(key) - 1)) {
			*ret_start = value;
			*ret_stop = skip_value(value, end);
			if (*ret_stop && (*ret_stop)[-1] != ']')
				*ret_stop = NULL;
			return true;
		}
		p = skip_value(value, end);
		if (!p)
			return false;
		p = skip_space(p, end);
	} while (p < end && *p == ',');
	return false;
}

/* Between the brackets only the ends of lines stay, and blanks behind the last
 * one: so lines, and mostly columns, are those of the whole. */
static int outline(const char *start, const char *stop, struct bl_buf *ret)
{
	const char *p = start, *line = start, *nl;
	size_t blanks;
	int r = 0;

	while (!r && p < stop && (nl = memchr(p, '\n', (size_t)(stop - p)))) {
		r = bl_buf_add(ret, "\n", 1);
		line = p = nl + 1;
	}
	blanks = (size_t)(stop - line);
	if (blanks > BL_CONTENT_PIECE_MAX)
		blanks = 0;
	if (!r)
		r = bl_buf_reserve(ret, blanks);
	if (!r && blanks) {
		memset(ret->data + ret->len, ' ', blanks);
		ret->len += blanks;
		ret->data[ret->len] = '\0';
	}
	return r;
}

static int parse_outline(struct bl_content_text *t, const char *start,
			 const char *stop, struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 };
	const char *end = t->text + t->len;
	int r;

	r = bl_buf_add(&text, t->text, (size_t)(start + 1 - t->text));
	if (!r)
		r = outline(start + 1, stop - 1, &text);
	if (!r)
		r = bl_buf_add(&text, stop - 1, (size_t)(end - stop) + 1);
	if (r)
		return bl_err_errno(err, r, "%s", t->name);
	return bl_json_parse(t->name, bl_buf_str(&text), text.len, &t->doc,
			     err);
}

/* The list has no end: what is wrong is in one of its rules, or that. */
static int find_mistake(struct bl_content_text *t, struct bl_err *err)
{
	struct bl_content_rule rule;
	int r;

	do
		r = bl_content_text_next(t, &rule, err);
	while (r > 0);
	return r < 0 ? r
		     : bl_err_set(err, -EBADMSG,
				  "%s: rules: the list does not end", t->name);
}

int bl_content_text_open(const char *name, const char *text, size_t len,
			 struct bl_content_text *ret, struct bl_err *err)
{
	bl_autocontent_text struct bl_content_text t = { .name = name,
							 .text = text,
							 .len = len };
	const char *end = text + len, *start, *stop;
	size_t around = len;
	bool found = find_rules(text, end, &start, &stop);
	int r;

	if (found)
		around = (size_t)(start - text) +
			 (size_t)(stop ? end - stop : 0);
	if (around > BL_CONTENT_PIECE_MAX)
		return bl_err_set(
			err, -EBADMSG,
			found ? "%s: more than %u bytes beside its rules"
			      : "%s: more than %u bytes, and no list \"rules\" among them",
			name, BL_CONTENT_PIECE_MAX);
	if (found) {
		t.at = start + 1;
		t.end = stop ? stop - 1 : end;
	}
	if (!found)
		r = bl_json_parse(name, text, len, &t.doc, err);
	else if (stop)
		r = parse_outline(&t, start, stop, err);
	else
		r = find_mistake(&t, err);
	if (r)
		return r;
	/* Written with an escape: not found above, but there. */
	if (json_array_size(json_object_get(t.doc.root, "rules")))
		return bl_json_fail(&t.doc, "", err,
				    "write the key \"rules\" without escapes");
	*ret = t;
	t = (struct bl_content_text){ 0 };
	return 0;
}

/* --- one rule ------------------------------------------------------------- */

#define TEXT(key, required, min, max)                                   \
	{                                                               \
#key, BL_JSON_STRING, required,                         \
			offsetof(struct bl_content_rule, key), min, max \
	}

static const struct bl_json_field fields[] = {
	TEXT(action, true, 0, 0),
	TEXT(address, false, 1, INET6_ADDRSTRLEN + 4),
	TEXT(domain, false, 1, BL_CONTENT_PATH_MAX),
	TEXT(event, true, 0, 0),
	TEXT(id, false, 1, BL_CONTENT_NAME_MAX - 1),
	TEXT(name, false, 1, BL_CONTENT_PATH_MAX),
	TEXT(path, false, 1, BL_CONTENT_PATH_MAX),
	TEXT(prefix, false, 1, BL_CONTENT_PATH_MAX),
	TEXT(sha256, false, 1, BL_CONTENT_PATH_MAX),
};

_Static_assert(BL_ARRAY_SIZE(fields) ==
		       BL_ARRAY_SIZE(((struct bl_content_text *)0)->strings),
	       "a string for each field");

/* Behind the string at @p, if it is one without escapes, all of printable
 * ASCII, and shorter than @size; copied into @to. NULL if not. */
static const char *plain_string(const char *p, const char *end, char *to,
				size_t size, size_t *ret_len)
{
	const char *start, *stop = end;

	if (p == end || *p != '"')
		return NULL;
	start = ++p;
	if ((size_t)(stop - p) > size)
		stop = p + size;
	while (p < stop && *p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\')
		p++;
	if (p == stop || *p != '"')
		return NULL;
	*ret_len = (size_t)(p - start);
	memcpy(to, start, *ret_len);
	to[*ret_len] = '\0';
	return p + 1;
}

static const struct bl_json_field *find_field(const char *key)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].key, key))
			return &fields[i];
	return NULL;
}

static bool in_range(const struct bl_json_field *f, size_t len)
{
	return !f->max || ((int64_t)len >= f->min && (int64_t)len <= f->max);
}

static bool is_whole(const struct bl_content_rule *rule)
{
	return rule->action && rule->event;
}

/* Behind a rule in the plainest form; NULL for anything else, right or wrong,
 * which jansson then reads or refuses. */
static const char *plain_rule(struct bl_content_text *t, const char *p,
			      struct bl_content_rule *ret)
{
	const char *end = t->end;
	unsigned n;

	if (t->plain_off || p == end || *p != '{')
		return NULL;
	for (n = 0; n < BL_ARRAY_SIZE(fields); n++) {
		const struct bl_json_field *f;
		char key[16];
		char **value;
		size_t len;

		p = plain_string(skip_space(p + 1, end), end, key, sizeof(key),
				 &len);
		f = p ? find_field(key) : NULL;
		if (!f)
			return NULL;
		value = (char **)((char *)ret + f->offset);
		p = skip_space(p, end);
		if (*value || p == end || *p != ':')
			return NULL;
		p = plain_string(skip_space(p + 1, end), end, t->strings[n],
				 sizeof(t->strings[n]), &len);
		if (!p || !in_range(f, len))
			return NULL;
		*value = t->strings[n];
		p = skip_space(p, end);
		if (p < end && *p == '}')
			return is_whole(ret) ? p + 1 : NULL;
		if (p == end || *p != ',')
			return NULL;
	}
	return NULL;
}

/* By jansson; *p is behind the rule then. */
static int any_rule(struct bl_content_text *t, const char **p,
		    struct bl_content_rule *rule, struct bl_err *err)
{
	struct bl_json_place place = place_of(t, rule->number, rule->offset);
	const char *stop = skip_value(*p, t->end);
	size_t len = (size_t)((stop ? stop : t->end) - *p);
	struct bl_err why = { 0 };
	bool cut = len > BL_CONTENT_PIECE_MAX;
	int r;

	if (!len)
		return bl_content_text_fail(t, rule, "", err,
					    "a rule was expected here");
	bl_json_doc_free(&t->piece);
	r = bl_json_parse_piece(t->name, &place, *p,
				cut ? BL_CONTENT_PIECE_MAX : len, &t->piece,
				&why);
	if (cut && (!r || strstr(why.text, "end of file") ||
		    strstr(why.text, "premature")))
		return bl_content_text_fail(
			t, rule, "", err,
			"it is longer than %u bytes, or does not end",
			BL_CONTENT_PIECE_MAX);
	if (r) {
		if (err)
			*err = why;
		return r;
	}
	/* What jansson takes for a value does end. */
	*p = stop ? stop : t->end;
	return bl_json_read(&t->piece, t->piece.root, "", fields,
			    BL_ARRAY_SIZE(fields), rule, err);
}

static int too_many(struct bl_content_text *t,
		    const struct bl_content_rule *rule, struct bl_err *err)
{
	int r = bl_content_text_fail(
		t, rule, "", err,
		"more than %u rules, the limit of one content",
		BL_CONTENT_RULES_MAX);

	bl_err_hint(
		err,
		"let a prefix stand for paths in one folder and a network for its addresses, or give hosts of different roles different content");
	return r;
}

int bl_content_text_next(struct bl_content_text *t, struct bl_content_rule *ret,
			 struct bl_err *err)
{
	struct bl_content_rule rule = { .number = t->count };
	const char *p = skip_space(t->at, t->end), *behind;
	int r;

	if (p == t->end)
		return 0;
	rule.offset = (size_t)(p - t->text);
	if (t->count && *p != ',')
		return bl_content_text_fail(t, &rule, "", err,
					    "',' or ']' was expected here");
	if (t->count)
		p = skip_space(p + 1, t->end);
	rule.offset = (size_t)(p - t->text);
	if (t->count == BL_CONTENT_RULES_MAX)
		return too_many(t, &rule, err);
	*ret = rule;
	behind = plain_rule(t, p, ret);
	if (!behind) {
		r = any_rule(t, &p, &rule, err);
		if (r)
			return r;
		*ret = rule;
		behind = p;
	}
	t->at = behind;
	t->count++;
	return 1;
}
