/* SPDX-License-Identifier: Apache-2.0 */
/* Content of many rules: what fits, what does not and what is said then, and
 * that each rule is found. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"
#include "loader/bundle/content_table.h"
#include "loader/bundle/content_text.h"
#include "loader/kern/kmod/kmod_slot.h"
#include "tests/main.h"

static struct bl_buf json, bin;
static struct bl_content_info info;
static struct bl_err err;

/* @count rules: paths, addresses, and now and then one that is written in
 * another way. */
static void write_rules(uint32_t count)
{
	char rule[160];
	uint32_t i;
	int r;

	bl_buf_free(&json);
	r = bl_buf_printf(&json, "{\"contract\":1,\"rules\":[\n");
	for (i = 0; !r && i < count; i++) {
		const char *comma = i + 1 < count ? "," : "";

		if (i % 1000 == 7)
			snprintf(rule, sizeof(rule),
				 "{\"event\":\"open\",\"path\":\"\\u002f%u\","
				 "\"action\":\"emit\"}%s\n",
				 i, comma);
		else if (i % 4 == 3)
			snprintf(rule, sizeof(rule),
				 "{\"event\":\"connect\",\"address\":"
				 "\"10.%u.%u.%u\",\"action\":\"emit\"}%s\n",
				 i >> 16, i >> 8 & 255, i & 255, comma);
		else
			snprintf(rule, sizeof(rule),
				 "{\"event\":\"open\",\"path\":\"/%u\","
				 "\"action\":\"emit\"}%s\n",
				 i, comma);
		r = bl_buf_add(&json, rule, strlen(rule));
	}
	if (!r)
		r = bl_buf_add(&json, "]}\n", 3);
	ck_assert_int_eq(r, 0);
}

static int compile(void)
{
	bl_buf_free(&bin);
	err = (struct bl_err){ 0 };
	return bl_content_compile("c.json", json.data, json.len, &bin, &info,
				  &err);
}

static void compiled(uint32_t count)
{
	write_rules(count);
	ck_assert_msg(!compile(), "%s", err.text);
	ck_assert_uint_eq(info.rules, count);
	ck_assert_msg(!bl_content_check_binary("c.bin", bin.data, bin.len, NULL,
					       &err),
		      "%s", err.text);
}

static uint32_t find(uint32_t i)
{
	uint8_t addr[4] = { 10, i >> 16, i >> 8 & 255, i & 255 };
	char path[16];

	if (i % 1000 != 7 && i % 4 == 3)
		return bl_content_match_addr(bin.data, AF_INET, addr).rule;
	snprintf(path, sizeof(path), "/%u", i);
	return bl_content_match_path(bin.data, BL_EVENT_OPEN, path,
				     strlen(path))
		.rule;
}

START_TEST(each_of_a_hundred_thousand_rules_is_found_and_nothing_else)
{
	const uint32_t count = 100000;
	uint32_t i = 0;

	compiled(count);
	while (i < count && find(i) == i)
		i++;
	ck_assert_uint_eq(i, count);
	while (i < count + 1000 && find(i) == BL_RULE_NONE)
		i++;
	ck_assert_uint_eq(i, count + 1000);
}
END_TEST

/* What README and bpf/content.h promise. */
START_TEST(a_rule_costs_thirty_bytes_in_the_kernel)
{
	compiled(100000);
	ck_assert_uint_le(info.buckets * sizeof(struct bl_content_bucket),
			  3000 * 1000 + sizeof(struct bl_content_bucket));
	ck_assert_uint_le(bin.len, 6200 * 1000 + 1000);
}
END_TEST

START_TEST(the_limit_of_rules_fits_and_one_more_says_what_to_do)
{
	compiled(BL_CONTENT_RULES_MAX);
	ck_assert_uint_le(json.len, BL_CONTENT_JSON_MAX);
	ck_assert_uint_le(bin.len, BL_CONTENT_BIN_MAX);
	ck_assert_uint_le(bin.len, BL_KMOD_CONTENT_MAX);
	ck_assert_uint_eq(find(BL_CONTENT_RULES_MAX - 1),
			  BL_CONTENT_RULES_MAX - 1);

	write_rules(BL_CONTENT_RULES_MAX + 1);
	ck_assert_int_eq(compile(), -EBADMSG);
	ck_assert_str_eq(
		err.text,
		"c.json:1048578: rules[1048576]: more than 1048576 rules, the limit of one content");
	ck_assert_msg(strstr(err.hint, "prefix"), "%s", err.hint);
	ck_assert_uint_eq(bin.len, 0);
}
END_TEST

