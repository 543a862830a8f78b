/* SPDX-License-Identifier: Apache-2.0 */
/* The decision: each row of its table, and what no view may ever decide. */
#include <string.h>

#include "canary/decide/decision.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

#define NOW 1000000

static struct bl_plan plan;
static struct bl_view_host hosts[8];
static struct bl_view view;
static struct bl_decision d;

static void set_up(void)
{
	size_t i;

	bl_plan_default(&plan); /* soak 5 s */
	plan.waves[0] = (struct bl_wave){ .hosts = 1, .soak_ms = 5000 };
	plan.waves[1] = plan.waves[2]; /* 50 % */
	plan.waves[2] = plan.waves[3];
	plan.wave_count = 3;
	for (i = 0; i < BL_ARRAY_SIZE(hosts); i++)
		hosts[i] = (struct bl_view_host){
			.name = "web",
			.state = BL_EXPOSURE_COMMITTED,
			.exposed_ms = NOW - 20000,
			.heard_ms = NOW - 500,
			.reason = "",
		};
	view = (struct bl_view){
		.plan = &plan,
		.state = BL_ROLLOUT_RUNNING,
		.target = 1,
		.commit_ms = NOW - 10000,
		.now_ms = NOW,
		.listening_ms = NOW - 600000,
		.hosts = hosts,
		.count = 1,
		.waiting = 5,
	};
}

static enum bl_decision_kind decide(void)
{
	bl_decide(&view, &d);
	return d.kind;
}

START_TEST(goes_wave_by_wave)
{
	view.count = 0;
	view.waiting = 6;
	view.target = 0;
	ck_assert_int_eq(decide(), BL_DECISION_EXPOSE);
	ck_assert_uint_eq(d.target, 1);
	view.target = 1;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	view.count = 1;
	view.waiting = 5;
	hosts[0].state = BL_EXPOSURE_TRIAL;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	hosts[0].state = BL_EXPOSURE_COMMITTED;
	view.commit_ms = NOW - 4999;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT); /* it soaks */
	view.commit_ms = NOW - 5000;
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
	ck_assert_uint_eq(d.target, 3);
	view.wave = 2;
	view.target = 6;
	view.count = 6;
	view.waiting = 0;
	ck_assert_int_eq(decide(), BL_DECISION_DONE);
}
END_TEST

/* I6: one bad host among good ones, in every place, and in every wave. */
START_TEST(I6_one_bad_host_stops_it)
{
	static const enum bl_exposure_state bad[] = {
		BL_EXPOSURE_FAILED,
		BL_EXPOSURE_BACK,
		BL_EXPOSURE_SILENT,
		BL_EXPOSURE_STUCK,
	};
	size_t i;

	view.count = 6;
	view.waiting = 0;
	view.target = 6;
	for (view.wave = 0; view.wave < 3; view.wave++) {
		for (i = 0; i < view.count; i++) {
			hosts[i].state = bad[_i];
			ck_assert_int_eq(decide(), BL_DECISION_STOP);
			ck_assert_uint_eq(d.host, i);
			hosts[i].state = BL_EXPOSURE_COMMITTED;
		}
	}
}
END_TEST

START_TEST(I6_silence_is_never_health)
{
	static const enum bl_exposure_state states[] = {
		BL_EXPOSURE_EXPOSED, BL_EXPOSURE_TRIAL, BL_EXPOSURE_COMMITTED
	};
	size_t i;

	view.count = 3;
	view.target = 3;
	view.wave = 1;
	for (i = 0; i < BL_ARRAY_SIZE(states); i++) {
		hosts[1].state = states[i];
		hosts[1].heard_ms = NOW - plan.silence_ms * 9 / 8 - 1;
		ck_assert_int_eq(decide(), BL_DECISION_SILENT);
		ck_assert_uint_eq(d.host, 1);
		/* Never before the deadline, though. */
		hosts[1].heard_ms = NOW - plan.silence_ms;
		ck_assert_int_ne(decide(), BL_DECISION_SILENT);
	}
	/* Nobody was there to hear it. */
	hosts[1].heard_ms = NOW - 600000;
	view.listening_ms = NOW - 1000;
	ck_assert_int_ne(decide(), BL_DECISION_SILENT);
}
END_TEST

