/* SPDX-License-Identifier: Apache-2.0 */
/* What became of attaching a program on a kernel is said, and never passes
 * because nobody tried. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/kernel/attach.h"
#include "tests/main.h"

static struct bl_report report;
static struct bl_facts_program programs[4];
static struct bl_facts facts;

static void begin(size_t count)
{
	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, "x.bpf.o", "object"), 0);
	for (size_t i = 0; i < BL_ARRAY_SIZE(programs); i++)
		programs[i] = (struct bl_facts_program){
			.name = (char *)"p",
			.section = (char *)"fentry/f",
			.load = BL_LOAD_ACCEPTED,
			.attach = BL_ATTACH_DONE,
		};
	facts = (struct bl_facts){ .programs = programs,
				   .program_count = count };
}

static void check(bool host)
{
	ck_assert_int_eq(bl_attach_check(&facts, "6.1", host, &report), 0);
	ck_assert_uint_gt(report.count, 0);
	for (size_t i = 0; i < report.count; i++) {
		ck_assert_str_eq(report.findings[i].check, "attach");
		ck_assert_str_eq(report.findings[i].kernel, "6.1");
	}
}

START_TEST(attached_programs_are_one_finding)
{
	begin(3);
	check(false);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_PASS);
	ck_assert_str_eq(report.findings[0].message,
			 "attached and detached: 3 programs");
}
END_TEST

static const struct {
	enum bl_attach_status attach;
	bool optional, host;
	enum bl_verdict verdict;
	const char *message;
} rows[] = {
	{ BL_ATTACH_MISSING, false, false, BL_VERDICT_REJECT,
	  "loads, but what it attaches to is not on this kernel: because" },
	{ BL_ATTACH_MISSING, true, false, BL_VERDICT_WARN,
	  "loads, but what it attaches to is not on this kernel: because" },
	{ BL_ATTACH_MISSING, false, true, BL_VERDICT_UNDECIDED,
	  "loads, but what it attaches to is not on this kernel: because" },
	{ BL_ATTACH_ELSEWHERE, false, false, BL_VERDICT_WARN,
	  "not attached: only its loader knows where: because" },
	{ BL_ATTACH_FAILED, false, false, BL_VERDICT_REJECT,
	  "loads, but cannot be attached: because" },
	{ BL_ATTACH_FAILED, true, false, BL_VERDICT_REJECT,
	  "loads, but cannot be attached: because" },
	{ BL_ATTACH_FAILED, false, true, BL_VERDICT_UNDECIDED,
	  "loads, but cannot be attached: because" },
	{ BL_ATTACH_UNTRIED, false, false, BL_VERDICT_UNDECIDED,
	  "was not attached: because" },
	{ BL_ATTACH_UNTRIED, true, true, BL_VERDICT_UNDECIDED,
	  "was not attached: because" },
	/* no such status: a guest's answer */
	{ (enum bl_attach_status)99, true, false, BL_VERDICT_UNDECIDED,
	  "was not attached: because" },
};

START_TEST(what_was_not_attached_is_judged)
{
	const struct bl_finding *f;

	begin(2);
	programs[1].name = (char *)"q";
	programs[1].attach = rows[_i].attach;
	programs[1].attach_why = (char *)"because";
	programs[1].optional = rows[_i].optional;
	check(rows[_i].host);
	ck_assert_uint_eq(report.count, 2);
	f = &report.findings[0];
	ck_assert_int_eq(f->verdict, rows[_i].verdict);
	ck_assert_str_eq(f->message, rows[_i].message);
	ck_assert_str_eq(f->program, "q");
	ck_assert_str_eq(f->section, "fentry/f");
	ck_assert_str_eq(report.findings[1].message,
			 "attached and detached: 1 program");
}
END_TEST

/* What was refused by the verifier is told there; here it is no attach. */
START_TEST(programs_that_did_not_load_are_not_told_twice)
{
	begin(2);
	programs[0].load = BL_LOAD_REJECTED;
	programs[0].attach = BL_ATTACH_UNTRIED;
	check(false);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_PASS);
}
END_TEST

START_TEST(nothing_attached_is_no_pass)
{
	begin(0);
	check(false);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_UNDECIDED);
	begin(1);
	programs[0].load = BL_LOAD_MISSING;
	check(false);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_UNDECIDED);
	begin(1);
	programs[0] = (struct bl_facts_program){ .load = BL_LOAD_ACCEPTED };
	check(false);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_UNDECIDED);
}
END_TEST

static void end(void)
{
	bl_report_free(&report);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate attach");
	TCase *t = tcase_create("judge");

	tcase_add_checked_fixture(t, NULL, end);
	tcase_add_test(t, attached_programs_are_one_finding);
	tcase_add_loop_test(t, what_was_not_attached_is_judged, 0,
			    (int)BL_ARRAY_SIZE(rows));
	tcase_add_test(t, programs_that_did_not_load_are_not_told_twice);
	tcase_add_test(t, nothing_attached_is_no_pass);
	suite_add_tcase(s, t);
	return s;
}
