/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON: what a person who made a mistake gets to read. */
#include <stddef.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "tests/main.h"

struct rule {
	const char *path;
	int64_t port;
	bool deny;
};

static const struct bl_json_field rule_fields[] = {
	{ "path", BL_JSON_STRING, true, offsetof(struct rule, path), 1, 8 },
	{ "port", BL_JSON_INT, false, offsetof(struct rule, port), 1, 65535 },
	{ "deny", BL_JSON_BOOL, false, offsetof(struct rule, deny), 0, 0 },
};

static struct bl_json_doc doc;
static struct bl_err err;
static struct rule rule;

static int parse(const char *text)
{
	bl_json_doc_free(&doc);
	err = (struct bl_err){ 0 };
	rule = (struct rule){ .port = 443 };
	return bl_json_parse("c.json", text, strlen(text), &doc, &err);
}

static int read_rule(const char *text)
{
	ck_assert_int_eq(parse(text), 0);
	return bl_json_read(
		&doc, json_array_get(json_object_get(doc.root, "rules"), 1),
		"rules[1]", rule_fields, BL_ARRAY_SIZE(rule_fields), &rule,
		&err);
}

START_TEST(reads_by_table_and_keeps_defaults)
{
	ck_assert_int_eq(read_rule("{\"rules\":[0,{\"path\":\"/a\","
				   "\"deny\":true}]}"),
			 0);
	ck_assert_str_eq(rule.path, "/a");
	ck_assert_int_eq(rule.port, 443);
	ck_assert(rule.deny);
	ck_assert_str_eq(err.text, "");
}
END_TEST

static const struct {
	const char *text, *message;
} mistakes[] = {
	{ "{\"rules\":[0,\n{\"path\":\"/a\",\n\"paht\":1}]}",
	  "c.json:3: rules[1].paht: unknown key (known: path, port, deny)" },
	{ "{\"rules\":[0,\n{\"port\":1}]}",
	  "c.json:2: rules[1]: required key 'path' is missing" },
	{ "{\"rules\":[{\"a\":[1,{\"b\":\"]}\\\"\"}]},\n{\"path\":\n7}]}",
	  "c.json:2: rules[1].path: a string was expected, this is a whole number" },
	{ "{\"rules\":[0,{\"path\":\"/a\",\"port\":70000}]}",
	  "c.json:1: rules[1].port: 70000 is outside 1 to 65535" },
	{ "{\"rules\":[0,{\"path\":\"/toolong/by/far\"}]}",
	  "c.json:1: rules[1].path: 15 bytes is outside 1 to 8" },
	{ "{\"rules\":[0,\n\n3]}",
	  "c.json:3: rules[1]: an object was expected, this is a whole number" },
};

START_TEST(mistake_names_line_and_field)
{
	ck_assert_int_lt(read_rule(mistakes[_i].text), 0);
	ck_assert_str_eq(err.text, mistakes[_i].message);
}
END_TEST

START_TEST(refuses_what_strict_json_refuses)
{
	char deep[64];

	ck_assert_int_lt(parse("{\"a\":1,\"a\":2}"), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "c.json:1:"));
	ck_assert_int_lt(parse(""), 0);
	ck_assert_int_lt(parse("{\"a\":1,}"), 0);
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	ck_assert_int_lt(parse(deep), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "deeper than 16"));
}
END_TEST

START_TEST(what_a_stranger_says_moves_no_terminal)
{
	bl_autojson json_t *v = json_loads(
		"{\"a\": \"x\\u001b[2Jy\", \"b\": [1, {\"c\": \"\\u009b\"}, \"\u00e9\"]}",
		0, NULL);
	const json_t *b;

	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(bl_json_clean(v), 0);
	ck_assert_str_eq(json_string_value(json_object_get(v, "a")), "x?[2Jy");
	b = json_object_get(v, "b");
	ck_assert_str_eq(
		json_string_value(json_object_get(json_array_get(b, 1), "c")),
		"??");
	/* What is none stays. */
	ck_assert_int_eq(json_integer_value(json_array_get(b, 0)), 1);
	ck_assert_str_eq(json_string_value(json_array_get(b, 2)), "\u00e9");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("strict");

	tcase_add_test(t, reads_by_table_and_keeps_defaults);
	tcase_add_loop_test(t, mistake_names_line_and_field, 0,
			    (int)BL_ARRAY_SIZE(mistakes));
	tcase_add_test(t, refuses_what_strict_json_refuses);
	tcase_add_test(t, what_a_stranger_says_moves_no_terminal);
	suite_add_tcase(s, t);
	return s;
}
