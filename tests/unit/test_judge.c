/* SPDX-License-Identifier: Apache-2.0 */
/* From what was seen of a fleet to what it means. */
#include <errno.h>
#include <string.h>

#include "canary/compare/judge.h"
#include "canary/compare/line.h"
#include "canary/compare/shelf.h"
#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "tests/main.h"

#define GOOD "1111111111111111111111111111111111111111111111111111111111111111"
#define BAD  "2222222222222222222222222222222222222222222222222222222222222222"

static struct bl_observed_host hosts[3];
static struct bl_compare_result result;
static struct bl_fault_lines expect;
static struct bl_judge_case this;

/* Good beats of host @i in [@from, @to], four a second. */
static void beats(size_t i, int64_t from, int64_t to)
{
	for (int64_t t = from; t <= to; t += 250)
		ck_assert_int_eq(bl_observed_beat(&hosts[i], t), 0);
}

static void set_up(void)
{
	expect = (struct bl_fault_lines){ 0 };
	this = (struct bl_judge_case){ .way = BL_COMPARE_B,
				       .hosts = hosts,
				       .count = 3,
				       .end_ms = 30000,
				       .good = GOOD,
				       .stopped = true,
				       .verdict = BL_COMPARE_ACCEPTED,
				       .expect = &expect };
	for (size_t i = 0; i < 3; i++)
		strcpy(hosts[i].live, GOOD);
}

static void tear_down(void)
{
	for (size_t i = 0; i < 3; i++)
		bl_observed_free(&hosts[i]);
	bl_compare_result_free(&result);
	result = (struct bl_compare_result){ 0 };
}

static void judge(void)
{
	ck_assert_int_eq(bl_judge(&this, &result), 0);
}

/* The first host has the version on trial, goes down in it and comes back. */
static void crash_and_return(void)
{
	beats(0, 0, 5000);
	beats(0, 12000, 30000);
	beats(1, 0, 30000);
	beats(2, 0, 30000);
	hosts[0].exposed = true;
	hosts[0].panics = hosts[0].reboots = 1;
	hosts[0].txn = (struct bl_observed_txn){ .there = true,
						 .staged = true,
						 .back = true,
						 .attribution = "convicted" };
}

START_TEST(a_crash_in_a_trial_is_stopped_by_the_next_boot)
{
	crash_and_return();
	this.gate = BL_COMPARE_EXERCISE;
	this.verdict = BL_COMPARE_REJECTED;
	expect = (struct bl_fault_lines){ BL_COMPARE_EXERCISE,
					  BL_COMPARE_BOOT_LOOP };
	judge();
	ck_assert_int_eq(result.stopped_by, BL_COMPARE_EXERCISE);
	ck_assert_int_eq(result.past_gate, BL_COMPARE_BOOT_LOOP);
	ck_assert(result.as_expected);
	ck_assert_uint_eq(result.hosts, 3);
	ck_assert_uint_eq(result.exposed, 1);
	ck_assert_uint_eq(result.lost, 0);
	ck_assert_uint_eq(result.crashes, 1);
	ck_assert_uint_eq(result.reboots, 1);
	ck_assert_int_eq(result.attributed, BL_COMPARE_BLAMED);
	ck_assert_int_eq(result.outage_ms, 7000);
	ck_assert_int_eq(result.recover_ms, 12000);
}
END_TEST

START_TEST(a_host_that_crashed_and_still_runs_the_version_was_saved_by_nothing)
{
	crash_and_return();
	hosts[0].txn.back = false;
	strcpy(hosts[0].txn.attribution, "");
	for (size_t i = 0; i < 3; i++)
		strcpy(hosts[i].live, BAD);
	this.stopped = false;
	expect = (struct bl_fault_lines){ BL_COMPARE_NOWHERE,
					  BL_COMPARE_BOOT_LOOP };
	judge();
	ck_assert_int_eq(result.past_gate, BL_COMPARE_NOWHERE);
	ck_assert(!result.as_expected);
}
END_TEST

START_TEST(a_host_that_is_down_at_the_end_has_not_recovered)
{
	crash_and_return();
	hosts[1].count = 0;
	beats(1, 0, 24000);
	expect = (struct bl_fault_lines){ BL_COMPARE_NOWHERE,
					  BL_COMPARE_BOOT_LOOP };
	judge();
	ck_assert_int_eq(result.recover_ms, BL_COMPARE_NEVER);
	ck_assert_uint_eq(result.lost, 0);
	ck_assert(!result.as_expected);
}
END_TEST

