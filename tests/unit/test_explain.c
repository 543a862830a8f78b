/* SPDX-License-Identifier: Apache-2.0 */
/* Stored decisions: what is damaged is refused, what was decided by other rules
 * is seen; and what a plan promises of a fleet. */
#include <errno.h>
#include <string.h>

#include "canary/decide/outlook.h"
#include "canary/ledger/explain.h"
#include "tests/main.h"

#define NOW INT64_C(1795651200000)

static struct bl_plan plan;
static struct bl_tally strata[2];
static struct bl_view_host host;
static struct bl_view view;
static struct bl_decision d;
static struct bl_explained e;

static void set_up(void)
{
	bl_plan_default(&plan);
	strata[0] = (struct bl_tally){ "6.1 / x86_64", 90, 1, 8, 1 };
	strata[1] = (struct bl_tally){ "5.10 / x86_64", 10, 0, 0, 0 };
	host = (struct bl_view_host){ .name = "web-1",
				      .state = BL_EXPOSURE_FAILED,
				      .exposed_ms = NOW - 20000,
				      .heard_ms = NOW - 1000,
				      .reason = "it \"rebooted\"" };
	view = (struct bl_view){ .plan = &plan,
				 .wave = 1,
				 .target = 12,
				 .now_ms = NOW,
				 .listening_ms = NOW - 600000,
				 .commit_ms = NOW - 5000,
				 .hosts = &host,
				 .count = 1,
				 .strata = strata,
				 .stratum_count = 2,
				 .pairs[BL_GUARD_MEMORY] = { 3, 9 },
				 .waiting = 100 };
	bl_decide(&view, &d);
}

START_TEST(decision_comes_back_as_it_was_and_out_the_same)
{
	json_t *obj = bl_explain_json(&view, &d);
	struct bl_decision again;

	ck_assert_int_eq(d.kind, BL_DECISION_STOP);
	ck_assert_int_eq(bl_explain_read(obj, &plan, &e, NULL), 0);
	ck_assert(e.again);
	ck_assert_str_eq(e.host.name, "web-1");
	ck_assert_str_eq(e.host.reason, host.reason);
	ck_assert_str_eq(e.strata[0].name, "6.1 / x86_64");
	ck_assert_uint_eq(e.strata[0].bad, 1);
	ck_assert_uint_eq(e.view.pairs[BL_GUARD_MEMORY].worse, 3);
	ck_assert_int_eq(e.view.listening_ms, view.listening_ms);
	ck_assert(bl_explain_holds(&e, &again));
	/* Somebody decided by other rules, or the record was changed. */
	e.said.target++;
	ck_assert(!bl_explain_holds(&e, &again));
	e.said.target--;
	host.state = BL_EXPOSURE_COMMITTED;
	e.host.state = BL_EXPOSURE_COMMITTED;
	ck_assert(!bl_explain_holds(&e, &again));
	ck_assert_str_eq(again.reason,
			 "1 of 10 exposed hosts is bad: none is tolerated");
	json_decref(obj);
}
END_TEST

START_TEST(damaged_record_is_refused)
{
	static const char *const keys[] = { "kind", "reason", "inputs" };
	static const char *const inputs[] = { "state", "wave",	 "target",
					      "pairs", "now_ms", "host" };
	json_t *obj;
	size_t i;

	for (i = 0; i < 3 + 6; i++) {
		obj = bl_explain_json(&view, &d);
		json_object_set_new(i < 3 ? obj
					  : json_object_get(obj, "inputs"),
				    i < 3 ? keys[i] : inputs[i - 3],
				    json_pack("{s:[s]}", "memory", "x"));
		ck_assert_int_eq(bl_explain_read(obj, &plan, &e, NULL),
				 -EBADMSG);
		json_decref(obj);
	}
	obj = bl_explain_json(&view, &d);
	json_object_set_new(json_object_get(obj, "inputs"), "wave",
			    json_integer(4)); /* the plan has four */
	ck_assert_int_eq(bl_explain_read(obj, &plan, &e, NULL), -EBADMSG);
	json_decref(obj);
}
END_TEST

START_TEST(end_of_going_back_is_told_and_not_made_again)
{
	json_t *obj;

	view.state = BL_ROLLOUT_STOPPING;
	bl_decide(&view, &d);
	ck_assert_int_eq(d.kind, BL_DECISION_END);
	obj = bl_explain_json(&view, &d);
	ck_assert_int_eq(bl_explain_read(obj, &plan, &e, NULL), 0);
	ck_assert(!e.again);
	json_decref(obj);
}
END_TEST

START_TEST(what_an_operator_decided_says_who_and_is_not_made_again)
{
	json_t *obj;

	host.state = BL_EXPOSURE_COMMITTED;
	view.paused = 1;
	d = (struct bl_decision){ .kind = BL_DECISION_RESUME,
				  .reason = "the storage team is done",
				  .by = "alice" };
	obj = bl_explain_json(&view, &d);
	ck_assert_int_eq(bl_explain_read(obj, &plan, &e, NULL), 0);
	ck_assert(!e.again);
	ck_assert_int_eq(e.said.kind, BL_DECISION_RESUME);
	ck_assert_str_eq(e.said.by, "alice");
	ck_assert_str_eq(e.said.reason, d.reason);
	ck_assert_uint_eq(e.view.paused, 1);
	json_decref(obj);
}
END_TEST

/* One that an older belay wrote knows of no pause. */
START_TEST(older_decision_is_made_again)
{
	json_t *obj = bl_explain_json(&view, &d);
	struct bl_decision again;

	json_object_del(obj, "by");
	json_object_del(json_object_get(obj, "inputs"), "paused");
	ck_assert_int_eq(bl_explain_read(obj, &plan, &e, NULL), 0);
	ck_assert(e.again);
	ck_assert(bl_explain_holds(&e, &again));
	json_decref(obj);
}
END_TEST

/* A fleet of 110 in two strata by the default plan. */
START_TEST(outlook_says_what_waves_are_and_see)
{
	struct bl_outlook o[BL_PLAN_WAVES_MAX];

	strata[0] = (struct bl_tally){ .name = "a", .waiting = 100 };
	strata[1] = (struct bl_tally){ .name = "b", .waiting = 10 };
	view.wave = 0;
	bl_outlook(&view, o);
	ck_assert_uint_eq(o[0].hosts, 2);
	ck_assert_double_eq_tol(o[0].sees[0], 1 - 0.8 * 0.8, 1e-12);
	ck_assert(!o[0].excluded);
	/* 20 % is excluded before half of the fleet; 5 % would take more. */
	ck_assert_uint_eq(o[1].said, 4);
	ck_assert_uint_eq(o[1].hosts, 31);
	ck_assert_uint_eq(o[2].hosts, 55);
	ck_assert_uint_eq(o[3].hosts, 110);
	ck_assert(!o[3].excluded);
	/* 2, 29, 24 and 55 hosts, ten at a time. */
	ck_assert_int_eq(o[3].at_best_ms,
			 (1 + 3 + 3 + 6) * BL_OUTLOOK_TRIAL_MS + 4 * 5000);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("explain");
	TCase *t = tcase_create("explain");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, decision_comes_back_as_it_was_and_out_the_same);
	tcase_add_test(t, damaged_record_is_refused);
	tcase_add_test(t, end_of_going_back_is_told_and_not_made_again);
	tcase_add_test(t,
		       what_an_operator_decided_says_who_and_is_not_made_again);
	tcase_add_test(t, older_decision_is_made_again);
	tcase_add_test(t, outlook_says_what_waves_are_and_see);
	suite_add_tcase(s, t);
	return s;
}
