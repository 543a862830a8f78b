/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forms of a report: what a person, a code scanning page, a CI server and a
 * pull request are told. With BELAY_TEST_DUMP=DIR every sample is written there
 * in every form; test_report_schema.sh holds them against the schemas, and
 * tests/unit/report/ are the ones to read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/report/report.h"
#include "loader/gate/report/report_checks.h"
#include "loader/gate/report/report_fold.h"
#include "tests/main.h"

#define K510 "5.10.0-46-cloud-amd64"
#define K61  "6.1.0-56-cloud-amd64"
#define K73  "7.3.4+deb13-cloud-amd64"

static struct bl_report report;
static struct bl_err err;

static void begin(const char *kind, const char *path)
{
	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, path, kind), 0);
	memset(report.digest, 'a', BL_DIGEST_HEX - 1);
	report.total_ms = 4200;
}

static void kernel(const char *name)
{
	struct bl_report_kernel k = { .name = (char *)name,
				      .log_path = (char *)"/logs/console.log",
				      .boot_ms = 900,
				      .total_ms = 2500 };

	ck_assert_int_eq(bl_report_add_kernel(&report, &k), 0);
}

#define FIND(...)                                                            \
	ck_assert_int_eq(bl_report_add(&report,                              \
				       &(struct bl_finding){ __VA_ARGS__ }), \
			 0)
#define S(text) ((char *)(text))

static void accepted(const char *k, const char *program, uint64_t insns)
{
	FIND(.verdict = BL_VERDICT_PASS, .status = BL_STATUS_ACCEPTED,
	     .check = S("verifier"), .kernel = S(k), .program = S(program),
	     .section = S("xdp"), .effort.insns = insns);
}

/* --- samples -------------------------------------------------------------- */

static void sample_accepted(void)
{
	begin("object", "build/sensor.bpf.o");
	kernel(K61);
	bl_report_note(&report, BL_VERDICT_PASS, "license", NULL, "GPL");
	accepted(K61, "on_exec", 1234);
	bl_report_note(&report, BL_VERDICT_PASS, "attach", K61,
		       "attached and detached: 1 program");
}

/* What two kernels say of one line, each in its words; and a cost. */
static void sample_rejected(void)
{
	begin("bundle", "build/sensor.bundle");
	kernel(K510);
	kernel(K73);
	bl_report_note(&report, BL_VERDICT_PASS, "bundle", NULL,
		       "sensor 1.2.0");
	accepted(K510, "fine", 16);
	accepted(K73, "fine", 15);
	FIND(.verdict = BL_VERDICT_REJECT, .status = BL_STATUS_REJECTED,
	     .check = S("verifier"), .kernel = S(K510), .program = S("direct"),
	     .section = S("kprobe/x"),
	     .message = S("R1 invalid mem access 'inv'"),
	     .file = S("src/sensor.bpf.c"), .line = 38,
	     .source = S("return *(int *)(long)`n | m`;"),
	     .log = S("0: (61) r1 = *(u32 *)(r1 +0)\n"
		      "1: (61) r0 = *(u32 *)(r1 +0)\n"
		      "R1 invalid mem access 'inv'\nprocessed 2 insns\n"),
	     .effort.insns = 2, .log_path = S("/logs/510.log"));
	FIND(.verdict = BL_VERDICT_REJECT, .status = BL_STATUS_REJECTED,
	     .check = S("verifier"), .kernel = S(K73), .program = S("direct"),
	     .section = S("kprobe/x"),
	     .message = S("R1 invalid mem access 'scalar'"),
	     .file = S("src/sensor.bpf.c"), .line = 38,
	     .source = S("return *(int *)(long)`n | m`;"),
	     .log = S("0: (61) r1 = *(u32 *)(r1 +0)    ; R1=scalar()\n"
		      "1: (61) r0 = *(u32 *)(r1 +0)\n"
		      "R1 invalid mem access 'scalar'\nprocessed 2 insns\n"),
	     .effort = { 2, 1, 1, 77, 8 }, .log_path = S("/logs/73.log"));
	FIND(.verdict = BL_VERDICT_WARN, .status = BL_STATUS_MISSING,
	     .optional = true, .check = S("verifier"), .kernel = S(K510),
	     .program = S("maybe"), .section = S("?fentry/none"),
	     .message = S("failed to find kernel BTF type ID of 'none': -3"));
	accepted(K73, "maybe", 9);
	FIND(.verdict = BL_VERDICT_REJECT, .check = S("budget"),
	     .kernel = S(K73), .program = S("fine"),
	     .message = S(
		     "15 instructions processed, 10 in the baseline: +50.00 %, the limit is +10 %"),
	     .hint = S("find out what grew"));
}

