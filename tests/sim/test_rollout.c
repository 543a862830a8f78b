/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rollouts over a simulated fleet. sim_step asserts I6 and I7 after every
 * step; the tests here say what an operator would.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "tests/main.h"
#include "tests/support/sim_fleet.h"

#define MINUTE_MS 60000
#define SEEDS	  16

static struct sim s;

static void teardown(void)
{
	sim_end(&s);
}

static void set_up(unsigned hosts)
{
	sim_start(&s, 7, hosts);
}

START_TEST(good_version_reaches_all_wave_by_wave)
{
	struct bl_rollout r;

	set_up(6);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	sim_run_ms(&s, 3000);
	ck_assert_uint_eq(sim_tried(&s), 1); /* the canary alone */
	ck_assert_int_eq(sim_run_over(&s, 2 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 6);
	r = sim_read(&s);
	ck_assert_uint_eq(r.exposed, 6);
	ck_assert_str_eq(r.reason, "6 hosts took it");
	/* The fleet is free for the next. */
	sim_rollout(&s, "v2", SIM_GOOD);
	ck_assert_int_eq(sim_run_over(&s, 2 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 6);
}
END_TEST

static const enum sim_version bad[] = { SIM_FAILS, SIM_REBOOTS, SIM_KILLS,
					SIM_KILLS_LATE };

START_TEST(bad_version_reaches_only_the_canary)
{
	unsigned i, left = 0;

	set_up(6);
	s.plan.waves[0].soak_ms = 20000; /* longer than silence may be */
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "bad", bad[_i]);
	ck_assert_int_eq(sim_run_over(&s, 3 * MINUTE_MS), BL_ROLLOUT_STOPPED);
	ck_assert_uint_eq(sim_tried(&s), 1);
	for (i = 0; i < s.host_count; i++)
		left += strcmp(s.hosts[i].live, s.old) != 0 && !s.hosts[i].dead;
	ck_assert_uint_eq(left, 0);
	/* Nobody starts it again by mistake. */
	ck_assert_int_eq(
		bl_controller_start(s.store,
				    &(struct bl_start){ .digest = s.digest,
							.plan = s.plan,
							.override_reason = "" },
				    s.now_ms, s.id, NULL),
		-EPERM);
}
END_TEST

/* The second wave is bad on some hosts only: all that took it go back. */
START_TEST(failure_in_a_later_wave_takes_everyone_back)
{
	set_up(8);
	s.plan.cap = 3;
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v", SIM_GOOD);
	while (sim_running(&s) < 3)
		sim_step(&s);
	s.version = SIM_FAILS;
	ck_assert_int_eq(sim_run_over(&s, 3 * MINUTE_MS), BL_ROLLOUT_STOPPED);
	sim_run_ms(&s, 5000);
	ck_assert_uint_eq(sim_running(&s), 0);
	ck_assert_uint_lt(sim_tried(&s), 8);
	ck_assert_uint_le(s.max_unconfirmed, 3);
}
END_TEST

/* Abort at many moments of a rollout's life, one run each. */
START_TEST(abort_takes_all_exposed_hosts_back)
{
	enum bl_rollout_state state;

	sim_start(&s, (uint64_t)_i + 1, 5);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v", SIM_GOOD);
	sim_run_ms(&s, _i * 900);
	sim_abort(&s);
	sim_abort(&s); /* twice is once */
	state = sim_run_over(&s, MINUTE_MS);
	ck_assert_int_eq(state, BL_ROLLOUT_ABORTED);
	ck_assert_uint_eq(sim_running(&s), 0);
	for (unsigned i = 0; i < s.host_count; i++) {
		ck_assert_str_eq(s.hosts[i].live, s.old);
		ck_assert_str_eq(s.hosts[i].trial, "");
	}
	sim_abort(&s); /* nor does it hurt afterwards */
	ck_assert_int_eq(sim_read(&s).state, BL_ROLLOUT_ABORTED);
}
END_TEST

/* Orders of one that began before it count for no host that was told of it. */
START_TEST(rollout_begins_after_the_last_one_by_any_clock)
{
	int64_t first_ms;

	set_up(3);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	ck_assert_int_eq(sim_run_over(&s, 2 * MINUTE_MS), BL_ROLLOUT_DONE);
	first_ms = sim_read(&s).start_ms;
	s.now_ms = first_ms - 1000; /* a controller's clock is set back */
	sim_rollout(&s, "v2", SIM_GOOD);
	ck_assert_int_eq(sim_read(&s).start_ms, first_ms + 1);
}
END_TEST

START_TEST(done_rollout_is_aborted_only_while_it_is_the_newest)
{
	char first[BL_ROLLOUT_ID_LEN];

	set_up(3);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	ck_assert_int_eq(sim_run_over(&s, 2 * MINUTE_MS), BL_ROLLOUT_DONE);
	memcpy(first, s.id, sizeof(first));
	sim_rollout(&s, "v2", SIM_GOOD);
	ck_assert_int_eq(sim_act(&s, first, BL_DECISION_ABORT), -EEXIST);
	ck_assert_int_eq(sim_run_over(&s, 2 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_int_eq(sim_act(&s, first, BL_DECISION_ABORT), -EEXIST);
	sim_abort(&s);
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_ABORTED);
	/* Back to v1, not to what was before it. */
	sim_digest("v1", s.digest);
	ck_assert_uint_eq(sim_running(&s), 3);
}
END_TEST

START_TEST(I9_hosts_keep_what_they_committed_without_a_controller)
{
	unsigned running;

	set_up(6);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	while (sim_running(&s) < 2)
		sim_step(&s);
	s.controller_down = true;
	sim_run_ms(&s, 10 * MINUTE_MS);
	/* Trials that were begun ended as they would have; nothing else. */
	running = sim_running(&s);
	ck_assert_uint_ge(running, 2);
	ck_assert_uint_eq(running, sim_tried(&s));
	/* Ten minutes of absence were not the hosts' silence. */
	s.controller_down = false;
	ck_assert_int_eq(sim_run_over(&s, 2 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 6);
}
END_TEST

START_TEST(I6_silence_of_a_committed_host_stops_the_rollout)
{
	struct sim_host *quiet = NULL;
	unsigned i;

	set_up(6);
	s.plan.waves[0].soak_ms = 60000;
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	while (sim_running(&s) < 1)
		sim_step(&s);
	sim_run_ms(&s, 3000);
	for (i = 0; i < s.host_count; i++)
		if (strcmp(s.hosts[i].live, s.digest) == 0)
			quiet = &s.hosts[i];
	ck_assert_int_eq(sim_exposure(&s, quiet->name), BL_EXPOSURE_COMMITTED);
	quiet->mute = true;
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_STOPPED);
	ck_assert_int_eq(sim_exposure(&s, quiet->name), BL_EXPOSURE_SILENT);
	ck_assert_uint_eq(sim_tried(&s), 1);
	/* It is told as soon as it can be heard again. */
	quiet->mute = false;
	sim_run_ms(&s, 5000);
	ck_assert_int_eq(sim_exposure(&s, quiet->name), BL_EXPOSURE_BACK);
	ck_assert_uint_eq(sim_running(&s), 0);
}
END_TEST

START_TEST(restarts_shorter_than_the_grace_do_not_hide_silence)
{
	int64_t end_ms;

	set_up(4);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "bad", SIM_KILLS);
	while (!sim_tried(&s))
		sim_step(&s);
	/* A controller that is killed every three seconds. */
	end_ms = s.now_ms + MINUTE_MS;
	while (s.now_ms < end_ms && sim_read(&s).state != BL_ROLLOUT_STOPPED) {
		s.controller_down = s.now_ms % 3000 < 2000;
		sim_step(&s);
	}
	ck_assert_int_eq(sim_read(&s).state, BL_ROLLOUT_STOPPED);
	ck_assert_uint_eq(sim_tried(&s), 1);
}
END_TEST

START_TEST(agent_restart_in_the_trial_is_a_failure)
{
	unsigned i;

	set_up(4);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	while (!sim_tried(&s))
		sim_step(&s);
	for (i = 0; i < s.host_count; i++)
		if (s.hosts[i].trials)
			sim_kill_agent(&s, &s.hosts[i], _i, 500);
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_STOPPED);
	ck_assert_ptr_nonnull(
		strstr(sim_read(&s).reason, "went down in the trial"));
	ck_assert_uint_eq(sim_running(&s), 0);
}
END_TEST

