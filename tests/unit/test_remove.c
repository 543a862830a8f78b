/* SPDX-License-Identifier: Apache-2.0 */
/* belay leaves a host: nothing of it stays, nothing else goes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/host/lock.h"
#include "loader/host/remove.h"
#include "tests/main.h"
#include "tests/support/fake_clock.h"
#include "tests/support/rig.h"

static struct bl_err err;
static struct bl_removed res;
static struct bl_host_config config;
static char *pins;

static void set_up(void)
{
	rig_set_up(false);
	err = (struct bl_err){ 0 };
	pins = bl_path("%s/pins", rig.dir);
	config = (struct bl_host_config){ .state_dir = rig.state_dir,
					  .pin_dir = pins,
					  .ops = &fake_kern_ops,
					  .kern = rig.fake,
					  .clock = &fake_clock };
	ck_assert(rig_run(rig_apply_v1));
	ck_assert(rig_run(rig_apply_v2));
	ck_assert_int_eq(rig.report->result.outcome, BL_APPLY_COMMITTED);
	rig.fake->watch = NULL; /* from here on nothing has to be live */
}

static void tear_down(void)
{
	free(pins);
	rig_tear_down();
}

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void nothing_is_left(void)
{
	ck_assert(!there(rig.state_dir));
	ck_assert(!there(pins));
	for (int i = 0; i < BL_SLOT_COUNT; i++)
		ck_assert(fake_slot_empty(&rig.fake->slot[i]));
}

START_TEST(nothing_of_it_stays_and_the_second_time_says_so)
{
	ck_assert_msg(!bl_host_remove(&config, &res, &err), "%s", err.text);
	ck_assert(res.anything);
	ck_assert_str_eq(res.live.version, "2");
	ck_assert_uint_gt(res.files, 3);
	ck_assert_str_eq(res.kept, "");
	nothing_is_left();
	ck_assert_int_eq(bl_host_remove_look(&config, &res, &err), 0);
	ck_assert(!res.anything);
	ck_assert_msg(!bl_host_remove(&config, &res, &err), "%s", err.text);
	ck_assert(!res.anything);
	nothing_is_left();
}
END_TEST

static const char *const locks[] = { "lock", "reader", "keeper" };

START_TEST(another_belay_at_work_is_not_disturbed)
{
	bl_autofree char *path = bl_path("%s/%s", rig.state_dir, locks[_i]);
	bl_autoclose int fd = -1;

	ck_assert_int_eq(bl_lock_take(path, "apply", 0, &fd, NULL, &err), 0);
	ck_assert_int_eq(bl_host_remove(&config, &res, &err), -EBUSY);
	ck_assert_msg(strstr(err.text, "belay apply"), "%s", err.text);
	rig_check_live_whole();
	close(BL_TAKE_FD(fd));
	ck_assert_msg(!bl_host_remove(&config, &res, &err), "%s", err.text);
	nothing_is_left();
}
END_TEST

/* What half a removal, a full disk or a hand may have left. */
START_TEST(it_works_on_whatever_is_left)
{
	bl_autofree char *journal = bl_path("%s/journal.db", rig.state_dir);
	bl_autofree char *bundles = bl_path("%s/bundles", rig.state_dir);

	if (_i == 0)
		ck_assert_int_eq(unlink(journal), 0);
	else if (_i == 1)
		ck_assert_int_eq(bl_file_write(journal, "junk", 4, 0600, NULL),
				 0);
	else if (_i == 2)
		ck_assert_int_eq(bl_file_rmtree(bundles, NULL), 0);
	else if (_i == 3)
		ck_assert_int_eq(bl_file_rmtree(rig.state_dir, NULL), 0);
	else
		fake_kern_reboot(rig.fake); /* the kernel has nothing */
	ck_assert_msg(!bl_host_remove(&config, &res, &err), "%s", err.text);
	nothing_is_left();
}
END_TEST

START_TEST(what_is_not_belays_stays_and_is_named)
{
	bl_autofree char *mine = bl_path("%s/notes.txt", rig.state_dir);

	ck_assert_int_eq(bl_file_write(mine, "mine", 4, 0600, NULL), 0);
	ck_assert_msg(!bl_host_remove(&config, &res, &err), "%s", err.text);
	ck_assert_str_eq(res.kept, mine);
	ck_assert(there(mine));
	ck_assert_int_eq(unlink(mine), 0);
	ck_assert_int_eq(rmdir(rig.state_dir), 0); /* nothing else was left */
}
END_TEST

/* The folder was somebody else's before. */
static const struct {
	const char *name;
	bool stays;
} strangers[] = {
	{ "bundles/notes.txt", true },
	{ "evidence/photos", true },
	{ "incoming/photos.part", true },
	{ "evidence/2/dmesg-efi-1 of mine", false }, /* in one of ours */
	/* of an agent, which was stopped as its bundle came */
	{ "incoming/0123456789abcdef0123456789abcdef"
	  "0123456789abcdef0123456789abcdef.part",
	  false },
};

