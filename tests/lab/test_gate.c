/* SPDX-License-Identifier: Apache-2.0 */
/* belay check as people run it, on real kernels: exit status and report. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/sums.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/gate/report/report_json.h"
#include "loader/lab/catalog.h"
#include "tests/main.h"
#include "tests/support/vms.h"

#define BELAY	BL_TEST_BUILD_DIR "/belay"
#define OBJECTS BL_TEST_BUILD_DIR "/tests/lab/objects/"
#define SENSOR	BL_TEST_BUILD_DIR "/bpf/sensor.bpf.o"
#define LOGS	BL_TEST_BUILD_DIR "/tests/lab/logs/gate"
#define OLDEST	"6.1" /* the kernel that every lab has */

static struct bl_report report;
static struct bl_proc_result run;
static struct bl_err err;

/* Runs belay check; the report if it gave one. Returns its exit status. */
static int check_as(const char *profile, const char *file, const char *kernel)
{
	const char *const argv[] = { BELAY,	  "check",     file,
				     "--kernel",  kernel,      "--json",
				     "--quiet",	  "--log-dir", LOGS,
				     "--profile", profile,     "--deadline",
				     "1200",	  NULL };
	struct bl_proc_opts opts = { .timeout_ms = 1800000,
				     .max_output = BL_REPORT_JSON_MAX };

	bl_report_free(&report);
	bl_proc_result_free(&run);
	run = (struct bl_proc_result){ 0 };
	ck_assert_msg(bl_proc_run(argv, &opts, &run, &err) == 0, "%s",
		      err.text);
	if (run.out.len && run.out.data[0] == '{')
		ck_assert_msg(
			bl_report_from_json("report", bl_buf_str(&run.out),
					    run.out.len, &report, &err) == 0,
			"%s", err.text);
	return run.status;
}

/* The objects here are XDP programs for the most part. */
static int check(const char *file, const char *kernel)
{
	return check_as("enforce", file, kernel);
}

static const struct bl_finding *answer(const char *program, const char *kernel)
{
	size_t i;

	for (i = 0; i < report.count; i++)
		if (report.findings[i].status &&
		    strcmp(report.findings[i].program, program) == 0 &&
		    bl_release_matches(report.findings[i].kernel, kernel))
			return &report.findings[i];
	ck_abort_msg("no answer of %s about %s: %s", kernel, program,
		     bl_buf_str(&run.out));
}

static bool ends_with(const char *s, const char *tail)
{
	size_t len = strlen(s), n = strlen(tail);

	return len >= n && strcmp(s + len - n, tail) == 0;
}

/* What hashes is not for a kernel without the helper (before 5.18). */
static bool is_not_for(const struct bl_finding *f)
{
	return f->status == BL_STATUS_MISSING && f->optional &&
	       bl_release_matches(f->kernel, "5.10") &&
	       strncmp(f->program, BL_SUM_FILL, strlen(BL_SUM_FILL)) == 0;
}

/* Accepted means: every kernel of the catalogue said so of every program. */
START_TEST(sensor_is_accepted_by_every_kernel)
{
	bl_autocatalog struct bl_catalog c = { 0 };
	size_t i, k, programs = 0;

	ck_assert_int_eq(bl_catalog_load(&c, &err), 0);
	ck_assert_msg(check_as("observe", SENSOR, "all") == BL_EXIT_OK, "%s",
		      bl_buf_str(&run.out));
	for (i = 0; i < report.count; i++)
		if (report.findings[i].status &&
		    strcmp(report.findings[i].kernel, c.kernels[0].release) ==
			    0)
			programs++;
	ck_assert_uint_ge(programs, 3);
	for (k = 0; k < c.count; k++) {
		size_t accepted = 0;

		for (i = 0; i < report.count; i++) {
			const struct bl_finding *f = &report.findings[i];

			if (strcmp(f->kernel, c.kernels[k].release) == 0 &&
			    ((f->status == BL_STATUS_ACCEPTED &&
			      f->effort.insns > 0) ||
			     is_not_for(f)))
				accepted++;
		}
		ck_assert_msg(accepted == programs, "%s accepted %zu of %zu",
			      c.kernels[k].release, accepted, programs);
	}
}
END_TEST

