/* SPDX-License-Identifier: Apache-2.0 */
/* Guard metrics: what counts as worse, and that looking after every pair makes
 * no more errors than stated. Chance is seeded. */
#include <errno.h>
#include <math.h>
#include <stdint.h>

#include "canary/decide/guard.h"
#include "tests/main.h"

START_TEST(worse_is_more_than_tolerated_and_more_than_nothing)
{
	enum bl_guard_metric time = BL_GUARD_TIME_PER_EVENT;

	ck_assert(bl_guard_worse(time, 1300, 1000, 20));
	ck_assert(!bl_guard_worse(time, 1200, 1000, 20));
	ck_assert(!bl_guard_worse(time, 100, 1000, 20));
	/* Three times as much, and 100 ns. */
	ck_assert(!bl_guard_worse(time, 150, 50, 20));
	ck_assert(!bl_guard_worse(BL_GUARD_DROP_RATIO, 0.0002, 0, 10));
	ck_assert(bl_guard_worse(BL_GUARD_DROP_RATIO, 0.02, 0, 10));
	ck_assert(bl_guard_worse(BL_GUARD_EVENTS_MORE, 100, 10, 100));
	ck_assert(!bl_guard_worse(BL_GUARD_EVENTS_MORE, 0, 10, 100));
	ck_assert(bl_guard_worse(BL_GUARD_EVENTS_FEWER, 0, 10, 100));
	ck_assert(!bl_guard_worse(BL_GUARD_EVENTS_FEWER, 100, 10, 100));
	ck_assert(!bl_guard_worse(BL_GUARD_EVENTS_FEWER, 6, 10, 100));
}
END_TEST

START_TEST(every_metric_has_a_name_and_a_name_is_one_metric)
{
	enum bl_guard_metric m, back;

	for (m = 0; m < BL_GUARD_METRICS; m++) {
		ck_assert_int_eq(bl_guard_parse(bl_guard_name(m), &back), 0);
		ck_assert_int_eq(back, m);
	}
	ck_assert_int_eq(bl_guard_parse("latency", &back), -EINVAL);
}
END_TEST

START_TEST(half_of_the_pairs_is_no_evidence)
{
	uint64_t n;

	for (n = 2; n < 100000; n *= 2) {
		ck_assert_double_lt(bl_guard_log_e(n / 2, n), 0);
		ck_assert(!bl_guard_bad(n / 2, n, 0.05));
	}
	ck_assert(!bl_guard_bad(0, 0, 0.5));
	ck_assert(!bl_guard_bad(0, 1000, 0.5));
	/* A little above half is found, if there are enough of them. */
	ck_assert(bl_guard_bad(5500, 10000, 1e-6));
	ck_assert_uint_eq(bl_guard_pairs_needed(1e-3), 13);
}
END_TEST

static uint64_t state;

static double uniform(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* A fleet in which hosts differ by a factor of thousands: heavy tails. */
static double host_value(void)
{
	return 1000 * pow(uniform() + 1e-9, -1.5);
}

#define RUNS  1000
#define PAIRS 200

/* Runs that ever call the version worse if it takes @factor of the time. */
static unsigned runs_bad(double factor, double alpha, double tolerated)
{
	unsigned i, n, worse, bad = 0;

	for (i = 0; i < RUNS; i++) {
		for (n = 1, worse = 0; n <= PAIRS; n++) {
			worse += bl_guard_worse(BL_GUARD_TIME_PER_EVENT,
						factor * host_value(),
						host_value(), tolerated);
			if (bl_guard_bad(worse, n, alpha)) {
				bad++;
				break;
			}
		}
	}
	return bad;
}

START_TEST(looking_after_every_pair_keeps_the_stated_error)
{
	unsigned bad;

	state = 1;
	bad = runs_bad(1, 0.05, 0); /* the worst case: no tolerance at all */
	ck_assert_uint_le(bad, RUNS / 20);
	ck_assert_uint_gt(bad, 0);
}
END_TEST

START_TEST(what_is_slower_is_found_among_hosts_that_differ)
{
	state = 2;
	ck_assert_uint_ge(runs_bad(3, 1e-3, 20), RUNS * 95 / 100);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("guard");
	TCase *t = tcase_create("guard");

	tcase_add_test(t, worse_is_more_than_tolerated_and_more_than_nothing);
	tcase_add_test(t, every_metric_has_a_name_and_a_name_is_one_metric);
	tcase_add_test(t, half_of_the_pairs_is_no_evidence);
	tcase_add_test(t, looking_after_every_pair_keeps_the_stated_error);
	tcase_add_test(t, what_is_slower_is_found_among_hosts_that_differ);
	suite_add_tcase(s, t);
	return s;
}
