/* SPDX-License-Identifier: Apache-2.0 */
/* What an exchange of versions loses, and what cannot be exchanged without a
 * gap, is said before any host sees it. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/kernel/swap.h"
#include "tests/main.h"

static struct bl_report report;
static struct bl_facts_program programs[3];
static struct bl_facts facts;

/* A sensor whose rehearsal went well. */
static void begin(void)
{
	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, "x.bpf.o", "object"), 0);
	for (size_t i = 0; i < BL_ARRAY_SIZE(programs); i++)
		programs[i] = (struct bl_facts_program){
			.name = (char *)"p",
			.section = (char *)"fentry/f",
			.load = BL_LOAD_ACCEPTED,
			.attach = BL_ATTACH_DONE,
			.swap = BL_SWAP_OVERLAP,
		};
	facts = (struct bl_facts){ .programs = programs,
				   .program_count = BL_ARRAY_SIZE(programs) };
	facts.exercise.sensor = true;
	facts.swap = (struct bl_facts_swap){ .ran = true,
					     .switches = 2,
					     .sent = 20000,
					     .doubled = 700,
					     .worst_ms = 31 };
}

static const struct bl_finding *first(enum bl_verdict verdict)
{
	for (size_t i = 0; i < report.count; i++)
		if (report.findings[i].verdict == verdict)
			return &report.findings[i];
	return NULL;
}

static enum bl_verdict gravest(void)
{
	ck_assert_uint_gt(report.count, 0);
	for (size_t i = 0; i < report.count; i++)
		ck_assert_str_eq(report.findings[i].check, "swap");
	for (int v = BL_VERDICT_REJECT; v > BL_VERDICT_PASS; v--)
		if (first((enum bl_verdict)v))
			return (enum bl_verdict)v;
	return BL_VERDICT_PASS;
}

static void says(enum bl_verdict verdict, const char *words)
{
	const struct bl_finding *f;

	ck_assert_int_eq(gravest(), verdict);
	f = first(verdict);
	if (!strstr(f->message, words))
		ck_abort_msg("'%s' does not say '%s'", f->message, words);
}

static void check(void)
{
	ck_assert_int_eq(bl_swap_check(&facts, "6.1", &report), 0);
	for (size_t i = 0; i < report.count; i++)
		ck_assert_str_eq(report.findings[i].kernel, "6.1");
}

START_TEST(doubled_in_the_overlap_is_fine)
{
	begin();
	check();
	ck_assert_uint_eq(report.count, 1);
	says(BL_VERDICT_PASS,
	     "exchanged 2 times under 20000 operations: none lost, 700 reported by both versions, at most 31 ms");
}
END_TEST

START_TEST(one_lost_operation_rejects)
{
	begin();
	facts.swap.lost = 1;
	check();
	says(BL_VERDICT_REJECT, "1 of 20000 operations had no event");
}
END_TEST

START_TEST(a_rehearsal_that_shows_nothing_is_no_pass)
{
	begin();
	facts.swap.sent = 0;
	check();
	says(BL_VERDICT_UNDECIDED, "shows nothing");
	begin();
	facts.swap.switches = 0;
	check();
	says(BL_VERDICT_UNDECIDED, "shows nothing");
	begin();
	facts.swap = (struct bl_facts_swap){ .why_not = (char *)"no memory" };
	check();
	says(BL_VERDICT_UNDECIDED, "was not rehearsed: no memory");
	begin();
	facts.swap = (struct bl_facts_swap){ 0 };
	check();
	says(BL_VERDICT_UNDECIDED, "was not rehearsed: it was not tried");
}
END_TEST

START_TEST(a_foreign_object_is_told_what_the_kernel_can_do)
{
	begin();
	facts.exercise.sensor = false;
	facts.swap = (struct bl_facts_swap){ .why_not = (char *)"foreign" };
	programs[0].swap = BL_SWAP_REPLACE;
	programs[2].attach = BL_ATTACH_ELSEWHERE;
	programs[2].swap = BL_SWAP_UNKNOWN;
	check();
	ck_assert_uint_eq(report.count, 1);
	says(BL_VERDICT_WARN,
	     "not rehearsed: foreign; of 2 attached programs 1 can be replaced at one instant, 1 overlap");
}
END_TEST

START_TEST(a_gap_is_a_warning)
{
	begin();
	programs[1].name = (char *)"q";
	programs[1].swap = BL_SWAP_NONE;
	check();
	says(BL_VERDICT_WARN, "there is a gap when it is exchanged");
	ck_assert_str_eq(first(BL_VERDICT_WARN)->program, "q");
	ck_assert_ptr_nonnull(first(BL_VERDICT_PASS));
}
END_TEST

/* Without a rehearsal, "not known" is no pass; with one it was measured. */
START_TEST(an_unknown_way_is_undecided_unless_it_was_measured)
{
	begin();
	programs[1].swap = BL_SWAP_UNKNOWN;
	check();
	ck_assert_int_eq(gravest(), BL_VERDICT_PASS);
	begin();
	programs[1].swap = (enum bl_swap_way)77;
	ck_assert_int_eq(bl_swap_ways(&facts, "6.1", &report), 0);
	says(BL_VERDICT_UNDECIDED, "is not known");
	begin();
	facts.program_count = 0;
	ck_assert_int_eq(bl_swap_ways(&facts, "6.1", &report), 0);
	says(BL_VERDICT_UNDECIDED, "no program was attached");
	begin();
	ck_assert_int_eq(bl_swap_ways(&facts, "6.1", &report), 0);
	says(BL_VERDICT_PASS,
	     "of 3 attached programs 0 can be replaced at one instant, 3 overlap");
}
END_TEST

