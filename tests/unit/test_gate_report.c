/* SPDX-License-Identifier: Apache-2.0 */
/* I6 in the gate: what was not checked is never a pass, whatever a report, a
 * guest or an empty list says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/kernel/verify.h"
#include "loader/gate/report/report_json.h"
#include "loader/gate/report/report_text.h"
#include "loader/object/object.h"
#include "tests/main.h"

static struct bl_report report, copy;
static struct bl_err err;

static void begin(const char *kind)
{
	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, "x.bpf.o", kind), 0);
}

static void add_kernel(const char *name)
{
	struct bl_report_kernel k = { .name = (char *)name, .total_ms = 1 };

	ck_assert_int_eq(bl_report_add_kernel(&report, &k), 0);
}

static void add(enum bl_verdict verdict, enum bl_status status,
		const char *kernel, const char *program)
{
	struct bl_finding f = {
		.verdict = verdict,
		.status = status,
		.check = (char *)"verifier",
		.kernel = (char *)kernel,
		.program = (char *)program,
		.effort.insns = 42,
	};

	ck_assert_int_eq(bl_report_add(&report, &f), 0);
}

static enum bl_exit exit_code(void)
{
	return bl_report_exit(&report);
}

START_TEST(nothing_checked_is_never_a_pass)
{
	begin("object");
	ck_assert_int_eq(exit_code(), BL_EXIT_UNDECIDED);
	/* policy alone is no pass: no kernel was asked */
	bl_report_note(&report, BL_VERDICT_PASS, "license", NULL, "license");
	ck_assert_int_eq(exit_code(), BL_EXIT_UNDECIDED);
	/* a kernel that was asked and said nothing */
	add_kernel("6.1");
	ck_assert_int_eq(exit_code(), BL_EXIT_UNDECIDED);
	add(BL_VERDICT_PASS, BL_STATUS_ACCEPTED, "6.1", "p");
	ck_assert_int_eq(exit_code(), BL_EXIT_OK);
	/* a second one that said nothing */
	add_kernel("5.10");
	ck_assert_int_eq(exit_code(), BL_EXIT_UNDECIDED);
	/* only what is not there: a warning for each, but no program runs */
	add(BL_VERDICT_WARN, BL_STATUS_MISSING, "5.10", "p");
	ck_assert_int_eq(exit_code(), BL_EXIT_UNDECIDED);
	begin("content");
	ck_assert_int_eq(exit_code(), BL_EXIT_UNDECIDED);
	bl_report_note(&report, BL_VERDICT_PASS, "content", NULL, "3 rules");
	ck_assert_int_eq(exit_code(), BL_EXIT_OK);
}
END_TEST

START_TEST(reject_beats_undecided_beats_pass)
{
	begin("object");
	add_kernel("6.1");
	add(BL_VERDICT_PASS, BL_STATUS_ACCEPTED, "6.1", "p");
	add(BL_VERDICT_UNDECIDED, BL_STATUS_REFUSED, "6.1", "q");
	ck_assert_int_eq(exit_code(), BL_EXIT_UNDECIDED);
	add(BL_VERDICT_REJECT, BL_STATUS_REJECTED, "6.1", "r");
	ck_assert_int_eq(exit_code(), BL_EXIT_REJECTED);
	add(BL_VERDICT_PASS, BL_STATUS_ACCEPTED, "6.1", "s");
	ck_assert_int_eq(exit_code(), BL_EXIT_REJECTED);
	ck_assert_int_eq(bl_report_verdict(&report, "6.1"), BL_VERDICT_REJECT);
}
END_TEST

