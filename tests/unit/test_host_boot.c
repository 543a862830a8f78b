/* SPDX-License-Identifier: Apache-2.0 */
/* What the next boot makes of a host that went down: whom it blames, what it
 * keeps, and how often it tries (I5). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/boot/pstore.h"
#include "loader/host/host.h"
#include "loader/host/journal/journal.h"
#include "loader/host/state.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/rig.h"

static char *pstore;
static struct bl_err err;
static struct bl_recover_result res;

static void set_up(void)
{
	rig_set_up(false);
	err = (struct bl_err){ 0 };
	pstore = bl_path("%s/pstore", rig.dir);
	ck_assert_int_eq(mkdir(pstore, 0700), 0);
	rig.pstore_dir = pstore;
}

static void tear_down(void)
{
	rig.pstore_dir = NULL;
	free(pstore);
	rig_tear_down();
}

static struct bl_host *open_host(void)
{
	struct bl_host_config config = { .state_dir = rig.state_dir,
					 .pstore_dir = pstore,
					 .ops = &fake_kern_ops,
					 .kern = rig.fake,
					 .clock = &fake_clock };
	struct bl_host *h = NULL;

	ck_assert_msg(!bl_host_open(&config, &h, &err), "%s", err.text);
	return h;
}

/* A host with v1 live. */
static void with_v1(void)
{
	ck_assert(rig_run(rig_apply_v1));
	ck_assert_int_eq(rig.report->result.outcome, BL_APPLY_COMMITTED);
}

/* The host goes down in the first probe of a trial of v2. */
static enum bl_tick down(void *ctx, const struct bl_trial_view *view,
			 struct bl_err *e)
{
	(void)ctx;
	(void)view;
	(void)e;
	_exit(FAKE_DIED);
}

static int down_in_the_trial(struct bl_host *h, struct bl_apply_result *ret,
			     struct bl_err *e)
{
	const struct bl_apply_opts opts = { .tick = down };

	return bl_host_apply(h, &rig.bundles[RIG_V2], &opts, ret, e);
}

static void goes_down_in_a_trial(void)
{
	ck_assert(!rig_run(down_in_the_trial));
	fake_kern_reboot(rig.fake);
}

/* ... or while v1 is being restored, after @n steps. */
static void goes_down_in_a_restore(unsigned n)
{
	fake_kern_calm(rig.fake);
	rig.fake->die_at = n;
	ck_assert_msg(!rig_run(rig_recover), "it did not die");
	fake_kern_calm(rig.fake);
	fake_kern_reboot(rig.fake);
}

static void recover(enum bl_recover_outcome outcome)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = open_host();

	ck_assert_msg(!bl_host_recover(h, &res, &err), "%s", err.text);
	ck_assert_msg(res.outcome == outcome, "outcome %d: %s", res.outcome,
		      res.reason);
}

/* A record of a crash in a program with @tag, as the kernel would leave it. */
static void crash(const char *name, const char *tag, const char *uptime)
{
	bl_autofree char *path = bl_path("%s/%s", pstore, name);
	bl_autofree char *text = bl_path(
		"Panic#1 Part1\n"
		"<1>[%s] BUG: kernel NULL pointer dereference, address: 8\n"
		"<4>[%s] RIP: 0010:strncmp+0x16/0x30\n"
		"<4>[%s] Call Trace:\n"
		"<4>[%s]  bpf_prog_%s_bl_open+0x16/0x30\n"
		"<0>[%s] Kernel panic - not syncing: Fatal exception\n",
		uptime, uptime, uptime, uptime, tag, uptime);

	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0400, NULL),
			 0);
}

static unsigned files(const char *dir)
{
	bl_autoclosedir DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	return n;
}

/* The tag of the newest transaction's first program. */
static void newest_tag(char ret[static BL_KERN_TAG_LEN])
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = open_host();
	struct bl_host_history hist = { 0 };
	const char *colon;

	ck_assert_int_eq(bl_host_history(h, 1, &hist, &err), 0);
	ck_assert_uint_eq(hist.count, 1);
	colon = strchr(hist.txns[0].tags, ':');
	ck_assert_ptr_nonnull(colon);
	snprintf(ret, BL_KERN_TAG_LEN, "%s", colon + 1);
	bl_host_history_free(&hist);
}