/* Last heard of, it ran what it had before. */
START_TEST(a_host_that_hangs_for_good_was_stopped_by_the_fleet_alone)
{
	beats(0, 0, 2000);
	beats(1, 0, 30000);
	beats(2, 0, 30000);
	hosts[0].exposed = true;
	expect = (struct bl_fault_lines){ BL_COMPARE_NOWHERE,
					  BL_COMPARE_CANARY };
	judge();
	ck_assert_int_eq(result.past_gate, BL_COMPARE_CANARY);
	ck_assert_uint_eq(result.lost, 1);
	ck_assert_uint_eq(result.exposed, 1);
	ck_assert(result.as_expected);
	/* One, not more. */
	bl_compare_result_free(&result);
	result = (struct bl_compare_result){ 0 };
	hosts[1].count = 0;
	beats(1, 0, 5000);
	judge();
	ck_assert_uint_eq(result.lost, 2);
	ck_assert(!result.as_expected);
}
END_TEST

START_TEST(of_several_hosts_the_line_that_held_last_counts)
{
	crash_and_return();
	bl_observed_free(&hosts[2]);
	hosts[2] = hosts[0]; /* the one that went down comes last */
	hosts[0] = (struct bl_observed_host){ 0 };
	beats(0, 0, 30000);
	strcpy(hosts[0].live, GOOD);
	hosts[0].exposed = true;
	hosts[0].txn = (struct bl_observed_txn){ .there = true,
						 .staged = true,
						 .back = true };
	judge();
	ck_assert_int_eq(result.past_gate, BL_COMPARE_BOOT_LOOP);
}
END_TEST

START_TEST(a_push_that_every_kernel_refuses_is_not_what_never_means)
{
	this.way = BL_COMPARE_A;
	this.stopped = false;
	expect.past = BL_COMPARE_NOWHERE;
	for (size_t i = 0; i < 3; i++) {
		beats(i, 0, 30000);
		hosts[i].exposed = hosts[i].refused = true;
	}
	judge();
	ck_assert_int_eq(result.past_gate, BL_COMPARE_UNAFFECTED);
	ck_assert(!result.as_expected);
}
END_TEST

START_TEST(a_result_is_held_against_the_catalogue_of_today)
{
	struct bl_fault_lines other = { BL_COMPARE_VERIFIER,
					BL_COMPARE_BOOT_LOOP };

	crash_and_return();
	this.gate = BL_COMPARE_EXERCISE;
	this.verdict = BL_COMPARE_REJECTED;
	expect = (struct bl_fault_lines){ BL_COMPARE_EXERCISE,
					  BL_COMPARE_BOOT_LOOP };
	judge();
	ck_assert(bl_judge_expected(&expect, &result));
	ck_assert(!bl_judge_expected(&other, &result));
	ck_assert(!bl_judge_expected(NULL, &result));
}
END_TEST

START_TEST(the_curve_says_when_hosts_were_down)
{
	static const struct bl_compare_point want[] = {
		{ 0, 0 }, { 5000, 1 }, { 12000, 0 }, { 30000, 0 }
	};

	crash_and_return();
	judge();
	ck_assert_uint_eq(result.down_count, BL_ARRAY_SIZE(want));
	for (size_t i = 0; i < BL_ARRAY_SIZE(want); i++) {
		ck_assert_int_eq(result.down[i].t_ms, want[i].t_ms);
		ck_assert_uint_eq(result.down[i].hosts, want[i].hosts);
	}
}
END_TEST

START_TEST(a_crash_that_nobody_lays_to_the_version_is_not_attributed)
{
	crash_and_return();
	strcpy(hosts[0].txn.attribution, "suspect");
	judge();
	ck_assert_int_eq(result.attributed, BL_COMPARE_NOT_BLAMED);
}
END_TEST

START_TEST(a_reset_without_a_word_can_only_be_suspected)
{
	crash_and_return();
	hosts[0].panics = 0;
	hosts[0].resets = 1;
	strcpy(hosts[0].txn.attribution, "suspect");
	judge();
	ck_assert_int_eq(result.past_gate, BL_COMPARE_WATCHDOG);
	ck_assert_int_eq(result.attributed, BL_COMPARE_BLAMED);
}
END_TEST

START_TEST(a_cut_of_power_is_no_crash)
{
	crash_and_return();
	hosts[0].panics = 0;
	hosts[0].cuts = 1;
	judge();
	ck_assert_int_eq(result.past_gate, BL_COMPARE_BOOT_LOOP);
	ck_assert_uint_eq(result.crashes, 0);
	ck_assert_int_eq(result.attributed, BL_COMPARE_NO_CRASH);
}
END_TEST

