/* SPDX-License-Identifier: Apache-2.0 */
/* The budget: what is too dear, what grew, and what is not there any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/budget.h"
#include "tests/main.h"

#define K5	"5.10.0-46-cloud-amd64"
#define K6	"6.1.0-56-cloud-amd64"
#define K6_NEXT "6.1.0-57-cloud-amd64"
#define K6_OLD	"6.1.0-9-cloud-amd64"
#define K6_FULL "6.1.0-57-amd64"
#define K612	"6.12.95+deb12-cloud-amd64"

static struct bl_report report;
static struct bl_baseline base, merged;
static struct bl_budget_limits limits;
static struct bl_err err;

static void set_up(void)
{
	err = (struct bl_err){ 0 };
	limits = BL_BUDGET_LIMITS;
	ck_assert_int_eq(bl_report_init(&report, "x.bpf.o", "object"), 0);
}

static void tear_down(void)
{
	bl_report_free(&report);
	bl_baseline_free(&base);
	bl_baseline_free(&merged);
}

static void ask(const char *kernel)
{
	struct bl_report_kernel k = { .name = (char *)kernel };
	size_t i;

	for (i = 0; i < report.kernel_count; i++)
		if (strcmp(report.kernels[i].name, kernel) == 0)
			return;
	ck_assert_int_eq(bl_report_add_kernel(&report, &k), 0);
}

static const enum bl_verdict verdict_of[] = {
	[BL_STATUS_ACCEPTED] = BL_VERDICT_PASS,
	[BL_STATUS_REJECTED] = BL_VERDICT_REJECT,
	[BL_STATUS_MISSING] = BL_VERDICT_WARN,
	[BL_STATUS_REFUSED] = BL_VERDICT_UNDECIDED,
	[BL_STATUS_UNKNOWN] = BL_VERDICT_UNDECIDED,
};

static void answer(const char *program, const char *kernel,
		   enum bl_status status, uint64_t insns)
{
	struct bl_finding f = {
		.verdict = verdict_of[status],
		.status = status,
		.optional = status == BL_STATUS_MISSING,
		.effort = { insns, insns / 10, insns / 20, 7, 64 },
		.check = (char *)"verifier",
		.program = (char *)program,
		.section = (char *)"fentry/x",
		.kernel = (char *)kernel,
	};

	ask(kernel);
	ck_assert_int_eq(bl_report_add(&report, &f), 0);
}

static void accept(const char *program, const char *kernel, uint64_t insns)
{
	answer(program, kernel, BL_STATUS_ACCEPTED, insns);
}

/* "p K insns; p K insns": a baseline in short. */
static void set_base(const char *text)
{
	bl_autofree char *copy = strdup(text);
	bl_autobuf struct bl_buf json = { 0 };
	char *at, *rest = NULL;
	unsigned n = 0;

	bl_baseline_free(&base);
	bl_buf_printf(&json, "{\"schema\":1,\"programs\":[");
	for (at = strtok_r(copy, ";", &rest); at;
	     at = strtok_r(NULL, ";", &rest)) {
		char program[64], kernel[64];
		unsigned insns;

		ck_assert_int_eq(sscanf(at, " %63s %63s %u", program, kernel,
					&insns),
				 3);
		bl_buf_printf(
			&json,
			"%s{\"program\":\"%s\",\"kernel\":\"%s\",\"insns\":%u,"
			"\"states\":1,\"peak_states\":1,\"stack_bytes\":0}",
			n++ ? "," : "", program, kernel, insns);
	}
	bl_buf_printf(&json, "]}");
	ck_assert_msg(bl_baseline_parse("base", json.data, json.len, &base,
					&err) == 0,
		      "%s", err.text);
}

/* Findings of the budget with this verdict; the last one in *ret. */
static unsigned found(enum bl_verdict verdict, const struct bl_finding **ret)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < report.count; i++) {
		const struct bl_finding *f = &report.findings[i];

		if (strcmp(f->check, "budget") != 0 || f->verdict != verdict)
			continue;
		/* a finding of the budget is no answer of a kernel */
		ck_assert_int_eq(f->status, BL_STATUS_NONE);
		n++;
		if (ret)
			*ret = f;
	}
	return n;
}

