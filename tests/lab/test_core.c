/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check "core", which boots nothing, against what the loader and the
 * verifier of every kernel say of the same programs. In core-lab.bpf.o a
 * program's name begins with what is to be found where a kernel lacks what it
 * reads: fits, guarded, bare, open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/gate/report/report_json.h"
#include "loader/lab/catalog.h"
#include "tests/main.h"

#define BELAY	BL_TEST_BUILD_DIR "/belay"
#define OBJECTS BL_TEST_BUILD_DIR "/tests/lab/objects/"
#define LOGS	BL_TEST_BUILD_DIR "/tests/lab/logs/core"

static struct bl_report report;
static struct bl_err err;

static void check_everywhere(const char *file)
{
	const char *const argv[] = { BELAY,	   "check",	file,
				     "--kernel",   "all",	"--json",
				     "--quiet",	   "--log-dir", LOGS,
				     "--deadline", "1200",	NULL };
	struct bl_proc_opts opts = { .timeout_ms = 1800000,
				     .max_output = BL_REPORT_JSON_MAX };
	struct bl_proc_result run = { 0 };

	bl_report_free(&report);
	ck_assert_msg(bl_proc_run(argv, &opts, &run, &err) == 0, "%s",
		      err.text);
	ck_assert_msg(bl_report_from_json("report", bl_buf_str(&run.out),
					  run.out.len, &report, &err) == 0,
		      "%s: %s", err.text, bl_buf_str(&run.out));
	bl_proc_result_free(&run);
}

/* What the check said of a program on a kernel; NULL for nothing. */
static const struct bl_finding *core_of(const struct bl_finding *answer)
{
	size_t i;

	for (i = 0; i < report.count; i++) {
		const struct bl_finding *f = &report.findings[i];

		if (strcmp(f->check, "core") == 0 &&
		    strcmp(f->program, answer->program) == 0 &&
		    strcmp(f->kernel, answer->kernel) == 0)
			return f;
	}
	return NULL;
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* A kernel's own answer: of @f the check must have said what fits it. */
static void compare(const struct bl_finding *f)
{
	const struct bl_finding *core = core_of(f);
	bool accepted = f->status == BL_STATUS_ACCEPTED;

	if (!core) {
		ck_assert_msg(accepted, "%s on %s: nothing found, but %s",
			      f->program, f->kernel, f->log);
		return;
	}
	ck_assert_msg(!begins(f->program, "fits") &&
			      !begins(f->program, "guarded"),
		      "%s on %s: %s", f->program, f->kernel, core->message);
	/* Types alone leave it open; a kernel that took it settles it. */
	if (begins(f->program, "open")) {
		ck_assert_int_eq(core->verdict, accepted
							? BL_VERDICT_WARN
							: BL_VERDICT_UNDECIDED);
		return;
	}
	ck_assert_msg(!accepted, "%s on %s was accepted, but %s", f->program,
		      f->kernel, core->message);
	ck_assert_int_eq(core->verdict,
			 f->optional ? BL_VERDICT_WARN : BL_VERDICT_REJECT);
}

START_TEST(every_verdict_is_that_of_the_kernel)
{
	size_t i, answers = 0, rejected = 0;

	check_everywhere(OBJECTS "core-lab.bpf.o");
	for (i = 0; i < report.count; i++) {
		const struct bl_finding *f = &report.findings[i];

		if (strcmp(f->check, "verifier") != 0 || !*f->program)
			continue;
		ck_assert_msg(f->status == BL_STATUS_ACCEPTED ||
				      f->status == BL_STATUS_REJECTED,
			      "%s on %s: %s", f->program, f->kernel,
			      f->message);
		answers++;
		rejected += f->status == BL_STATUS_REJECTED;
		compare(f);
	}
	ck_assert_uint_gt(report.kernel_count, 0);
	ck_assert_uint_eq(answers % report.kernel_count, 0);
	ck_assert_uint_ge(answers / report.kernel_count, 20);
	/* two of them no kernel takes */
	ck_assert_uint_ge(rejected, 2 * report.kernel_count);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("core");
	TCase *t = tcase_create("core");
	bl_autocatalog struct bl_catalog c = { 0 };

	if (bl_catalog_load(&c, &err) < 0) {
		printf("skipped: %s; %s\n", err.text, err.hint);
		exit(77);
	}
	tcase_add_test(t, every_verdict_is_that_of_the_kernel);
	suite_add_tcase(s, t);
	return s;
}
