/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator, and what a plan promises: small seeded versions of the table
 * that a release is measured by (scripts/bench fleet and `belay simulate` have
 * the large ones). Every run is drawn from its seed alone.
 */
#include <errno.h>
#include <string.h>

#include "canary/decide/wald.h"
#include "canary/simulate/chances.h"
#include "canary/simulate/chart.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

#define RUNS 400

/* The plan that the tables are made with. */
#define CAREFUL BL_TEST_SOURCE_DIR "/canary/simulate/careful.json"

static struct bl_plan plan;
static struct bl_sim_opts opts;
static struct bl_sim_chances c;
static struct bl_sim_result first;

static void set_up(void)
{
	ck_assert_int_eq(bl_plan_load(CAREFUL, &plan, NULL), 0);
	opts = (struct bl_sim_opts){ .plan = &plan,
				     .rule = bl_sim_rule_find("belay"),
				     .hosts = 8500000,
				     .strata = 12,
				     .background = 0.001,
				     .seed = 1 };
}

static void simulate(const char *fault, unsigned runs)
{
	bl_sim_result_free(&first);
	ck_assert_int_eq(bl_sim_fault_parse(fault, &opts, NULL), 0);
	ck_assert_int_eq(
		bl_sim_chances(&opts, runs, NULL, NULL, &c, &first, NULL), 0);
	ck_assert_uint_eq(c.runs, runs);
}

static void tear_down(void)
{
	bl_sim_result_free(&first);
}

START_TEST(crash_of_every_host_reaches_two_of_a_stratum_at_most)
{
	simulate("crash", RUNS);
	ck_assert_uint_eq(c.stopped, RUNS);
	ck_assert_uint_eq(c.first_wave, RUNS);
	ck_assert_uint_le(c.stratum_max, 2);
	/* Three hosts decide, and come within seconds of each other. */
	ck_assert_double_le(c.decide_max_s, 15);
	/* Who tolerates nothing: at the first one, one of each at most. */
	bl_plan_default(&plan);
	opts.background = 0;
	simulate("crash", RUNS);
	ck_assert_uint_eq(c.stopped, RUNS);
	ck_assert_uint_eq(c.stratum_max, 1);
	ck_assert_double_le(c.decide_max_s, 1);
}
END_TEST

START_TEST(crash_of_one_in_five_takes_about_what_wald_expects)
{
	const struct bl_wald w = { 0.001, 0.2, plan.alpha, plan.beta };
	const unsigned width = opts.strata; /* of the first wave */

	simulate("rare:20%", RUNS);
	ck_assert_uint_eq(c.stopped, RUNS);
	ck_assert_double_le(c.exposed_mean, 1.2 * bl_wald_expected(&w) + width);
	ck_assert_uint_le(c.exposed_p99, 38 + width);
}
END_TEST

START_TEST(fault_of_one_stratum_is_found_in_the_first_wave_always)
{
	simulate("stratum:1%", RUNS);
	ck_assert_uint_eq(c.stopped, RUNS);
	ck_assert_uint_eq(c.first_wave, RUNS);
	ck_assert_uint_le(c.stratum_max, 2);
}
END_TEST

START_TEST(good_version_is_stopped_no_oftener_than_stated)
{
	/* Larger errors than a plan has, so that so few runs see them. */
	plan.alpha = 0.05;
	opts.hosts = 2000;
	simulate("none", RUNS);
	ck_assert_uint_le(c.stopped, (unsigned)(plan.alpha * RUNS));
	/* All of them got it, some of which failed for their own reasons. */
	ck_assert_uint_eq(c.exposed_p50, 2000);
	ck_assert_double_gt(c.down_mean, 1);
}
END_TEST

START_TEST(slow_version_is_stopped_by_its_guard_and_by_nothing_else)
{
	simulate("slow:3", RUNS);
	ck_assert_uint_eq(c.stopped, RUNS);
	ck_assert_uint_le(c.exposed_p99, 64);
	plan.guarded[BL_GUARD_TIME_PER_EVENT] = false;
	opts.hosts = 5000;
	simulate("slow:3", 5);
	ck_assert_uint_eq(c.stopped, 0);
}
END_TEST

START_TEST(every_baseline_exposes_more)
{
	static const char *const others[] = { "all", "hawkbit", "kayenta",
					      "flagger" };
	static const char *const faults[] = { "crash", "rare:20%" };
	unsigned belay;

	opts.hosts = 50000;
	simulate(faults[_i], 20);
	belay = c.exposed_max;
	for (size_t i = 0; i < BL_ARRAY_SIZE(others); i++) {
		opts.rule = bl_sim_rule_find(others[i]);
		simulate(faults[_i], 3);
		ck_assert_double_gt(c.exposed_mean, 2.0 * belay);
	}
}
END_TEST