static enum bl_verdict worst(void)
{
	static const enum bl_verdict order[] = { BL_VERDICT_REJECT,
						 BL_VERDICT_UNDECIDED,
						 BL_VERDICT_WARN };
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(order); i++)
		if (found(order[i], NULL))
			return order[i];
	return BL_VERDICT_PASS;
}

static bool said(const char *text)
{
	size_t i;

	for (i = 0; i < report.count; i++)
		if (strcmp(report.findings[i].check, "budget") == 0 &&
		    strstr(report.findings[i].message, text))
			return true;
	return false;
}

/* --- the table: one program on 6.1, another that stays as it is ------------ */

#define STAYS "; stays " K6 " 500"

static const struct {
	const char *base; /* NULL: none */
	const char *kernel;
	uint64_t insns, max_insns;
	double max_growth;
	const char *says;
	enum bl_status status;
	enum bl_verdict worst;
} rows[] = {
#define ROW(base, kernel, status, insns, max, growth, worst, says)          \
	{                                                                   \
		base, kernel, insns, max, growth, says, BL_STATUS_##status, \
			BL_VERDICT_##worst                                  \
	}
	/* the limit */
	ROW(NULL, K6, ACCEPTED, 500000, 0, 10, PASS,
	    "2 of 2 within 500,000 instructions; most: 500,000 for p on " K6),
	ROW(NULL, K6, ACCEPTED, 500001, 0, 10, REJECT,
	    "500,001 instructions processed, the limit is 500,000"),
	ROW(NULL, K6, ACCEPTED, 500001, 500001, 10, PASS, "within 500,001"),
	ROW(NULL, K6, ACCEPTED, 2000, 1000, 10, REJECT,
	    "2,000 instructions processed, the limit is 1,000"),
	ROW(NULL, K6, ACCEPTED, UINT64_MAX, 0, 10, REJECT,
	    "18,446,744,073,709,551,615 instructions"),
	ROW(NULL, K6, ACCEPTED, 0, 0, 10, UNDECIDED,
	    "did not say at what cost"),
	ROW(NULL, "host", ACCEPTED, 500001, 0, 10, REJECT,
	    "the limit is 500,000"),
	/* over the limit, and grown: one finding, that names both */
	ROW("p " K6 " 900" STAYS, K6, ACCEPTED, 2000, 1000, 10, REJECT,
	    "the limit is 1,000; in the baseline: 900"),
	/* growth */
	ROW("p " K6 " 10000" STAYS, K6, ACCEPTED, 10000, 0, 10, PASS,
	    "2 of 2 within +10 % of the baseline"),
	ROW("p " K6 " 10000" STAYS, K6, ACCEPTED, 11000, 0, 10, PASS,
	    "grew the most: 10,000 to 11,000 instructions (+10.0 %)"),
	ROW("p " K6 " 10000" STAYS, K6, ACCEPTED, 11001, 0, 10, REJECT,
	    "11,001 instructions processed, 10,000 in the baseline: +10.01 %"),
	ROW("p " K6 " 10000" STAYS, K6, ACCEPTED, 11001, 0, 10.5, PASS,
	    "within +10.5 %"),
	/* the slack: small programs, and none where 0 % is asked for */
	ROW("p " K6 " 20" STAYS, K6, ACCEPTED, 23, 0, 10, PASS,
	    "20 to 23 instructions (+15.0 %)"),
	ROW("p " K6 " 20" STAYS, K6, ACCEPTED, 120, 0, 10, PASS, "20 to 120"),
	ROW("p " K6 " 20" STAYS, K6, ACCEPTED, 121, 0, 10, REJECT, "+505.00 %"),
	ROW("p " K6 " 20" STAYS, K6, ACCEPTED, 21, 0, 0, REJECT,
	    "+5.00 %, the limit is +0 %"),
	ROW("p " K6 " 20" STAYS, K6, ACCEPTED, 20, 0, 0, PASS,
	    "2 of 2 within +0 %"),
	ROW("p " K6 " 20" STAYS, K6, ACCEPTED, 21, 0, -1, REJECT,
	    "the limit is +0 %"),
	/* shrinking */
	ROW("p " K6 " 10000" STAYS, K6, ACCEPTED, 4000, 0, 10, PASS,
	    "1 shrank, this the most: 10,000 to 4,000 instructions (-60.0 %)"),
	/* new, here or at all */
	ROW("stays " K6 " 500", K6, ACCEPTED, 100, 0, 10, WARN,
	    "new: not in the baseline"),
	ROW("p " K5 " 100" STAYS, K6, ACCEPTED, 100, 0, 10, WARN,
	    "new here: the baseline knows it on other kernels"),
	/* not accepted any more: the verifier's finding stops it, no double */
	ROW("p " K6 " 100" STAYS, K6, REJECTED, 0, 0, 10, PASS,
	    "1 of 1 within"),
	ROW("p " K6 " 100" STAYS, K6, UNKNOWN, 0, 0, 10, PASS, "1 of 1 within"),
	/* but of an optional one the verifier only warns */
	ROW("p " K6 " 100" STAYS, K6, MISSING, 0, 0, 10, REJECT,
	    "lost: in the baseline"),
	ROW("stays " K6 " 500", K6, MISSING, 0, 0, 10, PASS, "1 of 1 within"),
	/* vanished */
	ROW("gone " K6 " 100; p " K6 " 100" STAYS, K6, ACCEPTED, 100, 0, 10,
	    REJECT,
	    "vanished: in the baseline for 1 kernel, not in the object"),
	ROW("gone " K6 " 100; gone " K5 " 100; p " K6 " 100" STAYS, K6,
	    ACCEPTED, 100, 0, 10, REJECT,
	    "vanished: in the baseline for 2 kernels"),
	/* kernels */
	ROW("p " K5 " 100; p " K6 " 100" STAYS, K6, ACCEPTED, 100, 0, 10, WARN,
	    "this kernel was not asked"),
	ROW("p " K6 " 100" STAYS, K612, ACCEPTED, 100, 0, 10,
	    UNDECIDED, /* p has an entry on 6.1 and no answer there */
	    "the baseline does not know this kernel"),
	ROW("", K6, ACCEPTED, 100, 0, 10, WARN,
	    "the baseline does not know this kernel"),
};

