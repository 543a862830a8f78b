/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives a guest: its disks, its pstore; and how it went down. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/lasting.h"
#include "loader/lab/qmp.h"
#include "tests/main.h"

static struct bl_err err;
static char *dir;

static void set_up(void)
{
	err = (struct bl_err){ 0 };
	dir = bl_test_tmpdir();
}

static void tear_down(void)
{
	bl_file_rmtree(dir, NULL);
	free(dir);
}

START_TEST(a_guest_has_no_disk_unless_asked)
{
	const struct bl_vm_spec s = { 0 };
	const char *modules[BL_LASTING_MODULES_MAX + 1];
	bl_autobuf struct bl_buf mounts = { 0 };
	struct bl_argv a = { 0 };

	ck_assert(!bl_lasting_any(&s));
	bl_lasting_modules(&s, modules);
	ck_assert_ptr_null(modules[0]);
	ck_assert_int_eq(bl_lasting_mounts(&s, &mounts), 0);
	ck_assert_str_eq(bl_buf_str(&mounts), "");
	ck_assert_int_eq(bl_lasting_argv(&s, &a), 0);
	ck_assert_uint_eq(a.count, 0);
	bl_argv_free(&a);
}
END_TEST

START_TEST(hardware_watches_where_the_kernel_has_its_driver)
{
	bl_autofree char *dep = bl_path("%s/modules.dep", dir);
	bl_autofree char *builtin = bl_path("%s/modules.builtin", dir);
	struct bl_kernel k = { 0 };
	static const char with[] = "kernel/drivers/watchdog/softdog.ko:\n"
				   "kernel/drivers/watchdog/i6300esb.ko.xz:\n";

	ck_assert_int_eq(bl_lasting_watchdog(&k), BL_VM_WATCHDOG_SOFT);
	k.modules_dir = dir;
	ck_assert_int_eq(bl_file_write(builtin, "", 0, 0600, NULL), 0);
	ck_assert_int_eq(bl_file_write(dep, with, 36, 0600, NULL), 0);
	ck_assert_int_eq(bl_lasting_watchdog(&k), BL_VM_WATCHDOG_SOFT);
	ck_assert_int_eq(bl_file_write(dep, with, strlen(with), 0600, NULL), 0);
	ck_assert_int_eq(bl_lasting_watchdog(&k), BL_VM_WATCHDOG_HARD);
}
END_TEST

START_TEST(disks_and_pstore_are_files_whatever_their_names)
{
	const struct bl_vm_disk disks[] = { { "/d,1", "/var/lib/belay" },
					    { "two", "/two" } };
	const struct bl_vm_spec s = { .disks = disks,
				      .disk_count = 2,
				      .pstore = "/p,1",
				      .watchdog = BL_VM_WATCHDOG_HARD };
	static const char *const want[] = {
		"-drive",
		"file=/d,,1,format=raw,if=virtio,cache=unsafe",
		"-drive",
		"file=two,format=raw,if=virtio,cache=unsafe",
		"-object",
		"memory-backend-file,id=erst,size=262144,share=on,mem-path=/p,,1",
		"-device",
		"acpi-erst,memdev=erst",
		"-device",
		"i6300esb",
		"-action",
		"watchdog=reset",
	};
	bl_autobuf struct bl_buf mounts = { 0 };
	struct bl_argv a = { 0 };

	ck_assert(bl_lasting_any(&s));
	ck_assert_int_eq(bl_lasting_check(&s, &err), 0);
	ck_assert_int_eq(bl_lasting_argv(&s, &a), 0);
	ck_assert_uint_eq(a.count, BL_ARRAY_SIZE(want));
	for (size_t i = 0; i < a.count; i++)
		ck_assert_str_eq(a.words[i], want[i]);
	bl_argv_free(&a);
	ck_assert_int_eq(bl_lasting_mounts(&s, &mounts), 0);
	ck_assert_str_eq(bl_buf_str(&mounts), "vda:/var/lib/belay vdb:/two");
}
END_TEST

START_TEST(each_device_brings_its_modules)
{
	const struct bl_vm_disk disk = { "d", "/d" };
	struct bl_vm_spec s = { .disks = &disk,
				.disk_count = 1,
				.watchdog = BL_VM_WATCHDOG_SOFT };
	const char *modules[BL_LASTING_MODULES_MAX + 1];
	struct bl_argv a = { 0 };

	bl_lasting_modules(&s, modules);
	ck_assert_str_eq(modules[0], "virtio_pci");
	ck_assert_str_eq(modules[1], "virtio_blk");
	ck_assert_str_eq(modules[2], "ext4");
	ck_assert_str_eq(modules[3], "softdog");
	ck_assert_ptr_null(modules[4]);
	s.disk_count = 0;
	/* The kernel's own watchdog is no device. */
	ck_assert_int_eq(bl_lasting_argv(&s, &a), 0);
	ck_assert_uint_eq(a.count, 0);
	bl_argv_free(&a);
	s.watchdog = BL_VM_WATCHDOG_HARD;
	bl_lasting_modules(&s, modules);
	ck_assert_str_eq(modules[0], "i6300esb");
	ck_assert_ptr_null(modules[1]);
}
END_TEST