START_TEST(a_text_above_the_limit_is_not_even_read)
{
	err = (struct bl_err){ 0 };
	ck_assert_int_eq(bl_content_compile("c.json", "{",
					    BL_CONTENT_JSON_MAX + 1, &bin,
					    &info, &err),
			 -EFBIG);
	ck_assert_str_eq(
		err.text,
		"c.json: more than 134217728 bytes, the limit of one content");
}
END_TEST

START_TEST(a_double_among_many_is_named)
{
	write_rules(5000);
	/* The last rule, as the first of them is written. */
	json.len -= 3 + strlen("{\"event\":\"open\",\"path\":\"/0000\","
			       "\"action\":\"emit\"}\n");
	json.len = (size_t)((char *)memrchr(json.data, '\n', json.len) -
			    json.data);
	ck_assert_int_eq(
		bl_buf_printf(
			&json,
			"\n{\"event\":\"open\",\"path\":\"/42\",\"action\":\"emit\"}]}"),
		0);
	ck_assert_int_eq(compile(), -EBADMSG);
	ck_assert_msg(strstr(err.text, "matches the same as rules[42]"), "%s",
		      err.text);
}
END_TEST

/* --- the table ------------------------------------------------------------ */

static struct bl_content_entry entry(uint32_t n, uint64_t hash)
{
	return (struct bl_content_entry){ .hash = { hash, n },
					  .rule = n,
					  .type = BL_CONTENT_EXACT,
					  .kind = BL_EVENT_OPEN,
					  .action = BL_ACTION_EMIT };
}

/* Nine rules, and both halves of their hashes name one bucket, however many
 * there are: eight have a place. */
START_TEST(rules_without_a_place_are_an_error_and_no_endless_walk)
{
	struct bl_content_bucket buckets[1024] = { 0 };
	struct bl_content_entry rules[9];
	uint32_t i, twins[2];

	for (i = 0; i < 9; i++)
		rules[i] = entry(i, 0xffffffff00000000ULL);
	ck_assert_int_eq(bl_content_table_fill(rules, 8, buckets, 1024, twins),
			 0);
	memset(buckets, 0, sizeof(buckets));
	ck_assert_int_eq(bl_content_table_fill(rules, 9, buckets, 1024, twins),
			 -ENOSPC);
}
END_TEST

START_TEST(a_table_grows_until_it_is_too_large)
{
	uint32_t count = bl_content_table_size(0), more;

	ck_assert_uint_ge(count, BL_CONTENT_BUCKETS_MIN);
	for (; count <= BL_CONTENT_BUCKETS_MAX; count = more) {
		more = bl_content_table_grow(count);
		ck_assert_uint_gt(more, count);
	}
	ck_assert_uint_le(bl_content_table_size(BL_CONTENT_RULES_MAX),
			  BL_CONTENT_BUCKETS_MAX);
}
END_TEST

/* --- the text ------------------------------------------------------------- */

#define AROUND(rules) "{\"contract\":1,\n\"rules\":[" rules "]}"
#define GOOD	      "{\"event\":\"open\",\"path\":\"/a\",\"action\":\"emit\"}"

static const struct {
	const char *json, *message;
} broken[] = {
	{ AROUND("\n" GOOD "\n" GOOD),
	  "c.json:4: rules[1]: ',' or ']' was expected here" },
	{ AROUND("\n" GOOD ",\n"),
	  "c.json:4: rules[1]: a rule was expected here" },
	{ AROUND(","), "c.json:2: rules[0]: a rule was expected here" },
	{ AROUND("\n{\"event\":\"open\",\n\"path\":}"),
	  "c.json:4:8: unexpected token near '}'" },
	{ AROUND("\n{\"event\":\"open\",\n \"event\":\"open\"}"),
	  "c.json:4:8: duplicate object key near '\"event\"'" },
	{ AROUND("\n{\"event\":\"open\",\"pfad\":\"/a\",\"action\":\"emit\"}"),
	  "c.json:3: rules[0].pfad: unknown key (known: action, address, domain, event, id, name, path, prefix, sha256)" },
	{ AROUND("\n{\"event\":\"open\",\"path\":\"/a\"}"),
	  "c.json:3: rules[0]: required key 'action' is missing" },
	{ AROUND("\n{\"event\":\"open\",\"path\":3,\"action\":\"emit\"}"),
	  "c.json:3: rules[0].path: a string was expected, this is a whole number" },
	/* No ']' that ends the list, and so no end of anything. */
	{ "{\"contract\":1,\"rules\":[\n" GOOD,
	  "c.json: rules: the list does not end" },
	{ "{\"contract\":1,\"rules\":[\n" GOOD ",\n{\"event\":\"open\"",
	  "c.json:3:15: '}' expected near end of file" },
	{ AROUND(GOOD) "x", "c.json:2:56: end of file expected near 'x'" },
	{ "{\"contract\":1,\"r\\u0075les\":[" GOOD "]}",
	  "c.json:1: write the key \"rules\" without escapes" },
	{ "{\"rules\":[],\n\"rules\":[" GOOD "]}",
	  "c.json:2:7: duplicate object key near '\"rules\"'" },
};

