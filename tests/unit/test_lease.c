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
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kern.h"

static char *dir, *state_dir;
static struct fake_kern *fake;
static struct bl_host *host;
static struct bl_bundle v1, v2;
static struct bl_apply_result res;
static struct bl_err err;

static struct bl_host *open_host(void)
{
	struct bl_host_config config = { .state_dir = state_dir,
					 .ops = &fake_kern_ops,
					 .kern = fake,
					 .clock = &fake_clock };
	struct bl_host *h = NULL;

	ck_assert_msg(!bl_host_open(&config, &h, &err), "%s", err.text);
	return h;
}

static void write_text(const char *name, const char *text)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0600, NULL),
			 0);
}

static void make_bundle(const char *version, struct bl_bundle *ret)
{
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);
	char text[256];

	write_text("fake.bpf.o", version);
	snprintf(text, sizeof(text),
		 "{\"name\":\"fake\",\"version\":\"%s\","
		 "\"object\":\"fake.bpf.o\","
		 "\"trial\":{\"probation_ms\":1000}}",
		 version);
	write_text("manifest.json", text);
	ck_assert_msg(!bl_bundle_build(manifest, ret, &err), "%s", err.text);
}

static void set_up(void)
{
	dir = bl_test_tmpdir();
	state_dir = bl_path("%s/state", dir);
	fake = fake_kern_new();
	ck_assert_ptr_nonnull(fake);
	make_bundle("1", &v1);
	make_bundle("2", &v2);
	host = open_host();
}

static void tear_down(void)
{
	bl_host_close(host);
	bl_bundle_free(&v1);
	bl_bundle_free(&v2);
	bl_file_rmtree(dir, NULL);
	fake_kern_free(fake);
	free(dir);
	free(state_dir);
}

static void apply(const struct bl_bundle *b, enum bl_apply_outcome outcome)
{
	ck_assert_msg(!bl_host_apply(host, b, NULL, &res, &err), "%s",
		      err.text);
	ck_assert_msg(res.outcome == outcome, "outcome %d: %s", res.outcome,
		      res.reason);
}

static struct bl_host_status status(void)
{
	struct bl_host_status s;

	ck_assert_msg(!bl_host_status(host, &s, &err), "%s", err.text);
	return s;
}

/* I8: whoever keeps the host renews what is live and whole, and nothing else. */
START_TEST(a_keeper_renews_what_is_live_as_it_was_committed)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *keeper = open_host();

	ck_assert_int_eq(bl_host_renew(keeper, &err), -ENOENT);
	apply(&v1, BL_APPLY_COMMITTED);
	fake->verdict_ms = 0;
	ck_assert_int_eq(bl_host_renew(keeper, &err), 0);
	ck_assert_uint_eq(fake->verdict_ms, BL_KERN_VERDICT_LEASE_MS);
	fake->verdict_ms = 0;
	fake->slot[BL_SLOT_A].entries--;
	ck_assert_int_eq(bl_host_renew(keeper, &err), -ESTALE);
	ck_assert_msg(strstr(err.text, "2 of 3"), "%s", err.text);
	ck_assert_uint_eq(fake->verdict_ms, 0);
}
END_TEST

/* Who applies what can refuse is told that it will not last. */
START_TEST(a_lease_that_nobody_keeps_is_told)
{
	bl_autofree char *path = bl_path("%s/keeper", state_dir);
	bl_autoclose int fd = -1;

	fake->refuses = true;
	apply(&v1, BL_APPLY_COMMITTED);
	ck_assert(res.lapses);
	ck_assert_int_eq(status().keeper_pid, 0);
	ck_assert_int_eq(bl_lock_take(path, "agent", 0, &fd, NULL, &err), 0);
	apply(&v2, BL_APPLY_COMMITTED);
	ck_assert(!res.lapses);
	ck_assert_int_eq(status().keeper_pid, getpid());
	close(BL_TAKE_FD(fd));
	fake->refuses = false;
	ck_assert_int_eq(bl_host_rollback(host, NULL, &res, &err), 0);
	ck_assert(!res.lapses);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("lease");
	TCase *tc = tcase_create("lease");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_keeper_renews_what_is_live_as_it_was_committed);
	tcase_add_test(tc, a_lease_that_nobody_keeps_is_told);
	suite_add_tcase(suite, tc);
	return suite;
}
