/* SPDX-License-Identifier: Apache-2.0 */
/* Leases of what may refuse: who renews them, and what is said (I8). Over the
 * fake kernel; tests/lab/test_lease.sh has the real ones. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/host.h"
#include "loader/host/lock.h"
#include "tests/main.h"
#include "tests/support/one_host.h"

static struct one_host one;
static struct bl_err err;

static void set_up(void)
{
	one_host_set_up(&one);
}

static void tear_down(void)
{
	one_host_tear_down(&one);
}

/* I8: whoever keeps the host renews what is live and whole, and nothing else. */
START_TEST(a_keeper_renews_what_is_live_as_it_was_committed)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *keeper = one_host_open(&one);

	ck_assert_int_eq(bl_host_renew(keeper, &err), -ENOENT);
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	one.fake->verdict_ms = 0;
	ck_assert_int_eq(bl_host_renew(keeper, &err), 0);
	ck_assert_uint_eq(one.fake->verdict_ms, BL_KERN_VERDICT_LEASE_MS);
	one.fake->verdict_ms = 0;
	one.fake->slot[BL_SLOT_A].entries--;
	ck_assert_int_eq(bl_host_renew(keeper, &err), -ESTALE);
	ck_assert_msg(strstr(err.text, "2 of 3"), "%s", err.text);
	ck_assert_uint_eq(one.fake->verdict_ms, 0);
}
END_TEST

/* Who applies what can refuse is told that it will not last. */
START_TEST(a_lease_that_nobody_keeps_is_told)
{
	bl_autofree char *path = bl_path("%s/keeper", one.state_dir);
	bl_autoclose int fd = -1;

	one.fake->refuses = true;
	one_host_apply(&one, &one.v1, NULL, BL_APPLY_COMMITTED);
	ck_assert(one.res.lapses);
	ck_assert_int_eq(one_host_status(&one).keeper_pid, 0);
	ck_assert_int_eq(bl_lock_take(path, "agent", 0, &fd, NULL, &err), 0);
	one_host_apply(&one, &one.v2, NULL, BL_APPLY_COMMITTED);
	ck_assert(!one.res.lapses);
	ck_assert_int_eq(one_host_status(&one).keeper_pid, getpid());
	close(BL_TAKE_FD(fd));
	one.fake->refuses = false;
	ck_assert_int_eq(bl_host_rollback(one.host, NULL, &one.res, &err), 0);
	ck_assert(!one.res.lapses);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("lease");
	TCase *tc = tcase_create("lease");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_keeper_renews_what_is_live_as_it_was_committed);
	tcase_add_test(tc, a_lease_that_nobody_keeps_is_told);
	suite_add_tcase(suite, tc);
	return suite;
}