START_TEST(what_is_no_json_is_placed)
{
	err = (struct bl_err){ 0 };
	ck_assert_int_eq(bl_content_compile("c.json", broken[_i].json,
					    strlen(broken[_i].json), &bin,
					    &info, &err),
			 -EBADMSG);
	ck_assert_str_eq(err.text, broken[_i].message);
}
END_TEST

START_TEST(one_rule_or_the_rest_has_its_own_limit)
{
	size_t i;

	ck_assert_int_eq(bl_buf_printf(&json, "{\"contract\":1,\"rules\":[\n"
					      "[ "),
			 0);
	for (i = 0; i < BL_CONTENT_PIECE_MAX; i++)
		ck_assert_int_eq(bl_buf_add(&json, "7,", 2), 0);
	ck_assert_int_eq(bl_buf_printf(&json, "7]]}"), 0);
	ck_assert_int_eq(compile(), -EBADMSG);
	ck_assert_str_eq(
		err.text,
		"c.json:2: rules[0]: it is longer than 65536 bytes, or does not end");
	memcpy(json.data + 15, "\"ruled\"", 7);
	ck_assert_int_eq(compile(), -EBADMSG);
	ck_assert_str_eq(
		err.text,
		"c.json: more than 65536 bytes, and no list \"rules\" among them");
}
END_TEST

/* Both ways to read a rule say the same of it. */
START_TEST(a_plain_rule_means_what_jansson_says)
{
	static const char text[] = AROUND(
		GOOD
		", {\"id\" : \"x\" ,\n\"prefix\":\"/tmp/\",\"action\":\"deny\","
		"\"event\":\"exec\"},{\"event\":\"connect\",\"address\":"
		"\"::1\",\"action\":\"ignore\"}");
	bl_autocontent_text struct bl_content_text a = { 0 }, b = { 0 };
	struct bl_content_rule x, y;
	int r;

	ck_assert_int_eq(
		bl_content_text_open("c", text, sizeof(text) - 1, &a, &err), 0);
	ck_assert_int_eq(
		bl_content_text_open("c", text, sizeof(text) - 1, &b, &err), 0);
	b.plain_off = true;
	while ((r = bl_content_text_next(&a, &x, &err)) > 0) {
		ck_assert_int_eq(bl_content_text_next(&b, &y, &err), 1);
		ck_assert_pstr_eq(x.id, y.id);
		ck_assert_pstr_eq(x.event, y.event);
		ck_assert_pstr_eq(x.path, y.path);
		ck_assert_pstr_eq(x.prefix, y.prefix);
		ck_assert_pstr_eq(x.address, y.address);
		ck_assert_pstr_eq(x.action, y.action);
		ck_assert_uint_eq(x.offset, y.offset);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(a.count, 3);
}
END_TEST

static void teardown(void)
{
	bl_buf_free(&json);
	bl_buf_free(&bin);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("content_size");
	TCase *t = tcase_create("size");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(
		t, each_of_a_hundred_thousand_rules_is_found_and_nothing_else);
	tcase_add_test(t, a_rule_costs_thirty_bytes_in_the_kernel);
	tcase_add_test(t, the_limit_of_rules_fits_and_one_more_says_what_to_do);
	tcase_add_test(t, a_text_above_the_limit_is_not_even_read);
	tcase_add_test(t, a_double_among_many_is_named);
	tcase_add_test(t,
		       rules_without_a_place_are_an_error_and_no_endless_walk);
	tcase_add_test(t, a_table_grows_until_it_is_too_large);
	tcase_add_loop_test(t, what_is_no_json_is_placed, 0,
			    BL_ARRAY_SIZE(broken));
	tcase_add_test(t, one_rule_or_the_rest_has_its_own_limit);
	tcase_add_test(t, a_plain_rule_means_what_jansson_says);
	suite_add_tcase(s, t);
	return s;
}
