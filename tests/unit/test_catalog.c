/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue: which kernel a person means, and what is wrong with one. */
#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/catalog.h"
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

static void put(const char *release, const char *file, const char *text)
{
	bl_autofree char *dir = bl_path("%s/%s", root, release);
	bl_autofree char *path = bl_path("%s/%s", dir, file);

	ck_assert_int_eq(bl_file_mkdirs(dir, 0755, NULL), 0);
	ck_assert_int_eq(bl_file_write(path, text, strlen(text), 0644, NULL),
			 0);
}

static void put_entry(const char *release, const char *extra)
{
	bl_autofree char *text =
		bl_path("{\"release\": \"%s\", \"suite\": \"test\", "
			"\"package\": \"linux-image-x\", \"version\": \"1-1\", "
			"\"btf\": true, \"modules\": true%s}",
			release, extra);

	put(release, "kernel.json", text);
}

static void put_kernel(const char *release)
{
	put(release, "vmlinuz", "image");
	put_entry(release, "");
}

static struct bl_catalog load(void)
{
	struct bl_catalog c = { 0 };

	ck_assert_msg(bl_catalog_load_from(root, &c, &err) == 0, "%s",
		      err.text);
	return c;
}

static const struct {
	const char *release, *spec;
	bool matches;
} specs[] = {
	{ "6.1.0-56-cloud-amd64", "6.1", true },
	{ "6.1.0-56-cloud-amd64", "6", true },
	{ "6.1.0-56-cloud-amd64", "6.1.0-56", true },
	{ "6.1.0-56-cloud-amd64", "6.1.0-56-cloud-amd64", true },
	{ "6.12.95+deb12-cloud-amd64", "6.12.95", true },
	{ "6.12.95+deb12-cloud-amd64", "6.1", false },
	{ "6.12.95+deb12-cloud-amd64", "6.12.9", false },
	{ "6.1.0-56-cloud-amd64", "6.1.", false },
	{ "6.1.0-56-cloud-amd64", "", false },
	{ "6.1.0-56-cloud-amd64", "6.1.0-5", false },
	{ "6.1.0-56-cloud-amd64", "1.0", false },
	{ "6.1.0-56-cloud-amd64", "6.1.0-56-cloud-amd64-x", false },
};

START_TEST(spec_means_whole_components)
{
	ck_assert_msg(bl_release_matches(specs[_i].release, specs[_i].spec) ==
			      specs[_i].matches,
		      "%s of %s", specs[_i].spec, specs[_i].release);
}
END_TEST

START_TEST(releases_sort_by_number)
{
	static const char *const order[] = {
		"5.10.0-9-cloud-amd64",	    "5.10.0-46-cloud-amd64",
		"6.1.0-9-cloud-amd64",	    "6.1.0-56-cloud-amd64",
		"6.12.9+deb12-cloud-amd64", "6.12.95+deb12-cloud-amd64",
		"7.3.4+deb13-cloud-amd64",  "7.10.1+deb13-cloud-amd64",
		"10.0.1+deb14-cloud-amd64",
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(order); i++)
		for (size_t j = 0; j < BL_ARRAY_SIZE(order); j++) {
			int c = bl_release_compare(order[i], order[j]);

			ck_assert_int_eq((c > 0) - (c < 0), (i > j) - (i < j));
		}
}
END_TEST

START_TEST(loads_oldest_first_with_what_there_is)
{
	struct bl_catalog c;

	put_kernel("6.12.95+deb12-cloud-amd64");
	put_kernel("5.10.0-46-cloud-amd64");
	put("6.1.0-56-cloud-amd64", "vmlinuz", "image");
	put("6.1.0-56-cloud-amd64/modules", "modules.dep", "");
	put("6.1.0-56-cloud-amd64/headers/x", "Makefile", "");
	put_entry("6.1.0-56-cloud-amd64", ", \"headers\": \"headers/x\"");
	put(".work.123", "kernel.json", "being written");
	c = load();
	ck_assert_uint_eq(c.count, 3);
	ck_assert_str_eq(c.kernels[0].release, "5.10.0-46-cloud-amd64");
	ck_assert(c.kernels[0].ready);
	ck_assert(!c.kernels[0].modules);
	ck_assert_ptr_null(c.kernels[0].modules_dir);
	ck_assert_str_eq(c.kernels[1].release, "6.1.0-56-cloud-amd64");
	ck_assert(c.kernels[1].modules);
	ck_assert_ptr_nonnull(strstr(c.kernels[1].headers_dir, "/headers/x"));
	ck_assert_str_eq(c.kernels[1].package, "linux-image-x (= 1-1)");
	ck_assert_str_eq(c.kernels[2].release, "6.12.95+deb12-cloud-amd64");
	bl_catalog_free(&c);
}
END_TEST

