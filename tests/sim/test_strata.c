/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rollouts over a simulated fleet of unlike hosts, through the real ledger:
 * who is first, who is never, and what waits for an operator. sim_step asserts
 * I6 and I7 after every step.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "canary/ledger/explain.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/sim_fleet.h"

#define MINUTE_MS 60000

static struct sim s;

static void teardown(void)
{
	sim_end(&s);
}

/* Twelve hosts of three roles: eight web, three db, one mail. */
static void set_up(uint64_t seed)
{
	unsigned i;

	sim_start(&s, seed, 12);
	for (i = 0; i < s.host_count; i++) {
		snprintf(s.hosts[i].role, sizeof(s.hosts[i].role), "%s",
			 i < 8	  ? "web"
			 : i < 11 ? "db"
				  : "mail");
		sim_kill_agent(&s, &s.hosts[i], false, 0);
	}
	sim_run_ms(&s, 3000);
}

static unsigned tried(const char *role)
{
	unsigned i, n = 0;

	for (i = 0; i < s.host_count; i++)
		n += s.hosts[i].trials > 0 &&
		     strcmp(s.hosts[i].role, role) == 0;
	return n;
}

/* Every decision is stored with what it was made from, and comes out the same
 * when it is made again, through JSON. */
static void assert_explained(const char *last)
{
	struct bl_explained *e = calloc(1, sizeof(*e));
	json_t *doc = NULL, *list, *v;
	struct bl_decision again;
	bool said = false;
	size_t i;

	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(
		bl_fleet_decisions_json(s.store_under, s.id, &doc, NULL), 0);
	list = json_object_get(doc, "decisions");
	ck_assert_uint_ge(json_array_size(list), 2);
	json_array_foreach (list, i, v) {
		ck_assert_int_eq(bl_explain_read(v, &s.plan, e, NULL), 0);
		if (e->again)
			ck_assert_msg(bl_explain_holds(e, &again),
				      "decision %zu was: %s; it is: %s", i,
				      e->said.reason, again.reason);
		said |= strcmp(bl_decision_name(e->said.kind), last) == 0 &&
			e->again;
	}
	ck_assert(said);
	json_decref(doc);
	free(e);
}

START_TEST(first_wave_is_one_host_of_each_stratum)
{
	set_up((uint64_t)_i + 1);
	sim_rollout(&s, "v1", SIM_GOOD);
	while (sim_read(&s).wave == 0)
		sim_step(&s);
	ck_assert_uint_eq(tried("web"), 1);
	ck_assert_uint_eq(tried("db"), 1);
	ck_assert_uint_eq(tried("mail"), 1);
	while (sim_read(&s).wave == 1)
		sim_step(&s);
	ck_assert_uint_eq(tried("web"), 2);
	ck_assert_uint_eq(tried("db"), 2);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 12);
	assert_explained("done");
}
END_TEST

static const enum sim_version bad[] = { SIM_FAILS, SIM_REBOOTS, SIM_KILLS };

/* However few hosts a fault needs: the first wave has one of them. */
START_TEST(fault_of_one_stratum_is_found_in_the_first_wave)
{
	set_up((uint64_t)_i + 1);
	s.only = "mail";
	sim_rollout(&s, "v1", bad[_i % 3]);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_STOPPED);
	ck_assert_uint_eq(sim_read(&s).wave, 0);
	ck_assert_uint_le(sim_tried(&s), 3);
	ck_assert_uint_eq(tried("mail"), 1);
	assert_explained("stop");
	if (bad[_i % 3] == SIM_KILLS)
		assert_explained("silent");
}
END_TEST

/* A rate is tolerated; a stratum of which every host crashes is none. */
START_TEST(plan_that_tolerates_a_rate_stops_at_two_of_a_stratum)
{
	set_up((uint64_t)_i + 1);
	s.only = "db";
	s.plan.p0_percent = 0.1;
	s.plan.ladder_count = 3;
	sim_rollout(&s, "v1", SIM_FAILS);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_STOPPED);
	ck_assert_uint_eq(sim_read(&s).wave, 0);
	ck_assert_uint_eq(tried("db"), 2);
	ck_assert_uint_le(tried("web"), 1);
	assert_explained("stop");
	sim_run_ms(&s, 10000);
	ck_assert_uint_eq(sim_running(&s), 0);
}
END_TEST

START_TEST(plan_that_tolerates_a_rate_goes_on_past_one_bad_host)
{
	set_up(5);
	s.only = "mail"; /* one host: not even two can be bad */
	s.plan.p0_percent = 0.1;
	s.plan.ladder_count = 3;
	sim_rollout(&s, "v1", SIM_FAILS);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 11);
	ck_assert_str_eq(sim_read(&s).reason,
			 "11 hosts took it; 1 bad, which is tolerated");
}
END_TEST

