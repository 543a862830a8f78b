/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people read them, whatever the time zone of the machine. */
#include <stdlib.h>
#include <time.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "tests/main.h"

static const struct {
	int64_t wall_ms;
	const char *text;
} times[] = {
	{ 0, "1970-01-01T00:00:00.000Z" },
	{ 1721361540000, "2024-07-19T03:59:00.000Z" },
	{ 1709251199007, "2024-02-29T23:59:59.007Z" },
	{ 4102444800000, "2100-01-01T00:00:00.000Z" },
	{ -1, "1970-01-01T00:00:00.000Z" },
};

START_TEST(iso_is_utc_with_milliseconds)
{
	char text[BL_TIME_ISO_LEN];

	ck_assert_int_eq(setenv("TZ", "America/St_Johns", 1), 0);
	tzset();
	ck_assert_ptr_eq(bl_clock_iso(times[_i].wall_ms, text), text);
	ck_assert_str_eq(text, times[_i].text);
}
END_TEST

START_TEST(sleeping_takes_no_less_than_it_says)
{
	uint64_t start = bl_clock_mono_ms();

	bl_clock_sleep_ms(120);
	ck_assert_uint_ge(bl_clock_mono_ms() - start, 119);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("clock");
	TCase *t = tcase_create("clock");

	tcase_add_loop_test(t, iso_is_utc_with_milliseconds, 0,
			    (int)BL_ARRAY_SIZE(times));
	tcase_add_test(t, sleeping_takes_no_less_than_it_says);
	suite_add_tcase(s, t);
	return s;
}
