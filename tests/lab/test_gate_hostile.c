/* SPDX-License-Identifier: Apache-2.0 */
/* belay check with objects that are too much, on a disk that is too small, and
 * interrupted: a verdict or a clear error, and no VM left behind. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/gate/report/report_json.h"
#include "loader/lab/catalog.h"
#include "tests/main.h"
#include "tests/support/vms.h"

#define OBJECTS BL_TEST_BUILD_DIR "/tests/lab/objects/"
#define LOGS	BL_TEST_BUILD_DIR "/tests/lab/logs/hostile"
#define KERNEL	"6.1" /* the one that every lab has */

static const char belay[] = BL_TEST_BUILD_DIR "/belay";
static const char sensor[] = BL_TEST_BUILD_DIR "/bpf/sensor.bpf.o";
static struct bl_report report;
static struct bl_proc_result run;
static struct bl_err err;

/* What it printed, as much as a failed assertion can say. */
static const char *text(void)
{
	static char head[2048];

	snprintf(head, sizeof(head), "status %d: %s", run.status,
		 bl_buf_str(&run.out));
	return head;
}

/* Runs belay check with its logs in @logs; the report if it gave one. Returns
 * its exit status. */
static int check(const char *file, const char *logs)
{
	const char *const argv[] = { belay,	   "check",	file,
				     "--kernel",   KERNEL,	"--json",
				     "--quiet",	   "--log-dir", logs,
				     "--deadline", "1200",	NULL };
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

static unsigned answers(enum bl_status status)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < report.count; i++)
		n += strcmp(report.findings[i].check, "verifier") == 0 &&
		     report.findings[i].status == status;
	return n;
}

/* A finding of that check and verdict whose message has @says in it. */
static bool said(const char *check_name, enum bl_verdict verdict,
		 const char *says)
{
	size_t i;

	for (i = 0; i < report.count; i++) {
		const struct bl_finding *f = &report.findings[i];

		if (strcmp(f->check, check_name) == 0 &&
		    f->verdict == verdict && strstr(f->message, says))
			return true;
	}
	return false;
}

START_TEST(two_hundred_programs_in_15_megabytes_get_their_verdicts)
{
	ck_assert_msg(check(OBJECTS "big.bpf.o", LOGS) == BL_EXIT_OK, "%s",
		      text());
	ck_assert_uint_eq(answers(BL_STATUS_ACCEPTED), 200);
}
END_TEST

START_TEST(a_thousand_sections_are_no_trouble)
{
	ck_assert_msg(check(OBJECTS "sections.bpf.o", LOGS) == BL_EXIT_OK, "%s",
		      text());
	ck_assert_uint_eq(answers(BL_STATUS_ACCEPTED), 1);
}
END_TEST

/* The kernel takes it, and what it cost is known and over the budget. */
START_TEST(a_million_instructions_are_counted)
{
	ck_assert_int_eq(check(OBJECTS "million.bpf.o", LOGS),
			 BL_EXIT_REJECTED);
	ck_assert_uint_eq(answers(BL_STATUS_ACCEPTED), 1);
	ck_assert_msg(said("budget", BL_VERDICT_REJECT, "999"), "%s", text());
	ck_assert_int_eq(check(OBJECTS "million-more.bpf.o", LOGS),
			 BL_EXIT_REJECTED);
	ck_assert_uint_eq(answers(BL_STATUS_REJECTED), 1);
	ck_assert_msg(said("verifier", BL_VERDICT_REJECT, "too large"), "%s",
		      text());
}
END_TEST

/*
 * Of terabytes. Before any kernel saw it they are a rejection; and the kernel's
 * own answer is there as well, be it that the guest ran out of memory.
 */
static const struct {
	const char *object, *check, *says;
} hungry[] = {
	{ OBJECTS "hungry-percpu_array.bpf.o", "kernel", "want of memory" },
	{ OBJECTS "hungry-hash.bpf.o", "verifier", "map 'hungry'" },
	{ OBJECTS "hungry-array.bpf.o", "verifier", "not enough memory" },
};

START_TEST(maps_without_end_are_findings_not_lost_guests)
{
	size_t i, from_kernel = 0;

	ck_assert_msg(check(hungry[_i].object, LOGS) == BL_EXIT_REJECTED, "%s",
		      text());
	ck_assert_msg(said("map", BL_VERDICT_REJECT, "hungry"), "%s", text());
	for (i = 0; i < report.count; i++)
		from_kernel +=
			strcmp(report.findings[i].check, hungry[_i].check) ==
				0 &&
			*report.findings[i].kernel &&
			strstr(report.findings[i].message, hungry[_i].says);
	ck_assert_msg(from_kernel == 1, "%s", text());
	ck_assert_uint_eq(answers(BL_STATUS_ACCEPTED), 0);
	ck_assert_uint_eq(bl_test_vms(LOGS), 0);
}
END_TEST

