/* SPDX-License-Identifier: Apache-2.0 */
/* The agent without a fleet, as a service: what it tells its manager, how it
 * ends, that there is one. On a host where nothing is live. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/host/lock.h"
#include "tests/main.h"

#define BELAY	BL_TEST_BUILD_DIR "/belay"
#define WAIT_MS 600000 /* only against a hang */

static char *dir, *state, *pins;
static int manager = -1;
static struct bl_err err;

static void set_up(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	dir = bl_test_tmpdir();
	state = bl_path("%s/state", dir);
	pins = bl_path("%s/pins", dir);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (void *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	setenv("WATCHDOG_USEC", "2000000", 1);
	unsetenv("WATCHDOG_PID");
}

static void tear_down(void)
{
	close(manager);
	bl_file_rmtree(dir, NULL);
	free(dir);
	free(state);
	free(pins);
}

static pid_t start(void)
{
	const char *const argv[] = { BELAY,	  "agent", "--state-dir", state,
				     "--pin-dir", pins,	   NULL };
	pid_t pid = 0;

	ck_assert_msg(!bl_proc_spawn(argv, -1, -1, -1, &pid, &err), "%s",
		      err.text);
	return pid;
}

/* Reads messages until one says @what. */
static void told(const char *what)
{
	struct pollfd p = { .fd = manager, .events = POLLIN };
	char text[1024] = "";

	do {
		ssize_t n;

		ck_assert_msg(poll(&p, 1, WAIT_MS) == 1, "no %s", what);
		n = recv(manager, text, sizeof(text) - 1, 0);
		ck_assert_int_gt(n, 0);
		text[n] = '\0';
	} while (!strstr(text, what));
}

START_TEST(it_says_that_it_is_ready_and_alive_and_ends_when_told)
{
	pid_t pid = start();
	int status;

	told("READY=1");
	told("STATUS=nothing is live on this host");
	told("WATCHDOG=1");
	told("WATCHDOG=1");
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	told("STOPPING=1");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "it ended with %#x", status);
}
END_TEST

START_TEST(a_second_one_is_told_who_the_first_is)
{
	const char *const second[] = { BELAY, "agent",	   "--state-dir",
				       state, "--pin-dir", pins,
				       NULL };
	const char *const leave[] = { BELAY,	     "remove", "--yes",
				      "--state-dir", state,    "--json",
				      "--pin-dir",   pins,     NULL };
	bl_autoproc struct bl_proc_result res = { 0 }, left = { 0 };
	pid_t pid = start();

	told("READY=1");
	ck_assert_int_eq(bl_proc_run(second, NULL, &res, &err), 0);
	ck_assert_int_eq(res.status, 2);
	ck_assert_msg(strstr(bl_buf_str(&res.out), "keeps this host already"),
		      "%s", bl_buf_str(&res.out));
	/* Nor does anybody take the host away from under it. */
	ck_assert_int_eq(bl_proc_run(leave, NULL, &left, &err), 0);
	ck_assert_int_eq(left.status, 2);
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&left.out), "belay agent"));
	kill(pid, SIGTERM);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* A trial for a person's word takes longer than systemd waits for a start. */
START_TEST(it_is_ready_while_another_belay_works)
{
	bl_autofree char *path = bl_path("%s/lock", state);
	bl_autoclose int fd = -1;
	pid_t pid;

	ck_assert_int_eq(bl_file_mkdirs(state, 0700, &err), 0);
	ck_assert_int_eq(bl_lock_take(path, "apply", 0, &fd, NULL, &err), 0);
	pid = start();
	told("READY=1");
	told("WATCHDOG=1");
	close(BL_TAKE_FD(fd));
	told("STATUS=nothing is live on this host");
	kill(pid, SIGTERM);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* The lock's place is taken by something that is none, for a while. */
START_TEST(what_fails_at_its_start_is_tried_again)
{
	bl_autofree char *path = bl_path("%s/lock", state);
	pid_t pid;

	ck_assert_int_eq(bl_file_mkdirs(path, 0700, &err), 0);
	pid = start();
	told("STATUS=cannot recover this host");
	ck_assert_int_eq(rmdir(path), 0);
	told("STATUS=nothing is live on this host");
	kill(pid, SIGTERM);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

static const struct {
	const char *words[3], *says;
} wrong[] = {
	{ { "--controller", "http://x", NULL }, "--name is missing" },
	{ { "--check", "", NULL }, "--check wants a command" },
	{ { "more", NULL, NULL }, "more than expected" },
	{ { "--watchdog-timeout", "soon", NULL }, "--watchdog-timeout wants" },
	{ { "--probe-timeout", "soon", NULL }, "--probe-timeout wants" },
	{ { "--watchdog", "maybe", NULL }, "auto, require or off" },
	{ { "--interval", "0", NULL }, "0.1 to 3600" },
	{ { "--label", "zone", NULL }, "not KEY=VALUE" },
};

START_TEST(what_it_does_not_understand_is_wrong_usage)
{
	const char *const argv[] = { BELAY, "agent", wrong[_i].words[0],
				     wrong[_i].words[1], NULL };
	bl_autoproc struct bl_proc_result res = { 0 };

	ck_assert_int_eq(bl_proc_run(argv, NULL, &res, &err), 0);
	ck_assert_int_eq(res.status, 64);
	ck_assert_msg(strstr(bl_buf_str(&res.out), wrong[_i].says), "%s",
		      bl_buf_str(&res.out));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("keeper");
	TCase *t = tcase_create("keeper");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t,
		       it_says_that_it_is_ready_and_alive_and_ends_when_told);
	tcase_add_test(t, a_second_one_is_told_who_the_first_is);
	tcase_add_test(t, it_is_ready_while_another_belay_works);
	tcase_add_test(t, what_fails_at_its_start_is_tried_again);
	tcase_add_loop_test(t, what_it_does_not_understand_is_wrong_usage, 0,
			    (int)BL_ARRAY_SIZE(wrong));
	suite_add_tcase(s, t);
	return s;
}