static void compare(const char *name, const char *section, const char *before,
		    const char *section_before)
{
	struct bl_object_program is[] = {
		{ .name = name, .section = section },
		{ .name = "sub", .section = ".text", .called = true },
		{ .name = "kept", .section = "kprobe/k" }
	};
	struct bl_object_program was[] = {
		{ .name = "gone", .section = ".text", .called = true },
		{ .name = before, .section = section_before },
		{ .name = "kept", .section = "kprobe/k" }
	};
	struct bl_object now = { .programs = is, .program_count = 3 };
	struct bl_object previous = { .programs = was, .program_count = 3 };

	begin();
	ck_assert_int_eq(bl_swap_compare(&now, &previous, &report), 0);
}

static const struct {
	const char *section, *before, *message;
} changes[] = {
	{ "fentry/f", "fentry/f", NULL },
	{ "fentry.s/f", "fentry/f", NULL },
	{ "raw_tp/sched_switch", "raw_tracepoint/sched_switch", NULL },
	{ "tp/a/b", "tracepoint/a/b", NULL },
	{ "xdp", "xdp", NULL },
	{ "lsm/f", "fentry/f",
	  "its attach type changed from fentry to lsm: it cannot be replaced, both must be attached for a while" },
	{ "fexit/f", "fentry/f",
	  "its attach type changed from fentry to fexit: it cannot be replaced, both must be attached for a while" },
	{ "fentry/g", "fentry/f",
	  "its hook changed from f to g: it cannot be replaced, both must be attached for a while" },
	{ "tp/a/c", "tracepoint/a/b",
	  "its hook changed from a/b to a/c: it cannot be replaced, both must be attached for a while" },
	{ "fentry", "fentry/f",
	  "its hook changed from f to what its loader gives: it cannot be replaced, both must be attached for a while" },
	/* no type is a beginning of another */
	{ "cgroup_skb/egress", "cgroup/egress",
	  "its attach type changed from cgroup to cgroup_skb: it cannot be replaced, both must be attached for a while" },
	{ "", "x",
	  "its attach type changed from x to : it cannot be replaced, both must be attached for a while" },
};

START_TEST(what_cannot_be_replaced_is_said)
{
	compare("p", changes[_i].section, "p", changes[_i].before);
	if (!changes[_i].message) {
		ck_assert_uint_eq(report.count, 1);
		says(BL_VERDICT_PASS, "2 of 2 programs are attached as");
		return;
	}
	ck_assert_uint_eq(report.count, 2);
	ck_assert_int_eq(gravest(), BL_VERDICT_WARN);
	ck_assert_str_eq(first(BL_VERDICT_WARN)->message, changes[_i].message);
	ck_assert_str_eq(first(BL_VERDICT_WARN)->program, "p");
	ck_assert_str_eq(
		first(BL_VERDICT_PASS)->message,
		"1 of 2 programs are attached as in the previous version");
}
END_TEST

START_TEST(new_and_vanished_programs_are_findings)
{
	compare("new", "fentry/f", "old", "fentry/f");
	ck_assert_uint_eq(report.count, 3);
	says(BL_VERDICT_WARN, "what it did ends with the exchange");
	ck_assert_str_eq(first(BL_VERDICT_WARN)->program, "old");
	ck_assert_str_eq(first(BL_VERDICT_PASS)->program, "new");
}
END_TEST

/* A function that only programs call is not one of them, in either version. */
START_TEST(called_functions_are_no_programs)
{
	compare("gone", "fentry/f", "sub", "fentry/f");
	ck_assert_uint_eq(report.count, 3);
	ck_assert_str_eq(first(BL_VERDICT_PASS)->program, "gone");
	ck_assert_str_eq(first(BL_VERDICT_WARN)->program, "sub");
}
END_TEST

static void end(void)
{
	bl_report_free(&report);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate swap");
	TCase *t = tcase_create("judge");

	tcase_add_checked_fixture(t, NULL, end);
	tcase_add_test(t, doubled_in_the_overlap_is_fine);
	tcase_add_test(t, one_lost_operation_rejects);
	tcase_add_test(t, a_rehearsal_that_shows_nothing_is_no_pass);
	tcase_add_test(t, a_foreign_object_is_told_what_the_kernel_can_do);
	tcase_add_test(t, a_gap_is_a_warning);
	tcase_add_test(t, an_unknown_way_is_undecided_unless_it_was_measured);
	tcase_add_loop_test(t, what_cannot_be_replaced_is_said, 0,
			    (int)BL_ARRAY_SIZE(changes));
	tcase_add_test(t, new_and_vanished_programs_are_findings);
	tcase_add_test(t, called_functions_are_no_programs);
	suite_add_tcase(s, t);
	return s;
}