START_TEST(clock_that_was_set_back_hides_no_silence)
{
	hosts[0].heard_ms = NOW + 3600000;
	view.listening_ms = NOW - 1000;
	ck_assert_int_ne(decide(), BL_DECISION_SILENT);
	view.listening_ms = NOW - plan.silence_ms * 2;
	ck_assert_int_eq(decide(), BL_DECISION_SILENT);
}
END_TEST

START_TEST(trial_has_a_deadline)
{
	hosts[0].state = BL_EXPOSURE_TRIAL;
	hosts[0].exposed_ms = NOW - plan.trial_ms;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	hosts[0].exposed_ms--;
	ck_assert_int_eq(decide(), BL_DECISION_STOP);
	view.listening_ms = NOW - 1000;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
}
END_TEST

START_TEST(fleet_of_none_and_fleet_that_has_it)
{
	view.count = 0;
	view.waiting = 0;
	view.target = 0;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	view.gone = 3;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	view.already = 2;
	ck_assert_int_eq(decide(), BL_DECISION_DONE);
}
END_TEST

START_TEST(fleet_that_shrinks_and_grows)
{
	/* Half of it is gone: who is left decides. */
	view.wave = 1;
	view.target = 3;
	view.count = 2;
	view.waiting = 0;
	view.gone = 4;
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
	ck_assert_uint_eq(d.target, 3); /* never shrinks */
	/* Ten more appear: the wave grows with the fleet. */
	view.waiting = 10;
	ck_assert_int_eq(decide(), BL_DECISION_EXPOSE);
	ck_assert_uint_eq(d.target, 6);
}
END_TEST

START_TEST(going_back_ends_when_all_are_accounted_for)
{
	view.state = _i ? BL_ROLLOUT_ABORTING : BL_ROLLOUT_STOPPING;
	view.stop_ms = NOW - 1000;
	view.count = 3;
	hosts[0].state = BL_EXPOSURE_FAILED;
	hosts[1].state = BL_EXPOSURE_BACK;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	hosts[2].heard_ms = NOW - plan.silence_ms * 2;
	ck_assert_int_eq(decide(), BL_DECISION_SILENT);
	hosts[2].heard_ms = NOW;
	view.stop_ms = NOW - plan.trial_ms - 1;
	ck_assert_int_eq(decide(), BL_DECISION_STUCK);
	hosts[2].state = BL_EXPOSURE_SILENT;
	ck_assert_int_eq(decide(), BL_DECISION_END);
	hosts[2].state = BL_EXPOSURE_BACK;
	ck_assert_int_eq(decide(), BL_DECISION_END);
}
END_TEST

/* Every view of three hosts in all states, with and without silence: the
 * target rises only if all that are exposed are well, and nothing rises or is
 * done once it goes back. */
START_TEST(no_view_exposes_more_while_one_is_bad)
{
	unsigned n, states = BL_EXPOSURE_STUCK + 1, i, rest;
	bool bad, quiet;

	view.count = 3;
	view.waiting = 5;
	for (n = 0; n < states * states * states * 8 * 3; n++) {
		rest = n;
		bad = false;
		for (i = 0; i < 3; i++) {
			hosts[i].state =
				(enum bl_exposure_state)(rest % states);
			rest /= states;
			quiet = rest % 2;
			rest /= 2;
			hosts[i].heard_ms = quiet ? NOW - 300000 : NOW;
			bad |= quiet || hosts[i].state > BL_EXPOSURE_COMMITTED;
		}
		view.wave = rest;
		view.target = 3;
		for (i = 0; i <= BL_ROLLOUT_DONE; i++) {
			view.state = (enum bl_rollout_state)i;
			decide();
			if (!bad && i == BL_ROLLOUT_RUNNING)
				continue;
			ck_assert_int_ne(d.kind, BL_DECISION_EXPOSE);
			ck_assert_int_ne(d.kind, BL_DECISION_NEXT_WAVE);
			ck_assert_int_ne(d.kind, BL_DECISION_DONE);
			ck_assert_uint_eq(d.target, view.target);
		}
	}
}
END_TEST

/* Strata and rates: a fleet of sums. */
static struct bl_tally strata[3];

static void set_up_strata(void)
{
	set_up();
	bl_plan_default(&plan); /* 1 of each stratum, 2, 50 %, 100 % */
	strata[0] = (struct bl_tally){ .name = "a", .waiting = 900 };
	strata[1] = (struct bl_tally){ .name = "b", .waiting = 99 };
	strata[2] = (struct bl_tally){ .name = "c", .waiting = 1 };
	view.strata = strata;
	view.stratum_count = 3;
	view.count = 0;
	view.target = 0;
	view.commit_ms = NOW - 10000;
}

