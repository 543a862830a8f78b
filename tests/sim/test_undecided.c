/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts on which a trial cannot be judged: never good, never silently passed
 * over, and no failure of the version either. sim_step asserts I6 and I7 after
 * every step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "canary/ledger/explain.h"
#include "canary/operator/watch.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/sim_fleet.h"

#define MINUTE_MS 60000
#define HOSTS	  8
#define BARE	  2 /* of them cannot judge it */

static struct sim s;

static void set_up(uint64_t seed)
{
	unsigned i;

	sim_start(&s, seed, HOSTS);
	for (i = 0; i < HOSTS; i++) {
		snprintf(s.hosts[i].role, sizeof(s.hosts[i].role), "%s",
			 i < BARE ? "bare" : "web");
		sim_kill_agent(&s, &s.hosts[i], false, 0);
	}
	s.only = "bare";
	sim_run_ms(&s, 3000);
}

static void tear_down(void)
{
	sim_end(&s);
}

static void run_until_paused(void)
{
	unsigned i;

	for (i = 0; i < 6000 && !sim_read(&s).paused_ms; i++)
		sim_step(&s);
	ck_assert_int_ne(sim_read(&s).paused_ms, 0);
}

static unsigned undecided(void)
{
	unsigned i, n = 0;

	for (i = 0; i < HOSTS; i++)
		n += s.hosts[i].trials &&
		     sim_exposure(&s, s.hosts[i].name) == BL_EXPOSURE_UNDECIDED;
	return n;
}

/* What `rollout status` prints. */
static char *shown(void)
{
	bl_autofree char *path = bl_path("/v1/rollouts/%s", s.id);
	bl_autobuf struct bl_buf body = { 0 };
	bl_autojson json_t *doc = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(sim_request(&s, "GET", path, NULL, &body), 200);
	doc = json_loadb(body.data, body.len, 0, NULL);
	bl_watch_print(doc, f, false, 0);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

/* The newest decision of @kind, made again from what was stored with it. */
static void assert_explained(const char *kind)
{
	bl_autofree struct bl_explained *e = calloc(1, sizeof(*e));
	bl_autojson json_t *doc = NULL;
	json_t *v, *list;
	struct bl_decision again;
	bool found = false;
	size_t i;

	ck_assert_int_eq(
		bl_fleet_decisions_json(s.store_under, s.id, &doc, NULL), 0);
	list = json_object_get(doc, "decisions");
	json_array_foreach (list, i, v) {
		ck_assert_int_eq(bl_explain_read(v, &s.plan, e, NULL), 0);
		if (strcmp(bl_decision_name(e->said.kind), kind) != 0)
			continue;
		found = true;
		ck_assert(e->again);
		ck_assert_msg(bl_explain_holds(e, &again), "was: %s; is: %s",
			      e->said.reason, again.reason);
	}
	ck_assert(found);
}

START_TEST(undecided_host_pauses_it_and_an_operator_goes_on_with_another)
{
	char *text;
	unsigned tried;

	set_up((uint64_t)_i + 1);
	sim_rollout(&s, "v1", SIM_UNDECIDED);
	run_until_paused();
	ck_assert_uint_eq(undecided(), 1);
	ck_assert_ptr_nonnull(strstr(sim_read(&s).paused_reason,
				     "the probe 'curl' is not there"));
	assert_explained("hold");
	text = shown();
	ck_assert_ptr_nonnull(strstr(text, "undecided, runs the old version"));
	ck_assert_ptr_nonnull(strstr(text, "could not judge it"));
	ck_assert_ptr_nonnull(strstr(text, "belay rollout resume"));
	free(text);
	/* Nobody else, however long nobody looks. */
	tried = sim_tried(&s);
	sim_run_ms(&s, 10 * MINUTE_MS);
	ck_assert_uint_eq(sim_tried(&s), tried);
	/* The other one of its kind is no better. */
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_RESUME), 0);
	run_until_paused();
	ck_assert_uint_eq(undecided(), BARE);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_RESUME), 0);
	ck_assert_int_eq(sim_run_over(&s, 10 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), HOSTS - BARE);
	ck_assert_str_eq(sim_read(&s).reason,
			 "6 hosts took it; 2 undecided, without it");
}
END_TEST

START_TEST(undecided_host_stops_it_if_the_plan_says_so)
{
	set_up((uint64_t)_i + 1);
	s.plan.undecided = BL_UNDECIDED_STOP;
	if (_i % 2) { /* also a plan that tolerates bad ones */
		s.plan.p0_percent = 0.1;
		s.plan.ladder_count = 3;
	}
	sim_rollout(&s, "v1", SIM_UNDECIDED);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_STOPPED);
	ck_assert_ptr_nonnull(strstr(sim_read(&s).reason, "is undecided"));
	ck_assert_uint_eq(sim_running(&s), 0);
	assert_explained("stop");
}
END_TEST