static struct sim_host *only_of(const char *role)
{
	unsigned i;

	for (i = 0; i < s.host_count; i++)
		if (strcmp(s.hosts[i].role, role) == 0)
			return &s.hosts[i];
	return NULL;
}

/* It may be in its trial still. When it is heard of, it is not. */
START_TEST(silent_host_counts_against_the_cap_until_it_is_heard_of)
{
	bl_autobuf struct bl_buf body = { 0 };
	bl_autofree char *path = NULL;
	struct sim_host *mail;

	set_up(5);
	mail = only_of("mail");
	s.plan.p0_percent = 0.1;
	s.plan.ladder_count = 3;
	s.plan.cap = 1;
	sim_rollout(&s, "v1", SIM_GOOD);
	while (!mail->trials)
		sim_step(&s);
	mail->mute = true;
	ck_assert_int_eq(sim_run_over(&s, MINUTE_MS), BL_ROLLOUT_RUNNING);
	ck_assert_int_eq(sim_exposure(&s, mail->name), BL_EXPOSURE_SILENT);
	ck_assert_uint_eq(sim_read(&s).unconfirmed, 1);
	path = bl_path("/v1/rollouts/%s", s.id);
	ck_assert_uint_eq(sim_request(&s, "GET", path, NULL, &body), 200);
	ck_assert_ptr_nonnull(strstr(body.data, "the cap of 1 is reached"));
	ck_assert_ptr_nonnull(
		strstr(body.data, "1 silent or stuck counts until heard of"));
	mail->mute = false;
	ck_assert_int_eq(sim_run_over(&s, 10 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 12);
	/* That it was silent is not forgotten. */
	ck_assert_int_eq(sim_exposure(&s, mail->name), BL_EXPOSURE_SILENT);
	ck_assert_str_eq(sim_read(&s).reason,
			 "11 hosts took it; 1 bad, which is tolerated");
}
END_TEST

START_TEST(wave_behind_a_gate_waits_for_an_operator)
{
	set_up(3);
	s.plan.waves[1].gate = true;
	sim_rollout(&s, "v1", SIM_GOOD);
	sim_run_ms(&s, MINUTE_MS);
	ck_assert_uint_eq(sim_tried(&s), 3);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_APPROVE), 0);
	ck_assert_uint_eq(sim_read(&s).approved, 2);
	/* The wave has not begun yet: said twice, it opens no other. */
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_APPROVE), 0);
	ck_assert_uint_eq(sim_read(&s).approved, 2);
	sim_run_ms(&s, MINUTE_MS);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_APPROVE), -EINVAL);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_int_eq(sim_act(&s, s.id, BL_DECISION_APPROVE), -EINVAL);
}
END_TEST

START_TEST(named_hosts_go_first_and_left_out_hosts_never)
{
	struct bl_plan *p = &s.plan;
	unsigned i;

	set_up(4);
	p->waves[0] = (struct bl_wave){ .names = { 0, 2 }, .soak_ms = 1000 };
	p->left_out = (struct bl_plan_names){ 2, 1 };
	p->name_count = 3;
	snprintf(p->names[0], sizeof(p->names[0]), "web-07");
	snprintf(p->names[1], sizeof(p->names[1]), "web-12");
	snprintf(p->names[2], sizeof(p->names[2]), "web-0*");
	p->left_out.count = 0;
	sim_rollout(&s, "v1", SIM_GOOD);
	while (sim_read(&s).wave == 0)
		sim_step(&s);
	ck_assert_uint_eq(sim_tried(&s), 2);
	ck_assert_uint_eq(s.hosts[6].trials + s.hosts[11].trials, 2);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_DONE);
	p->waves[0] = (struct bl_wave){ .per_stratum = 1 };
	p->left_out.count = 1;
	sim_rollout(&s, "v2", SIM_GOOD);
	ck_assert_int_eq(sim_run_over(&s, 5 * MINUTE_MS), BL_ROLLOUT_DONE);
	for (i = 0; i < s.host_count; i++)
		ck_assert_uint_eq(s.hosts[i].trials, i >= 9);
	ck_assert_str_eq(sim_read(&s).reason,
			 "3 hosts took it; left out by the plan: 9");
}
END_TEST