static struct bl_host_txn newest(void)
{
	BL_CLEANUP(bl_host_closep) struct bl_host *h = open_host();
	struct bl_host_history hist = { 0 };
	struct bl_host_txn t;

	ck_assert_int_eq(bl_host_history(h, 1, &hist, &err), 0);
	t = hist.txns[0];
	bl_host_history_free(&hist);
	return t;
}

static int live(void)
{
	struct bl_journal_txn t;

	return rig_live(&t);
}

static char *kept(uint64_t txn)
{
	return bl_path("%s/evidence/%d", rig.state_dir, (int)txn);
}

/* --- a crash in a trial --------------------------------------------------- */

START_TEST(whoever_is_named_in_the_trace_is_convicted)
{
	char tag[BL_KERN_TAG_LEN];
	bl_autofree char *dir = NULL;

	with_v1();
	goes_down_in_a_trial();
	newest_tag(tag);
	crash("dmesg-erst-1", tag, "  100.5");
	recover(BL_RECOVER_RESTORED);
	ck_assert(rig_tombstoned(RIG_V2));
	ck_assert_int_eq(live(), RIG_V1);
	dir = kept(2);
	ck_assert_uint_eq(files(dir), 1);
	ck_assert_uint_eq(files(pstore), 0); /* so that it does not fill up */
	{
		BL_CLEANUP(bl_host_closep) struct bl_host *h = open_host();
		struct bl_host_history hist = { 0 };

		ck_assert_int_eq(bl_host_history(h, 0, &hist, &err), 0);
		ck_assert_str_eq(hist.txns[1].attribution, "convicted");
		ck_assert_ptr_nonnull(strstr(hist.txns[1].reason,
					     "in phase trial; convicted: "));
		ck_assert_ptr_nonnull(strstr(hist.txns[1].reason, tag));
		ck_assert_str_eq(hist.tombstones[0].reason,
				 hist.txns[1].reason);
		bl_host_history_free(&hist);
	}
}
END_TEST

START_TEST(whoever_is_not_is_suspect_with_what_the_kernel_said)
{
	bl_autofree char *dir = NULL;
	struct bl_host_txn t;

	with_v1();
	goes_down_in_a_trial();
	crash("dmesg-erst-1", "0123456789abcdef", "  100.5");
	/* The trial only: what runs is restored by the next call. */
	fake_kern_calm(rig.fake);
	recover(BL_RECOVER_RESTORED);
	ck_assert(rig_tombstoned(RIG_V2));
	dir = kept(2);
	ck_assert_uint_eq(files(dir), 1);
	{
		BL_CLEANUP(bl_host_closep) struct bl_host *h = open_host();
		struct bl_host_history hist = { 0 };

		ck_assert_int_eq(bl_host_history(h, 0, &hist, &err), 0);
		t = hist.txns[1];
		bl_host_history_free(&hist);
	}
	ck_assert_str_eq(t.attribution, "suspect");
	ck_assert_ptr_nonnull(strstr(t.reason, "strncmp+0x16/0x30"));
}
END_TEST

START_TEST(no_record_leaves_it_suspect)
{
	with_v1();
	goes_down_in_a_trial();
	recover(BL_RECOVER_RESTORED);
	ck_assert(rig_tombstoned(RIG_V2));
	ck_assert_str_eq(newest().attribution, ""); /* of the restore */
	ck_assert_str_eq(res.attribution, "suspect");
}
END_TEST