START_TEST(without_belay_a_host_that_does_not_come_back_is_lost)
{
	this.way = BL_COMPARE_A;
	this.stopped = false;
	expect.past = BL_COMPARE_NOWHERE;
	beats(0, 0, 2000);
	hosts[0].dead = true;
	beats(1, 0, 3000); /* runs, and nobody can use it */
	beats(2, 0, 30000);
	for (size_t i = 0; i < 3; i++) {
		hosts[i].exposed = true;
		hosts[i].panics = i == 0 ? 4 : 0;
	}
	judge();
	ck_assert_uint_eq(result.lost, 2);
	ck_assert_int_eq(result.recover_ms, BL_COMPARE_NEVER);
	ck_assert_int_eq(result.stopped_by, BL_COMPARE_NOWHERE);
	ck_assert_int_eq(result.attributed, BL_COMPARE_NOT_BLAMED);
	ck_assert(result.as_expected);
}
END_TEST

START_TEST(a_host_that_still_has_what_was_stopped_is_lost)
{
	for (size_t i = 0; i < 3; i++)
		beats(i, 0, 30000);
	strcpy(hosts[1].live, BAD);
	hosts[2].live[0] = '\0';
	judge();
	ck_assert_uint_eq(result.lost, 2);
}
END_TEST

START_TEST(what_everybody_kept_was_not_stopped)
{
	for (size_t i = 0; i < 3; i++) {
		beats(i, 0, 30000);
		hosts[i].exposed = true;
		hosts[i].txn.there = hosts[i].txn.staged = true;
		strcpy(hosts[i].live, BAD);
	}
	this.stopped = false;
	expect = (struct bl_fault_lines){ BL_COMPARE_UNAFFECTED,
					  BL_COMPARE_UNAFFECTED };
	judge();
	ck_assert_uint_eq(result.lost, 0);
	ck_assert_int_eq(result.past_gate, BL_COMPARE_UNAFFECTED);
	ck_assert(result.as_expected);
}
END_TEST

START_TEST(nothing_is_unaffected_that_was_down)
{
	beats(0, 0, 5000);
	beats(0, 10000, 30000);
	beats(1, 0, 30000);
	beats(2, 0, 30000);
	for (size_t i = 0; i < 3; i++) {
		hosts[i].exposed = true;
		hosts[i].txn.there = hosts[i].txn.staged = true;
		strcpy(hosts[i].live, BAD);
	}
	this.stopped = false;
	expect.past = BL_COMPARE_UNAFFECTED;
	judge();
	ck_assert_int_eq(result.past_gate, BL_COMPARE_NOWHERE);
	ck_assert(!result.as_expected);
}
END_TEST

/* How a transaction ended on the one host that had it, and what that means. */
static const struct {
	const char *reason;
	bool there, staged, back;
	enum bl_compare_stop stop;
} ends[] = {
	{ "load belay-sensor: program bl_open: R7 max value is outside", true,
	  false, true, BL_COMPARE_VERIFIER },
	{ "load belay-sensor: Cannot allocate memory", true, false, true,
	  BL_COMPARE_GATE },
	{ "", false, false, false, BL_COMPARE_GATE },
	{ "lost 41835 of 47203 events", true, true, true, BL_COMPARE_TRIAL },
	{ "its lease ran out", true, true, true, BL_COMPARE_LEASE },
	{ "belay died in phase trial", true, true, true, BL_COMPARE_TRIAL },
	{ "belay died in phase intent", true, false, true, BL_COMPARE_TRIAL },
	{ "", true, true, false, BL_COMPARE_CANARY },
};

START_TEST(which_line_it_was_is_told_by_how_it_ended)
{
	for (size_t i = 0; i < 3; i++)
		beats(i, 0, 30000);
	hosts[0].exposed = true;
	hosts[0].txn.there = ends[_i].there;
	hosts[0].txn.staged = ends[_i].staged;
	hosts[0].txn.back = ends[_i].back;
	strcpy(hosts[0].txn.reason, ends[_i].reason);
	judge();
	ck_assert_str_eq(bl_compare_stop_name(result.past_gate),
			 bl_compare_stop_name(ends[_i].stop));
}
END_TEST

START_TEST(what_the_controller_refuses_reaches_nobody)
{
	for (size_t i = 0; i < 3; i++)
		beats(i, 0, 30000);
	this.refused = true;
	this.stopped = false;
	judge();
	ck_assert_int_eq(result.past_gate, BL_COMPARE_GATE);
	ck_assert_uint_eq(result.exposed, 0);
}
END_TEST