/* The host lost its disk with the trial: it knows nothing and has rebooted. */
START_TEST(host_that_comes_back_blank_from_its_trial_is_a_failure)
{
	set_up(4);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	while (!sim_tried(&s))
		sim_step(&s);
	for (unsigned i = 0; i < s.host_count; i++) {
		if (!s.hosts[i].trials)
			continue;
		sim_kill_agent(&s, &s.hosts[i], true, 500);
		free(s.hosts[i].record);
		s.hosts[i].record = NULL;
		*s.hosts[i].live = '\0';
	}
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_STOPPED);
	ck_assert_ptr_nonnull(strstr(sim_read(&s).reason, "rebooted"));
}
END_TEST

START_TEST(hosts_that_appear_join_the_rollout)
{
	set_up(2);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
	sim_run_ms(&s, 3000);
	while (s.host_count < 7)
		sim_add_host(&s);
	ck_assert_int_eq(sim_run_over(&s, 2 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 7);
}
END_TEST

START_TEST(empty_fleet_is_never_done)
{
	sim_start(&s, 1, 0);
	sim_rollout(&s, "v1", SIM_GOOD);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_RUNNING);
	sim_add_host(&s);
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 1);
}
END_TEST

START_TEST(absent_hosts_are_waited_for_until_they_are_gone)
{
	set_up(4);
	s.plan.gone_ms = 5 * MINUTE_MS;
	sim_run_ms(&s, 2000);
	s.hosts[3].mute = true;
	sim_rollout(&s, "v1", SIM_GOOD);
	ck_assert_int_eq(sim_run_over(&s, 3 * MINUTE_MS), BL_ROLLOUT_RUNNING);
	ck_assert_uint_eq(sim_running(&s), 3);
	ck_assert_int_eq(sim_run_over(&s, 4 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_ptr_nonnull(strstr(sim_read(&s).reason, "left out"));
}
END_TEST

/* Pause at many moments of a rollout's life, one run each. sim_step asserts
 * that nobody is exposed while it is paused. */
START_TEST(paused_rollout_gives_it_to_nobody_and_goes_on_after)
{
	struct bl_rollout r;

	sim_start(&s, (uint64_t)_i + 1, 6);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v", SIM_GOOD);
	sim_run_ms(&s, _i * 1700);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_PAUSE), 0);
	r = sim_read(&s);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_PAUSE), 0);
	ck_assert_int_eq(sim_read(&s).decisions, r.decisions); /* once */
	ck_assert_str_eq(r.paused_by, "alice");
	ck_assert_str_eq(r.paused_reason, "sim");
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_RUNNING);
	/* Trials that ran ended; nothing else began. */
	ck_assert_uint_eq(sim_read(&s).exposed, r.exposed);
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 0);
	ck_assert_uint_eq(sim_running(&s), r.exposed);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_RESUME), 0);
	ck_assert_int_eq(sim_run_over(&s, 2 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 6);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_PAUSE), -EINVAL);
}
END_TEST