static void sample_undecided(void)
{
	begin("object", "sensor.bpf.o");
	kernel(K61);
	kernel("host");
	accepted(K61, "on_exec", 1234);
	FIND(.verdict = BL_VERDICT_UNDECIDED, .status = BL_STATUS_REFUSED,
	     .check = S("verifier"), .kernel = S("host"),
	     .program = S("on_exec"), .section = S("xdp"),
	     .message = S("not permitted here: Operation not permitted"));
	FIND(.verdict = BL_VERDICT_UNDECIDED, .check = S("kernel"),
	     .kernel = S(K73), .message = S("did not answer within 180 s"),
	     .log_path = S("/logs/73.console.log"));
}

static void sample_content(void)
{
	begin("content", "rules.json");
	bl_report_note(&report, BL_VERDICT_PASS, "content", NULL,
		       "3 rules, 1 of them deny");
	FIND(.verdict = BL_VERDICT_REJECT, .check = S("content"),
	     .message = S("rules[2].paht: unknown key"),
	     .file = S("rules.json"), .line = 12);
}

static void sample_unproven(void)
{
	begin("object", "sensor.bpf.o");
	kernel(K61);
	kernel(K73);
	accepted(K61, "on_exec", 1234);
}

static void sample_empty(void)
{
	begin("unknown", "x");
	report.digest[0] = '\0';
	report.total_ms = 0;
}

/* Everything that a stranger can put into a name, and every field. */
#define NASTY \
	"`` a|b <script>&\"'</script> ]]> @someone #1 https://x.example/ [l](m) \xef\xbf\xbe\xef\xbf\xbf \xc3\xa9 \xf0\x9f\x92\xa5 \033[2J\n\ttail```"

static void sample_hostile(void)
{
	begin("object", "dir with space/" NASTY);
	kernel(K61);
	kernel("host");
	accepted(K61, "p", 1);
	accepted("host", NASTY, 2);
	FIND(.verdict = BL_VERDICT_REJECT, .status = BL_STATUS_REJECTED,
	     .optional = true, .effort = { 1, 2, 3, 4, 5 }, .line = 7,
	     .check = S("verifier"), .program = S(NASTY), .section = S(NASTY),
	     .kernel = S(K61), .message = S(NASTY), .hint = S(NASTY),
	     .file = S("/abs/" NASTY), .source = S(NASTY),
	     .log = S("0: (95) exit\n" NASTY "\n"), .log_path = S(NASTY));
	FIND(.verdict = BL_VERDICT_REJECT, .check = S("new-check"),
	     .message = S(NASTY));
	FIND(.verdict = BL_VERDICT_WARN, .check = S("map"), .program = S(NASTY),
	     .message = S(NASTY), .hint = S(NASTY));
	FIND(.verdict = BL_VERDICT_REJECT, .check = S("budget"),
	     .program = S(NASTY), .kernel = S(K61), .message = S(NASTY));
}

#define MANY 260

/* So many programs, each refused on three kernels for a reason of its own. */
static void sample_large(void)
{
	const char *const kernels[] = { K510, K61, K73 };
	char name[64], file[64];
	size_t i, k;

	begin("object", "large.bpf.o");
	for (k = 0; k < BL_ARRAY_SIZE(kernels); k++)
		kernel(kernels[k]);
	for (i = 0; i < MANY; i++)
		for (k = 0; k < BL_ARRAY_SIZE(kernels); k++) {
			snprintf(name, sizeof(name), "program_%zu", i);
			snprintf(file, sizeof(file), "src/part_%zu.bpf.c", i);
			FIND(.verdict = BL_VERDICT_REJECT,
			     .status = BL_STATUS_REJECTED,
			     .check = S("verifier"), .kernel = S(kernels[k]),
			     .program = name, .section = S("xdp"),
			     .message = S("unreachable insn 7"), .file = file,
			     .line = 3, .log = S("unreachable insn 7\n"));
		}
}