/* --- the gate's report ---------------------------------------------------- */

static const struct {
	const char *report;
	enum bl_compare_verdict verdict;
	enum bl_compare_stop line;
	const char *words;
} reports[] = {
	{ "{\"verdict\": \"accepted\", \"findings\": [{\"check\": \"policy\","
	  " \"verdict\": \"warn\", \"message\": \"w\"}]}",
	  BL_COMPARE_ACCEPTED, BL_COMPARE_NOWHERE, "" },
	{ "{\"verdict\": \"rejected\", \"findings\": [{\"check\": \"exercise\","
	  " \"verdict\": \"reject\", \"message\": \"e\"}, {\"check\": \"verifier\","
	  " \"verdict\": \"reject\", \"message\": \"v\"}]}",
	  BL_COMPARE_REJECTED, BL_COMPARE_VERIFIER, "v" },
	{ "{\"verdict\": \"rejected\", \"findings\": [{\"check\": \"verifier\","
	  " \"verdict\": \"reject\", \"message\": \"v\"}, {\"check\": \"content\","
	  " \"verdict\": \"reject\", \"message\": \"c\"}]}",
	  BL_COMPARE_REJECTED, BL_COMPARE_GATE, "c" },
	{ "{\"verdict\": \"rejected\", \"findings\": [{\"check\": \"kernel\","
	  " \"verdict\": \"reject\", \"message\": \"it panicked\"}]}",
	  BL_COMPARE_REJECTED, BL_COMPARE_EXERCISE, "it panicked" },
	{ "{\"verdict\": \"undecided\", \"findings\": [{\"check\": \"kernel\","
	  " \"verdict\": \"undecided\", \"message\": \"it hangs\"}]}",
	  BL_COMPARE_UNDECIDED, BL_COMPARE_EXERCISE, "it hangs" },
};

START_TEST(the_first_check_that_says_no_is_the_line)
{
	bl_autojson json_t *report = json_loads(reports[_i].report, 0, NULL);
	struct bl_judge_gate gate;

	bl_judge_report(report, &gate);
	ck_assert_int_eq(gate.verdict, reports[_i].verdict);
	ck_assert_int_eq(gate.line, reports[_i].line);
	ck_assert_str_eq(gate.words, reports[_i].words);
}
END_TEST

/* --- what hosts say ------------------------------------------------------- */

static const char history[] =
	"{\"transactions\": ["
	" {\"digest\": \"" GOOD
	"\", \"kind\": \"restore\", \"phase\": \"done\","
	"  \"reason\": \"\", \"times\": {\"live_ms\": 3}, \"attribution\": null},"
	" {\"digest\": \"" BAD
	"\", \"kind\": \"apply\", \"phase\": \"rolled-back\","
	"  \"reason\": \"BUG\", \"times\": {\"staged_ms\": null},"
	"  \"attribution\": \"convicted\"}], \"tombstones\": []}";

START_TEST(a_journal_says_what_became_of_the_version)
{
	struct bl_observed_host h = { 0 };

	ck_assert_int_eq(bl_observed_history(&h, BAD, history, strlen(history)),
			 0);
	ck_assert(h.txn.there && h.txn.back && !h.txn.staged);
	ck_assert_str_eq(h.txn.attribution, "convicted");
	ck_assert_int_eq(bl_observed_history(&h, BAD, "{\"trans", 7), -EBADMSG);
	ck_assert_str_eq(h.txn.reason, "BUG");
	/* What is restored was not tried. */
	h = (struct bl_observed_host){ 0 };
	ck_assert_int_eq(
		bl_observed_history(&h, GOOD, history, strlen(history)), 0);
	ck_assert(!h.txn.there);
}
END_TEST

/* What it said before it tried the version says nothing of that, nor does a
 * journal in which that is still open. */
START_TEST(a_host_has_told_once_its_journal_says_what_came_of_the_try)
{
	static const char on_trial[] =
		"{\"transactions\": [{\"digest\": \"" BAD
		"\", \"kind\": \"apply\", \"phase\": \"rolling-back\","
		" \"reason\": \"BUG\"}]}";
	struct bl_observed_host h = { 0 };

	ck_assert_int_eq(bl_observed_history(&h, BAD, history, strlen(history)),
			 0);
	ck_assert(!h.told);
	h.tried = true;
	ck_assert_int_eq(bl_observed_history(&h, BAD, "{\"trans", 7), -EBADMSG);
	ck_assert_int_eq(
		bl_observed_history(&h, BAD, on_trial, strlen(on_trial)), 0);
	ck_assert(!h.told);
	ck_assert_int_eq(bl_observed_history(&h, BAD, history, strlen(history)),
			 0);
	ck_assert(h.told);
}
END_TEST