/* 0: a host fails its trial; 1: one falls silent; 2: the operator aborts. */
START_TEST(paused_rollout_still_takes_everyone_back)
{
	set_up(6);
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v", SIM_GOOD);
	while (sim_tried(&s) < 2)
		sim_step(&s);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_PAUSE), 0);
	if (_i == 0)
		s.version = SIM_FAILS;
	else if (_i == 1)
		for (unsigned i = 0; i < s.host_count; i++)
			s.hosts[i].mute = s.hosts[i].trials > 0;
	else
		sim_abort(&s);
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS),
			 _i == 2 ? BL_ROLLOUT_ABORTED : BL_ROLLOUT_STOPPED);
	for (unsigned i = 0; i < s.host_count; i++)
		s.hosts[i].mute = false;
	sim_run_ms(&s, 10000);
	ck_assert_uint_eq(sim_running(&s), 0);
	ck_assert_uint_eq(sim_tried(&s), 2);
	/* Nobody reads 'paused' of one that is over. */
	ck_assert_int_eq(sim_read(&s).paused_ms, 0);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_RESUME), -EINVAL);
}
END_TEST

/* Pauses and resumes through a store that fails; what was done may not be
 * known, as to a person whose connection broke. */
static void pause_now_and_then(unsigned step)
{
	struct bl_act act = { BL_DECISION_PAUSE, "alice", "chaos" };

	if (step % 150 == 50)
		bl_controller_act(s.store, s.id, &act, s.now_ms, NULL);
	act.kind = BL_DECISION_RESUME;
	if (step % 150 == 100)
		bl_controller_act(s.store, s.id, &act, s.now_ms, NULL);
}

