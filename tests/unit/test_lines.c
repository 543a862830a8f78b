/* SPDX-License-Identifier: Apache-2.0 */
/* A stranger's bytes as lines for a log. */
#include <string.h>

#include "canary/agent/lines.h"
#include "tests/main.h"

static struct bl_lines lines;
static char told[4096];

static void take(void *ctx, const char *line)
{
	(void)ctx;
	ck_assert_uint_lt(strlen(told) + strlen(line) + 2, sizeof(told));
	strcat(strcat(told, line), "|");
}

static void add(const char *data, size_t len)
{
	bl_lines_add(&lines, data, len, take, NULL);
}

START_TEST(lines_are_told_as_they_end_in_whatever_pieces_they_come)
{
	static const char text[] = "one\n\ntwo\nthr";

	if (_i)
		for (size_t i = 0; i < sizeof(text) - 1; i++)
			add(text + i, 1);
	else
		add(text, sizeof(text) - 1);
	ck_assert_str_eq(told, "one|two|");
	bl_lines_end(&lines, take, NULL);
	ck_assert_str_eq(told, "one|two|thr|");
	bl_lines_end(&lines, take, NULL);
	ck_assert_str_eq(told, "one|two|thr|");
}
END_TEST

START_TEST(what_no_terminal_takes_is_not_told)
{
	static const char text[] = "a\x1b[31mb\0c\r\x9b"
				   "d\te\n";

	add(text, sizeof(text) - 1);
	ck_assert_str_eq(told, "a [31mb c ?d e|");
}
END_TEST

START_TEST(a_line_without_end_is_cut_and_the_next_one_is_whole)
{
	char much[1000];

	memset(much, 'x', sizeof(much));
	for (int i = 0; i < 1000; i++)
		add(much, sizeof(much));
	ck_assert_str_eq(told, "");
	add("\nnext\n", 6);
	ck_assert_uint_eq(strspn(told, "x"), BL_LINES_LEN - 1);
	ck_assert_str_eq(told + BL_LINES_LEN - 1, "|next|");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("lines");
	TCase *t = tcase_create("lines");

	tcase_add_loop_test(
		t, lines_are_told_as_they_end_in_whatever_pieces_they_come, 0,
		2);
	tcase_add_test(t, what_no_terminal_takes_is_not_told);
	tcase_add_test(t, a_line_without_end_is_cut_and_the_next_one_is_whole);
	suite_add_tcase(s, t);
	return s;
}