/* @good, @bad and @open hosts of @t have been exposed. */
static void exposed(struct bl_tally *t, unsigned good, unsigned bad,
		    unsigned open)
{
	t->waiting -= good + bad + open;
	t->good += good;
	t->bad += bad;
	t->open += open;
	view.target += good + bad + open;
}

START_TEST(first_every_stratum_then_two_then_as_many_as_the_rate_asks_for)
{
	unsigned most, before = 0;

	ck_assert_int_eq(decide(), BL_DECISION_EXPOSE);
	ck_assert_uint_eq(d.target, 3);
	exposed(&strata[0], 1, 0, 0);
	exposed(&strata[1], 1, 0, 0);
	ck_assert_int_eq(decide(), BL_DECISION_EXPOSE); /* c is missing */
	exposed(&strata[2], 0, 0, 1);
	ck_assert_int_eq(decide(), BL_DECISION_WAIT); /* c is in its trial */
	strata[2].open = 0;
	strata[2].good = 1;
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
	ck_assert_uint_eq(d.target, 5); /* c has no second one */
	view.wave = 1;
	exposed(&strata[0], 1, 0, 0);
	exposed(&strata[1], 1, 0, 0);
	/* Half of the fleet is next: not before 20 % and 5 % are excluded, by
	 * as many hosts at a time as should have shown the rate. */
	ck_assert_int_eq(decide(), BL_DECISION_EXPOSE);
	ck_assert_uint_eq(d.widened, 10);
	for (most = 5; d.kind == BL_DECISION_EXPOSE; most = before) {
		before = d.widened;
		ck_assert_uint_gt(before, most);
		ck_assert_uint_le(before - most, most < 31 ? 5 : 20);
		view.widened = d.widened;
		view.target = before;
		ck_assert_int_eq(decide(), BL_DECISION_WAIT);
		exposed(&strata[0], before - most, 0, 0);
		view.target = before;
		decide();
	}
	ck_assert_uint_eq(most, 135);
	ck_assert_int_eq(d.kind, BL_DECISION_NEXT_WAVE);
	ck_assert_uint_eq(d.target, 500);
}
END_TEST

START_TEST(who_tolerates_nothing_stops_at_one_of_a_thousand)
{
	exposed(&strata[0], 800, 0, 0);
	exposed(&strata[1], 90, 1, 3);
	ck_assert_int_eq(decide(), BL_DECISION_STOP);
	ck_assert_str_eq(d.reason,
			 "1 of 894 exposed hosts is bad: none is tolerated");
}
END_TEST

static void tolerate(double percent)
{
	plan.p0_percent = percent;
	plan.ladder_count = 3; /* 20 %, 5 %, 1 % */
}

START_TEST(tolerated_crash_of_every_host_takes_two_of_its_stratum)
{
	tolerate(0.1);
	exposed(&strata[0], 1, 0, 0);
	exposed(&strata[1], 0, 1, 0);
	exposed(&strata[2], 1, 0, 0);
	/* The bad one is replaced, in its stratum, before the wave ends. */
	ck_assert_int_eq(decide(), BL_DECISION_EXPOSE);
	ck_assert_uint_eq(d.target, 4);
	exposed(&strata[1], 0, 1, 0);
	ck_assert_int_eq(decide(), BL_DECISION_STOP);
	ck_assert_ptr_nonnull(strstr(d.reason, "2 of 2"));
	ck_assert_ptr_nonnull(strstr(d.reason, "(b)"));
	ck_assert_ptr_nonnull(strstr(d.reason, "100 %"));
}
END_TEST

START_TEST(tolerated_bad_hosts_do_not_stop_a_good_version)
{
	tolerate(0.1);
	view.wave = 2;
	exposed(&strata[0], 499, 1, 0);
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
	/* ... and hosts that are silent are marked, once. */
	hosts[0].state = BL_EXPOSURE_SILENT;
	hosts[1].heard_ms = 0;
	view.count = 2;
	ck_assert_int_eq(decide(), BL_DECISION_SILENT);
	ck_assert_uint_eq(d.host, 1);
	hosts[1] = hosts[0];
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
	/* Twelve are too many of 500. */
	strata[0].good -= 11;
	strata[0].bad += 11;
	ck_assert_int_eq(decide(), BL_DECISION_STOP);
}
END_TEST