static void rejected_at(const char *program, const char *kernel,
			const char *file, unsigned line, const char *message)
{
	const struct bl_finding *f = answer(program, kernel);

	ck_assert_int_eq(f->status, BL_STATUS_REJECTED);
	ck_assert_msg(strstr(f->message, message), "%s", f->message);
	ck_assert_msg(ends_with(f->file, file), "%s: %s", kernel, f->file);
	ck_assert_uint_eq(f->line, line);
	ck_assert_str_ne(f->log, "");
	ck_assert_msg(access(f->log_path, R_OK) == 0, "%s", f->log_path);
}

/* With file and line on kernels that print neither, in the program and in a
 * function that it calls; and the good program beside them is not blamed. */
START_TEST(bad_lines_are_named_on_every_kernel)
{
	size_t k;

	ck_assert_int_eq(check(OBJECTS "oob.bpf.o", "all"), BL_EXIT_REJECTED);
	ck_assert_uint_gt(report.kernel_count, 0);
	for (k = 0; k < report.kernel_count; k++) {
		const char *kernel = report.kernels[k].name;

		rejected_at("direct", kernel, "/oob.bpf.c", 38,
			    "unbounded memory access");
		rejected_at("called", kernel, "/oob.bpf.c", 26,
			    "outside of the allowed memory range");
		ck_assert_int_eq(answer("fine", kernel)->status,
				 BL_STATUS_ACCEPTED);
	}
}
END_TEST

/* A log of many megabytes: its end, with the reason, is not lost. */
START_TEST(reason_survives_a_huge_log)
{
	ck_assert_int_eq(check(OBJECTS "long.bpf.o", OLDEST), BL_EXIT_REJECTED);
	rejected_at("endless", OLDEST, "/long.bpf.c", 16,
		    "R1 invalid mem access");
	ck_assert_uint_gt(answer("endless", OLDEST)->effort.insns, 100000);
}
END_TEST

START_TEST(objects_of_others_work)
{
	static const char *const programs[] = { "pass_ipv4", "on_unlink",
						"on_egress", "classify",
						"on_openat" };
	size_t i;

	ck_assert_msg(check(OBJECTS "foreign.bpf.o", OLDEST) == BL_EXIT_OK,
		      "%s", bl_buf_str(&run.out));
	for (i = 0; i < BL_ARRAY_SIZE(programs); i++)
		ck_assert_int_eq(answer(programs[i], OLDEST)->status,
				 BL_STATUS_ACCEPTED);
}
END_TEST

/* A verifier takes them all; the default profile is for what only watches. */
START_TEST(filters_need_a_profile_that_enforces)
{
	size_t i, denied = 0;

	ck_assert_int_eq(check_as("observe", OBJECTS "foreign.bpf.o", OLDEST),
			 BL_EXIT_REJECTED);
	for (i = 0; i < report.count; i++)
		denied += report.findings[i].verdict == BL_VERDICT_REJECT &&
			  strstr(report.findings[i].hint, "--profile enforce");
	ck_assert_uint_eq(denied, 3);
	ck_assert_int_eq(answer("pass_ipv4", OLDEST)->status,
			 BL_STATUS_ACCEPTED);
}
END_TEST

START_TEST(missing_hook_rejects_unless_optional)
{
	ck_assert_int_eq(check(OBJECTS "absent.bpf.o", OLDEST),
			 BL_EXIT_REJECTED);
	ck_assert_int_eq(answer("absent", OLDEST)->status, BL_STATUS_MISSING);
	ck_assert_msg(strstr(answer("absent", OLDEST)->message,
			     "belay_no_such_function"),
		      "%s", answer("absent", OLDEST)->message);
	ck_assert_int_eq(answer("present", OLDEST)->status, BL_STATUS_ACCEPTED);
	ck_assert_int_eq(check(OBJECTS "absent-optional.bpf.o", OLDEST),
			 BL_EXIT_OK);
	ck_assert_int_eq(answer("maybe", OLDEST)->verdict, BL_VERDICT_WARN);
}
END_TEST

/* Time is up: undecided, with the console to look at; and nothing runs on. The
 * guest is stopped, so that it cannot be done in time on any machine. */