START_TEST(statuses_are_judged)
{
	static const struct {
		enum bl_status status;
		bool optional, host;
		enum bl_verdict verdict;
	} rows[] = {
		{ BL_STATUS_ACCEPTED, false, false, BL_VERDICT_PASS },
		{ BL_STATUS_REJECTED, true, false, BL_VERDICT_REJECT },
		{ BL_STATUS_MISSING, false, false, BL_VERDICT_REJECT },
		{ BL_STATUS_MISSING, false, true, BL_VERDICT_UNDECIDED },
		{ BL_STATUS_MISSING, true, false, BL_VERDICT_WARN },
		{ BL_STATUS_REFUSED, true, false, BL_VERDICT_UNDECIDED },
		{ BL_STATUS_UNKNOWN, true, true, BL_VERDICT_UNDECIDED },
		{ BL_STATUS_NONE, false, false, BL_VERDICT_UNDECIDED },
	};
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(rows); i++)
		ck_assert_int_eq(bl_gate_judge(rows[i].status, rows[i].optional,
					       rows[i].host),
				 rows[i].verdict);
}
END_TEST

/* A deny rule on a kernel without the hook would allow, and nobody would know. */
START_TEST(deny_rules_make_lsm_programs_required)
{
	struct bl_finding f = {
		.verdict = BL_VERDICT_WARN,
		.status = BL_STATUS_MISSING,
		.optional = true,
		.check = (char *)"verifier",
		.kernel = (char *)"6.1",
		.program = (char *)"deny",
		.section = (char *)"lsm/file_open",
	};

	begin("bundle");
	add_kernel("6.1");
	add(BL_VERDICT_PASS, BL_STATUS_ACCEPTED, "6.1", "p");
	ck_assert_int_eq(bl_report_add(&report, &f), 0);
	ck_assert_int_eq(exit_code(), BL_EXIT_OK);
	bl_gate_require_lsm(&report);
	ck_assert_int_eq(exit_code(), BL_EXIT_REJECTED);
}
END_TEST

/* 5.10 hashes no files: content with digests is not for it, all other is. */
START_TEST(digests_alone_make_what_hashes_required)
{
	struct bl_finding f = {
		.verdict = BL_VERDICT_WARN,
		.status = BL_STATUS_MISSING,
		.optional = true,
		.check = (char *)"verifier",
		.kernel = (char *)"5.10",
		.program = (char *)"bl_sum_fill",
		.section = (char *)"lsm.s/bprm_creds_for_exec",
	};

	begin("bundle");
	add_kernel("5.10");
	add(BL_VERDICT_PASS, BL_STATUS_ACCEPTED, "5.10", "p");
	ck_assert_int_eq(bl_report_add(&report, &f), 0);
	bl_gate_require_lsm(&report);
	bl_gate_require_dns(&report);
	ck_assert_int_eq(exit_code(), BL_EXIT_OK);
	bl_gate_require_sums(&report);
	ck_assert_int_eq(exit_code(), BL_EXIT_REJECTED);
}
END_TEST

START_TEST(json_round_trip_keeps_all)
{
	bl_autofree char *first = NULL, *again = NULL;

	begin("object");
	memset(report.digest, 'a', BL_DIGEST_HEX - 1);
	report.total_ms = 77;
	add_kernel("6.1");
	add(BL_VERDICT_PASS, BL_STATUS_ACCEPTED, "6.1", "p");
	ck_assert_int_eq(bl_report_add(&report,
				       &(struct bl_finding){
					       .verdict = BL_VERDICT_REJECT,
					       .status = BL_STATUS_REJECTED,
					       .optional = true,
					       .effort.insns = 1,
					       .line = 38,
					       .check = (char *)"verifier",
					       .program = (char *)"q",
					       .section = (char *)"xdp",
					       .kernel = (char *)"6.1",
					       .message = (char *)"R0 bad",
					       .file = (char *)"a.c",
					       .source = (char *)"x[y]",
					       .log = (char *)"0: …\nR0 bad\n",
					       .log_path = (char *)"/l" }),
			 0);
	first = bl_report_to_json(&report);
	bl_report_free(&copy);
	ck_assert_msg(bl_report_from_json("r.json", first, strlen(first), &copy,
					  &err) == 0,
		      "%s", err.text);
	again = bl_report_to_json(&copy);
	ck_assert_str_eq(first, again);
	ck_assert_int_eq(bl_report_verdict(&copy, NULL), BL_VERDICT_REJECT);
	ck_assert_str_eq(copy.findings[1].log, "0: …\nR0 bad\n");
}
END_TEST

