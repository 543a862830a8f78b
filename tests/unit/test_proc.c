/* SPDX-License-Identifier: Apache-2.0 */
/* Outside tools: their status, their output, their deadline, our Ctrl-C. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "tests/main.h"

static struct bl_proc_result res;
static struct bl_err err;

static void setup(void)
{
	err = (struct bl_err){ 0 };
}

static void teardown(void)
{
	bl_proc_result_free(&res);
}

static int sh(const char *script, const struct bl_proc_opts *opts)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return bl_proc_run(argv, opts, &res, &err);
}

START_TEST(status_and_output_of_both_streams)
{
	ck_assert_int_eq(sh("echo out; echo err >&2; exit 3", NULL), 0);
	ck_assert_int_eq(res.status, 3);
	ck_assert_str_eq(res.out.data, "out\nerr\n");
}
END_TEST

START_TEST(a_signal_is_128_and_its_number)
{
	ck_assert_int_eq(sh("kill -SEGV $$", NULL), 0);
	ck_assert_int_eq(res.status, 128 + SIGSEGV);
}
END_TEST

START_TEST(what_a_filter_ended_is_said_to_be_that)
{
	const char *const argv[] = { "sh", "-c", "kill -SYS $$", NULL };

	ck_assert_int_eq(bl_proc_check(argv, NULL, &err), -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(err.text, "32-bit"));
}
END_TEST

START_TEST(no_such_tool_is_an_error_with_its_name)
{
	const char *const argv[] = { "no-such-tool-here", NULL };

	ck_assert_int_eq(bl_proc_run(argv, NULL, &res, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "no-such-tool-here"));
}
END_TEST

START_TEST(output_beyond_the_limit_is_read_but_not_kept)
{
	const struct bl_proc_opts o = { .max_output = 1000 };

	ck_assert_int_eq(
		sh("head -c 1000000 /dev/zero | tr '\\0' x; exit 7", &o), 0);
	ck_assert_int_eq(res.status, 7);
	ck_assert_uint_eq(res.out.len, 1000);
}
END_TEST

/* Gone, or a zombie that nobody has waited for yet. */
static void wait_gone(pid_t pid)
{
	bl_autofree char *stat = bl_path("/proc/%d/stat", (int)pid);

	for (;;) {
		bl_autobuf struct bl_buf b = { 0 };

		if (bl_file_read(stat, 4096, &b, NULL) < 0 ||
		    strstr(b.data, ") Z "))
			return;
		bl_clock_sleep_ms(20);
	}
}

/* The tool and what it started are gone, and the person reads how long. */
static void assert_deadline(bool passthrough)
{
	struct bl_proc_opts o = { .timeout_ms = 150,
				  .passthrough = passthrough };
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *told = bl_path("%s/told", dir);
	bl_autofree char *script = bl_path(
		"sleep 3600 & echo $! >%s.new; mv %s.new %s; sleep 3600", told,
		told, told);
	bl_autobuf struct bl_buf child = { 0 };
	bl_autofree char *words = NULL;
	uint64_t start;

	/* Until there is time enough for it to begin. */
	do {
		o.timeout_ms *= 2;
		start = bl_clock_mono_ms();
		ck_assert_int_eq(sh(script, &o), -ETIMEDOUT);
		ck_assert_uint_ge(bl_clock_mono_ms() - start, o.timeout_ms);
	} while (bl_file_read(told, 64, &child, NULL) < 0);
	words = bl_path("%d ms", (int)o.timeout_ms);
	ck_assert_ptr_nonnull(strstr(err.text, words));
	wait_gone((pid_t)atoi(bl_buf_str(&child)));
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
}

START_TEST(the_deadline_ends_the_tool_and_its_children)
{
	assert_deadline(false);
}
END_TEST

START_TEST(the_deadline_holds_for_passthrough_too)
{
	assert_deadline(true);
}
END_TEST

/* At once: it may come before anybody waits for the tool. */
static void assert_interrupted(bool passthrough)
{
	const struct bl_proc_opts o = { .passthrough = passthrough };

	bl_cli_catch_signals();
	ck_assert_int_eq(sh("kill -INT $PPID; sleep 3600", &o), -ECANCELED);
	ck_assert_int_eq(bl_cli_interrupted(), SIGINT);
}

START_TEST(our_interruption_ends_the_tool)
{
	assert_interrupted(false);
}
END_TEST

START_TEST(our_interruption_ends_a_tool_in_passthrough)
{
	assert_interrupted(true);
}
END_TEST

START_TEST(a_tool_deaf_to_sigterm_is_cancelled_all_the_same)
{
	bl_cli_catch_signals();
	ck_assert_int_eq(
		sh("trap '' TERM; kill -INT $PPID; sleep 3600; sleep 3600",
		   NULL),
		-ECANCELED);
}
END_TEST

