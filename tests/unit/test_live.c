/* SPDX-License-Identifier: Apache-2.0 */
/* What belay apply says while a trial is under way, into a log. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/host/cmd_live.h"
#include "tests/main.h"

#define MINUTES UINT64_C(60000)

static char *dir, *path;
static struct bl_trial_view view;
static struct bl_live live;
static struct bl_err why;

static void set_up(void)
{
	dir = bl_test_tmpdir();
	path = bl_path("%s/log", dir);
	ck_assert_ptr_nonnull(freopen(path, "w", stderr));
	live = (struct bl_live){ 0 };
	view = (struct bl_trial_view){ .txn = 7,
				       .probation_ms = 10000,
				       .guarded = true,
				       .watchdog = "softdog" };
}

static void tear_down(void)
{
	bl_file_rmtree(dir, NULL);
	free(dir);
	free(path);
}

/* To @until_ms, four probes a second, each with other counters. */
static void probes(uint64_t until_ms)
{
	for (; view.elapsed_ms <= until_ms; view.elapsed_ms += 250) {
		view.sample.events++;
		ck_assert_int_eq(bl_live_tick(&live, &view, &why),
				 BL_TICK_GO_ON);
	}
}

/* What was said so far; how many lines. */
static unsigned said(const char *words)
{
	bl_autobuf struct bl_buf text = { 0 };
	unsigned lines = 0;

	fflush(stderr);
	ck_assert_int_eq(bl_file_read(path, 1 << 20, &text, NULL), 0);
	ck_assert_msg(strstr(bl_buf_str(&text), words), "'%s' is not in: %s",
		      words, bl_buf_str(&text));
	for (const char *p = bl_buf_str(&text); (p = strchr(p, '\n')); p++)
		lines++;
	return lines;
}

START_TEST(a_log_of_a_long_wait_is_short_and_says_what_it_waits_for)
{
	view.confirm = BL_CONFIRM_MANUAL;
	view.within_ms = 10 * MINUTES;
	probes(9 * MINUTES);
	/* The start, the end of the probation, a sign of life in each 10 s. */
	ck_assert_uint_le(said("waits for 'belay confirm --txn 7'"), 2 + 54);
	view.confirmed = true;
	probes(9 * MINUTES + 1000);
	said("confirmed; ");
}
END_TEST

START_TEST(nothing_is_asked_of_anybody_in_a_trial_that_confirms_itself)
{
	bl_autobuf struct bl_buf text = { 0 };

	probes(10000);
	ck_assert_uint_le(said("trial, seconds: "), 3);
	ck_assert_int_eq(bl_file_read(path, 1 << 20, &text, NULL), 0);
	ck_assert_ptr_null(strstr(bl_buf_str(&text), "confirm"));
	ck_assert_ptr_null(strstr(bl_buf_str(&text), "watchdog"));
}
END_TEST

START_TEST(a_host_that_would_not_notice_a_hang_says_so_once)
{
	view.guarded = false;
	view.watchdog = "none: no such device";
	probes(5000);
	said("no watchdog: a hang in this trial would not be noticed by this host (none: no such device)\n");
	ck_assert_uint_le(said(""), 3);
}
END_TEST

START_TEST(a_signal_ends_the_trial_and_is_named)
{
	bl_cli_catch_signals();
	probes(1000);
	ck_assert_int_eq(raise(SIGHUP), 0);
	ck_assert_int_eq(bl_live_tick(&live, &view, &why), BL_TICK_ABORT);
	ck_assert_str_eq(why.text,
			 "stopped on request during the trial (SIGHUP)");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("live");
	TCase *tc = tcase_create("log");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(
		tc, a_log_of_a_long_wait_is_short_and_says_what_it_waits_for);
	tcase_add_test(
		tc,
		nothing_is_asked_of_anybody_in_a_trial_that_confirms_itself);
	tcase_add_test(tc, a_host_that_would_not_notice_a_hang_says_so_once);
	tcase_add_test(tc, a_signal_ends_the_trial_and_is_named);
	suite_add_tcase(suite, tc);
	return suite;
}
