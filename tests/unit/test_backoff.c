/* SPDX-License-Identifier: Apache-2.0 */
/* When agents come back: not all at once, never before they are asked to, and
 * soon enough not to look dead. */
#include "canary/agent/backoff.h"

#include "canary/decide/plan.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

#define INTERVAL_MS 2000

/* Drawn evenly enough. */
static const uint32_t draws[] = { 0,	     1,		 249,	     250,
				  12345,     UINT32_MAX, 1u << 31,   4999,
				  715827883, 99991,	 3000000019, 777 };

START_TEST(the_window_doubles_up_to_its_limit)
{
	static const int64_t windows[] = { 250,	 500,  1000, 2000,
					   4000, 5000, 5000 };
	size_t i, n;

	for (n = 0; n < BL_ARRAY_SIZE(windows); n++) {
		/* All of it is used, from nearly nothing to its end. */
		ck_assert_int_eq(bl_backoff_ms(INTERVAL_MS, 0, (unsigned)n + 1,
					       0, 0),
				 BL_BACKOFF_MIN_MS);
		ck_assert_int_eq(bl_backoff_ms(INTERVAL_MS, 0, (unsigned)n + 1,
					       0, (uint32_t)windows[n]),
				 windows[n]);
		for (i = 0; i < BL_ARRAY_SIZE(draws); i++)
			ck_assert_int_le(bl_backoff_ms(INTERVAL_MS, 0,
						       (unsigned)n + 1, 0,
						       draws[i]),
					 windows[n]);
	}
	ck_assert_int_eq(bl_backoff_ms(INTERVAL_MS, 0, 4000000000U, 0, 5000),
			 5000);
}
END_TEST

START_TEST(who_polls_rarely_comes_back_rarely)
{
	ck_assert_int_eq(bl_backoff_ms(60000, 0, 20, 0, 60000), 60000);
}
END_TEST

START_TEST(nobody_comes_before_he_is_asked_to_and_not_all_then)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(draws); i++) {
		int64_t ms = bl_backoff_ms(INTERVAL_MS, 0, 1, 3000, draws[i]);

		ck_assert_int_ge(ms, 3000);
		ck_assert_int_le(ms, 6000);
	}
	ck_assert_int_eq(bl_backoff_ms(INTERVAL_MS, 0, 1, 3000, 3000), 6000);
	/* The window of many failures is the longer one. */
	ck_assert_int_eq(bl_backoff_ms(INTERVAL_MS, 0, 9, 1000, 5000), 6000);
}
END_TEST

static const struct {
	int64_t interval_ms, asked_ms;
	unsigned failures;
} worst[] = {
	{ INTERVAL_MS, INT64_MAX, 99 }, { 60000, 0, 10 },
	{ 3600000, 0, 4000000000U },	{ 3600000, INT64_MAX, 1 },
	{ INTERVAL_MS, 2000, 3 },	{ 100, 10000, 1 },
};

/* Whatever plan is under way: after a failure there is time for one more. */
START_TEST(a_controller_cannot_make_hosts_look_dead)
{
	struct bl_plan plan;
	int64_t s;
	size_t i;

	bl_plan_default(&plan);
	for (s = 1; s <= 3600; s++) {
		plan.silence_ms = s * 1000;
		for (i = 0; i < BL_ARRAY_SIZE(draws); i++)
			ck_assert_int_le(bl_backoff_ms(worst[_i].interval_ms,
						       bl_plan_poll_ms(&plan),
						       worst[_i].failures,
						       worst[_i].asked_ms,
						       draws[i]),
					 plan.silence_ms / 2);
	}
	ck_assert_int_eq(bl_backoff_ms(INTERVAL_MS, 0, 1, -5000, 0),
			 BL_BACKOFF_MIN_MS);
}
END_TEST

/* Being in a hurry is no reason to come all at once, or not to hear. */
START_TEST(a_hurry_has_a_window_too)
{
	ck_assert_int_eq(bl_backoff_ms(60000, 1000, 99, 0, 2000), 2000);
	ck_assert_int_eq(bl_backoff_ms(60000, 1000, 99, 2000, 0), 2000);
	ck_assert_int_eq(bl_backoff_ms(60000, 1000, 99, 2000, 2000), 4000);
	ck_assert_int_eq(bl_backoff_ms(60000, 1000, 1, 0, 250), 250);
	/* Nor to come more rarely than if there were none. */
	ck_assert_int_eq(bl_backoff_ms(INTERVAL_MS, 3600000, 99, 0, 5000),
			 5000);
}
END_TEST

START_TEST(jitter_is_a_tenth)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(draws); i++) {
		ck_assert_int_ge(bl_jitter_ms(2000, draws[i]), 1800);
		ck_assert_int_le(bl_jitter_ms(2000, draws[i]), 2200);
	}
	ck_assert_int_eq(bl_jitter_ms(2000, 400), 2200);
	ck_assert_int_eq(bl_jitter_ms(2000, 0), 1800);
	ck_assert_int_eq(bl_jitter_ms(5, 7), 5);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("backoff");
	TCase *t = tcase_create("backoff");

	tcase_add_test(t, the_window_doubles_up_to_its_limit);
	tcase_add_test(t, who_polls_rarely_comes_back_rarely);
	tcase_add_test(t, nobody_comes_before_he_is_asked_to_and_not_all_then);
	tcase_add_loop_test(t, a_controller_cannot_make_hosts_look_dead, 0,
			    BL_ARRAY_SIZE(worst));
	tcase_add_test(t, a_hurry_has_a_window_too);
	tcase_add_test(t, jitter_is_a_tenth);
	suite_add_tcase(s, t);
	return s;
}
