/* SPDX-License-Identifier: Apache-2.0 */
/* Frozen times: what can be written, and when they begin and end. */
#include <errno.h>

#include "canary/decide/freeze.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

#define MIN_MS 60000

static struct bl_freeze f;
static int64_t until_ms;

static bool covers(int64_t s)
{
	until_ms = 0;
	return bl_freeze_covers(&f, s * 1000, &until_ms);
}

START_TEST(a_week_has_an_end_after_its_beginning_or_before)
{
	/* 2026-11-26 is a Thursday; 00:00 UTC is 1795651200. */
	const int64_t thursday = INT64_C(1795651200), hour = 3600;

	ck_assert_int_eq(bl_freeze_parse("Fri 16:00 - Mon 06:00", &f), 0);
	ck_assert(!covers(thursday));
	ck_assert(!covers(thursday + 40 * hour - 1));
	ck_assert(covers(thursday + 40 * hour));
	ck_assert_int_eq(until_ms, (thursday + 102 * hour) * 1000);
	ck_assert(covers(thursday + 102 * hour - 1));
	ck_assert(!covers(thursday + 102 * hour));
	ck_assert(covers(thursday + (40 + 7 * 24) * hour));
	ck_assert_int_eq(bl_freeze_parse("Thu 00:00 - Thu 01:30", &f), 0);
	ck_assert(covers(thursday + hour));
	ck_assert_int_eq(until_ms, (thursday + 5400) * 1000);
	ck_assert(!covers(thursday + 2 * hour));
	ck_assert(!covers(thursday - 1));
}
END_TEST

START_TEST(a_date_is_once)
{
	const int64_t begin = INT64_C(1795651200);

	ck_assert_int_eq(
		bl_freeze_parse("2026-11-26 00:00 - 2026-11-27 24:00", &f), 0);
	ck_assert(!covers(begin - 1));
	ck_assert(covers(begin));
	ck_assert(covers(begin + 2 * 86400 - 1));
	ck_assert_int_eq(until_ms, (begin + 2 * 86400) * 1000);
	ck_assert(!covers(begin + 2 * 86400));
	ck_assert(!covers(begin + 7 * 86400));
}
END_TEST

/* Days over 400 years are the days that their texts say. */
START_TEST(dates_are_read_as_they_are_written)
{
	char text[BL_FREEZE_TEXT_LEN];
	struct bl_freeze day, back;
	int64_t d;

	for (d = 0; d < 146097; d += 13) {
		day = (struct bl_freeze){ false, d * 1440 + 61,
					  d * 1440 + 1500 };
		bl_freeze_text(&day, text);
		ck_assert_int_eq(bl_freeze_parse(text, &back), 0);
		ck_assert_int_eq(back.from_min, day.from_min);
		ck_assert_int_eq(back.to_min, day.to_min);
	}
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	static const char *const wrong[] = {
		"",
		"Fri 16:00",
		"Fri 16:00 - ",
		"Fri 16:00-Mon 06:00",
		"fri 16:00 - Mon 06:00",
		"Fri 24:01 - Mon 06:00",
		"Fri 16:60 - Mon 06:00",
		"Fri 16:00 - Fri 16:00",
		"Fri 16:00 - 2026-01-01 00:00",
		"Fri 16:00 - Mon 06:00 ",
		"2026-02-29 00:00 - 2026-03-01 00:00",
		"2026-13-01 00:00 - 2027-01-01 00:00",
		"2026-01-02 00:00 - 2026-01-01 00:00",
		"2026-01-02 00:00 - 2026-01-02 00:00",
		"2026-1-02 00:00 - 2026-01-03 00:00",
		"Fri -1:00 - Mon 06:00",
	};
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(wrong); i++)
		ck_assert_msg(bl_freeze_parse(wrong[i], &f) == -EINVAL, "%s",
			      wrong[i]);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("freeze");
	TCase *t = tcase_create("freeze");

	tcase_add_test(t, a_week_has_an_end_after_its_beginning_or_before);
	tcase_add_test(t, a_date_is_once);
	tcase_add_test(t, dates_are_read_as_they_are_written);
	tcase_add_test(t, what_is_no_time_is_refused);
	suite_add_tcase(s, t);
	return s;
}
