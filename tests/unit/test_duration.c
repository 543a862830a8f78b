/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them, and what is none. */
#include <errno.h>

#include "loader/base/cleanup.h"
#include "loader/base/duration.h"
#include "tests/main.h"

#define DAY UINT64_C(86400000)

static const struct {
	const char *text;
	uint64_t ms; /* 0: is refused */
	int code;
} cases[] = {
	{ "5", 5000, 0 },
	{ "90s", 90000, 0 },
	{ "10m", 600000, 0 },
	{ "2h", 7200000, 0 },
	{ "1.5h", 5400000, 0 },
	{ "250ms", 250, 0 },
	{ "1d", DAY, 0 },
	{ "0.25", 250, 0 },
	{ "0.0001", 1, 0 },
	{ "007", 7000, 0 },
	{ "1.00000000000000000001", 1000, 0 },
	{ "0", 0, -EINVAL },
	{ "0.0s", 0, -EINVAL },
	{ "", 0, -EINVAL },
	{ "m", 0, -EINVAL },
	{ "-5", 0, -EINVAL },
	{ "+5", 0, -EINVAL },
	{ " 5", 0, -EINVAL },
	{ "5 ", 0, -EINVAL },
	{ "5 m", 0, -EINVAL },
	{ "5.", 0, -EINVAL },
	{ ".5", 0, -EINVAL },
	{ "1.2.3", 0, -EINVAL },
	{ "0x10", 0, -EINVAL },
	{ "1e3", 0, -EINVAL },
	{ "inf", 0, -EINVAL },
	{ "nan", 0, -EINVAL },
	{ "5min", 0, -EINVAL },
	{ "5M", 0, -EINVAL },
	{ "1h30m", 0, -EINVAL },
	{ "25h", 0, -ERANGE },
	{ "999999999999999999999", 0, -ERANGE },
};

START_TEST(a_time_has_one_form)
{
	uint64_t ms = 0;

	ck_assert_int_eq(bl_duration_parse(cases[_i].text, DAY, &ms),
			 cases[_i].code);
	ck_assert_msg(ms == cases[_i].ms, "'%s' is %lu ms", cases[_i].text,
		      (unsigned long)ms);
}
END_TEST

static const struct {
	uint64_t ms;
	const char *text;
} texts[] = {
	{ 0, "0 s" },	       { 250, "250 ms" },
	{ 1500, "1500 ms" },   { 2000, "2 s" },
	{ 90000, "90 s" },     { 600000, "10 min" },
	{ 5400000, "90 min" }, { 7200000, "2 h" },
	{ 2 * DAY, "2 d" },    { DAY + 1, "86400001 ms" },
};

START_TEST(a_time_is_told_without_a_fraction)
{
	char text[BL_DURATION_LEN];

	ck_assert_str_eq(bl_duration_text(texts[_i].ms, text), texts[_i].text);
}
END_TEST

static const struct {
	int64_t ms;
	const char *text;
} ages[] = {
	{ -5, "0 s ago" },
	{ 999, "0 s ago" },
	{ 119999, "119 s ago" },
	{ 120000, "2 min ago" },
	{ 7199999, "119 min ago" },
	{ 3 * 3600000, "3 h ago" },
	{ 2 * (int64_t)DAY, "2 d ago" },
};

START_TEST(what_is_long_ago_is_told_in_few_digits)
{
	char text[BL_DURATION_LEN];

	ck_assert_str_eq(bl_duration_ago(ages[_i].ms, text), ages[_i].text);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("duration");
	TCase *tc = tcase_create("text");

	tcase_add_loop_test(tc, a_time_has_one_form, 0, BL_ARRAY_SIZE(cases));
	tcase_add_loop_test(tc, a_time_is_told_without_a_fraction, 0,
			    BL_ARRAY_SIZE(texts));
	tcase_add_loop_test(tc, what_is_long_ago_is_told_in_few_digits, 0,
			    BL_ARRAY_SIZE(ages));
	suite_add_tcase(suite, tc);
	return suite;
}