static const char *const no_folders[] = { NULL,	    "",	    "/",  "disk",
					  "/a b",   "/a:b", "/;", "/$x",
					  "/a\nrm", "/*",   "/'" };

START_TEST(a_folder_that_the_guests_shell_would_read_is_refused)
{
	const struct bl_vm_disk disk = { "d", no_folders[_i] };
	const struct bl_vm_spec s = { .disks = &disk, .disk_count = 1 };

	ck_assert_int_eq(bl_lasting_check(&s, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "is no folder for a disk"));
}
END_TEST

START_TEST(too_many_disks_are_refused)
{
	const struct bl_vm_spec s = { .disk_count = BL_VM_DISKS_MAX + 1 };

	ck_assert_int_eq(bl_lasting_check(&s, &err), -EINVAL);
}
END_TEST

/* The superblock's magic number, and what a reader of it would miss. */
START_TEST(a_new_disk_is_an_ext4_and_an_old_one_is_left_alone)
{
	bl_autofree char *path = bl_path("%s/disk", dir);
	const struct bl_vm_disk disk = { path, "/d" };
	const struct bl_vm_spec s = { .disks = &disk, .disk_count = 1 };
	unsigned char magic[2] = { 0 };
	bl_autoclose int fd = -1;
	struct stat st;
	int r = bl_lasting_make(&s, &err);

	if (r == -ENOENT) {
		ck_assert_ptr_nonnull(strstr(err.hint, "e2fsprogs"));
		printf("skipped: no mke2fs\n");
		return;
	}
	ck_assert_msg(r == 0, "%s", err.text);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, magic, 2, 1024 + 56), 2);
	ck_assert_uint_eq(magic[0], 0x53);
	ck_assert_uint_eq(magic[1], 0xef);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, BL_LASTING_DISK_BYTES);
	ck_assert_int_eq(pwrite(fd, "mine", 4, 4096), 4);
	ck_assert_int_eq(bl_lasting_make(&s, &err), 0);
	{
		char kept[4];

		ck_assert_int_eq(pread(fd, kept, 4, 4096), 4);
		ck_assert_mem_eq(kept, "mine", 4);
	}
}
END_TEST

START_TEST(a_pstore_is_made_once_and_must_have_its_size)
{
	bl_autofree char *path = bl_path("%s/pstore", dir);
	const struct bl_vm_spec s = { .pstore = path };
	struct stat st;

	ck_assert_int_eq(bl_lasting_make(&s, &err), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, BL_LASTING_PSTORE_BYTES);
	ck_assert_int_eq(bl_lasting_make(&s, &err), 0);
	ck_assert_int_eq(truncate(path, 5), 0);
	ck_assert_int_eq(bl_lasting_make(&s, &err), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "is no pstore"));
}
END_TEST

static const struct {
	const char *events;
	bool reset, watchdog;
} ends[] = {
	{ "", false, false },
	{ "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,"
	  "\"reason\":\"guest-shutdown\"}}\n",
	  false, false },
	{ "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,"
	  "\"reason\":\"guest-reset\"}}\n",
	  true, false },
	{ "{\"event\":\"WATCHDOG\",\"data\":{\"action\":\"reset\"}}\n"
	  "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,"
	  "\"reason\":\"guest-reset\"}}\n",
	  true, true },
	{ "{\"event\":\"SHUTDOWN\"}\n", false, false },
	{ "{\"event\":\"SHUTDOWN\",\"data\":{\"reason\":7}}\n", false, false },
};

START_TEST(a_reset_is_told_from_a_power_off)
{
	struct bl_qmp q = { 0 };

	ck_assert_int_eq(bl_qmp_feed(&q, "{\"QMP\":{}}\n", 11, &err), 0);
	ck_assert_int_eq(bl_qmp_feed(&q, ends[_i].events,
				     strlen(ends[_i].events), &err),
			 0);
	ck_assert_int_eq(q.reset, ends[_i].reset);
	ck_assert_int_eq(q.watchdog, ends[_i].watchdog);
	bl_qmp_free(&q);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("lab_lasting");
	TCase *t = tcase_create("lasting");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_guest_has_no_disk_unless_asked);
	tcase_add_test(t, disks_and_pstore_are_files_whatever_their_names);
	tcase_add_test(t, hardware_watches_where_the_kernel_has_its_driver);
	tcase_add_test(t, each_device_brings_its_modules);
	tcase_add_loop_test(
		t, a_folder_that_the_guests_shell_would_read_is_refused, 0,
		(int)BL_ARRAY_SIZE(no_folders));
	tcase_add_test(t, too_many_disks_are_refused);
	tcase_add_test(t, a_new_disk_is_an_ext4_and_an_old_one_is_left_alone);
	tcase_add_test(t, a_pstore_is_made_once_and_must_have_its_size);
	tcase_add_loop_test(t, a_reset_is_told_from_a_power_off, 0,
			    (int)BL_ARRAY_SIZE(ends));
	suite_add_tcase(s, t);
	return s;
}
