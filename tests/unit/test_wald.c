/* SPDX-License-Identifier: Apache-2.0 */
/* Wald's test: how many hosts a verdict takes, and that the errors it states
 * are no smaller than the ones it makes. Chance is seeded: a run that fails,
 * fails always. */
#include <math.h>
#include <stdint.h>

#include "canary/decide/wald.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

static const struct bl_wald crash = {
	.p0 = 1e-3, .p1 = 0.2, .alpha = 1e-3, .beta = 1e-3
};

START_TEST(a_deterministic_crash_takes_one_host_and_two_at_a_millionth)
{
	struct bl_wald w = { .p0 = 1e-3, .p1 = 1, .alpha = 1e-3, .beta = 1e-3 };

	ck_assert_uint_eq(bl_wald_bad_needed(&w), 1);
	ck_assert_int_eq(bl_wald_judge(&w, 0, 1), BL_WALD_BAD);
	w.alpha = 1e-6;
	ck_assert_uint_eq(bl_wald_bad_needed(&w), 2);
	ck_assert_int_eq(bl_wald_judge(&w, 0, 1), BL_WALD_UNDECIDED);
	ck_assert_int_eq(bl_wald_judge(&w, 0, 2), BL_WALD_BAD);
	/* One good host: not every host crashes. */
	ck_assert_int_eq(bl_wald_judge(&w, 1, 1), BL_WALD_GOOD);
	ck_assert_uint_eq(bl_wald_good_needed(&w, 5), 1);
}
END_TEST

START_TEST(who_tolerates_nothing_needs_one)
{
	struct bl_wald w = { .p1 = 0.01, .alpha = 1e-9, .beta = 1e-3 };

	ck_assert_int_eq(bl_wald_judge(&w, 1000000, 1), BL_WALD_BAD);
	ck_assert_uint_eq(bl_wald_bad_needed(&w), 1);
	ck_assert_int_eq(bl_wald_judge(&w, 1, 0), BL_WALD_UNDECIDED);
	ck_assert_int_eq(bl_wald_judge(&w, 688, 0), BL_WALD_GOOD);
	ck_assert_uint_eq(bl_wald_good_needed(&w, 0), 688);
	ck_assert_uint_eq(bl_wald_good_needed(&w, 1), UINT64_MAX);
	w.p1 = 1;
	ck_assert_int_eq(bl_wald_judge(&w, 5, 1), BL_WALD_BAD);
}
END_TEST

/* The smallest numbers that decide are where the formulas say. */
START_TEST(needed_numbers_are_the_first_that_decide)
{
	static const double rates[] = { 0.2, 0.05, 0.01 };
	uint64_t bad, n;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(rates); i++) {
		struct bl_wald w = crash;

		w.p1 = rates[i];
		for (bad = 0; bad < 4; bad++) {
			n = bl_wald_good_needed(&w, bad);
			ck_assert_int_eq(bl_wald_judge(&w, n, bad),
					 BL_WALD_GOOD);
			ck_assert_int_ne(bl_wald_judge(&w, n - 1, bad),
					 BL_WALD_GOOD);
		}
		n = bl_wald_bad_needed(&w);
		ck_assert_int_eq(bl_wald_judge(&w, 0, n), BL_WALD_BAD);
		ck_assert_int_ne(bl_wald_judge(&w, 0, n - 1), BL_WALD_BAD);
	}
	/* ln(0.001) / ln(0.8 / 0.999) */
	ck_assert_uint_eq(bl_wald_good_needed(&crash, 0), 32);
}
END_TEST

START_TEST(one_more_of_a_kind_never_turns_a_verdict)
{
	uint64_t good, bad;

	for (good = 0; good < 60; good++)
		for (bad = 0; bad < 20; bad++) {
			enum bl_wald_verdict v =
				bl_wald_judge(&crash, good, bad);

			if (v == BL_WALD_BAD)
				ck_assert_int_eq(bl_wald_judge(&crash, good,
							       bad + 1),
						 BL_WALD_BAD);
			if (v == BL_WALD_GOOD)
				ck_assert_int_eq(bl_wald_judge(&crash, good + 1,
							       bad),
						 BL_WALD_GOOD);
		}
}
END_TEST

static uint64_t state;

static double uniform(void)
{
	/* splitmix64 */
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Hosts until the verdict, of a version of rate @p; at most @most. */
static unsigned run(const struct bl_wald *w, double p, unsigned most,
		    enum bl_wald_verdict *ret)
{
	unsigned good = 0, bad = 0;

	*ret = BL_WALD_UNDECIDED;
	while (good + bad < most && *ret == BL_WALD_UNDECIDED) {
		if (uniform() < p)
			bad++;
		else
			good++;
		*ret = bl_wald_judge(w, good, bad);
	}
	return good + bad;
}

#define RUNS 20000

START_TEST(errors_are_at_most_what_is_stated)
{
	/* Larger errors than a plan has, so that 20,000 runs see them. */
	struct bl_wald w = {
		.p0 = 0.02, .p1 = 0.2, .alpha = 0.02, .beta = 0.05
	};
	unsigned i, false_bad = 0, false_good = 0;
	enum bl_wald_verdict v;

	state = 1;
	for (i = 0; i < RUNS; i++) {
		run(&w, w.p0, 100000, &v);
		false_bad += v == BL_WALD_BAD;
		run(&w, w.p1, 100000, &v);
		false_good += v == BL_WALD_GOOD;
	}
	ck_assert_uint_le(false_bad, (unsigned)(w.alpha * RUNS));
	ck_assert_uint_le(false_good, (unsigned)(w.beta * RUNS));
	/* ... and it does not get there by never deciding. */
	ck_assert_uint_gt(false_bad, 0);
	ck_assert_uint_gt(false_good, 0);
}
END_TEST

START_TEST(its_length_is_near_what_wald_expects)
{
	double sum = 0, expected = bl_wald_expected(&crash);
	enum bl_wald_verdict v;
	unsigned i;

	ck_assert_double_eq_tol(expected, 7.8156, 1e-3);
	state = 2;
	for (i = 0; i < RUNS; i++)
		sum += run(&crash, crash.p1, 100000, &v);
	/* His approximation counts nothing beyond the bounds. */
	ck_assert_double_ge(sum / RUNS, expected);
	ck_assert_double_le(sum / RUNS, 2 * expected);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("wald");
	TCase *t = tcase_create("wald");

	tcase_add_test(
		t, a_deterministic_crash_takes_one_host_and_two_at_a_millionth);
	tcase_add_test(t, who_tolerates_nothing_needs_one);
	tcase_add_test(t, needed_numbers_are_the_first_that_decide);
	tcase_add_test(t, one_more_of_a_kind_never_turns_a_verdict);
	tcase_add_test(t, errors_are_at_most_what_is_stated);
	tcase_add_test(t, its_length_is_near_what_wald_expects);
	suite_add_tcase(s, t);
	return s;
}
