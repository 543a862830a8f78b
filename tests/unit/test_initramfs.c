/* SPDX-License-Identifier: Apache-2.0 */
/* The initramfs, read back with another reader than the kernel's. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/elf.h"
#include "loader/lab/initramfs.h"
#include "loader/lab/vmlinux.h"
#include "tests/main.h"

static struct bl_initramfs *fs;
static struct bl_err err;

static void set_up(void)
{
	err = (struct bl_err){ 0 };
	ck_assert_int_eq(bl_initramfs_new(&fs, &err), 0);
}

static void tear_down(void)
{
	bl_initramfs_free(&fs);
}

struct found {
	int times;
	mode_t mode;
	char target[128], data[128];
	size_t len;
};

/* Reads the finished archive for @path (without the first slash). */
static struct found look_in(int fd, const char *path)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	struct found f = { 0 };

	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	archive_read_support_format_cpio(a);
	ck_assert_int_eq(archive_read_open_fd(a, fd, 65536), ARCHIVE_OK);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
		if (strcmp(archive_entry_pathname(e), path) != 0)
			continue;
		f.times++;
		f.mode = archive_entry_mode(e);
		f.len = (size_t)archive_entry_size(e);
		if (archive_entry_symlink(e))
			snprintf(f.target, sizeof(f.target), "%s",
				 archive_entry_symlink(e));
		archive_read_data(a, f.data, sizeof(f.data) - 1);
	}
	archive_read_free(a);
	return f;
}

static struct found look(const char *path)
{
	static int fd = -1;

	if (fs && fd < 0)
		ck_assert_int_eq(bl_initramfs_finish(fs, &fd, &err), 0);
	return look_in(fd, path);
}

START_TEST(holds_what_was_added_once_with_its_mode)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *tool = bl_path("%s/tool", dir);

	ck_assert_int_eq(bl_file_write(tool, "#!/bin/sh\n", 10, 0755, &err), 0);
	ck_assert_int_eq(bl_initramfs_file(fs, tool, "/opt/x/tool", &err), 0);
	ck_assert_int_eq(
		bl_initramfs_data(fs, "/bin/mine", 0700, "a\0b", 3, &err), 0);
	/* The first wins, also under its other name. */
	ck_assert_int_eq(
		bl_initramfs_data(fs, "/usr/bin/mine", 0644, "no", 2, &err), 0);
	ck_assert_int_eq(bl_initramfs_link(fs, "/usr/bin/link", "mine", &err),
			 0);
	ck_assert_int_eq(look("opt/x/tool").times, 1);
	ck_assert_uint_eq(look("opt/x/tool").mode, S_IFREG | 0755);
	ck_assert_uint_eq(look("opt/x").mode, S_IFDIR | 0755);
	ck_assert_int_eq(look("usr/bin/mine").times, 1);
	ck_assert_uint_eq(look("usr/bin/mine").len, 3);
	ck_assert_mem_eq(look("usr/bin/mine").data, "a\0b", 3);
	ck_assert_str_eq(look("usr/bin/link").target, "mine");
	ck_assert_str_eq(look("bin").target, "usr/bin");
	ck_assert_uint_eq(look("dev/console").mode, S_IFCHR | 0600);
	bl_file_rmtree(dir, NULL);
}
END_TEST

static const char *const bad_paths[] = {
	"",	   "relative", "/",	     "/a/../b",	   "/a/./b", "/a//b",
	"/proc/x", "/sys/x",   "/dev/ttyS9", "/run/x.pid", "/a/",
};

START_TEST(refuses_paths_that_would_not_be_there)
{
	ck_assert_int_eq(bl_initramfs_data(fs, bad_paths[_i], 0644, "x", 1,
					   &err),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, bad_paths[_i]));
}
END_TEST

START_TEST(a_missing_file_and_a_folder_are_errors)
{
	ck_assert_int_eq(bl_initramfs_file(fs, "/nonexistent", "/x", &err),
			 -ENOENT);
	ck_assert_int_eq(bl_initramfs_file(fs, "/usr", "/x", &err), -EINVAL);
}
END_TEST

START_TEST(a_program_brings_its_loader_and_libraries)
{
	char loader[256];

	ck_assert_int_eq(bl_elf_kind("/proc/self/exe", loader, sizeof(loader)),
			 BL_ELF_DYNAMIC);
	{
		bl_autofree char *self = realpath("/proc/self/exe", NULL);

		ck_assert_int_eq(
			bl_initramfs_program(fs, self, "/usr/bin/me", &err), 0);
	}
	ck_assert_int_eq(look("usr/bin/me").times, 1);
	ck_assert_int_eq(look("usr/lib64/ld-linux-x86-64.so.2").times, 1);
	ck_assert_int_eq(look("usr/lib/x86_64-linux-gnu/libc.so.6").times, 1);
}
END_TEST

START_TEST(a_script_brings_its_interpreter)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *script = bl_path("%s/s", dir);

	ck_assert_int_eq(
		bl_file_write(script, "#! /bin/bash -e\n", 16, 0755, &err), 0);
	ck_assert_int_eq(bl_initramfs_program(fs, script, "/s", &err), 0);
	ck_assert_uint_eq(look("usr/bin/bash").mode, S_IFREG | 0755);
	bl_file_rmtree(dir, NULL);
}
END_TEST