/* A file system of @options at a new path, which the caller unmounts; NULL
 * where we may not. */
static char *small_disk(const char *options)
{
	char *dir = bl_test_tmpdir();

	if (mount("tmpfs", dir, "tmpfs", 0, options) == 0)
		return dir;
	printf("no small disk to fill: only root can mount one\n");
	rmdir(dir);
	free(dir);
	return NULL;
}

static void remove_disk(char *dir)
{
	ck_assert_int_eq(umount(dir), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	free(dir);
}

START_TEST(no_room_for_the_guest_is_a_clear_error)
{
	char *disk = small_disk("size=64k");
	const char *tmp = getenv("TMPDIR");
	bl_autofree char *before = tmp ? strdup(tmp) : NULL;
	int status;

	if (!disk)
		return;
	ck_assert_int_eq(setenv("TMPDIR", disk, 1), 0);
	status = check(sensor, LOGS "/full");
	if (before)
		setenv("TMPDIR", before, 1);
	else
		unsetenv("TMPDIR");
	remove_disk(disk);
	ck_assert_int_eq(status, BL_EXIT_UNDECIDED);
	ck_assert_msg(strstr(bl_buf_str(&run.out), "No space left on device"),
		      "%s", text());
	ck_assert_uint_eq(bl_test_vms(LOGS "/full"), 0);
}
END_TEST

START_TEST(no_room_for_the_logs_is_a_clear_error)
{
	char *disk = small_disk("nr_inodes=1");
	bl_autofree char *logs = disk ? bl_path("%s/logs", disk) : NULL;
	int status;

	if (!disk)
		return;
	status = check(sensor, logs);
	ck_assert_uint_eq(bl_test_vms(logs), 0);
	remove_disk(disk);
	ck_assert_int_eq(status, BL_EXIT_UNDECIDED);
	ck_assert_msg(strstr(bl_buf_str(&run.out), "No space left on device"),
		      "%s", text());
}
END_TEST

/* However many of them boot at that moment. */
START_TEST(interrupt_leaves_no_vm_of_any_kernel)
{
	static const char dir[] = LOGS "/interrupted";
	const char *const argv[] = { belay,	  "check", sensor,   "--kernel",
				     "all",	  "-q",	   "--jobs", "8",
				     "--log-dir", dir,	   NULL };
	bl_autocatalog struct bl_catalog c = { 0 };
	uint64_t until = bl_clock_mono_ms() + 60000;
	unsigned most = 0, now;
	int status;
	pid_t pid;

	ck_assert_int_eq(bl_catalog_load(&c, &err), 0);
	ck_assert_int_eq(bl_proc_spawn(argv, -1, -1, -1, &pid, &err), 0);
	while (most < c.count && bl_clock_mono_ms() < until) {
		now = bl_test_vms(dir);
		most = now > most ? now : most;
		usleep(20000);
	}
	ck_assert_uint_eq(most, c.count);
	ck_assert_int_eq(kill(pid, SIGINT), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), BL_EXIT_UNDECIDED);
	ck_assert_uint_eq(bl_test_vms(dir), 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	bl_autocatalog struct bl_catalog c = { 0 };
	Suite *s = suite_create("gate_hostile");
	TCase *t = tcase_create("lab");

	if (bl_catalog_load(&c, &err) < 0) {
		printf("skipped: %s; %s\n", err.text, err.hint);
		exit(77);
	}
	tcase_add_test(t, no_room_for_the_guest_is_a_clear_error);
	tcase_add_test(t, no_room_for_the_logs_is_a_clear_error);
	tcase_add_test(t, interrupt_leaves_no_vm_of_any_kernel);
	tcase_add_loop_test(t, maps_without_end_are_findings_not_lost_guests, 0,
			    (int)BL_ARRAY_SIZE(hungry));
	tcase_add_test(t, a_thousand_sections_are_no_trouble);
	tcase_add_test(t, a_million_instructions_are_counted);
	tcase_add_test(t,
		       two_hundred_programs_in_15_megabytes_get_their_verdicts);
	suite_add_tcase(s, t);
	return s;
}
