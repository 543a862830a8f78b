/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON: every value's line is found, and printing loses nothing. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

struct target {
	const char *s;
	int64_t i;
	double d;
	bool b;
	json_t *o, *a, *any;
};

static const struct bl_json_field fields[] = {
	{ "s", BL_JSON_STRING, false, offsetof(struct target, s), 1, 4 },
	{ "i", BL_JSON_INT, true, offsetof(struct target, i), -5, 5 },
	{ "d", BL_JSON_REAL, false, offsetof(struct target, d), 0, 1 },
	{ "b", BL_JSON_BOOL, false, offsetof(struct target, b), 0, 0 },
	{ "o", BL_JSON_OBJECT, false, offsetof(struct target, o), 0, 0 },
	{ "a", BL_JSON_ARRAY, false, offsetof(struct target, a), 0, 2 },
	{ "any", BL_JSON_ANY, false, offsetof(struct target, any), 0, 0 },
};

/* A key that a path can be made of without meeting its own syntax or an
 * escape; other keys may have no line. */
static bool plain(const char *key)
{
	return *key && !strpbrk(key, ".[]\"\\") &&
	       strspn(key, "abcdefghijklmnopqrstuvwxyz") == strlen(key);
}

static void walk(const struct bl_json_doc *doc, json_t *v, const char *path,
		 bool findable, unsigned lines)
{
	unsigned line = bl_json_line(doc, path);
	char at[BL_JSON_PATH_MAX];
	const char *key;
	json_t *member;
	size_t i;
	int n;

	FUZZ_CHECK(line <= lines);
	FUZZ_CHECK(!findable || line >= 1);
	json_object_foreach (v, key, member) {
		n = snprintf(at, sizeof(at), "%s%s%s", path, *path ? "." : "",
			     key);
		walk(doc, member, at,
		     findable && plain(key) && n < (int)sizeof(at), lines);
	}
	json_array_foreach (v, i, member) {
		n = snprintf(at, sizeof(at), "%s[%zu]", path, i);
		walk(doc, member, at, findable && n < (int)sizeof(at), lines);
	}
}

static void read_by_table(const struct bl_json_doc *doc)
{
	struct target t = { .i = 99 };
	struct bl_err err = { 0 };
	int r = bl_json_read(doc, doc->root, "", fields, BL_ARRAY_SIZE(fields),
			     &t, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return;
	FUZZ_CHECK(t.i >= -5 && t.i <= 5);
	FUZZ_CHECK(!t.s || (*t.s && strlen(t.s) <= 4));
	FUZZ_CHECK(t.d >= 0 && t.d <= 1);
	FUZZ_CHECK(!t.a || json_array_size(t.a) <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autojson_doc struct bl_json_doc again = { 0 };
	struct bl_err err = { 0 };
	bl_autofree char *text = NULL;
	unsigned lines = 1;
	size_t i;
	int r = bl_json_parse("in", (const char *)data, size, &doc, &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return 0;
	for (i = 0; i < size; i++)
		lines += data[i] == '\n';
	walk(&doc, doc.root, "", true, lines);
	fuzz_accepted++;
	read_by_table(&doc);
	text = bl_json_dump(json_incref(doc.root));
	FUZZ_CHECK(text);
	FUZZ_CHECK(bl_json_parse("again", text, strlen(text), &again, NULL) ==
		   0);
	FUZZ_CHECK(json_equal(doc.root, again.root));
	return 0;
}