/* One program on eight kernels: more than a table has columns for. */
static void sample_kernels(void)
{
	char name[32];
	size_t k;

	begin("object", "sensor.bpf.o");
	for (k = 1; k <= 8; k++) {
		snprintf(name, sizeof(name), "6.%zu.0-cloud-amd64", k);
		kernel(name);
		accepted(name, "always", 10 * k);
		if (k < 7)
			accepted(name, "mostly", 10 * k);
		else
			FIND(.verdict = BL_VERDICT_REJECT,
			     .status = BL_STATUS_REJECTED,
			     .check = S("verifier"), .kernel = name,
			     .program = S("mostly"), .section = S("tc"),
			     .message = S("R0 !read_ok"),
			     .log = S("3: (95) exit\nR0 !read_ok\n"));
	}
}

static const struct {
	const char *name;
	void (*make)(void);
	enum bl_exit exit;
	bool golden;
} samples[] = {
	{ "accepted", sample_accepted, BL_EXIT_OK, true },
	{ "rejected", sample_rejected, BL_EXIT_REJECTED, true },
	{ "undecided", sample_undecided, BL_EXIT_UNDECIDED, true },
	{ "content", sample_content, BL_EXIT_REJECTED, false },
	{ "unproven", sample_unproven, BL_EXIT_UNDECIDED, false },
	{ "empty", sample_empty, BL_EXIT_UNDECIDED, false },
	{ "hostile", sample_hostile, BL_EXIT_REJECTED, false },
	{ "large", sample_large, BL_EXIT_REJECTED, false },
	{ "kernels", sample_kernels, BL_EXIT_REJECTED, true },
};

static char *print(const char *form)
{
	const struct bl_report_format *f = bl_report_format_find(form);
	char *text = NULL;
	size_t len = 0;
	FILE *m = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(f->print(&report, m), 0);
	ck_assert_int_eq(fclose(m), 0);
	return text;
}

START_TEST(dump)
{
	const char *dir = getenv("BELAY_TEST_DUMP");
	size_t f;

	samples[_i].make();
	ck_assert_int_eq(bl_report_exit(&report), samples[_i].exit);
	for (f = 0; f < bl_report_format_count; f++) {
		const char *form = bl_report_formats[f].name;
		bl_autofree char *text = print(form);
		bl_autofree char *again = print(form);
		bl_autofree char *path = NULL;

		ck_assert_str_eq(text, again);
		ck_assert_uint_gt(strlen(text), 0);
		if (!dir)
			continue;
		path = bl_path("%s/%s.%s", dir, samples[_i].name, form);
		ck_assert_msg(bl_file_write(path, text, strlen(text), 0644,
					    &err) == 0,
			      "%s", err.text);
	}
}
END_TEST

/* --- what each form says -------------------------------------------------- */

static const char *const readable[] = { "text", "markdown", "junit" };

/* Read them when they change; README.md there says how. */
START_TEST(forms_read_as_agreed)
{
	size_t f;

	if (!samples[_i].golden)
		return;
	samples[_i].make();
	for (f = 0; f < BL_ARRAY_SIZE(readable); f++) {
		bl_autofree char *path = bl_path("%s/tests/unit/report/%s.%s",
						 BL_TEST_SOURCE_DIR,
						 samples[_i].name, readable[f]);
		bl_autofree char *text = print(readable[f]);
		bl_autobuf struct bl_buf want = { 0 };

		ck_assert_msg(bl_file_read(path, 1 << 20, &want, &err) == 0,
			      "%s", err.text);
		ck_assert_msg(strcmp(text, bl_buf_str(&want)) == 0,
			      "%s is now:\n%s", path, text);
	}
}
END_TEST

START_TEST(nothing_undecided_looks_like_a_pass)
{
	bl_autofree char *text = NULL, *junit = NULL, *sarif = NULL, *md = NULL;

	if (samples[_i].exit != BL_EXIT_UNDECIDED)
		return;
	samples[_i].make();
	text = print("text");
	junit = print("junit");
	sarif = print("sarif");
	md = print("markdown");
	ck_assert_ptr_nonnull(strstr(text, "\nundecided: "));
	ck_assert_ptr_nonnull(strstr(md, "**undecided**"));
	ck_assert_ptr_nonnull(strstr(junit, "<error type="));
	ck_assert_ptr_null(strstr(junit, " errors=\"0\" time"));
	ck_assert_ptr_null(strstr(junit, "<skipped"));
	ck_assert_ptr_nonnull(strstr(sarif, "\"executionSuccessful\": false"));
	ck_assert_ptr_nonnull(strstr(sarif, "\"exitCode\": 2"));
	ck_assert_ptr_nonnull(strstr(sarif, "\"level\": \"warning\""));
	ck_assert_ptr_nonnull(strstr(sarif, "\"text\": \"undecided: "));
}
END_TEST

