/* SPDX-License-Identifier: Apache-2.0 */
/* A sensor that loads and attaches is not yet one that works: what it showed
 * under a workload is judged, and what it did not show is no pass. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/kernel/exercise.h"
#include "tests/main.h"

#define ALL BL_EXPECT_ALL

static struct bl_report report;
static struct bl_facts_program programs[3];
static struct bl_facts facts;
static struct bl_exercise_limits limits;

/* A sensor that did everything right. */
static void begin(void)
{
	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, "x.bpf.o", "object"), 0);
	for (size_t i = 0; i < BL_ARRAY_SIZE(programs); i++)
		programs[i] = (struct bl_facts_program){
			.name = (char *)"p",
			.load = BL_LOAD_ACCEPTED,
			.attach = BL_ATTACH_DONE,
			.runs = 1000,
			.run_ns = 2000000,
		};
	facts = (struct bl_facts){ .programs = programs,
				   .program_count = BL_ARRAY_SIZE(programs) };
	facts.exercise = (struct bl_facts_exercise){
		.ran = true,
		.sensor = true,
		.reports = ALL,
		.visible = ALL,
		.wall_ms = 600,
		.done = { 32, 1000, 1000, 16 },
		.shown = { 32, 1000, 1000, 16 },
		.events = { 33, 1500, 1001, 16 },
		.seen = 2534,
		.emitted = 2534,
		.ns_per_run = 2000,
		.prog_bytes = 8192,
		.map_bytes = 1 << 20,
	};
	limits = bl_exercise_defaults();
}

static const struct bl_finding *first(enum bl_verdict verdict)
{
	for (size_t i = 0; i < report.count; i++)
		if (report.findings[i].verdict == verdict)
			return &report.findings[i];
	return NULL;
}

/* The gravest finding; there is at least one. */
static enum bl_verdict check(void)
{
	ck_assert_int_eq(bl_exercise_check(&facts, &limits, "6.1", &report), 0);
	ck_assert_uint_gt(report.count, 0);
	for (size_t i = 0; i < report.count; i++) {
		ck_assert_str_eq(report.findings[i].check, "exercise");
		ck_assert_str_eq(report.findings[i].kernel, "6.1");
	}
	for (int v = BL_VERDICT_REJECT; v > BL_VERDICT_PASS; v--)
		if (first((enum bl_verdict)v))
			return (enum bl_verdict)v;
	return BL_VERDICT_PASS;
}

static void says(enum bl_verdict verdict, const char *words)
{
	const struct bl_finding *f;

	ck_assert_int_eq(check(), verdict);
	f = first(verdict);
	if (!strstr(f->message, words))
		ck_abort_msg("'%s' does not say '%s'", f->message, words);
}

START_TEST(a_good_sensor_passes_with_its_figures)
{
	begin();
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_str_eq(
		report.findings[0].message,
		"saw 32 of 32 exec, 1000 of 1000 open, 1000 of 1000 connect, 16 of 16 dns in 600 ms; 2000 ns per event, 1032 KiB of the kernel's memory, no splat");
}
END_TEST

START_TEST(no_exercise_is_no_pass)
{
	begin();
	facts.exercise.ran = false;
	facts.exercise.why_not = (char *)"the guest is out of memory";
	says(BL_VERDICT_UNDECIDED, "not exercised: the guest is out of memory");
	ck_assert_uint_eq(report.count, 1);
	begin();
	facts.exercise = (struct bl_facts_exercise){ 0 };
	says(BL_VERDICT_UNDECIDED, "not exercised: it was not tried");
	/* ran, and no figure came of it */
	begin();
	facts.exercise = (struct bl_facts_exercise){ .ran = true };
	says(BL_VERDICT_UNDECIDED, "not measured");
}
END_TEST

START_TEST(a_splat_rejects_even_what_did_not_run)
{
	begin();
	facts.exercise.splats = 2;
	facts.exercise.first_splat = (char *)"BUG: sleeping function";
	says(BL_VERDICT_REJECT,
	     "complained 2 times while it was exercised: BUG: sleeping function");
	begin();
	facts.exercise.splats = 1;
	facts.exercise.ran = false;
	says(BL_VERDICT_REJECT, "complained 1 time ");
}
END_TEST

START_TEST(loads_attaches_sees_nothing)
{
	begin();
	facts.exercise.events[BL_EVENT_CONNECT] = 0;
	facts.exercise.shown[BL_EVENT_CONNECT] = 0;
	says(BL_VERDICT_REJECT,
	     "saw nothing: 1000 operations of kind connect and no event");
	ck_assert_uint_eq(report.count, 1);
}
END_TEST

