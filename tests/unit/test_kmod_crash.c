/* SPDX-License-Identifier: Apache-2.0 */
/* A host goes down in the trial of a module whose name says nothing, as the one
 * before had it too: which of the two it was. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"
#include "tests/support/twin_host.h"

static struct twin twin;
static char *pstore;
static struct bl_err err;

static void set_up(void)
{
	twin_set_up(&twin);
	twin.pstore_dir = pstore = bl_path("%s/pstore", twin.dir);
	ck_assert_int_eq(mkdir(pstore, 0700), 0);
	err = (struct bl_err){ 0 };
}

static void tear_down(void)
{
	twin_tear_down(&twin);
	free(pstore);
}

static void apply(int version)
{
	const struct bl_apply_opts opts = { .override_reason = "again" };
	struct bl_host *h = twin_open(&twin);
	struct bl_apply_result res;

	ck_assert_msg(!bl_host_apply(h, &twin.bundles[version], &opts, &res,
				     &err),
		      "%s", err.text);
	bl_host_close(h);
}

static struct bl_recover_result recover(void)
{
	struct bl_recover_result rec = { 0 };
	struct bl_host *h = twin_open(&twin);

	ck_assert_msg(!bl_host_recover(h, &rec, &err), "%s", err.text);
	bl_host_close(h);
	return rec;
}

static void dies_at(unsigned step)
{
	int status;
	pid_t pid;

	fake_kern_calm(twin.kern);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		twin.kern->die_at = step;
		apply(TWIN_M2);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), FAKE_DIED);
	fake_kern_process_died(twin.kern);
	fake_kmod_process_died(twin.kmod);
	fake_kern_calm(twin.kern);
}

/* Neither is in: the one has gone, and the other has not come yet. */
static void goes_down_with_none_in(void)
{
	apply(TWIN_M1);
	for (unsigned n = 1;; n++) {
		dies_at(n);
		if (!twin.kmod->now.loaded)
			break;
		recover();
	}
}

/* At the first step at which M2's hooks are in: the journal knows nothing. */
static void goes_down_with_the_new_one_in(void)
{
	const struct bl_kmod_now *now = &twin.kmod->now;

	apply(TWIN_M1);
	for (unsigned n = 1;; n++) {
		dies_at(n);
		if (now->armed && !strcmp(now->tag, TWIN_TAG(TWIN_M2)))
			break;
		recover();
	}
}

#define IN_IT "RIP: 0010:on_exec+0x1/0x2 [belay_sensor]"

/* The kernel's last words, after @said. */
static void leaves(const char *said, const char *trace)
{
	bl_autofree char *path = bl_path("%s/dmesg-erst-1", pstore);
	bl_autofree char *text = bl_path(
		"Panic#1 Part1\n<12>[    8.0] %s"
		"<1>[    9.0] BUG: kernel NULL pointer dereference\n"
		"<4>[    9.0] %s\n"
		"<0>[    9.0] Kernel panic - not syncing: Fatal exception\n",
		said, trace);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0400, NULL),
			 0);
	twin_reboot(&twin);
}

START_TEST(the_new_one_that_the_log_says_is_in_is_convicted)
{
	goes_down_with_the_new_one_in();
	leaves(twin.kmod->said, IN_IT);
	ck_assert_str_eq(recover().attribution, "convicted");
}
END_TEST

START_TEST(where_nothing_says_so_it_is_a_suspect)
{
	goes_down_with_the_new_one_in();
	leaves("belay: module of generation 1 is in\n", IN_IT);
	ck_assert_str_eq(recover().attribution, "suspect");
}
END_TEST

static struct bl_host_history past(void)
{
	struct bl_host *h = twin_open(&twin);
	struct bl_host_history hist = { 0 };

	ck_assert_msg(!bl_host_history(h, 10, &hist, &err), "%s", err.text);
	bl_host_close(h);
	return hist;
}

#define NOWHERE "RIP: 0010:0xffffffffc0201c70\n<4>[    9.0] "

START_TEST(a_hook_that_the_old_one_left_convicts_the_old_one)
{
	struct bl_recover_result rec;
	struct bl_host_history hist;
	const struct bl_host_txn *old;

	goes_down_with_none_in();
	leaves("belay: module of generation 1 is in\n",
	       NOWHERE "Modules linked in: [last unloaded: belay_sensor(OE)]");
	rec = recover();
	ck_assert_str_eq(rec.attribution, "");
	ck_assert(!rec.tombstoned);
	hist = past();
	/* Newest first: the restore, M2, its tries before, M1. */
	ck_assert_uint_ge(hist.count, 3);
	old = &hist.txns[hist.count - 1];
	ck_assert_str_eq(hist.txns[1].attribution, "");
	ck_assert_ptr_nonnull(strstr(hist.txns[1].reason,
				     "the module before it, unloaded a moment "
				     "ago, had left a hook"));
	ck_assert_str_eq(old->attribution, "convicted");
	ck_assert_ptr_nonnull(strstr(old->reason, "left a hook"));
	bl_host_history_free(&hist);
	/* Nothing keeps the innocent one from another try. */
	fake_kern_calm(twin.kern);
	apply(TWIN_M2);
	ck_assert_str_eq(twin.kmod->now.tag, TWIN_TAG(TWIN_M2));
}
END_TEST

/* That one row cannot be written, whatever else can. */
static void keep_unsaid(int64_t txn)
{
	bl_autofree char *path = bl_path("%s/journal.db", twin.state_dir);
	bl_autofree char *sql =
		bl_path("CREATE TRIGGER unsaid BEFORE UPDATE OF attribution"
			" ON txn WHEN NEW.id = %" PRId64
			" BEGIN SELECT RAISE(FAIL, 'no room'); END",
			txn);
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Being up again counts for more than who was to blame. */
START_TEST(a_host_comes_back_though_the_old_one_cannot_be_convicted)
{
	struct bl_recover_result rec;
	struct bl_host_history hist;

	goes_down_with_none_in();
	keep_unsaid(1);
	leaves("belay: module of generation 1 is in\n",
	       NOWHERE "Modules linked in: [last unloaded: belay_sensor(OE)]");
	rec = recover();
	ck_assert_int_eq(rec.outcome, BL_RECOVER_RESTORED);
	ck_assert(twin.kmod->now.loaded);
	ck_assert_ptr_nonnull(strstr(rec.reason, "is not on record: "));
	ck_assert_ptr_nonnull(strstr(rec.reason, "no room"));
	hist = past();
	ck_assert_str_eq(hist.txns[hist.count - 1].attribution, "");
	bl_host_history_free(&hist);
}
END_TEST

START_TEST(once_the_new_one_is_in_a_call_to_nowhere_is_not_the_old_ones)
{
	goes_down_with_the_new_one_in();
	leaves(twin.kmod->said, NOWHERE "Modules linked in: belay_sensor(OE)"
					" [last unloaded: belay_sensor(OE)]");
	ck_assert_str_eq(recover().attribution, "suspect");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("kmod_crash");
	TCase *t = tcase_create("boot");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, the_new_one_that_the_log_says_is_in_is_convicted);
	tcase_add_test(t, where_nothing_says_so_it_is_a_suspect);
	tcase_add_test(t, a_hook_that_the_old_one_left_convicts_the_old_one);
	tcase_add_test(
		t, a_host_comes_back_though_the_old_one_cannot_be_convicted);
	tcase_add_test(
		t,
		once_the_new_one_is_in_a_call_to_nowhere_is_not_the_old_ones);
	suite_add_tcase(s, t);
	return s;
}