START_TEST(comment_stays_below_the_limit_and_says_what_is_missing)
{
	bl_autofree char *md = NULL;
	const char *last;

	sample_large();
	md = print("markdown");
	ck_assert_uint_lt(strlen(md), 60000);
	ck_assert_uint_gt(strlen(md), 50000);
	ck_assert_ptr_nonnull(
		strstr(md, "more programs do not fit every kernel."));
	last = strstr(md, "\nThis comment would be longer than");
	ck_assert_ptr_nonnull(last);
	ck_assert_ptr_nonnull(strstr(last, "rejected or undecided"));
}
END_TEST

/* Names of strangers stay names: no markup, no mention, no fence that ends
 * early, no cell that ends early. */
START_TEST(comment_takes_no_orders_from_names)
{
	bl_autofree char *md = NULL;

	sample_hostile();
	md = print("markdown");
	ck_assert_ptr_nonnull(strstr(md, "@<!-- -->someone #<!-- -->1"));
	ck_assert_ptr_nonnull(strstr(md, "a\\|b &lt;script\\>&amp;"));
	ck_assert_ptr_nonnull(strstr(md, "\n````text\n"));
	ck_assert_ptr_null(strstr(md, "\n```text\n0:"));
}
END_TEST

START_TEST(equal_words_of_several_kernels_are_one_alert)
{
	bl_autofree char *sarif = NULL;
	size_t results = 0;
	const char *p;

	sample_rejected();
	sarif = print("sarif");
	for (p = sarif; (p = strstr(p, "\"ruleId\"")); p++)
		results++;
	ck_assert_uint_eq(results, 3); /* direct, maybe, budget */
	ck_assert_ptr_nonnull(strstr(sarif, "\"startLine\": 38"));
	ck_assert_ptr_nonnull(strstr(sarif, "\"uri\": \"src/sensor.bpf.c\""));
	ck_assert_ptr_nonnull(strstr(sarif, "(on 5.10.0-46, 7.3.4+deb13)"));
}
END_TEST

static char *fingerprint(void)
{
	bl_autofree char *sarif = print("sarif");
	const char *p = strstr(sarif, "\"belayFinding/v1\": \"");

	ck_assert_ptr_nonnull(p);
	return strndup(p + 20, BL_DIGEST_HEX - 1);
}

/* An alert that was closed must not come back because a line was added above
 * it, a kernel joined the catalogue or a number changed. */
START_TEST(fingerprint_stays_with_its_finding)
{
	static const struct {
		const char *kernel, *message, *source;
		uint32_t line;
		bool same;
	} rows[] = {
		{ K61, "R1 bad, off=128", "x[y]", 10, true },
		{ K61, "R1 bad, off=128", "x[y]", 12, true },
		{ K73, "R1 bad, off=64", "x[y]", 10, true },
		{ K61, "R1 bad, off=128", "x[z]", 10, false },
	};
	bl_autofree char *first = NULL;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(rows); i++) {
		bl_autofree char *print_of = NULL;

		begin("object", "x");
		kernel(rows[i].kernel);
		FIND(.verdict = BL_VERDICT_REJECT, .status = BL_STATUS_REJECTED,
		     .check = S("verifier"), .kernel = S(rows[i].kernel),
		     .program = S("p"), .message = S(rows[i].message),
		     .file = S("a.c"), .line = rows[i].line,
		     .source = S(rows[i].source));
		print_of = fingerprint();
		if (!first)
			first = strdup(print_of);
		ck_assert_msg((strcmp(first, print_of) == 0) == rows[i].same,
			      "row %zu", i);
	}
}
END_TEST

/* Files of a finding are names of strangers, too. */
START_TEST(places_are_uris)
{
	bl_autofree char *sarif = NULL;

	sample_hostile();
	sarif = print("sarif");
	ck_assert_ptr_nonnull(strstr(sarif, "\"uri\": \"file:///abs/%60%60"));
	ck_assert_ptr_nonnull(strstr(sarif, "\"uri\": \"dir%20with%20space/"));
	ck_assert_ptr_nonnull(strstr(sarif, "\"ruleId\": \"new-check\""));
}
END_TEST