START_TEST(each_row_has_its_verdict)
{
	limits.max_insns = rows[_i].max_insns;
	limits.max_growth = rows[_i].max_growth;
	answer("p", rows[_i].kernel, rows[_i].status, rows[_i].insns);
	accept("stays", K6, 500);
	if (rows[_i].base)
		set_base(rows[_i].base);
	ck_assert_int_eq(bl_budget_check(rows[_i].base ? &base : NULL, &limits,
					 &report),
			 0);
	ck_assert_str_eq(bl_verdict_name(worst()),
			 bl_verdict_name(rows[_i].worst));
	ck_assert_msg(said(rows[_i].says), "nothing says: %s", rows[_i].says);
	ck_assert_uint_le(found(BL_VERDICT_REJECT, NULL), 1);
}
END_TEST

START_TEST(nothing_accepted_is_undecided)
{
	answer("p", K6, BL_STATUS_UNKNOWN, 0);
	set_base("p " K6 " 100; gone " K6 " 100");
	ck_assert_int_eq(bl_budget_check(&base, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_UNDECIDED, NULL), 1);
	/* an object that nobody could look into has lost nothing */
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, NULL), 0);
}
END_TEST

START_TEST(a_finding_names_program_section_kernel_and_cost)
{
	const struct bl_finding *f = NULL;

	accept("p", K6, 700000);
	ck_assert_int_eq(bl_budget_check(NULL, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, &f), 1);
	ck_assert_str_eq(f->program, "p");
	ck_assert_str_eq(f->section, "fentry/x");
	ck_assert_str_eq(f->kernel, K6);
	ck_assert_uint_eq(f->effort.insns, 700000);
	ck_assert_ptr_nonnull(strstr(f->hint, "--max-insns"));
}
END_TEST