/* The others are there, too: what their rules are for, they find. */
START_TEST(baselines_stop_what_their_rules_are_for)
{
	opts.hosts = 20000;
	opts.rule = bl_sim_rule_find("hawkbit");
	simulate("crash", 5);
	ck_assert_uint_eq(c.stopped, 5);
	ck_assert_uint_le(c.exposed_max, 2000); /* its first group */
	simulate("rare:20%", 5);
	ck_assert_uint_eq(c.stopped, 0); /* less than half of a group */
	opts.rule = bl_sim_rule_find("flagger");
	simulate("rare:20%", 5);
	ck_assert_uint_eq(c.stopped, 5);
	opts.rule = bl_sim_rule_find("kayenta");
	simulate("rare:20%", 5);
	ck_assert_uint_eq(c.stopped, 5);
	ck_assert_uint_le(c.exposed_max, 200);
	simulate("slow:3", 5);
	ck_assert_uint_eq(c.stopped, 5);
	opts.rule = bl_sim_rule_find("all");
	simulate("crash", 1);
	ck_assert_uint_eq(c.stopped, 0);
	ck_assert_uint_eq(c.exposed_max, 20000);
	ck_assert_ptr_null(bl_sim_rule_find("luck"));
}
END_TEST

START_TEST(same_seed_is_the_same_run_and_another_is_another)
{
	struct bl_sim_result again = { 0 };

	opts.hosts = 3000;
	simulate("rare:20%", 1);
	ck_assert_int_eq(bl_sim_run(&opts, &again, NULL), 0);
	ck_assert_int_eq(again.stop_ms, first.stop_ms);
	ck_assert_uint_eq(again.exposed, first.exposed);
	ck_assert_str_eq(again.reason, first.reason);
	opts.seed++;
	ck_assert_int_eq(bl_sim_run(&opts, &again, NULL), 0);
	ck_assert_int_ne(again.first_sign_ms, first.first_sign_ms);
}
END_TEST

/* Runs whose sequences overlap would all say the same, and one mean thing. */
START_TEST(seeds_are_independent_of_each_other)
{
	opts.hosts = 2000;
	opts.background = 0.01;
	plan.p0_percent = 1;
	plan.ladder_count = 2;
	simulate("none", RUNS);
	/* 20 of each run go down; the mean over all is within 5 sigma. */
	ck_assert_double_eq_tol(c.down_mean, 20, 5 * 0.223);
}
END_TEST

/* I7 at every point of the course, and what is down comes back. */
START_TEST(course_holds_the_cap_and_ends_with_nobody_down)
{
	unsigned i;

	plan.cap = 50;
	opts.hosts = 5000;
	opts.series = true;
	simulate("none", 1);
	ck_assert_uint_gt(first.point_count, 100);
	for (i = 1; i < first.point_count; i++) {
		const struct bl_sim_point *p = &first.points[i];

		ck_assert_int_gt(p->t_ms, p[-1].t_ms);
		ck_assert_uint_ge(p->exposed, p[-1].exposed);
		ck_assert_uint_le(p->down, plan.cap);
	}
	ck_assert_uint_eq(first.points[i - 1].down, 0);
	ck_assert_uint_eq(first.exposed, 5000);
}
END_TEST

START_TEST(chart_shows_every_rule)
{
	bl_autobuf struct bl_buf svg = { 0 };
	struct bl_sim_line line;

	opts.hosts = 1000;
	opts.series = true;
	simulate("crash", 1);
	line = (struct bl_sim_line){ "belay", &first };
	ck_assert_int_eq(bl_sim_chart("a < b", 1000, &line, 1, &svg), 0);
	ck_assert_ptr_nonnull(strstr(svg.data, ">belay</text>"));
	ck_assert_ptr_nonnull(strstr(svg.data, "a &lt; b"));
	ck_assert_ptr_nonnull(strstr(svg.data, "</svg>\n"));
	ck_assert_ptr_null(strstr(svg.data, "nan"));
	ck_assert_ptr_null(strstr(svg.data, "inf"));
}
END_TEST

static bool stop_now(void *ctx)
{
	return --*(int *)ctx > 0;
}

START_TEST(what_cannot_be_simulated_says_why)
{
	static const char *const wrong[] = { "",       "crashes",   "rare",
					     "rare:0", "rare:101%", "slow:x",
					     "none:1", "crash:0.2x" };
	struct bl_err err = { 0 };
	int left = 10;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(wrong); i++)
		ck_assert_int_eq(bl_sim_fault_parse(wrong[i], &opts, &err),
				 -EINVAL);
	opts.fault = BL_SIM_NONE;
	opts.strata = 65;
	ck_assert_int_eq(bl_sim_run(&opts, &first, &err), -EINVAL);
	opts.strata = 12;
	opts.go_on = stop_now;
	opts.ctx = &left;
	ck_assert_int_eq(bl_sim_run(&opts, &first, &err), -EINTR);
	opts.go_on = NULL;
	plan.cap = 1; /* one host at a time: years */
	ck_assert_int_eq(bl_sim_run(&opts, &first, &err), -ETIME);
}
END_TEST

