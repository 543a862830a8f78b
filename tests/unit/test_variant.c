/* SPDX-License-Identifier: Apache-2.0 */
/* What is given to the hosts of a comparison: made of what was built, and
 * damaged the same way every time. */
#include <errno.h>
#include <string.h>

#include "canary/compare/variant.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "tests/main.h"

static struct bl_err err;
static char *root;

static void set_up(void)
{
	err = (struct bl_err){ 0 };
	root = bl_test_tmpdir();
}

static void tear_down(void)
{
	bl_file_rmtree(root, NULL);
	free(root);
}

/* Copies the file @from to @to below the root. */
static void put(const char *from, const char *to)
{
	bl_autofree char *path = bl_path("%s/%s", root, to);
	bl_autofree char *dir = strdup(path);
	bl_autobuf struct bl_buf data = { 0 };

	*strrchr(dir, '/') = '\0';
	ck_assert_int_eq(bl_file_read(from, BL_OBJECT_MAX, &data, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(dir, 0755, NULL), 0);
	ck_assert_int_eq(bl_file_write(path, data.data, data.len, 0644, NULL),
			 0);
}

static int make(enum bl_fault_inject inject, struct bl_variant *ret)
{
	bl_autofree char *work = bl_path("%s/work", root);
	const struct bl_variant_spec spec = { .dir = root,
					      .work = work,
					      .release = "6.1.0",
					      .way = BL_COMPARE_C,
					      .version = "2-x",
					      .variant = "x",
					      .inject = inject };

	return bl_variant_make(&spec, ret, &err);
}

static void build(void)
{
	put(BL_TEST_BUILD_DIR "/bpf/sensor.bpf.o", "ebpf/x.bpf.o");
	put(BL_TEST_SOURCE_DIR "/bpf/content.json", "content/sensor.json");
}

START_TEST(a_version_is_a_bundle_that_a_host_takes)
{
	BL_CLEANUP(bl_variant_free) struct bl_variant v = { 0 };
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };

	build();
	ck_assert_msg(make(BL_INJECT_BUNDLE, &v) == 0, "%s", err.text);
	ck_assert_int_eq(bl_bundle_open(v.path, &b, &err), 0);
	ck_assert_str_eq(b.digest, v.digest);
	ck_assert_str_eq(b.manifest.version, "2-x");
	/* Tighter than what holds when a manifest says nothing. */
	ck_assert_uint_lt(b.manifest.trial.max_ns_per_event,
			  BL_EXERCISE_MAX_NS_PER_EVENT);
	ck_assert_uint_lt(b.manifest.trial.max_memory_bytes,
			  BL_EXERCISE_MAX_MEMORY_BYTES);
}
END_TEST

START_TEST(a_damaged_one_is_none)
{
	static const enum bl_fault_inject hows[] = { BL_INJECT_TRUNCATED,
						     BL_INJECT_FLIPPED };

	build();
	for (size_t i = 0; i < BL_ARRAY_SIZE(hows); i++) {
		BL_CLEANUP(bl_variant_free) struct bl_variant v = { 0 };
		BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };

		ck_assert_int_eq(make(hows[i], &v), 0);
		ck_assert_int_eq(bl_bundle_open(v.path, &b, NULL), -EBADMSG);
	}
}
END_TEST

START_TEST(what_was_not_built_is_named)
{
	BL_CLEANUP(bl_variant_free) struct bl_variant v = { 0 };

	ck_assert_int_eq(make(BL_INJECT_BUNDLE, &v), -ENOENT);
	ck_assert_msg(strstr(err.text, "version 2-x") != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, "ebpf/x.bpf.o") != NULL, "%s", err.text);
	ck_assert_ptr_nonnull(strstr(err.hint, "compare-all"));
}
END_TEST

START_TEST(one_bit_of_the_code_is_another)
{
	bl_autobuf struct bl_buf was = { 0 }, is = { 0 };
	unsigned bits = 0;

	ck_assert_int_eq(bl_file_read(BL_TEST_BUILD_DIR "/bpf/sensor.bpf.o",
				      BL_OBJECT_MAX, &was, NULL),
			 0);
	ck_assert_int_eq(bl_buf_add(&is, was.data, was.len), 0);
	bl_variant_damage(&is, BL_INJECT_FLIPPED);
	ck_assert_uint_eq(is.len, was.len);
	for (size_t i = 0; i < was.len; i++)
		bits += (unsigned)__builtin_popcount(
			(unsigned char)(was.data[i] ^ is.data[i]));
	ck_assert_uint_eq(bits, 1);
	/* Headers are whole: it still looks like what it was. */
	ck_assert_int_eq(memcmp(was.data, is.data, 64), 0);
	bl_variant_damage(&is, BL_INJECT_FLIPPED);
	ck_assert_int_eq(memcmp(was.data, is.data, was.len), 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("variant");
	TCase *c = tcase_create("versions");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_version_is_a_bundle_that_a_host_takes);
	tcase_add_test(c, a_damaged_one_is_none);
	tcase_add_test(c, what_was_not_built_is_named);
	tcase_add_test(c, one_bit_of_the_code_is_another);
	suite_add_tcase(s, c);
	return s;
}