/* A point update must not switch the check off. */
START_TEST(another_release_of_the_line_is_compared_and_named)
{
	const struct bl_finding *f = NULL;

	accept("p", K6_NEXT, 2000);
	set_base("p " K6_OLD " 100; p " K6 " 1000; p 6.10.3-cloud-amd64 5");
	ck_assert_int_eq(bl_budget_check(&base, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, &f), 1);
	ck_assert_ptr_nonnull(
		strstr(f->message, "1,000 in the baseline of " K6 ": +100"));
	ck_assert(said("compared with " K6 ", the nearest"));
	/* the two that nobody asked: 6.1.0-9 and 6.10 */
	ck_assert_uint_eq(found(BL_VERDICT_WARN, NULL), 3);
}
END_TEST

START_TEST(a_release_in_the_baseline_is_compared_with_itself)
{
	accept("p", K6, 1000);
	set_base("p " K6 " 1000; p " K6_NEXT " 10");
	ck_assert_int_eq(bl_budget_check(&base, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, NULL), 0);
	ck_assert(!said("the nearest"));
}
END_TEST

START_TEST(another_flavour_is_another_kernel)
{
	accept("p", K6_FULL, 1000);
	set_base("p " K6 " 10");
	ck_assert_int_eq(bl_budget_check(&base, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, NULL), 0);
	ck_assert(said("the baseline does not know this kernel"));
}
END_TEST

START_TEST(a_kernel_that_all_should_have_asked_is_undecided)
{
	const struct bl_finding *f = NULL;

	accept("p", K6, 100);
	set_base("p " K5 " 100; p " K6 " 100");
	limits.all_kernels = true;
	ck_assert_int_eq(bl_budget_check(&base, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_UNDECIDED, &f), 1);
	ck_assert_str_eq(f->kernel, K5);
}
END_TEST

START_TEST(the_running_kernel_is_compared_with_nothing)
{
	accept("p", "host", 100);
	set_base("p " K6 " 1");
	ck_assert_int_eq(bl_budget_check(&base, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, NULL), 0);
	ck_assert(said("the running kernel is in no baseline"));
	ck_assert(!said("new"));
}
END_TEST

START_TEST(a_new_program_is_told_once)
{
	accept("p", K5, 100);
	accept("p", K6, 100);
	accept("p", K612, 100);
	accept("q", K5, 100);
	accept("q", K6, 100);
	accept("q", K612, 100);
	set_base("q " K5 " 100; q " K6 " 100; q " K612 " 100");
	ck_assert_int_eq(bl_budget_check(&base, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_WARN, NULL), 1);
}
END_TEST

START_TEST(of_two_answers_about_one_pair_the_worse_counts)
{
	accept("p", K6, 100);
	accept("p", K6, 600000);
	accept("q", K6, 100);
	accept("q", K6, 0);
	ck_assert_int_eq(bl_budget_check(NULL, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, NULL), 1);
	ck_assert_uint_eq(found(BL_VERDICT_UNDECIDED, NULL), 1);
}
END_TEST

/* --- the file ------------------------------------------------------------- */

static const char golden[] =
	"{\n"
	"  \"schema\": 1,\n"
	"  \"programs\": [\n"
	"    {\"program\": \"a\", \"kernel\": \"" K5
	"\", \"insns\": 1000, \"states\": 100, \"peak_states\": 50, \"stack_bytes\": 64},\n"
	"    {\"program\": \"a\", \"kernel\": \"" K6_NEXT
	"\", \"insns\": 2000, \"states\": 200, \"peak_states\": 100, \"stack_bytes\": 64},\n"
	"    {\"program\": \"b\", \"kernel\": \"" K6_NEXT
	"\", \"insns\": 40, \"states\": 4, \"peak_states\": 2, \"stack_bytes\": 64},\n"
	"    {\"program\": \"b\", \"kernel\": \"" K612
	"\", \"insns\": 30, \"states\": 1, \"peak_states\": 1, \"stack_bytes\": 0}\n"
	"  ]\n"
	"}\n";