/* Everything in the archive, one name a line. */
static struct bl_buf names_in(int fd)
{
	struct archive *a = archive_read_new();
	struct bl_buf names = { 0 };
	struct archive_entry *e;

	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	archive_read_support_format_cpio(a);
	ck_assert_int_eq(archive_read_open_fd(a, fd, 65536), ARCHIVE_OK);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK)
		bl_buf_printf(&names, "%s\n", archive_entry_pathname(e));
	archive_read_free(a);
	return names;
}

START_TEST(what_is_added_upon_a_base_leaves_out_what_that_has)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *self = realpath("/proc/self/exe", NULL);
	bl_autofree char *script = bl_path("%s/s", dir);
	bl_autoinitramfs struct bl_initramfs *more = NULL;
	bl_autobuf struct bl_buf names = { 0 };
	bl_autoclose int fd = memfd_create("more", MFD_CLOEXEC);
	bl_autoclose int same = -1;

	ck_assert_int_eq(bl_file_write(script, "#!/bin/sh\n", 10, 0755, &err),
			 0);
	ck_assert_int_eq(bl_initramfs_program(fs, self, "/usr/bin/me", &err),
			 0);
	ck_assert_int_eq(
		bl_initramfs_data(fs, "/usr/bin/sh", 0755, "x", 1, &err), 0);
	ck_assert_int_eq(bl_initramfs_new_upon(&more, fs, fd, &err), 0);
	/* Named by the caller, so it replaces what is there. */
	ck_assert_int_eq(bl_initramfs_program(more, self, "/bin/me", &err), 0);
	ck_assert_int_eq(bl_initramfs_program(more, script, "/new/s", &err), 0);
	ck_assert_int_eq(bl_initramfs_data(more, "/tmp/x", 0644, "x", 1, &err),
			 0);
	ck_assert_int_eq(bl_initramfs_finish(more, &same, &err), 0);
	names = names_in(fd);
	ck_assert_str_eq(names.data, "usr/bin/me\nnew\nnew/s\ntmp/x\n");
	bl_file_rmtree(dir, NULL);
}
END_TEST

/* A survey of what this test's folder would give. */
static char *survey(const char *file, const char *dst)
{
	bl_autoinitramfs struct bl_initramfs *s = NULL;

	ck_assert_int_eq(bl_initramfs_new_survey(&s, &err), 0);
	ck_assert_int_eq(bl_initramfs_file(s, file, dst, &err), 0);
	return strdup(bl_initramfs_identity(s));
}

START_TEST(a_survey_tells_one_guest_from_another)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *file = bl_path("%s/f", dir);
	bl_autofree char *first = NULL;
	bl_autofree char *again = NULL;
	bl_autofree char *moved = NULL;
	bl_autofree char *other = NULL;
	bl_autofree char *executable = NULL;

	ck_assert_int_eq(bl_file_write(file, "a", 1, 0644, &err), 0);
	first = survey(file, "/a");
	again = survey(file, "/a");
	ck_assert_str_eq(first, again);
	moved = survey(file, "/b");
	ck_assert_str_ne(first, moved);
	/* As long as it was, and the same name: another file all the same. */
	ck_assert_int_eq(bl_file_write(file, "b", 1, 0644, &err), 0);
	other = survey(file, "/a");
	ck_assert_str_ne(first, other);
	ck_assert_int_eq(chmod(file, 0755), 0);
	executable = survey(file, "/a");
	ck_assert_str_ne(other, executable);
	bl_file_rmtree(dir, NULL);
}
END_TEST

START_TEST(no_kernel_comes_out_of_garbage)
{
	unsigned char image[4096] = { 0 };
	bl_autobuf struct bl_buf out = { 0 };

	ck_assert_int_eq(bl_vmlinux_extract(image, 0, &out, &err), -EBADMSG);
	ck_assert_int_eq(bl_vmlinux_extract(image, sizeof(image), &out, &err),
			 -EBADMSG);
	memcpy(image + 0x202, "HdrS\x0f\x02", 6);
	image[0x1f1] = 1;
	memset(image + 0x248, 0xff, 8); /* a payload far outside */
	ck_assert_int_eq(bl_vmlinux_extract(image, sizeof(image), &out, &err),
			 -EBADMSG);
	memcpy(image + 0x248, "\0\0\0\0\0\4\0\0", 8); /* zeroes as payload */
	ck_assert_int_eq(bl_vmlinux_extract(image, sizeof(image), &out, &err),
			 -EBADMSG);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("initramfs");
	TCase *t = tcase_create("initramfs");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, holds_what_was_added_once_with_its_mode);
	tcase_add_loop_test(t, refuses_paths_that_would_not_be_there, 0,
			    (int)BL_ARRAY_SIZE(bad_paths));
	tcase_add_test(t, a_missing_file_and_a_folder_are_errors);
	tcase_add_test(t, a_program_brings_its_loader_and_libraries);
	tcase_add_test(t, a_script_brings_its_interpreter);
	tcase_add_test(t, what_is_added_upon_a_base_leaves_out_what_that_has);
	tcase_add_test(t, a_survey_tells_one_guest_from_another);
	tcase_add_test(t, no_kernel_comes_out_of_garbage);
	suite_add_tcase(s, t);
	return s;
}