START_TEST(what_is_not_belays_in_its_folders_stays_too)
{
	bl_autofree char *dirs = bl_path("%s/evidence/2", rig.state_dir);
	bl_autofree char *incoming = bl_path("%s/incoming", rig.state_dir);
	bl_autofree char *mine =
		bl_path("%s/%s", rig.state_dir, strangers[_i].name);
	bool stays = strangers[_i].stays;

	ck_assert_int_eq(bl_file_mkdirs(dirs, 0700, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(incoming, 0700, NULL), 0);
	ck_assert_int_eq(bl_file_write(mine, "mine", 4, 0600, NULL), 0);
	ck_assert_msg(!bl_host_remove(&config, &res, &err), "%s", err.text);
	ck_assert_str_eq(res.kept, stays ? mine : "");
	ck_assert_int_eq(there(mine), stays);
	ck_assert(stays || !there(rig.state_dir));
	if (stays) {
		*strrchr(mine, '/') = 0;
		ck_assert_int_eq(bl_file_rmtree(mine, NULL), 0);
		ck_assert_int_eq(rmdir(rig.state_dir), 0);
	}
}
END_TEST

/* belay remove --pin-dir /home/me */
START_TEST(a_pin_folder_on_another_file_system_is_not_belays)
{
	bl_autofree char *slot = bl_path("%s/a", pins);
	bl_autofree char *mine = bl_path("%s/a/thesis.txt", pins);

	config.ops = NULL;
	ck_assert_int_eq(bl_file_mkdirs(slot, 0700, NULL), 0);
	ck_assert_int_eq(bl_file_write(mine, "mine", 4, 0600, NULL), 0);
	ck_assert_int_eq(bl_host_remove(&config, &res, &err), -ENODEV);
	ck_assert_msg(strstr(err.text, "no BPF file system"), "%s", err.text);
	ck_assert(there(mine));
	/* An empty one holds nobody's. */
	ck_assert_int_eq(bl_file_rmtree(slot, NULL), 0);
	ck_assert_msg(!bl_host_remove(&config, &res, &err), "%s", err.text);
	ck_assert(!there(pins));
}
END_TEST

/* Each step of the kernel fails once: then it is all there, or a second try
 * removes the rest. */
START_TEST(a_kernel_that_fails_keeps_the_journal_for_the_next_try)
{
	bl_autofree char *journal = bl_path("%s/journal.db", rig.state_dir);

	fake_kern_calm(rig.fake);
	rig.fake->fail_at = 1;
	ck_assert_int_eq(bl_host_remove(&config, &res, &err), -EIO);
	ck_assert(there(journal));
	fake_kern_calm(rig.fake);
	ck_assert_msg(!bl_host_remove(&config, &res, &err), "%s", err.text);
	nothing_is_left();
}
END_TEST

START_TEST(without_a_terminal_it_wants_yes)
{
	const char *const ask[] = { BL_TEST_BUILD_DIR "/belay",
				    "remove",
				    "--state-dir",
				    rig.state_dir,
				    "--pin-dir",
				    pins,
				    NULL };
	bl_autoproc struct bl_proc_result out = { 0 };

	ck_assert_int_eq(bl_proc_run(ask, NULL, &out, &err), 0);
	ck_assert_int_eq(out.status, 64);
	ck_assert_ptr_nonnull(strstr(bl_buf_str(&out.out), "say --yes"));
	ck_assert(there(rig.state_dir));
}
END_TEST

START_TEST(with_yes_it_removes_and_says_what)
{
	const char *const yes[] = { BL_TEST_BUILD_DIR "/belay",
				    "remove",
				    "--yes",
				    "--state-dir",
				    rig.state_dir,
				    "--pin-dir",
				    pins,
				    NULL };
	bl_autoproc struct bl_proc_result first = { 0 }, second = { 0 };

	ck_assert_int_eq(bl_proc_run(yes, NULL, &first, &err), 0);
	ck_assert_msg(first.status == 0, "%s", bl_buf_str(&first.out));
	ck_assert_ptr_nonnull(
		strstr(bl_buf_str(&first.out), "removed: fake 2 ("));
	ck_assert(!there(rig.state_dir));
	ck_assert_int_eq(bl_proc_run(yes, NULL, &second, &err), 0);
	ck_assert_int_eq(second.status, 0);
	ck_assert_str_eq(bl_buf_str(&second.out),
			 "there is nothing of belay on this host\n");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("remove");
	TCase *t = tcase_create("remove");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, nothing_of_it_stays_and_the_second_time_says_so);
	tcase_add_loop_test(t, another_belay_at_work_is_not_disturbed, 0,
			    (int)BL_ARRAY_SIZE(locks));
	tcase_add_loop_test(t, it_works_on_whatever_is_left, 0, 5);
	tcase_add_test(t, what_is_not_belays_stays_and_is_named);
	tcase_add_loop_test(t, what_is_not_belays_in_its_folders_stays_too, 0,
			    (int)BL_ARRAY_SIZE(strangers));
	tcase_add_test(t, a_pin_folder_on_another_file_system_is_not_belays);
	tcase_add_test(t,
		       a_kernel_that_fails_keeps_the_journal_for_the_next_try);
	tcase_add_test(t, without_a_terminal_it_wants_yes);
	tcase_add_test(t, with_yes_it_removes_and_says_what);
	suite_add_tcase(s, t);
	return s;
}