START_TEST(lines_are_whole_and_known_by_their_first_word)
{
	static const char text[] = "@boot\n@beat bad no\r\n@beats\n\n@load v2";
	static const struct {
		enum bl_line_kind kind;
		const char *rest;
	} want[] = {
		{ BL_LINE_BOOT, "" },
		{ BL_LINE_BAD, "no" },
		{ BL_LINE_LOG, "@beats" },
		{ BL_LINE_LOG, "" },
	};
	bl_autobuf struct bl_buf line = { 0 };
	const char *rest;
	size_t at = 0;

	for (size_t i = 0; i < BL_ARRAY_SIZE(want); i++) {
		ck_assert_int_eq(
			bl_line_next(text, sizeof(text) - 1, &at, &line), 1);
		ck_assert_int_eq(bl_line_read(bl_buf_str(&line), &rest),
				 want[i].kind);
		ck_assert_str_eq(rest, want[i].rest);
	}
	/* The last one is not over yet. */
	ck_assert_int_eq(bl_line_next(text, sizeof(text) - 1, &at, &line), 0);
}
END_TEST

/* --- what need not be run again ------------------------------------------- */

START_TEST(a_run_holds_for_its_belay_and_its_version)
{
	struct bl_compare_result have = { .belay = "0.1.0 a",
					  .variant = "abc" };
	char words[] = "the fleet did not come up";

	ck_assert(bl_shelf_current(&have, "0.1.0 a", "abc"));
	ck_assert(!bl_shelf_current(&have, "0.1.0 b", "abc"));
	ck_assert(!bl_shelf_current(&have, "0.1.0 a", "abd"));
	ck_assert(!bl_shelf_current(NULL, "0.1.0 a", "abc"));
	have.failed = words;
	ck_assert(!bl_shelf_current(&have, "0.1.0 a", "abc"));
	have.failed = NULL;
	have.variant[0] = '\0';
	ck_assert(!bl_shelf_current(&have, "0.1.0 a", ""));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("judge");
	TCase *c = tcase_create("fleet");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_crash_in_a_trial_is_stopped_by_the_next_boot);
	tcase_add_test(
		c,
		a_host_that_crashed_and_still_runs_the_version_was_saved_by_nothing);
	tcase_add_test(c, a_host_that_is_down_at_the_end_has_not_recovered);
	tcase_add_test(
		c, a_host_that_hangs_for_good_was_stopped_by_the_fleet_alone);
	tcase_add_test(c, of_several_hosts_the_line_that_held_last_counts);
	tcase_add_test(
		c, a_push_that_every_kernel_refuses_is_not_what_never_means);
	tcase_add_test(c, a_result_is_held_against_the_catalogue_of_today);
	tcase_add_test(c, the_curve_says_when_hosts_were_down);
	tcase_add_test(
		c, a_crash_that_nobody_lays_to_the_version_is_not_attributed);
	tcase_add_test(c, a_reset_without_a_word_can_only_be_suspected);
	tcase_add_test(c, a_cut_of_power_is_no_crash);
	tcase_add_test(c, without_belay_a_host_that_does_not_come_back_is_lost);
	tcase_add_test(c, a_host_that_still_has_what_was_stopped_is_lost);
	tcase_add_test(c, what_everybody_kept_was_not_stopped);
	tcase_add_test(c, nothing_is_unaffected_that_was_down);
	tcase_add_loop_test(c, which_line_it_was_is_told_by_how_it_ended, 0,
			    BL_ARRAY_SIZE(ends));
	tcase_add_test(c, what_the_controller_refuses_reaches_nobody);
	suite_add_tcase(s, c);
	c = tcase_create("words");
	tcase_add_loop_test(c, the_first_check_that_says_no_is_the_line, 0,
			    BL_ARRAY_SIZE(reports));
	tcase_add_test(c, a_journal_says_what_became_of_the_version);
	tcase_add_test(
		c, a_host_has_told_once_its_journal_says_what_came_of_the_try);
	tcase_add_test(c, lines_are_whole_and_known_by_their_first_word);
	tcase_add_test(c, a_run_holds_for_its_belay_and_its_version);
	suite_add_tcase(s, c);
	return s;
}