START_TEST(every_finding_is_told_whatever_its_check)
{
	bl_autofold struct bl_fold fold = { 0 };
	size_t i, told = 0;

	sample_hostile();
	ck_assert_int_eq(bl_fold_build(&report, &fold), 0);
	for (i = 0; i < fold.group_count; i++)
		told += fold.groups[i].count;
	ck_assert_uint_eq(told, report.count);
	ck_assert_str_eq(fold.groups[fold.group_count - 1].shown->check,
			 "new-check");
}
END_TEST

/* Comparing pair by pair would take minutes. */
#define CROWD 20000

START_TEST(fold_takes_a_crowd_of_findings)
{
	bl_autofold struct bl_fold fold = { 0 };
	char name[32];
	size_t i;

	begin("object", "x");
	kernel(K61);
	for (i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "p%zu", i / 2);
		FIND(.verdict = BL_VERDICT_REJECT, .status = BL_STATUS_REJECTED,
		     .check = S("verifier"), .kernel = S(K61), .program = name,
		     .message = name);
	}
	ck_assert_int_eq(bl_fold_build(&report, &fold), 0);
	ck_assert_uint_eq(fold.program_count, CROWD / 2);
	ck_assert_uint_eq(fold.group_count, CROWD / 2);
}
END_TEST

/* --- where they go -------------------------------------------------------- */

static const struct {
	const char *option, *format, *path, *says;
} options[] = {
	{ "text", "text", NULL, NULL },
	{ "sarif=out.sarif", "sarif", "out.sarif", NULL },
	{ "json=a=b", "json", "a=b", NULL },
	{ "xml", NULL, NULL, "unknown format 'xml' (known: text, json," },
	{ "json=", NULL, NULL, "names no file" },
	{ "", NULL, NULL, "unknown format ''" },
	{ "=x", NULL, NULL, "unknown format ''" },
	{ "a-name-longer-than-any-format", NULL, NULL, "unknown format" },
};

START_TEST(option_names_a_form_and_a_file)
{
	struct bl_report_output out = { 0 };
	int r;

	err = (struct bl_err){ 0 };
	r = bl_report_output_parse(options[_i].option, &out, &err);
	if (options[_i].says) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_msg(strstr(err.text, options[_i].says), "%s",
			      err.text);
		ck_assert_ptr_null(out.format);
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_str_eq(out.format->name, options[_i].format);
	ck_assert_pstr_eq(out.path, options[_i].path);
}
END_TEST

/* A full disk must not look like a report. */
START_TEST(report_that_cannot_be_written_is_an_error)
{
	struct bl_report_output out = { bl_report_format_find("json"), NULL };
	bl_autofclose FILE *full = fopen("/dev/full", "w");

	sample_accepted();
	ck_assert_ptr_nonnull(full);
	err = (struct bl_err){ 0 };
	ck_assert_int_eq(bl_report_output(&report, &out, full, &err), -ENOSPC);
	ck_assert_msg(strstr(err.text, "the json report to standard output"),
		      "%s", err.text);
	out.path = "/nonexistent/r.json";
	ck_assert_int_eq(bl_report_output(&report, &out, stdout, &err),
			 -ENOENT);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-report-forms");
	TCase *t = tcase_create("dump");
	int all = (int)BL_ARRAY_SIZE(samples);

	tcase_add_loop_test(t, dump, 0, all);
	suite_add_tcase(s, t);
	t = tcase_create("forms");
	tcase_add_loop_test(t, forms_read_as_agreed, 0, all);
	tcase_add_loop_test(t, nothing_undecided_looks_like_a_pass, 0, all);
	tcase_add_test(t,
		       comment_stays_below_the_limit_and_says_what_is_missing);
	tcase_add_test(t, comment_takes_no_orders_from_names);
	tcase_add_test(t, equal_words_of_several_kernels_are_one_alert);
	tcase_add_test(t, fingerprint_stays_with_its_finding);
	tcase_add_test(t, places_are_uris);
	tcase_add_test(t, every_finding_is_told_whatever_its_check);
	tcase_add_test(t, fold_takes_a_crowd_of_findings);
	tcase_add_loop_test(t, option_names_a_form_and_a_file, 0,
			    (int)BL_ARRAY_SIZE(options));
	tcase_add_test(t, report_that_cannot_be_written_is_an_error);
	suite_add_tcase(s, t);
	return s;
}
