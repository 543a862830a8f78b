/* SPDX-License-Identifier: Apache-2.0 */
/* What is told from a kernel module's file, and what is none. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/object/modfile.h"
#include "tests/main.h"
#include "tests/support/built.h"
#include "tests/support/ko.h"

#define MAGIC "6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions "

static struct bl_modfile m;
static struct bl_err err;
static struct bl_buf file;

static void teardown(void)
{
	bl_buf_free(&file);
}

static int read_file(void)
{
	m = (struct bl_modfile){ .name = "untouched" };
	err = (struct bl_err){ 0 };
	return bl_modfile_read("a.ko", file.data, file.len, &m, &err);
}

static void make(const struct ko *ko)
{
	bl_buf_free(&file);
	ko_make(ko, &file);
}

START_TEST(a_module_says_its_kernel_and_its_build)
{
	make(&(struct ko){
		.vermagic = MAGIC, .build_bytes = 20, .build = 0xa7 });
	ck_assert_int_eq(read_file(), 0);
	ck_assert_str_eq(m.name, "belay_sensor");
	ck_assert_str_eq(m.release, "6.1.0-56-cloud-amd64");
	ck_assert_str_eq(m.vermagic, MAGIC);
	ck_assert_str_eq(m.build_id,
			 "a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7");
	ck_assert_str_eq(m.tag, "a7a7a7a7a7a7a7a7");
	ck_assert(!m.has_signature);
	ck_assert(bl_modfile_fits(&m, "6.1.0-56-cloud-amd64"));
	ck_assert(!bl_modfile_fits(&m, "6.1.0-5"));
	ck_assert(!bl_modfile_fits(&m, "6.1.0-56-cloud-amd64x"));
}
END_TEST

START_TEST(for_which_machine_it_is_and_whether_it_was_linked)
{
	make(&(struct ko){ .vermagic = MAGIC, .build_bytes = 20 });
	ck_assert_int_eq(read_file(), 0);
	ck_assert_uint_eq(m.machine, EM_X86_64);
	ck_assert(!m.linked);
	make(&(struct ko){
		.vermagic = MAGIC, .build_bytes = 20, .linked = true });
	ck_assert_int_eq(read_file(), 0);
	ck_assert(m.linked);
}
END_TEST

START_TEST(a_signature_behind_it_is_seen)
{
	make(&(struct ko){
		.vermagic = MAGIC, .build_bytes = 8, .has_signature = true });
	ck_assert_int_eq(read_file(), 0);
	ck_assert(m.has_signature);
	ck_assert_str_eq(m.tag, "0000000000000000");
}
END_TEST

static const struct {
	struct ko ko;
	const char *says;
} wrong[] = {
	{ { .build_bytes = 20 }, "does not say for which kernel" },
	{ { .vermagic = " SMP", .build_bytes = 20 }, "names no kernel" },
	{ { .vermagic = "6.1\n", .build_bytes = 20 },
	  "does not say for which kernel" },
	{ { .vermagic = MAGIC }, "has no build id" },
	{ { .vermagic = MAGIC, .build_bytes = 7 }, "build id cannot be read" },
	{ { .vermagic = MAGIC, .build_bytes = 65 }, "build id cannot be read" },
	{ { .name = "", .vermagic = MAGIC, .build_bytes = 20 }, "has no name" },
	{ { .name = "a_name_that_is_longer_than_the_kernel_would_ever_let_it_be",
	    .vermagic = MAGIC,
	    .build_bytes = 20 },
	  "has no name" },
};

START_TEST(what_is_missing_is_named)
{
	make(&wrong[_i].ko);
	ck_assert_int_eq(read_file(), -EBADMSG);
	ck_assert_msg(strstr(err.text, wrong[_i].says), "%s", err.text);
	ck_assert_str_eq(m.name, "untouched");
}
END_TEST

START_TEST(other_files_are_told_what_they_are)
{
	bl_buf_free(&file);
	built_object("abi", &file);
	ck_assert_int_eq(read_file(), -EBADMSG);
	ck_assert_str_eq(err.text,
			 "a.ko is no kernel module: it is a BPF object");
	bl_buf_free(&file);
	ck_assert_int_eq(read_file(), -EBADMSG);
	ck_assert_str_eq(err.text, "a.ko is no kernel module: not an ELF file");
	make(&(struct ko){ .vermagic = MAGIC, .build_bytes = 20 });
	((Elf64_Ehdr *)file.data)->e_type = ET_DYN;
	ck_assert_int_eq(read_file(), -EBADMSG);
	ck_assert_str_eq(
		err.text,
		"a.ko is no kernel module: it is linked to run by itself");
}
END_TEST

/* Wherever it is cut, and whatever byte is another. */
START_TEST(a_damaged_one_is_refused_or_still_one)
{
	bl_autobuf struct bl_buf whole = { 0 };

	make(&(struct ko){ .vermagic = MAGIC, .build_bytes = 20 });
	ck_assert_int_eq(bl_buf_add(&whole, file.data, file.len), 0);
	for (size_t len = 0; len < whole.len; len++) {
		/* Of exactly that size, so that a sanitizer sees one more. */
		bl_autofree char *cut = malloc(len + !len);

		ck_assert_ptr_nonnull(cut);
		memcpy(cut, whole.data, len);
		ck_assert_int_eq(bl_modfile_read("a.ko", cut, len, &m, &err),
				 -EBADMSG);
	}
	for (size_t i = 0; i < whole.len; i++) {
		memcpy(file.data, whole.data, whole.len);
		file.data[i] = (char)~file.data[i];
		if (!read_file())
			ck_assert_uint_gt(strlen(m.release), 0);
	}
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("modfile");
	TCase *t = tcase_create("read");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_module_says_its_kernel_and_its_build);
	tcase_add_test(t, a_signature_behind_it_is_seen);
	tcase_add_test(t, for_which_machine_it_is_and_whether_it_was_linked);
	tcase_add_loop_test(t, what_is_missing_is_named, 0,
			    (int)BL_ARRAY_SIZE(wrong));
	tcase_add_test(t, other_files_are_told_what_they_are);
	tcase_add_test(t, a_damaged_one_is_refused_or_still_one);
	suite_add_tcase(s, t);
	return s;
}