START_TEST(rollout_that_is_held_can_be_aborted)
{
	set_up((uint64_t)_i + 1);
	sim_rollout(&s, "v1", SIM_UNDECIDED);
	run_until_paused();
	sim_abort(&s);
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_ABORTED);
	ck_assert_uint_eq(sim_running(&s), 0);
}
END_TEST

/* No host of the fleet can judge it: nobody keeps it, and it ends. */
START_TEST(fleet_that_cannot_judge_it_at_all_stays_as_it_was)
{
	unsigned i;

	set_up((uint64_t)_i + 1);
	s.only = NULL;
	sim_rollout(&s, "v1", SIM_UNDECIDED);
	for (i = 0; i < HOSTS; i++) {
		run_until_paused();
		ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_RESUME), 0);
		if (undecided() == HOSTS)
			break;
	}
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 0);
	ck_assert_uint_eq(undecided(), HOSTS);
	ck_assert_ptr_nonnull(
		strstr(sim_read(&s).reason, "8 undecided, without it"));
}
END_TEST

/* The hosts that the first wave names are the ones that cannot judge it. */
START_TEST(canary_by_name_that_cannot_judge_it_lets_nobody_else_try)
{
	char *text;
	unsigned i;

	set_up((uint64_t)_i + 1);
	memmove(&s.plan.waves[1], &s.plan.waves[0],
		s.plan.wave_count++ * sizeof(s.plan.waves[0]));
	s.plan.waves[0] = (struct bl_wave){ .names = { 0, BARE } };
	for (i = 0; i < BARE; i++)
		snprintf(s.plan.names[s.plan.name_count++],
			 sizeof(s.plan.names[0]), "%s", s.hosts[i].name);
	sim_rollout(&s, "v1", SIM_UNDECIDED);
	for (i = 0; i < BARE; i++) {
		run_until_paused();
		ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_RESUME), 0);
		if (undecided() == BARE)
			break;
	}
	sim_run_ms(&s, MINUTE_MS); /* its soak is of seconds */
	ck_assert_int_eq(sim_read(&s).state, BL_ROLLOUT_RUNNING);
	ck_assert_uint_eq(sim_tried(&s), BARE);
	text = shown();
	ck_assert_ptr_nonnull(strstr(text, "wave 1 waits for a host that it "
					   "names"));
	ck_assert_ptr_nonnull(strstr(text, "2 could not judge it"));
	free(text);
	sim_abort(&s);
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_ABORTED);
	ck_assert_uint_eq(sim_running(&s), 0);
}
END_TEST

START_TEST(chaos_with_undecided_hosts_ends_with_all_that_can_or_none)
{
	enum bl_rollout_state state;
	unsigned i;

	set_up((uint64_t)_i * 331 + 7);
	s.plan.cap = 2;
	sim_rollout(&s, "v1", SIM_UNDECIDED);
	s.chaos = (struct sim_chaos){
		.lose_request = 60,
		.lose_answer = 60,
		.duplicate = 60,
		.late = 60,
		.agent_dies = _i % 3 == 2 ? 1 : 0,
		.store_dies_before = 40,
		.store_dies_after = 40,
		.other_controller = 300,
	};
	for (i = 0; i < 600; i++) {
		struct bl_act act = { BL_DECISION_RESUME, "alice", "seen" };

		if (i % 50 == 49)
			bl_controller_act(s.store, s.id, &act, s.now_ms, NULL);
		sim_step(&s);
	}
	s.chaos = (struct sim_chaos){ 0 };
	for (i = 0; i < 20 && sim_read(&s).state == BL_ROLLOUT_RUNNING; i++) {
		sim_act(&s, s.id, BL_DECISION_RESUME);
		sim_run_over(&s, 2 * MINUTE_MS);
	}
	state = sim_run_over(&s, 3 * MINUTE_MS);
	sim_run_ms(&s, 10000);
	if (state == BL_ROLLOUT_DONE) {
		ck_assert_uint_eq(sim_running(&s), HOSTS - BARE);
		ck_assert_uint_eq(undecided(), BARE);
	} else {
		ck_assert_int_eq(state, BL_ROLLOUT_STOPPED);
		ck_assert_uint_eq(sim_running(&s), 0);
	}
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("undecided");
	TCase *tc = tcase_create("undecided");

	tcase_add_checked_fixture(tc, NULL, tear_down);
	tcase_add_loop_test(
		tc, canary_by_name_that_cannot_judge_it_lets_nobody_else_try, 0,
		2);
	tcase_add_loop_test(
		tc,
		undecided_host_pauses_it_and_an_operator_goes_on_with_another,
		0, 4);
	tcase_add_loop_test(tc, undecided_host_stops_it_if_the_plan_says_so, 0,
			    4);
	tcase_add_loop_test(tc, rollout_that_is_held_can_be_aborted, 0, 2);
	tcase_add_loop_test(
		tc, fleet_that_cannot_judge_it_at_all_stays_as_it_was, 0, 2);
	tcase_add_loop_test(
		tc, chaos_with_undecided_hosts_ends_with_all_that_can_or_none,
		0, 24);
	suite_add_tcase(suite, tc);
	return suite;
}