START_TEST(what_is_older_than_the_trial_or_of_another_is_left_alone)
{
	struct timespec old[2] = { { .tv_sec = 1000000 },
				   { .tv_sec = 1000000 } };
	bl_autofree char *path = bl_path("%s/dmesg-erst-1", pstore);
	bl_autofree char *other = bl_path("%s/console-ramoops-0", pstore);
	char tag[BL_KERN_TAG_LEN];

	with_v1();
	goes_down_in_a_trial();
	newest_tag(tag);
	crash("dmesg-erst-1", tag, "  100.5");
	crash("console-ramoops-0", tag, "  100.5");
	ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	recover(BL_RECOVER_RESTORED);
	ck_assert_str_eq(res.attribution, "suspect");
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

START_TEST(evidence_that_was_taken_before_recovery_died_counts)
{
	char tag[BL_KERN_TAG_LEN];
	bl_autofree char *dir = NULL;

	with_v1();
	goes_down_in_a_trial();
	newest_tag(tag);
	crash("dmesg-erst-1", tag, "  100.5");
	dir = kept(2);
	bl_pstore_take(pstore, 0, dir);
	ck_assert_uint_eq(files(pstore), 0);
	recover(BL_RECOVER_RESTORED);
	ck_assert_str_eq(res.attribution, "convicted");
}
END_TEST

START_TEST(only_the_newest_evidence_is_kept)
{
	bl_autofree char *root = bl_path("%s/evidence", rig.dir);
	bl_autofree char *first = bl_path("%s/9", root);
	bl_autofree char *other = bl_path("%s/of-others", root);

	for (int i = 9; i < 12 + BL_PSTORE_KEPT; i++) {
		bl_autofree char *dir = bl_path("%s/%d", root, i);

		crash("dmesg-erst-1", "0123456789abcdef", "1.0");
		bl_pstore_take(pstore, 0, dir);
	}
	ck_assert_int_eq(mkdir(other, 0700), 0);
	bl_pstore_prune(root);
	ck_assert_uint_eq(files(root), BL_PSTORE_KEPT + 1);
	ck_assert_int_ne(access(first, F_OK), 0);
}
END_TEST

/* --- boots ---------------------------------------------------------------- */

START_TEST(twenty_power_cycles_of_a_healthy_host_change_nothing_I5)
{
	with_v1();
	for (int i = 0; i < 20; i++) {
		fake_kern_reboot(rig.fake);
		recover(BL_RECOVER_RESTORED);
		ck_assert_int_eq(live(), RIG_V1);
		rig_check_live_whole();
	}
	/* Each in the middle of the restore, now here, now there. */
	for (unsigned i = 0; i < 20; i++) {
		fake_kern_reboot(rig.fake);
		goes_down_in_a_restore(3 + i % 5);
		if (i % 7 == 6)
			recover(BL_RECOVER_RESTORED);
	}
	fake_kern_reboot(rig.fake);
	recover(BL_RECOVER_RESTORED);
	ck_assert_int_eq(live(), RIG_V1);
	ck_assert(!rig_tombstoned(RIG_V1));
	rig_check_live_whole();
}
END_TEST

/* Where nobody can tell a crash from a cut, three are enough. */
START_TEST(three_boots_that_went_down_in_the_restore_leave_it_bare)
{
	with_v1();
	ck_assert_int_eq(rmdir(pstore), 0);
	fake_kern_reboot(rig.fake);
	for (int i = 0; i < BL_RESTORE_TRIES; i++)
		goes_down_in_a_restore(6);
	recover(BL_RECOVER_BARE);
	ck_assert_ptr_nonnull(strstr(res.reason, "3 boots in a row"));
	ck_assert(fake_slot_empty(&rig.fake->slot[0]));
	ck_assert(fake_slot_empty(&rig.fake->slot[1]));
	/* It stays so, and says so, boot after boot. */
	fake_kern_reboot(rig.fake);
	recover(BL_RECOVER_BARE);
	ck_assert_int_eq(live(), RIG_V1);
	/* Somebody who applies it is the way out. */
	ck_assert(rig_run(rig_apply_v2));
	ck_assert_int_eq(rig.report->result.outcome, BL_APPLY_COMMITTED);
}
END_TEST

START_TEST(a_record_of_a_crash_counts_where_a_cut_does_not)
{
	with_v1();
	fake_kern_reboot(rig.fake);
	for (int i = 0; i < BL_RESTORE_TRIES; i++) {
		goes_down_in_a_restore(6);
		crash("dmesg-erst-1", "0123456789abcdef", "   3.5");
	}
	recover(BL_RECOVER_BARE);
}
END_TEST

START_TEST(a_machine_that_hangs_in_each_restore_ends_bare_too)
{
	with_v1();
	fake_kern_reboot(rig.fake);
	for (int i = 0; i < BL_RESTORE_CUTS; i++)
		goes_down_in_a_restore(6);
	recover(BL_RECOVER_BARE);
	ck_assert_ptr_nonnull(strstr(res.reason, "were cut short"));
}
END_TEST

/* The restore went well, and soon after it the kernel died in what it had
 * loaded: that is a failed boot as much as one in the middle of it. */
START_TEST(three_boots_that_crashed_after_the_restore_leave_it_bare)
{
	char tag[BL_KERN_TAG_LEN];

	with_v1();
	fake_kern_reboot(rig.fake);
	for (int i = 0; i < BL_RESTORE_TRIES; i++) {
		recover(BL_RECOVER_RESTORED);
		newest_tag(tag);
		crash("dmesg-erst-1", tag, "   20.5");
		fake_kern_reboot(rig.fake);
	}
	recover(BL_RECOVER_BARE);
	ck_assert_ptr_nonnull(strstr(res.reason, "convicted: "));
	ck_assert_str_eq(newest().attribution, "convicted");
	ck_assert_uint_eq(files(pstore), 0);
}
END_TEST

START_TEST(crashes_of_others_or_long_after_the_boot_count_for_nothing)
{
	char tag[BL_KERN_TAG_LEN];

	with_v1();
	fake_kern_reboot(rig.fake);
	for (int i = 0; i < 2 * BL_RESTORE_TRIES + 1; i++) {
		recover(BL_RECOVER_RESTORED);
		newest_tag(tag);
		if (i % 2)
			crash("dmesg-erst-2", tag, " 7200.5");
		else
			crash("dmesg-erst-1", "0123456789abcdef", "   20.5");
		fake_kern_reboot(rig.fake);
	}
	recover(BL_RECOVER_RESTORED);
	/* What is not about us stays for who reads it. */
	ck_assert_uint_eq(files(pstore), 1);
}
END_TEST

START_TEST(a_boot_that_goes_well_begins_the_count_again)
{
	with_v1();
	ck_assert_int_eq(rmdir(pstore), 0);
	fake_kern_reboot(rig.fake);
	for (int i = 0; i < 2 * BL_RESTORE_TRIES; i++) {
		goes_down_in_a_restore(6);
		goes_down_in_a_restore(7);
		recover(BL_RECOVER_RESTORED);
		fake_kern_reboot(rig.fake);
	}
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("host_boot");
	TCase *t = tcase_create("boot");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, whoever_is_named_in_the_trace_is_convicted);
	tcase_add_test(t, whoever_is_not_is_suspect_with_what_the_kernel_said);
	tcase_add_test(t, no_record_leaves_it_suspect);
	tcase_add_test(
		t, what_is_older_than_the_trial_or_of_another_is_left_alone);
	tcase_add_test(t, evidence_that_was_taken_before_recovery_died_counts);
	tcase_add_test(t, only_the_newest_evidence_is_kept);
	tcase_add_test(t,
		       twenty_power_cycles_of_a_healthy_host_change_nothing_I5);
	tcase_add_test(t,
		       three_boots_that_went_down_in_the_restore_leave_it_bare);
	tcase_add_test(t, a_record_of_a_crash_counts_where_a_cut_does_not);
	tcase_add_test(t, a_machine_that_hangs_in_each_restore_ends_bare_too);
	tcase_add_test(
		t, three_boots_that_crashed_after_the_restore_leave_it_bare);
	tcase_add_test(
		t, crashes_of_others_or_long_after_the_boot_count_for_nothing);
	tcase_add_test(t, a_boot_that_goes_well_begins_the_count_again);
	suite_add_tcase(s, t);
	return s;
}