START_TEST(says_why_a_kernel_is_not_ready)
{
	static const struct {
		const char *extra, *why;
	} broken[] = {
		{ ", \"color\": 1", "color" },
		{ ", \"headers\": \"/usr/src\"", "headers" },
		{ ", \"headers\": \"../../x\"", "headers" },
		{ "", "image" }, /* no vmlinuz */
	};
	struct bl_catalog c;

	if (broken[_i].extra[0])
		put("6.1.0-56", "vmlinuz", "image");
	put_entry("6.1.0-56", broken[_i].extra);
	c = load();
	ck_assert_uint_eq(c.count, 1);
	ck_assert(!c.kernels[0].ready);
	ck_assert_msg(strstr(c.kernels[0].why, broken[_i].why), "%s",
		      c.kernels[0].why);
	bl_catalog_free(&c);
}
END_TEST

START_TEST(empty_catalogue_says_how_to_fill_it)
{
	struct bl_catalog c = { 0 };

	ck_assert_int_eq(bl_catalog_load_from(root, &c, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.hint, "scripts/kernels"));
	ck_assert_int_eq(bl_catalog_load_from("/nonexistent", &c, &err),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.hint, "scripts/kernels"));
}
END_TEST

START_TEST(selects_each_once_in_order_and_names_the_known)
{
	const char *const both[] = { "6", "5.10", "6.1" };
	const char *const all[] = { "all" };
	const char *const wrong[] = { "6.1", "6.2" };
	const struct bl_kernel **list = NULL;
	struct bl_catalog c;
	size_t n = 0;

	put_kernel("5.10.0-46");
	put_kernel("6.1.0-56");
	put_kernel("6.12.95");
	put_entry("7.3.4", ""); /* not ready */
	c = load();
	ck_assert_int_eq(bl_catalog_select(&c, both, 3, &list, &n, &err), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(list[0]->release, "5.10.0-46");
	ck_assert_str_eq(list[2]->release, "6.12.95");
	free(list);
	/* "all" leaves out what cannot boot. */
	ck_assert_int_eq(bl_catalog_select(&c, all, 1, &list, &n, &err), 0);
	ck_assert_uint_eq(n, 3);
	free(list);
	ck_assert_int_eq(bl_catalog_select(&c, wrong, 2, &list, &n, &err),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "'6.2'"));
	ck_assert_ptr_nonnull(strstr(err.text, "6.12.95"));
	bl_catalog_free(&c);
}
END_TEST

START_TEST(all_of_none_that_is_ready_says_why)
{
	const char *const all[] = { "all" };
	const struct bl_kernel **list = NULL;
	struct bl_catalog c;
	size_t n = 0;

	put_entry("6.1.0-56", ""); /* without an image */
	c = load();
	ck_assert_int_eq(bl_catalog_select(&c, all, 1, &list, &n, &err),
			 -ENODEV);
	ck_assert_ptr_nonnull(strstr(err.text, "6.1.0-56: its image"));
	ck_assert_ptr_nonnull(strstr(err.hint, "scripts/kernels"));
	bl_catalog_free(&c);
}
END_TEST

START_TEST(picks_the_newest_that_is_ready)
{
	const struct bl_kernel *k = NULL;
	struct bl_catalog c;

	put_kernel("6.1.0-9");
	put_kernel("6.1.0-56");
	put_entry("6.1.0-57", ""); /* not ready */
	put_entry("7.3.4", "");	   /* not ready */
	c = load();
	ck_assert_int_eq(bl_catalog_pick(&c, "6.1", &k, &err), 0);
	ck_assert_str_eq(k->release, "6.1.0-56");
	ck_assert_int_eq(bl_catalog_pick(&c, "7", &k, &err), -ENODEV);
	ck_assert_ptr_nonnull(strstr(err.text, "7.3.4"));
	ck_assert_ptr_nonnull(strstr(err.text, "image"));
	bl_catalog_free(&c);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("catalog");
	TCase *t = tcase_create("catalog");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, spec_means_whole_components, 0,
			    (int)BL_ARRAY_SIZE(specs));
	tcase_add_test(t, releases_sort_by_number);
	tcase_add_test(t, loads_oldest_first_with_what_there_is);
	tcase_add_loop_test(t, says_why_a_kernel_is_not_ready, 0, 4);
	tcase_add_test(t, empty_catalogue_says_how_to_fill_it);
	tcase_add_test(t, selects_each_once_in_order_and_names_the_known);
	tcase_add_test(t, all_of_none_that_is_ready_says_why);
	tcase_add_test(t, picks_the_newest_that_is_ready);
	suite_add_tcase(s, t);
	return s;
}