START_TEST(no_answer_by_the_deadline_is_undecided)
{
	static const char dir[] = LOGS "/late", out[] = LOGS "/late.json";
	const char *const argv[] = { BELAY,	 "check",      SENSOR,
				     "--kernel", OLDEST,       "-q",
				     "--report", out,	       "--log-dir",
				     dir,	 "--deadline", "6",
				     NULL };
	bl_autobuf struct bl_buf text = { 0 };
	int status;
	pid_t pid;
	size_t i;

	ck_assert_int_eq(setenv("BELAY_LAB_WARM", "0", 1), 0);
	ck_assert_int_eq(bl_proc_spawn(argv, -1, -1, -1, &pid, &err), 0);
	ck_assert_int_eq(unsetenv("BELAY_LAB_WARM"), 0);
	ck_assert_int_eq(bl_test_stop_vm(dir, 600000), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), BL_EXIT_UNDECIDED);
	ck_assert_int_eq(bl_file_read(out, BL_REPORT_JSON_MAX, &text, &err), 0);
	bl_report_free(&report);
	ck_assert_int_eq(bl_report_from_json("report", bl_buf_str(&text),
					     text.len, &report, &err),
			 0);
	for (i = 0; i < report.count; i++)
		if (*report.findings[i].log_path)
			break;
	ck_assert_uint_lt(i, report.count);
	ck_assert_int_eq(report.findings[i].verdict, BL_VERDICT_UNDECIDED);
	ck_assert_int_eq(access(report.findings[i].log_path, R_OK), 0);
	ck_assert_uint_eq(bl_test_vms(dir), 0);
}
END_TEST

START_TEST(interrupt_leaves_no_vm)
{
	static const char dir[] = LOGS "/interrupted";
	const char *const argv[] = { BELAY,	  "check", SENSOR,
				     "--kernel",  OLDEST,  "-q",
				     "--log-dir", dir,	   NULL };
	uint64_t until = bl_clock_mono_ms() + 30000;
	int status;
	pid_t pid;

	ck_assert_int_eq(bl_proc_spawn(argv, -1, -1, -1, &pid, &err), 0);
	while (!bl_test_vms(dir) && bl_clock_mono_ms() < until)
		usleep(50000);
	ck_assert_uint_eq(bl_test_vms(dir), 1);
	ck_assert_int_eq(kill(pid, SIGINT), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), BL_EXIT_UNDECIDED);
	ck_assert_uint_eq(bl_test_vms(dir), 0);
}
END_TEST

/* What no kernel needs to see. */
static const struct {
	const char *file, *says;
	int status;
} wrong[] = {
	{ "/dev/null", "neither a regular file", BL_EXIT_UNDECIDED },
	{ "/nonexistent.bpf.o", "No such file", BL_EXIT_UNDECIDED },
	{ "/", "is a folder", BL_EXIT_UNDECIDED },
	{ "/bin/true", "an ELF file for", BL_EXIT_REJECTED },
	{ "/etc/passwd", "it is text", BL_EXIT_REJECTED },
	{ OBJECTS "library.bpf.o", "no program in it", BL_EXIT_REJECTED },
};

START_TEST(wrong_files_need_no_kernel)
{
	uint64_t start = bl_clock_mono_ms();

	ck_assert_int_eq(check(wrong[_i].file, "all"), wrong[_i].status);
	ck_assert_msg(strstr(bl_buf_str(&run.out), wrong[_i].says), "%s",
		      bl_buf_str(&run.out));
	ck_assert_uint_lt(bl_clock_mono_ms() - start, 5000);
}
END_TEST

START_TEST(unknown_kernel_is_undecided_and_names_the_known)
{
	ck_assert_int_eq(check(SENSOR, "0.99"), BL_EXIT_UNDECIDED);
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&run.out), "0.99"));
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&run.out), OLDEST));
}
END_TEST

Suite *bl_test_suite(void)
{
	bl_autocatalog struct bl_catalog c = { 0 };
	Suite *s = suite_create("gate");
	TCase *t = tcase_create("lab");

	if (bl_catalog_load(&c, &err) < 0) {
		printf("skipped: %s; %s\n", err.text, err.hint);
		exit(77);
	}
	tcase_add_loop_test(t, wrong_files_need_no_kernel, 0,
			    (int)BL_ARRAY_SIZE(wrong));
	tcase_add_test(t, unknown_kernel_is_undecided_and_names_the_known);
	tcase_add_test(t, objects_of_others_work);
	tcase_add_test(t, filters_need_a_profile_that_enforces);
	tcase_add_test(t, missing_hook_rejects_unless_optional);
	tcase_add_test(t, no_answer_by_the_deadline_is_undecided);
	tcase_add_test(t, interrupt_leaves_no_vm);
	tcase_add_test(t, reason_survives_a_huge_log);
	tcase_add_test(t, bad_lines_are_named_on_every_kernel);
	tcase_add_test(t, sensor_is_accepted_by_every_kernel);
	suite_add_tcase(s, t);
	return s;
}