/* 6.12 was not asked and stays; 6.1.0-57 speaks for 6.1.0-56 now; c is gone. */
static void fill(void)
{
	accept("b", K6_NEXT, 40);
	accept("a", K6_NEXT, 2000);
	accept("a", K5, 1000);
	answer("b", K5, BL_STATUS_MISSING, 0);
	set_base("b " K612 " 30; a " K6 " 7; c " K612 " 9; b " K5 " 8");
}

START_TEST(the_file_is_written_as_it_should_be)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *path = bl_path("%s/base.json", dir);
	bl_autobuf struct bl_buf text = { 0 };
	struct stat st;

	fill();
	ck_assert_msg(bl_budget_update(&base, &report, path, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(bl_file_read(path, 1 << 20, &text, &err), 0);
	ck_assert_str_eq(text.data, golden);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	ck_assert_int_eq(bl_budget_load(path, &merged, &err), 0);
	ck_assert_uint_eq(merged.count, 4);
	bl_buf_free(&text);
	ck_assert_int_eq(bl_baseline_print(&merged, &text), 0);
	ck_assert_str_eq(text.data, golden);
	bl_file_rmtree(dir, NULL);
}
END_TEST

START_TEST(what_was_written_passes_its_own_check)
{
	fill();
	ck_assert_int_eq(bl_baseline_merge(&base, &report, &merged, &err), 0);
	ck_assert_int_eq(bl_budget_check(&merged, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, NULL), 0);
	ck_assert_uint_eq(found(BL_VERDICT_UNDECIDED, NULL), 0);
	ck_assert_uint_eq(found(BL_VERDICT_WARN, NULL), 1); /* 6.12 */
}
END_TEST

static void add_rejected(void)
{
	answer("bad", K6_NEXT, BL_STATUS_REJECTED, 0);
}

static void add_unknown(void)
{
	answer("bad", K6_NEXT, BL_STATUS_UNKNOWN, 0);
}

static void add_costless(void)
{
	accept("bad", K6_NEXT, 0);
}

static void add_silent_kernel(void)
{
	ask("7.3.4-amd64");
}

static void add_panic(void)
{
	bl_report_note(&report, BL_VERDICT_REJECT, "kernel", K6_NEXT, "panic");
}

static void only_host(void)
{
	bl_report_free(&report);
	set_up();
	accept("a", "host", 100);
}

static void nothing(void)
{
	bl_report_free(&report);
	set_up();
}

static const struct {
	void (*make)(void);
	const char *says;
} unfit[] = {
	{ add_rejected, "bad on " K6_NEXT " was rejected" },
	{ add_unknown, "bad on " K6_NEXT " is undecided" },
	{ add_costless, "bad on " K6_NEXT " was accepted, but at what cost" },
	{ add_silent_kernel, "7.3.4-amd64 accepted nothing" },
	{ add_panic, K6_NEXT " was rejected" },
	{ only_host, "no kernel of the lab accepted a program" },
	{ nothing, "no kernel of the lab accepted a program" },
};

START_TEST(an_incomplete_report_leaves_the_file_alone)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *path = bl_path("%s/base.json", dir);
	bl_autobuf struct bl_buf text = { 0 };

	ck_assert_int_eq(bl_file_write(path, "old", 3, 0600, &err), 0);
	fill();
	unfit[_i].make();
	ck_assert_int_eq(bl_budget_update(&base, &report, path, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, unfit[_i].says), "%s", err.text);
	ck_assert_str_ne(err.hint, "");
	ck_assert_int_eq(bl_file_read(path, 1 << 20, &text, &err), 0);
	ck_assert_str_eq(text.data, "old");
	bl_file_rmtree(dir, NULL);
}
END_TEST

/* The check rejects growth and what vanished; the update is how one says that
 * it is meant, so neither may stand in its way. */
START_TEST(what_the_budget_rejects_can_be_taken_in)
{
	accept("a", K6, 9000);
	set_base("a " K6 " 1000; gone " K6 " 10");
	ck_assert_int_eq(bl_budget_check(&base, &limits, &report), 0);
	ck_assert_uint_eq(found(BL_VERDICT_REJECT, NULL), 2);
	ck_assert_int_eq(bl_baseline_merge(&base, &report, &merged, &err), 0);
	ck_assert_uint_eq(merged.count, 1);
	ck_assert_uint_eq(merged.entries[0].effort.insns, 9000);
}
END_TEST