/* Bad hosts are heard of within seconds, good ones after their trial: two of a
 * thousand in flight are no rate of 100 %. */
START_TEST(hosts_in_their_trial_count_as_good_until_they_are_not)
{
	tolerate(0.1);
	view.wave = 2;
	exposed(&strata[0], 0, 2, 500);
	ck_assert_int_ne(decide(), BL_DECISION_STOP);
	strata[0].open = 8;
	ck_assert_int_eq(decide(), BL_DECISION_STOP);
}
END_TEST

START_TEST(guard_metric_stops_what_crashes_nobody)
{
	exposed(&strata[0], 30, 0, 0);
	view.pairs[BL_GUARD_TIME_PER_EVENT] = (struct bl_pairs){ 20, 20 };
	ck_assert_int_ne(decide(), BL_DECISION_STOP); /* nobody asked */
	plan.guarded[BL_GUARD_TIME_PER_EVENT] = true;
	plan.guard_percent[BL_GUARD_TIME_PER_EVENT] = 20;
	ck_assert_int_eq(decide(), BL_DECISION_STOP);
	ck_assert_ptr_nonnull(strstr(
		d.reason,
		"time_per_event: 20 of 20 hosts are more than 20 % worse"));
	view.pairs[BL_GUARD_TIME_PER_EVENT].worse = 12;
	ck_assert_int_ne(decide(), BL_DECISION_STOP);
}
END_TEST

START_TEST(cap_that_is_reached_is_said_and_by_whom)
{
	view.target = 3; /* of a wave of three */
	view.wave = 1;
	plan.cap = 2;
	view.unconfirmed = 1;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_str_eq(d.reason, "2 more hosts may take it");
	hosts[1].state = hosts[0].state = BL_EXPOSURE_TRIAL;
	view.count = view.unconfirmed = 2;
	view.waiting = 4;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_str_eq(d.reason,
			 "the cap of 2 is reached, 1 more host waits");
	plan.p0_percent = 0.1;
	plan.ladder_count = 3;
	hosts[1].state = BL_EXPOSURE_SILENT;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_str_eq(
		d.reason,
		"the cap of 2 is reached, 1 more host waits: 1 silent or stuck counts until heard of");
}
END_TEST

START_TEST(paused_rollout_stands_still_and_is_stopped_all_the_same)
{
	view.paused = 1;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_ptr_nonnull(strstr(d.reason, "belay rollout resume"));
	/* A trial that runs is waited for. */
	hosts[0].state = BL_EXPOSURE_TRIAL;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_ptr_nonnull(strstr(d.reason, "1 host still to confirm"));
	hosts[0].heard_ms = NOW - 600000;
	ck_assert_int_eq(decide(), BL_DECISION_SILENT);
	hosts[0].state = BL_EXPOSURE_FAILED;
	ck_assert_int_eq(decide(), BL_DECISION_STOP);
	/* Nor is it done, though nobody is left. */
	hosts[0].state = BL_EXPOSURE_COMMITTED;
	hosts[0].heard_ms = NOW - 500;
	view.wave = 2;
	view.waiting = 0;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	view.paused = 0;
	ck_assert_int_eq(decide(), BL_DECISION_DONE);
}
END_TEST

START_TEST(nothing_rises_in_a_freeze_or_before_a_gate)
{
	plan.freeze_count = 1; /* NOW is a Thursday, 1970 */
	ck_assert_int_eq(
		bl_freeze_parse("Thu 00:00 - Thu 01:00", &plan.freezes[0]), 0);
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_str_eq(d.reason, "the plan freezes it, 44 min left");
	plan.freeze_count = 0;
	exposed(&strata[0], 1, 0, 0);
	exposed(&strata[1], 1, 0, 0);
	exposed(&strata[2], 1, 0, 0);
	plan.waves[1].gate = true;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_ptr_nonnull(strstr(d.reason, "wave 2 waits for an operator"));
	/* A gate keeps nobody from being taken back. */
	strata[0].bad = 1;
	ck_assert_int_eq(decide(), BL_DECISION_STOP);
	strata[0].bad = 0;
	view.approved = 2;
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
}
END_TEST