/* Twenty hosts of one kind, a plan that compares memory. */
static void set_up_guard(double hungry)
{
	sim_start(&s, 9, 20);
	s.memory = 64 << 20;
	s.hungry = hungry;
	s.plan.alpha = 0.05; /* eight pairs, if all are worse */
	s.plan.guarded[BL_GUARD_MEMORY] = true;
	s.plan.guard_percent[BL_GUARD_MEMORY] = 50;
	s.plan.waves[0] = (struct bl_wave){ .hosts = 10, .soak_ms = 40000 };
	s.plan.waves[1] = (struct bl_wave){ .percent = 100 };
	s.plan.wave_count = 2;
	s.plan.ladder_count = 0;
	sim_run_ms(&s, 2000);
	sim_rollout(&s, "v1", SIM_GOOD);
}

START_TEST(version_that_is_hungry_is_stopped_by_the_guard)
{
	struct bl_rollout r;

	set_up_guard(3);
	ck_assert_int_eq(sim_run_over(&s, 10 * MINUTE_MS), BL_ROLLOUT_STOPPED);
	r = sim_read(&s);
	ck_assert_msg(strncmp(r.reason, "memory: ", 8) == 0 &&
			      strstr(r.reason,
				     "hosts are more than 50 % worse"),
		      "%s", r.reason);
	ck_assert_uint_ge(r.pairs[BL_GUARD_MEMORY].pairs, 8);
	ck_assert_uint_eq(sim_tried(&s), 10);
	ck_assert_uint_eq(r.wave, 0);
	assert_explained("stop");
	sim_run_ms(&s, 10000);
	ck_assert_uint_eq(sim_running(&s), 0);
}
END_TEST

/* Each host is in one pair, and half of them are the other one. */
START_TEST(version_that_is_not_is_compared_and_goes_on)
{
	struct bl_rollout r;

	set_up_guard(1.2);
	while (sim_read(&s).wave == 0 &&
	       sim_read(&s).state == BL_ROLLOUT_RUNNING)
		sim_step(&s);
	r = sim_read(&s);
	ck_assert_uint_eq(r.pairs[BL_GUARD_MEMORY].pairs, 10);
	ck_assert_uint_eq(r.pairs[BL_GUARD_MEMORY].worse, 0);
	ck_assert_int_eq(sim_run_over(&s, 10 * MINUTE_MS), BL_ROLLOUT_DONE);
	ck_assert_uint_eq(sim_running(&s), 20);
}
END_TEST

/* Accidents of every kind do not break the order of strata. */
START_TEST(unlike_hosts_in_a_fleet_with_accidents)
{
	enum bl_rollout_state state;

	set_up((uint64_t)_i + 1);
	s.chaos = (struct sim_chaos){ .lose_request = 50,
				      .lose_answer = 50,
				      .duplicate = 50,
				      .late = 20,
				      .store_dies_before = 10,
				      .store_dies_after = 10,
				      .other_controller = 20 };
	sim_rollout(&s, "v1", SIM_GOOD);
	while (sim_read(&s).wave == 0 &&
	       sim_read(&s).state == BL_ROLLOUT_RUNNING) {
		sim_step(&s);
		ck_assert_uint_le(tried("web"), 1);
		ck_assert_uint_le(tried("db"), 1);
	}
	state = sim_run_over(&s, 10 * MINUTE_MS);
	ck_assert(state == BL_ROLLOUT_DONE || state == BL_ROLLOUT_STOPPED);
	s.chaos = (struct sim_chaos){ 0 };
	sim_run_ms(&s, MINUTE_MS);
	ck_assert_uint_eq(sim_running(&s), state == BL_ROLLOUT_DONE ? 12 : 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("strata");
	TCase *t = tcase_create("strata");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_loop_test(t, first_wave_is_one_host_of_each_stratum, 0, 4);
	tcase_add_loop_test(t, fault_of_one_stratum_is_found_in_the_first_wave,
			    0, 6);
	tcase_add_loop_test(
		t, plan_that_tolerates_a_rate_stops_at_two_of_a_stratum, 0, 4);
	tcase_add_test(t, plan_that_tolerates_a_rate_goes_on_past_one_bad_host);
	tcase_add_test(t,
		       silent_host_counts_against_the_cap_until_it_is_heard_of);
	tcase_add_test(t, wave_behind_a_gate_waits_for_an_operator);
	tcase_add_test(t, named_hosts_go_first_and_left_out_hosts_never);
	tcase_add_test(t, version_that_is_hungry_is_stopped_by_the_guard);
	tcase_add_test(t, version_that_is_not_is_compared_and_goes_on);
	tcase_add_loop_test(t, unlike_hosts_in_a_fleet_with_accidents, 0, 8);
	suite_add_tcase(suite, t);
	return suite;
}