#define ENTRY(program, kernel, insns)                       \
	"{\"program\":\"" program "\",\"kernel\":\"" kernel \
	"\",\"insns\":" insns                               \
	",\"states\":1,\"peak_states\":1,\"stack_bytes\":0}"
#define FILE_OF(entries) "{\"schema\":1,\"programs\":[" entries "]}"

static const struct {
	const char *text, *says;
} bad_files[] = {
	{ "", "base.json:" },
	{ "[]", "an object was expected" },
	{ "{\"programs\":[]}", "required key 'schema' is missing" },
	{ "{\"schema\":2,\"programs\":[]}", "schema: 2 is outside 1 to 1" },
	{ "{\"schema\":1,\"programs\":{}}", "an array was expected" },
	{ "{\"schema\":1,\"programs\":[],\"x\":1}", "x: unknown key" },
	{ FILE_OF("1"), "programs[0]: an object was expected" },
	{ FILE_OF(ENTRY("p", K6, "0")), "programs[0].insns: 0 is outside" },
	{ FILE_OF(ENTRY("p", K6, "-1")), "programs[0].insns: -1 is outside" },
	{ FILE_OF(ENTRY("p", K6, "1.5")), "a whole number was expected" },
	{ FILE_OF(ENTRY("", K6, "1")), "programs[0].program: 0 bytes" },
	{ FILE_OF(ENTRY("p", "host", "1")), "'host' is no kernel release" },
	{ FILE_OF(ENTRY("p", "../6.1", "1")), "is no kernel release" },
	{ FILE_OF(ENTRY("p", "6", "1")), "'6' is no kernel release" },
	{ FILE_OF("{\"program\":\"p\"}"), "required key 'kernel' is missing" },
	{ FILE_OF(ENTRY("p", K6, "1") "," ENTRY("q", K6, "1") "," ENTRY("p", K6,
									"2")),
	  "p on " K6 " stands in it twice" },
};

START_TEST(a_bad_baseline_is_named)
{
	ck_assert_int_eq(bl_baseline_parse("base.json", bad_files[_i].text,
					   strlen(bad_files[_i].text), &base,
					   &err),
			 -EBADMSG);
	ck_assert_msg(strstr(err.text, bad_files[_i].says), "%s", err.text);
	ck_assert_ptr_null(base.entries);
}
END_TEST

START_TEST(a_missing_baseline_says_how_to_get_one)
{
	ck_assert_int_eq(bl_budget_load("/nonexistent/base.json", &base, &err),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.hint, "--update-baseline"));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate_budget");
	TCase *c = tcase_create("check");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, each_row_has_its_verdict, 0,
			    BL_ARRAY_SIZE(rows));
	tcase_add_test(c, nothing_accepted_is_undecided);
	tcase_add_test(c, a_finding_names_program_section_kernel_and_cost);
	tcase_add_test(c, another_release_of_the_line_is_compared_and_named);
	tcase_add_test(c, a_release_in_the_baseline_is_compared_with_itself);
	tcase_add_test(c, another_flavour_is_another_kernel);
	tcase_add_test(c, a_kernel_that_all_should_have_asked_is_undecided);
	tcase_add_test(c, the_running_kernel_is_compared_with_nothing);
	tcase_add_test(c, a_new_program_is_told_once);
	tcase_add_test(c, of_two_answers_about_one_pair_the_worse_counts);
	suite_add_tcase(s, c);

	c = tcase_create("file");
	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, the_file_is_written_as_it_should_be);
	tcase_add_test(c, what_was_written_passes_its_own_check);
	tcase_add_loop_test(c, an_incomplete_report_leaves_the_file_alone, 0,
			    BL_ARRAY_SIZE(unfit));
	tcase_add_test(c, what_the_budget_rejects_can_be_taken_in);
	tcase_add_loop_test(c, a_bad_baseline_is_named, 0,
			    BL_ARRAY_SIZE(bad_files));
	tcase_add_test(c, a_missing_baseline_says_how_to_get_one);
	suite_add_tcase(s, c);
	return s;
}