/* The content does not report it, and nobody asked for it. */
START_TEST(what_the_content_ignores_is_not_expected)
{
	begin();
	facts.exercise.reports = facts.exercise.visible =
		ALL & ~BL_EXPECT(BL_EVENT_OPEN);
	facts.exercise.events[BL_EVENT_OPEN] = 0;
	facts.exercise.shown[BL_EVENT_OPEN] = 0;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	ck_assert_ptr_null(strstr(report.findings[0].message, "open"));
}
END_TEST

START_TEST(the_manifest_decides_what_is_expected)
{
	/* fewer: the sensor is not made for connects */
	begin();
	limits.expect_given = true;
	limits.expect = BL_EXPECT(BL_EVENT_EXEC);
	facts.exercise.events[BL_EVENT_CONNECT] = 0;
	facts.exercise.shown[BL_EVENT_CONNECT] = 0;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	/* more than the content reports: one of the two is wrong */
	begin();
	limits.expect_given = true;
	limits.expect = ALL;
	facts.exercise.reports = facts.exercise.visible =
		ALL & ~BL_EXPECT(BL_EVENT_OPEN);
	facts.exercise.events[BL_EVENT_OPEN] = 0;
	says(BL_VERDICT_REJECT,
	     "expects open events and the content reports none");
	/* reported, but of nothing that the workload does: not known */
	begin();
	limits.expect_given = true;
	limits.expect = ALL;
	facts.exercise.visible = ALL & ~BL_EXPECT(BL_EVENT_OPEN);
	facts.exercise.events[BL_EVENT_OPEN] = 0;
	says(BL_VERDICT_UNDECIDED, "nothing of what the workload does");
	/* the workload could not do it */
	begin();
	facts.exercise.done[BL_EVENT_EXEC] = 0;
	facts.exercise.events[BL_EVENT_EXEC] = 0;
	says(BL_VERDICT_UNDECIDED, "could do no exec");
}
END_TEST

START_TEST(what_could_not_be_shown_is_said)
{
	begin();
	facts.exercise.visible = ALL & ~BL_EXPECT(BL_EVENT_OPEN);
	facts.exercise.events[BL_EVENT_OPEN] = 0;
	facts.exercise.shown[BL_EVENT_OPEN] = 0;
	says(BL_VERDICT_WARN, "open was not exercised");
	ck_assert_ptr_nonnull(first(BL_VERDICT_PASS));
}
END_TEST

START_TEST(operations_without_an_event_are_lost)
{
	/* 1 % of 1000 is allowed, more is not */
	begin();
	facts.exercise.shown[BL_EVENT_OPEN] = 990;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	begin();
	facts.exercise.shown[BL_EVENT_OPEN] = 989;
	facts.exercise.dropped = 3;
	says(BL_VERDICT_REJECT,
	     "11 of 1000 operations of kind open had no event (1.1 %, the limit is 1.0 %): 3 events found the ring full, 0 operations came too many tasks deep, 0 runs were skipped by the kernel");
	ck_assert_uint_eq(report.count, 1);
	/* few, and of a kind of which there are few */
	begin();
	facts.exercise.shown[BL_EVENT_EXEC] = 31;
	says(BL_VERDICT_REJECT, "1 of 32 operations of kind exec");
	/* more shown than done: not a negative loss */
	begin();
	facts.exercise.shown[BL_EVENT_OPEN] = UINT64_MAX;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
}
END_TEST

/* 7.x skips a program in which another task was preempted. */
START_TEST(what_the_kernel_skipped_is_held_against_all_operations)
{
	/* of somebody else: nobody's loss */
	begin();
	programs[1].missed = 100000;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	/* 5 of 32, and 5 of 2032 */
	begin();
	facts.exercise.shown[BL_EVENT_EXEC] = 27;
	programs[0].missed = 2;
	programs[1].missed = 3;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	ck_assert_ptr_nonnull(
		strstr(report.findings[0].message, "saw 27 of 32 exec"));
	ck_assert_ptr_nonnull(strstr(report.findings[0].message,
				     "(5 runs skipped by the kernel)"));
	/* more than were skipped: the sensor's own loss */
	begin();
	facts.exercise.shown[BL_EVENT_EXEC] = 27;
	programs[0].missed = 4;
	says(BL_VERDICT_REJECT, "5 of 32 operations of kind exec");
	/* all explained, and too many */
	begin();
	facts.exercise.shown[BL_EVENT_EXEC] = 11;
	programs[0].missed = 21;
	says(BL_VERDICT_REJECT,
	     "21 of 2048 operations had no event (1.0 %, the limit is 1.0 %): the kernel skipped 21 runs");
	ck_assert_uint_eq(report.count, 1);
}
END_TEST

