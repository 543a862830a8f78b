/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is believed to be a controller: whom the fleet's own authority says so of,
 * and nobody whom the system's list of authorities would let pass. This process
 * has a list of its own for that (a mount namespace): the authority of strangers
 * is all that is in it.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/tls_fleet.h"

#define SKIPPED	     77
#define SYSTEM_CERTS "/etc/ssl/certs"

static char *strangers; /* a folder of theirs, as a controller's */

/* Not in a process that was forked here, which ends by exit() too. */
static pid_t mine;

static void remove_strangers(void)
{
	if (getpid() != mine)
		return;
	bl_file_rmtree(strangers, NULL);
	free(strangers);
}

static void make_strangers(void)
{
	bl_autofree char *from = NULL, *certs = NULL, *to = NULL;
	const char *tmp = getenv("TMPDIR");

	strangers = bl_path("%s/belay-test-strangers-%d", tmp ? tmp : "/tmp",
			    (int)getpid());
	from = bl_path("%s/ca.pem", strangers);
	certs = bl_path("%s/certs", strangers);
	/* The bundle, by the name that Debian gives it. */
	to = bl_path("%s/ca-certificates.crt", certs);
	if (bl_pki_dir_init(strangers, NULL, 0, "admin", bl_clock_wall_ms(),
			    NULL) < 0 ||
	    mkdir(certs, 0755) < 0 || link(from, to) < 0)
		abort();
	mine = getpid();
	atexit(remove_strangers);
}

/* Before anything of this process has a thread. */
static void trust_strangers(void)
{
	bl_autofree char *certs = bl_path("%s/certs", strangers);

	if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount(certs, SYSTEM_CERTS, NULL, MS_BIND, NULL) == 0)
		return;
	printf("skipped: no list of authorities of one's own: %s\n",
	       strerror(errno));
	exit(SKIPPED);
}

START_TEST(controller_that_only_the_system_vouches_for_is_refused)
{
	BL_CLEANUP(bl_pki_server_free) struct bl_pki_server theirs = { 0 };
	struct bl_http *fake;

	ck_assert_int_eq(bl_pki_dir_load(strangers, &theirs, NULL), 0);
	fake = tls_serve(tls.server.pki, theirs.cert.data, theirs.key.data);
	free(tls.url);
	tls.url = bl_path("https://%s", bl_http_listens(fake));
	ck_assert_int_eq(tls_operator_lists_hosts(), -ECONNREFUSED);
	tls_expect_words("do not trust each other");
	bl_http_stop(fake);
}
END_TEST

START_TEST(controller_of_the_fleet_is_believed_all_the_same)
{
	ck_assert_msg(tls_operator_lists_hosts() == 0, "%s", tls.err.text);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("system_certs");
	TCase *t = tcase_create("tls");

	make_strangers();
	trust_strangers();
	tcase_add_checked_fixture(t, tls_set_up, tls_tear_down);
	tcase_add_test(t,
		       controller_that_only_the_system_vouches_for_is_refused);
	tcase_add_test(t, controller_of_the_fleet_is_believed_all_the_same);
	suite_add_tcase(s, t);
	return s;
}