/* The first one ended with hosts that are still silent. */
START_TEST(old_silence_does_not_count_in_the_next_rollout)
{
	unsigned i;

	set_up(5);
	s.plan.cap = 1;
	s.plan.gone_ms = 2 * MINUTE_MS;
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "bad", SIM_KILLS);
	ck_assert_int_eq(sim_run_over(&s, 3 * MINUTE_MS), BL_ROLLOUT_STOPPED);
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 1); /* it still may */
	sim_rollout(&s, "cure", SIM_GOOD);
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 0);
	/* It is waited for as any host that is absent: until it is gone. */
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 4);
	ck_assert_ptr_nonnull(strstr(sim_read(&s).reason, "left out"));
	/* When it comes it is told to leave what it was exposed to. */
	for (i = 0; i < s.host_count; i++)
		s.hosts[i].dead = false;
	sim_run_ms(&s, 10000);
	for (i = 0; i < s.host_count; i++)
		ck_assert_str_eq(s.hosts[i].trial, "");
}
END_TEST

/* Everything at once, for a minute; then peace. Either all have it or none,
 * and the sums held at every step. */
START_TEST(chaos_ends_with_all_or_none)
{
	enum bl_rollout_state state;
	unsigned i, running;

	sim_start(&s, (uint64_t)_i * 977 + 3, 6);
	s.plan.cap = 2;
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", _i % 4 == 3 ? SIM_FAILS : SIM_GOOD);
	s.chaos = (struct sim_chaos){
		.lose_request = 60,
		.lose_answer = 60,
		.duplicate = 60,
		.late = 60,
		.agent_dies = _i % 2 ? 2 : 0,
		.store_dies_before = 40,
		.store_dies_after = 40,
		.other_controller = 300,
	};
	for (i = 0; i < 600; i++) {
		s.controller_down = i % 100 > 90;
		if (i == 300 && _i % 3 == 2 &&
		    bl_rollout_open(&(struct bl_rollout){
			    .state = sim_read(&s).state }))
			sim_abort(&s);
		if (_i % 2)
			pause_now_and_then(i);
		sim_step(&s);
	}
	s.controller_down = false;
	s.chaos = (struct sim_chaos){ 0 };
	sim_act(&s, s.id, BL_DECISION_RESUME);
	state = sim_run_over(&s, 3 * MINUTE_MS);
	sim_run_ms(&s, 10000);
	running = sim_running(&s);
	ck_assert_uint_gt(s.interrupted, 0);
	if (state == BL_ROLLOUT_DONE) {
		ck_assert_uint_eq(running, 6);
		ck_assert_int_ne(s.version, SIM_FAILS);
	} else {
		ck_assert(state == BL_ROLLOUT_STOPPED ||
			  state == BL_ROLLOUT_ABORTED);
		ck_assert_uint_eq(running, 0);
	}
	for (i = 0; i < s.host_count; i++)
		ck_assert_str_eq(s.hosts[i].trial, "");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("rollout");
	TCase *t = tcase_create("fleet");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, good_version_reaches_all_wave_by_wave);
	tcase_add_loop_test(t, bad_version_reaches_only_the_canary, 0, 4);
	tcase_add_test(t, failure_in_a_later_wave_takes_everyone_back);
	tcase_add_loop_test(t, abort_takes_all_exposed_hosts_back, 0, 24);
	tcase_add_test(t, rollout_begins_after_the_last_one_by_any_clock);
	tcase_add_test(t, done_rollout_is_aborted_only_while_it_is_the_newest);
	tcase_add_test(t,
		       I9_hosts_keep_what_they_committed_without_a_controller);
	tcase_add_test(t, I6_silence_of_a_committed_host_stops_the_rollout);
	tcase_add_test(t, restarts_shorter_than_the_grace_do_not_hide_silence);
	tcase_add_loop_test(t, agent_restart_in_the_trial_is_a_failure, 0, 2);
	tcase_add_test(t,
		       host_that_comes_back_blank_from_its_trial_is_a_failure);
	tcase_add_test(t, hosts_that_appear_join_the_rollout);
	tcase_add_test(t, empty_fleet_is_never_done);
	tcase_add_test(t, absent_hosts_are_waited_for_until_they_are_gone);
	tcase_add_loop_test(
		t, paused_rollout_gives_it_to_nobody_and_goes_on_after, 0, 12);
	tcase_add_loop_test(t, paused_rollout_still_takes_everyone_back, 0, 3);
	tcase_add_test(t, old_silence_does_not_count_in_the_next_rollout);
	tcase_add_loop_test(t, chaos_ends_with_all_or_none, 0, SEEDS);
	suite_add_tcase(suite, t);
	return suite;
}