START_TEST(a_full_ring_is_told_as_what_it_is)
{
	begin();
	facts.exercise.emitted = 900;
	facts.exercise.dropped = 100;
	says(BL_VERDICT_REJECT,
	     "lost 100 of 1000 events, the ring was full (10.0 %, the limit is 1.0 %)");
	begin();
	limits.max_drop_ratio = 0.1;
	facts.exercise.emitted = 900;
	facts.exercise.dropped = 100;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	begin();
	limits.max_drop_ratio = 0;
	facts.exercise.dropped = 1;
	ck_assert_int_eq(check(), BL_VERDICT_REJECT);
	begin();
	facts.exercise.torn = 500;
	says(BL_VERDICT_REJECT, "did not look at 500 of 2534 operations");
}
END_TEST

START_TEST(time_and_memory_have_limits)
{
	begin();
	facts.exercise.ns_per_run = limits.max_ns_per_event;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	begin();
	facts.exercise.ns_per_run = limits.max_ns_per_event + 1;
	says(BL_VERDICT_REJECT,
	     "takes 1000001 ns per event, the limit is 1000000 ns");
	begin();
	facts.exercise.ns_per_run = 0;
	says(BL_VERDICT_UNDECIDED, "not measured");
	begin();
	facts.exercise.map_bytes = limits.max_memory_bytes - 8192;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	begin();
	facts.exercise.map_bytes = limits.max_memory_bytes - 8191;
	says(BL_VERDICT_REJECT, "the limit is 268435456");
	begin();
	facts.exercise.map_bytes = UINT64_MAX; /* no sum that wraps */
	ck_assert_int_eq(check(), BL_VERDICT_REJECT);
	begin();
	facts.exercise.prog_bytes = 0;
	says(BL_VERDICT_UNDECIDED, "memory");
}
END_TEST

START_TEST(of_a_foreign_object_no_events_are_asked)
{
	begin();
	facts.exercise.sensor = false;
	facts.exercise.reports = facts.exercise.visible = 0;
	memset(facts.exercise.events, 0, sizeof(facts.exercise.events));
	memset(facts.exercise.shown, 0, sizeof(facts.exercise.shown));
	programs[2].runs = 0;
	ck_assert_int_eq(check(), BL_VERDICT_PASS);
	ck_assert_ptr_nonnull(strstr(report.findings[0].message,
				     "2 of 3 attached programs ran in 600 ms"));
	begin();
	facts.exercise.sensor = false;
	programs[0].runs = programs[1].runs = programs[2].runs = 0;
	facts.exercise.ns_per_run = 0;
	says(BL_VERDICT_WARN,
	     "none of its 3 attached programs ran: attached, and the workload did not reach it");
}
END_TEST

/* A sensor that is asked for nothing still has to run. */
START_TEST(a_sensor_that_never_ran_is_rejected)
{
	begin();
	limits.expect_given = true;
	limits.expect = 0;
	facts.exercise.visible = facts.exercise.reports = 0;
	programs[0].runs = programs[1].runs = programs[2].runs = 0;
	facts.exercise.ns_per_run = 0;
	says(BL_VERDICT_REJECT, "it sees nothing");
}
END_TEST

static void end(void)
{
	bl_report_free(&report);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate exercise");
	TCase *t = tcase_create("judge");

	tcase_add_checked_fixture(t, NULL, end);
	tcase_add_test(t, a_good_sensor_passes_with_its_figures);
	tcase_add_test(t, no_exercise_is_no_pass);
	tcase_add_test(t, a_splat_rejects_even_what_did_not_run);
	tcase_add_test(t, loads_attaches_sees_nothing);
	tcase_add_test(t, what_the_content_ignores_is_not_expected);
	tcase_add_test(t, the_manifest_decides_what_is_expected);
	tcase_add_test(t, what_could_not_be_shown_is_said);
	tcase_add_test(t, operations_without_an_event_are_lost);
	tcase_add_test(t,
		       what_the_kernel_skipped_is_held_against_all_operations);
	tcase_add_test(t, a_full_ring_is_told_as_what_it_is);
	tcase_add_test(t, time_and_memory_have_limits);
	tcase_add_test(t, of_a_foreign_object_no_events_are_asked);
	tcase_add_test(t, a_sensor_that_never_ran_is_rejected);
	suite_add_tcase(s, t);
	return s;
}
