/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent measures of its host: over whole windows of one version. */
#include <string.h>

#include "canary/ledger/gauge.h"
#include "tests/main.h"

static struct bl_gauge g;
static struct bl_metrics m;
static struct bl_gauge_sample s;

static void set_up(void)
{
	memset(&g, 0, sizeof(g));
	memset(&m, 0, sizeof(m));
	s = (struct bl_gauge_sample){ .live = "one", .memory_bytes = 4096 };
	bl_gauge_add(&g, &s, 1000, &m);
}

static bool knows(enum bl_guard_metric metric)
{
	return m.known & 1u << metric;
}

START_TEST(window_gives_means_of_what_was_in_it)
{
	s.events += 2700;
	s.drops += 300;
	s.run_count += 1000;
	s.run_time_ns += 5000000;
	s.cpu_us += 600000;
	bl_gauge_add(&g, &s, 30999, &m);
	ck_assert_uint_eq(m.known, 0); /* not over yet */
	bl_gauge_add(&g, &s, 31000, &m);
	ck_assert_double_eq(m.value[BL_GUARD_TIME_PER_EVENT], 5000);
	ck_assert_double_eq(m.value[BL_GUARD_DROP_RATIO], 0.1);
	ck_assert_double_eq(m.value[BL_GUARD_EVENTS_MORE], 100);
	ck_assert_double_eq(m.value[BL_GUARD_EVENTS_FEWER], 100);
	ck_assert_double_eq(m.value[BL_GUARD_MEMORY], 4096);
	ck_assert_double_eq_tol(m.value[BL_GUARD_AGENT_CPU], 0.02, 1e-12);
	/* The next window is about itself. */
	s.events += 600;
	bl_gauge_add(&g, &s, 61000, &m);
	ck_assert_double_eq(m.value[BL_GUARD_EVENTS_MORE], 20);
	ck_assert_double_eq(m.value[BL_GUARD_DROP_RATIO], 0);
}
END_TEST

START_TEST(what_was_not_measured_is_not_said)
{
	s.events += 3;
	s.memory_bytes = 0;
	bl_gauge_add(&g, &s, 40000, &m);
	ck_assert(!knows(BL_GUARD_TIME_PER_EVENT)); /* nobody keeps it */
	ck_assert(!knows(BL_GUARD_DROP_RATIO));	    /* of three events */
	ck_assert(!knows(BL_GUARD_MEMORY));
	ck_assert(knows(BL_GUARD_EVENTS_FEWER));
}
END_TEST

START_TEST(another_version_begins_anew)
{
	bl_gauge_add(&g, &s, 31000, &m);
	ck_assert(knows(BL_GUARD_MEMORY));
	s.live = "two";
	bl_gauge_add(&g, &s, 31001, &m);
	ck_assert_uint_eq(m.known, 0);
	bl_gauge_add(&g, &s, 61000, &m);
	ck_assert_uint_eq(m.known, 0);
	bl_gauge_add(&g, &s, 61001, &m);
	ck_assert(knows(BL_GUARD_MEMORY));
	s.live = "";
	bl_gauge_add(&g, &s, 99999, &m);
	ck_assert_uint_eq(m.known, 0);
}
END_TEST

/* A sensor whose counters began again has no rate of minus a million. */
START_TEST(counters_that_began_again_lose_the_window)
{
	s.events = 1000000;
	bl_gauge_add(&g, &s, 31000, &m);
	s.events = 10;
	bl_gauge_add(&g, &s, 61000, &m);
	ck_assert_double_gt(m.value[BL_GUARD_EVENTS_MORE], 1000); /* old */
	s.events = 40;
	bl_gauge_add(&g, &s, 91000, &m);
	ck_assert_double_eq(m.value[BL_GUARD_EVENTS_MORE], 1);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("gauge");
	TCase *t = tcase_create("gauge");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, window_gives_means_of_what_was_in_it);
	tcase_add_test(t, what_was_not_measured_is_not_said);
	tcase_add_test(t, another_version_begins_anew);
	tcase_add_test(t, counters_that_began_again_lose_the_window);
	suite_add_tcase(suite, t);
	return suite;
}