START_TEST(runs_in_the_folder_asked_for)
{
	const struct bl_proc_opts o = { .cwd = "/usr" };
	const struct bl_proc_opts none = { .cwd = "/no/such/folder" };

	ck_assert_int_eq(sh("pwd", &o), 0);
	ck_assert_str_eq(res.out.data, "/usr\n");
	ck_assert_int_eq(sh("pwd", &none), -ENOENT);
}
END_TEST

START_TEST(check_shows_the_last_lines_of_a_failure)
{
	const char *const argv[] = {
		"sh", "-c", "for i in 1 2 3 4 5 6 7; do echo l$i; done; exit 9",
		NULL
	};
	const char *const fine[] = { "true", NULL };

	ck_assert_int_eq(bl_proc_check(argv, NULL, &err), -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(err.text, "status 9"));
	ck_assert_ptr_nonnull(strstr(err.text, "l3\nl4\nl5\nl6\nl7"));
	ck_assert_ptr_null(strstr(err.text, "l2"));
	ck_assert_int_eq(bl_proc_check(fine, NULL, &err), 0);
}
END_TEST

/* 0..2 of the child are what was asked for, also when they cross. */
START_TEST(spawned_with_crossed_descriptors)
{
	const char *const argv[] = { "sh", "-c", "echo o; echo e >&2", NULL };
	char text[8] = "";
	int out[2], errs[2], st;
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(errs, O_CLOEXEC), 0);
	/* Ours: 1 is the pipe for their 2, and 2 the pipe for their 1. */
	ck_assert_int_eq(dup2(errs[1], 1), 1);
	ck_assert_int_eq(dup2(out[1], 2), 2);
	ck_assert_int_eq(bl_proc_spawn(argv, -1, 2, 1, &pid, &err), 0);
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	ck_assert_int_eq(read(out[0], text, sizeof(text)), 2);
	ck_assert_int_eq(text[0], 'o');
	ck_assert_int_eq(read(errs[0], text, sizeof(text)), 2);
	ck_assert_int_eq(text[0], 'e');
}
END_TEST

START_TEST(a_child_gets_its_descriptors_by_number)
{
	const char *const argv[] = { "sh", "-c",
				     "for i in 1 2 3 4 5 6 7; do "
				     "echo $i >&$i; done; read x || echo eof",
				     NULL };
	int fds[BL_PROC_FDS_MAX], out[BL_PROC_FDS_MAX], st;
	char text[8] = "";
	pid_t pid;

	fds[0] = -1;
	for (int i = 1; i < BL_PROC_FDS_MAX; i++) {
		int p[2];

		ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
		out[i] = p[0];
		fds[BL_PROC_FDS_MAX - i] = p[1];
	}
	ck_assert_int_eq(
		bl_proc_spawn_fds(argv, fds, BL_PROC_FDS_MAX, &pid, &err), 0);
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	for (int i = 1; i < BL_PROC_FDS_MAX; i++) {
		ck_assert_int_ge(read(out[i], text, sizeof(text)), 2);
		ck_assert_int_eq(text[0], '0' + BL_PROC_FDS_MAX - i);
	}
	ck_assert_int_eq(
		bl_proc_spawn_fds((const char *const[]){ "no-such", NULL }, fds,
				  BL_PROC_FDS_MAX, &pid, &err),
		-ENOENT);
}
END_TEST

START_TEST(a_child_dies_with_us)
{
	const char *const argv[] = { "sleep", "3600", NULL };
	int to_us[2];
	pid_t child = 0, pid;

	ck_assert_int_eq(pipe2(to_us, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (bl_proc_spawn(argv, -1, -1, -1, &child, NULL) == 0 &&
		    write(to_us[1], &child, sizeof(child)) > 0)
			_exit(0);
		_exit(1);
	}
	ck_assert_int_eq(read(to_us[0], &child, sizeof(child)), sizeof(child));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	wait_gone(child);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("proc");
	TCase *t = tcase_create("proc");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, status_and_output_of_both_streams);
	tcase_add_test(t, a_signal_is_128_and_its_number);
	tcase_add_test(t, what_a_filter_ended_is_said_to_be_that);
	tcase_add_test(t, no_such_tool_is_an_error_with_its_name);
	tcase_add_test(t, output_beyond_the_limit_is_read_but_not_kept);
	tcase_add_test(t, the_deadline_ends_the_tool_and_its_children);
	tcase_add_test(t, the_deadline_holds_for_passthrough_too);
	tcase_add_test(t, our_interruption_ends_the_tool);
	tcase_add_test(t, our_interruption_ends_a_tool_in_passthrough);
	tcase_add_test(t, a_tool_deaf_to_sigterm_is_cancelled_all_the_same);
	tcase_add_test(t, runs_in_the_folder_asked_for);
	tcase_add_test(t, check_shows_the_last_lines_of_a_failure);
	tcase_add_test(t, spawned_with_crossed_descriptors);
	tcase_add_test(t, a_child_gets_its_descriptors_by_number);
	tcase_add_test(t, a_child_dies_with_us);
	suite_add_tcase(s, t);
	return s;
}