/* Never good, nobody's failure: it is held each time until somebody resumes. */
START_TEST(hosts_that_cannot_judge_it_hold_it_and_go_without)
{
	bl_plan_default(&plan);
	opts.hosts = 200;
	opts.background = 0;
	simulate("undecided:10%", 20);
	ck_assert_uint_eq(c.stopped, 0);
	ck_assert_uint_eq(c.exposed_p50, 200);
	ck_assert_double_gt(c.undecided_mean, 10);
	ck_assert_double_lt(c.undecided_mean, 30);
	ck_assert_double_gt(c.holds_mean, 1);
	ck_assert_double_le(c.holds_mean, c.undecided_mean);
	/* Each of them costs an operator's time, and the hosts none. */
	ck_assert_double_ge(c.end_mean_s,
			    c.holds_mean * BL_SIM_OPERATOR_MS / 1000);
	ck_assert_double_eq(c.down_mean, 0);
	ck_assert_ptr_nonnull(strstr(first.reason, " undecided, without it"));
	/* One that wants to be stopped by it, at the first. */
	plan.undecided = BL_UNDECIDED_STOP;
	simulate("undecided", 20);
	ck_assert_uint_eq(c.stopped, 20);
	ck_assert_uint_le(c.exposed_max, 12); /* of each stratum one */
	ck_assert_double_eq(c.holds_mean, 0);
	ck_assert_ptr_nonnull(strstr(first.reason, "is undecided"));
	/* Nobody can: nobody keeps it. */
	plan.undecided = BL_UNDECIDED_PAUSE;
	simulate("undecided", 1);
	ck_assert_uint_eq(c.stopped, 0);
	ck_assert_uint_eq(first.undecided, 200);
}
END_TEST

START_TEST(who_judges_no_trial_is_not_held)
{
	opts.hosts = 500;
	opts.background = 0;
	opts.rule = bl_sim_rule_find("hawkbit");
	ck_assert(!bl_sim_rule_judges(opts.rule));
	simulate("undecided:50%", 1);
	ck_assert_uint_eq(first.undecided, 0);
	ck_assert_uint_eq(first.exposed, 500);
}
END_TEST

/* Nobody of a fleet of none has a name. */
START_TEST(first_wave_of_names_is_passed_over)
{
	struct bl_err err = { 0 };

	bl_plan_default(&plan);
	memmove(&plan.waves[1], &plan.waves[0],
		plan.wave_count++ * sizeof(plan.waves[0]));
	plan.waves[0] = (struct bl_wave){ .names = { 0, 1 } };
	strcpy(plan.names[plan.name_count++], "canary-*");
	opts.hosts = 50;
	opts.background = 0;
	simulate("none", 2);
	ck_assert_uint_eq(c.stopped, 0);
	ck_assert_uint_eq(c.exposed_p50, 50);
	plan.wave_count = 1;
	ck_assert_int_eq(bl_sim_chances(&opts, 1, NULL, NULL, &c, &first, &err),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "only wave is of names"));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("simulate");
	TCase *t = tcase_create("simulate");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, crash_of_every_host_reaches_two_of_a_stratum_at_most);
	tcase_add_test(t, crash_of_one_in_five_takes_about_what_wald_expects);
	tcase_add_test(t,
		       fault_of_one_stratum_is_found_in_the_first_wave_always);
	tcase_add_test(t, good_version_is_stopped_no_oftener_than_stated);
	tcase_add_test(
		t, slow_version_is_stopped_by_its_guard_and_by_nothing_else);
	tcase_add_loop_test(t, every_baseline_exposes_more, 0, 2);
	tcase_add_test(t, baselines_stop_what_their_rules_are_for);
	tcase_add_test(t, same_seed_is_the_same_run_and_another_is_another);
	tcase_add_test(t, seeds_are_independent_of_each_other);
	tcase_add_test(t, course_holds_the_cap_and_ends_with_nobody_down);
	tcase_add_test(t, chart_shows_every_rule);
	tcase_add_test(t, what_cannot_be_simulated_says_why);
	tcase_add_test(t, first_wave_of_names_is_passed_over);
	tcase_add_test(t, hosts_that_cannot_judge_it_hold_it_and_go_without);
	tcase_add_test(t, who_judges_no_trial_is_not_held);
	suite_add_tcase(s, t);
	return s;
}
