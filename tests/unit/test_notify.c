/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/notify.h"
#include "tests/main.h"

static struct bl_err err;

/* A service manager that listens at @name; '@' is the abstract space. */
static int listen_at(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(name);

	ck_assert_int_ge(fd, 0);
	memcpy(at.sun_path, name, len);
	if (*name == '@')
		at.sun_path[0] = '\0';
	len += offsetof(struct sockaddr_un, sun_path);
	ck_assert_int_eq(bind(fd, (void *)&at, (socklen_t)len), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void hears(int fd, const char *want)
{
	char got[256] = "";

	ck_assert_int_ge(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 0);
	ck_assert_str_eq(got, want);
}

START_TEST(it_hears_each_message_at_either_kind_of_socket)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *path = bl_path("%s/socket", dir);
	bl_autofree char *name = bl_path("@belay-test-%d", (int)getpid());
	const char *const names[] = { path, name };

	for (size_t i = 0; i < BL_ARRAY_SIZE(names); i++) {
		bl_autoclose int fd = listen_at(names[i]);

		ck_assert_int_eq(bl_notify("READY=1\nSTATUS=x", &err), 0);
		hears(fd, "READY=1\nSTATUS=x");
		ck_assert_int_eq(bl_notify("WATCHDOG=1", &err), 0);
		hears(fd, "WATCHDOG=1");
	}
	bl_file_rmtree(dir, NULL);
}
END_TEST

START_TEST(nobody_asked_is_no_failure_and_a_dead_manager_is_one)
{
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(bl_notify("READY=1", &err), 0);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	ck_assert_int_eq(bl_notify("READY=1", &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "service manager"));
}
END_TEST

static const char *const no_names[] = {
	"relative",
	"@",
	"/",
	"/12345678901234567890123456789012345678901234567890123456789012345678"
	"901234567890123456789012345678901234567890",
};

START_TEST(a_name_that_is_no_sockets_is_refused)
{
	setenv("NOTIFY_SOCKET", no_names[_i], 1);
	ck_assert_int_eq(bl_notify("READY=1", &err), -EINVAL);
}
END_TEST

static const struct {
	const char *usec, *pid;
	uint64_t ms;
} watchdogs[] = {
	{ NULL, NULL, 0 },	   { "30000000", NULL, 30000 },
	{ "30000000", "1", 0 },	   { "30000000", "me", 30000 },
	{ "x", NULL, 0 },	   { "-5", NULL, 0 },
	{ "30s", NULL, 0 },	   { "", NULL, 0 },
	{ "30000000", "soon", 0 },
};

START_TEST(the_watchdog_is_ours_only_if_it_says_so)
{
	char pid[32];

	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (watchdogs[_i].usec)
		setenv("WATCHDOG_USEC", watchdogs[_i].usec, 1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (watchdogs[_i].pid)
		setenv("WATCHDOG_PID",
		       strcmp(watchdogs[_i].pid, "me") ? watchdogs[_i].pid
						       : pid,
		       1);
	ck_assert_uint_eq(bl_notify_watchdog_ms(), watchdogs[_i].ms);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("notify");
	TCase *t = tcase_create("notify");

	tcase_add_test(t, it_hears_each_message_at_either_kind_of_socket);
	tcase_add_test(t, nobody_asked_is_no_failure_and_a_dead_manager_is_one);
	tcase_add_loop_test(t, a_name_that_is_no_sockets_is_refused, 0,
			    (int)BL_ARRAY_SIZE(no_names));
	tcase_add_loop_test(t, the_watchdog_is_ours_only_if_it_says_so, 0,
			    (int)BL_ARRAY_SIZE(watchdogs));
	suite_add_tcase(s, t);
	return s;
}