START_TEST(named_hosts_are_the_first_wave)
{
	plan.waves[0] = (struct bl_wave){ .names = { 0, 1 } };
	view.named = 2;
	ck_assert_int_eq(decide(), BL_DECISION_EXPOSE);
	ck_assert_uint_eq(d.target, 2);
	exposed(&strata[0], 2, 0, 0);
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
	ck_assert_uint_eq(d.target, 5); /* two more of b, and c */
}
END_TEST

/* I6: hosts that could not judge it, are gone or were never there have not seen
 * it, and an operator who resumes has not either. */
START_TEST(I6_first_wave_of_names_is_never_passed_unseen)
{
	plan.waves[0] = (struct bl_wave){ .names = { 0, 2 } };
	plan.name_count = 2;
	strcpy(plan.names[0], "canary-1");
	strcpy(plan.names[1], "db-*");
	if (_i <
	    2) { /* at first it was one host; both were seen by operators */
		view.undecided = 2;
		view.held = 2;
		view.target = 2;
	}
	if (_i % 2) /* and nobody else is there */
		memset(strata, 0, sizeof(strata));
	view.already = 7; /* none of them named */
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_ptr_nonnull(strstr(d.reason, "(canary-1 and others)"));
	ck_assert_ptr_nonnull(strstr(d.reason, "belay rollout abort"));
	ck_assert(!strstr(d.reason, "2 could not judge it") == (_i >= 2));
	/* One that was tolerated as bad is not one that has it. */
	plan.p0_percent = 0.1;
	plan.ladder_count = 3;
	strata[0].bad = 1;
	view.named = 1;
	view.target = 3;
	ck_assert_int_eq(decide(), BL_DECISION_WAIT);
	ck_assert_ptr_nonnull(strstr(d.reason, "no good one took it"));
	plan.p0_percent = plan.ladder_count = 0;
	strata[0].bad = 0;
	view.named = 0;
	/* Who appears gets it. */
	view.target = 0;
	view.named = 1;
	strata[0].waiting = 900;
	ck_assert_int_eq(decide(), BL_DECISION_EXPOSE);
	exposed(&strata[0], 1, 0, 0);
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
	/* And one that had it before will do. */
	strata[0].good = 0;
	view.named = 0;
	view.named_already = 1;
	ck_assert_int_eq(decide(), BL_DECISION_NEXT_WAVE);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("decision");
	TCase *t = tcase_create("decision");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, goes_wave_by_wave);
	tcase_add_loop_test(t, I6_one_bad_host_stops_it, 0, 4);
	tcase_add_test(t, I6_silence_is_never_health);
	tcase_add_test(t, clock_that_was_set_back_hides_no_silence);
	tcase_add_test(t, trial_has_a_deadline);
	tcase_add_test(t, cap_that_is_reached_is_said_and_by_whom);
	tcase_add_test(t,
		       paused_rollout_stands_still_and_is_stopped_all_the_same);
	tcase_add_test(t, fleet_of_none_and_fleet_that_has_it);
	tcase_add_test(t, fleet_that_shrinks_and_grows);
	tcase_add_loop_test(t, going_back_ends_when_all_are_accounted_for, 0,
			    2);
	tcase_add_test(t, no_view_exposes_more_while_one_is_bad);
	suite_add_tcase(s, t);
	t = tcase_create("rates");
	tcase_add_checked_fixture(t, set_up_strata, NULL);
	tcase_add_test(
		t,
		first_every_stratum_then_two_then_as_many_as_the_rate_asks_for);
	tcase_add_test(t, who_tolerates_nothing_stops_at_one_of_a_thousand);
	tcase_add_test(t,
		       tolerated_crash_of_every_host_takes_two_of_its_stratum);
	tcase_add_test(t, tolerated_bad_hosts_do_not_stop_a_good_version);
	tcase_add_test(t,
		       hosts_in_their_trial_count_as_good_until_they_are_not);
	tcase_add_test(t, guard_metric_stops_what_crashes_nobody);
	tcase_add_test(t, nothing_rises_in_a_freeze_or_before_a_gate);
	tcase_add_test(t, named_hosts_are_the_first_wave);
	tcase_add_loop_test(t, I6_first_wave_of_names_is_never_passed_unseen, 0,
			    4);
	suite_add_tcase(s, t);
	return s;
}
