/* SPDX-License-Identifier: Apache-2.0 */
/* Where the BTF of kernels comes from: files of every form, folders, the
 * catalogue's cache. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/core/btf_set.h"
#include "loader/lab/kbtf.h"
#include "tests/main.h"
#include "tests/support/built.h"
#include "tests/support/hostile.h"

static char *dir;
static struct bl_buf elf, btf;
static struct bl_btf_set set;
static struct bl_err err;

static void set_up(void)
{
	dir = bl_test_tmpdir();
	built_object("core-new", &elf);
	built_btf("core-new", &btf);
}

static void tear_down(void)
{
	bl_btf_set_free(&set);
	bl_buf_free(&elf);
	bl_buf_free(&btf);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

static void put(const char *name, const struct bl_buf *b)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_int_eq(bl_file_write(path, bl_buf_str(b), b->len, 0644, &err),
			 0);
}

static void put_text(const char *name, const char *text)
{
	struct bl_buf b = { .data = (char *)text, .len = strlen(text) };

	put(name, &b);
}

static int fill(const char *path)
{
	struct bl_btf_want want = { .paths = &path, .path_count = 1 };

	bl_btf_set_free(&set);
	return bl_btf_set_fill(&want, &set, &err);
}

static int load(size_t i, struct bl_buf *ret)
{
	return set.list[i].load(set.list[i].ctx, ret, &err);
}

static void assert_loads(size_t i)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_msg(load(i, &b) == 0, "%s: %s", set.list[i].name, err.text);
	ck_assert_uint_eq(b.len, btf.len);
	ck_assert_mem_eq(b.data, btf.data, b.len);
}

START_TEST(a_folder_gives_its_kernels_by_release)
{
	bl_autofree char *inner = bl_path("%s/inner.btf", dir);

	put("6.1.0-9.btf", &btf);
	put("5.4.0-10.btf", &btf);
	put("5.4.0-9.btf", &btf);
	put("vmlinux", &elf);
	put_text("README", "not a kernel");
	ck_assert_int_eq(bl_file_mkdirs(inner, 0755, &err), 0);
	ck_assert_msg(fill(dir) == 0, "%s", err.text);
	ck_assert_uint_eq(set.count, 4);
	ck_assert_str_eq(set.list[0].name, "5.4.0-9");
	ck_assert_str_eq(set.list[1].name, "5.4.0-10");
	ck_assert_str_eq(set.list[2].name, "6.1.0-9");
	ck_assert_str_eq(set.list[3].name, "vmlinux");
	assert_loads(0);
	assert_loads(3);
}
END_TEST

START_TEST(compressed_files_and_archives_are_read)
{
	bl_autobuf struct bl_buf tar = { 0 };
	bl_autobuf struct bl_buf packed = { 0 };
	bl_autobuf struct bl_buf plain = { 0 };
	struct hostile_entry folder = { .name = "x/", .type = '5' };
	struct hostile_entry e = { .name = "x/5.4.0.btf",
				   .data = btf.data,
				   .len = btf.len };

	hostile_tar_add(&tar, &folder);
	hostile_tar_add(&tar, &e);
	hostile_tar_end(&tar);
	hostile_zstd(tar.data, tar.len, &packed);
	hostile_zstd(btf.data, btf.len, &plain);
	put("1.btf.tar", &tar);
	put("2.btf.tar.zst", &packed);
	put("3.btf.zst", &plain);
	ck_assert_msg(fill(dir) == 0, "%s", err.text);
	ck_assert_uint_eq(set.count, 3);
	ck_assert_str_eq(set.list[1].name, "2");
	assert_loads(0);
	assert_loads(1);
	assert_loads(2);
}
END_TEST

/* Left out would mean not checked, and not said. */
START_TEST(a_file_that_is_none_is_undecided)
{
	bl_autoreport struct bl_report report = { 0 };
	bl_autoobject struct bl_object o = { 0 };
	bl_autobuf struct bl_buf file = { 0 };

	put("good.btf", &btf);
	put_text("empty.btf", "");
	put_text("text.btf", "this is text");
	ck_assert_int_eq(fill(dir), 0);
	built_object("core-guarded", &file);
	ck_assert_int_eq(bl_object_open("x", file.data, file.len, &o, &err), 0);
	ck_assert_int_eq(bl_report_init(&report, "x", "object"), 0);
	ck_assert_int_eq(bl_core_check(&o, set.list, set.count, &report), 0);
	ck_assert_uint_eq(report.count, 3);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_UNDECIDED);
	ck_assert_str_eq(report.findings[0].kernel, "empty");
	ck_assert_int_eq(report.findings[1].verdict, BL_VERDICT_PASS);
	ck_assert_int_eq(report.findings[2].verdict, BL_VERDICT_UNDECIDED);
	ck_assert_ptr_nonnull(
		strstr(report.findings[2].message, "there is no BTF in it"));
}
END_TEST

START_TEST(what_is_not_there_is_an_error)
{
	bl_autofree char *path = bl_path("%s/none", dir);

	ck_assert_int_eq(fill(path), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	put_text("README", "x");
	ck_assert_int_eq(fill(dir), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "no file with BTF in it"));
	ck_assert_uint_eq(set.count, 0);
}
END_TEST

START_TEST(a_kernel_of_the_catalogue_keeps_its_btf)
{
	bl_autofree char *elf_path = bl_path("%s/vmlinux", dir);
	bl_autofree char *kept = bl_path("%s/vmlinux.btf", dir);
	struct bl_kernel with = { .release = (char *)"6.1.0",
				  .dir = dir,
				  .image = elf_path,
				  .btf = true };
	struct bl_kernel without = { .release = (char *)"6.1.0",
				     .dir = dir,
				     .image = elf_path };
	const struct bl_kernel *list[] = { &with };
	struct bl_btf_want want = { .kernels = list, .kernel_count = 1 };
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_kernel_btf(&without, &b, &err), -ENOENT);
	put("vmlinux", &elf);
	ck_assert_int_eq(bl_btf_set_fill(&want, &set, &err), 0);
	ck_assert_uint_eq(set.count, 1);
	assert_loads(0);
	ck_assert_int_eq(access(kept, R_OK), 0);
	ck_assert_int_eq(unlink(elf_path), 0);
	assert_loads(0);
}
END_TEST

START_TEST(damaged_files_are_survived)
{
	size_t at, len, i;

	for (i = 0; i < elf.len; i++)
		if (bl_kbtf_find(elf.data, i, &at, &len))
			ck_assert_uint_le(at + len, i);
	srand(1);
	for (i = 0; i < elf.len; i++) {
		char old = elf.data[i];

		elf.data[i] = (char)rand();
		if (bl_kbtf_find(elf.data, elf.len, &at, &len)) {
			ck_assert_uint_le(len, elf.len);
			ck_assert_uint_le(at, elf.len - len);
		}
		elf.data[i] = old;
	}
	ck_assert(bl_kbtf_find(elf.data, elf.len, &at, &len));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-btf-set");
	TCase *t = tcase_create("set");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_folder_gives_its_kernels_by_release);
	tcase_add_test(t, compressed_files_and_archives_are_read);
	tcase_add_test(t, a_file_that_is_none_is_undecided);
	tcase_add_test(t, what_is_not_there_is_an_error);
	tcase_add_test(t, a_kernel_of_the_catalogue_keeps_its_btf);
	tcase_add_test(t, damaged_files_are_survived);
	suite_add_tcase(s, t);
	return s;
}