#define HEAD "{\"schema\":2,\"belay\":\"0\",\"path\":\"x\",\"kind\":\"object\","

static const struct {
	const char *text, *says;
} lies[] = {
	{ HEAD "\"verdict\":\"accepted\",\"kernels\":[],\"findings\":[]}",
	  "it says 'accepted' but its findings make it 'undecided'" },
	{ HEAD "\"verdict\":\"accepted\",\"kernels\":[{\"kernel\":\"6.1\","
	       "\"verdict\":\"accepted\"}],\"findings\":[]}",
	  "'undecided'" },
	{ HEAD "\"verdict\":\"undecided\",\"kernels\":[],\"findings\":["
	       "{\"check\":\"a\",\"verdict\":\"fine\"}]}",
	  "unknown verdict 'fine'" },
	{ HEAD "\"verdict\":\"undecided\",\"kernels\":[],\"findings\":["
	       "{\"check\":\"a\",\"verdict\":\"pass\",\"status\":\"yes\"}]}",
	  "unknown status 'yes'" },
	{ HEAD "\"verdict\":\"undecided\",\"kernels\":[]}", "findings" },
	{ "{}", "schema" },
	{ "", "answer" },
	{ "belay: killed\n", "answer" },
};

START_TEST(report_that_lies_is_not_read)
{
	copy = (struct bl_report){ 0 };
	err = (struct bl_err){ 0 };
	ck_assert_int_lt(bl_report_from_json("answer", lies[_i].text,
					     strlen(lies[_i].text), &copy,
					     &err),
			 0);
	ck_assert_msg(strstr(err.text, lies[_i].says), "%s", err.text);
	ck_assert_ptr_null(copy.findings);
}
END_TEST

/* Names and logs come from strangers and end on a terminal. */
START_TEST(strings_are_cleaned)
{
	begin("object");
	bl_report_note(&report, BL_VERDICT_REJECT, "object", NULL, "%s",
		       "a\033[2Jb\r\xff\xc3\xa9\xc2\x9b"
		       "31m\xed\xa0\x80 ok\n\t.");
	ck_assert_str_eq(report.findings[0].message,
			 "a?[2Jb??\xc3\xa9??31m??? ok\n\t.");
}
END_TEST

static char *text;

static void print(void)
{
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	bl_report_print(&report, f);
	fclose(f);
}

START_TEST(text_ends_with_the_verdict)
{
	char *line;

	begin("object");
	add_kernel("5.10.0-46-cloud-amd64");
	add_kernel("6.1.0-56-cloud-amd64");
	add(BL_VERDICT_PASS, BL_STATUS_ACCEPTED, "5.10.0-46-cloud-amd64", "p");
	print();
	ck_assert_ptr_nonnull(strstr(text, "program  5.10.0-46  6.1.0-56\n"));
	/* a kernel without an answer shows as such */
	ck_assert_ptr_nonnull(strstr(text, "p        ok 42      ?"));
	line = strrchr(text, '\n');
	ck_assert_str_eq(line, "\n");
	*line = '\0';
	line = strrchr(text, '\n') + 1;
	ck_assert_int_eq(strncmp(line, "undecided: ", 11), 0);
	free(text);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-report");
	TCase *t = tcase_create("report");

	tcase_add_test(t, nothing_checked_is_never_a_pass);
	tcase_add_test(t, reject_beats_undecided_beats_pass);
	tcase_add_test(t, statuses_are_judged);
	tcase_add_test(t, deny_rules_make_lsm_programs_required);
	tcase_add_test(t, digests_alone_make_what_hashes_required);
	tcase_add_test(t, json_round_trip_keeps_all);
	tcase_add_loop_test(t, report_that_lies_is_not_read, 0,
			    (int)BL_ARRAY_SIZE(lies));
	tcase_add_test(t, strings_are_cleaned);
	tcase_add_test(t, text_ends_with_the_verdict);
	suite_add_tcase(s, t);
	return s;
}
