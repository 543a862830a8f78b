/* SPDX-License-Identifier: Apache-2.0 */
/* Which stores can be named, and what is refused. What a store promises is in
 * tests/sim/test_store_conformance.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "canary/store/store.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"

static struct bl_err err;

START_TEST(other_files_are_refused_and_left_alone)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *path = bl_path("%s/x", dir);
	bl_autofree char *bad = bl_path("sqlite:%s", path);
	bl_autobuf struct bl_buf b = { 0 };
	struct bl_store *x = NULL;

	ck_assert_int_eq(bl_file_write(path, "hello, world\n", 13, 0600, NULL),
			 0);
	ck_assert_int_eq(bl_store_open(bad, &x, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_int_eq(bl_file_read(path, 100, &b, NULL), 0);
	ck_assert_str_eq(bl_buf_str(&b), "hello, world\n");
	ck_assert_ptr_null(x);
	bl_file_rmtree(dir, NULL);
}
END_TEST

static const struct {
	const char *url;
	int r;
	const char *words;
} refused[] = {
	{ "", -EINVAL, "names no store" },
	{ "sqlite:", -EINVAL, "names no store" },
	{ "etcd:", -EINVAL, "names no store" },
	{ "redis:x", -EINVAL, "names no store" },
	{ "sqlite:/no/such/folder/x", -ENOENT, "/no/such/folder/x" },
	{ "etcd:127.0.0.1:2379", -EINVAL, "127.0.0.1:2379" },
	{ "etcd:http://127.0.0.1:2379,", -EINVAL, "is not the URL" },
	{ "etcd:http://127.0.0.1:2379/v3", -EINVAL, "is not the URL" },
	{ "etcd:http://10.1.2.3:2379", -EPERM, "plain HTTP to 10.1.2.3" },
	{ "etcd:http://127.0.0.1:1#", -EINVAL, "is no prefix" },
	{ "etcd:http://127.0.0.1:1#a/", -EINVAL, "is no prefix" },
	{ "etcd:http://127.0.0.1:1#a b", -EINVAL, "is no prefix" },
	/* Nobody listens on port 1. */
	{ "etcd:http://127.0.0.1:1", -EHOSTUNREACH, "http://127.0.0.1:1" },
};

START_TEST(store_that_cannot_be_is_said_in_words)
{
	struct bl_store *x = NULL;

	ck_assert_int_eq(bl_store_open(refused[_i].url, &x, &err),
			 refused[_i].r);
	ck_assert_msg(strstr(err.text, refused[_i].words), "%s", err.text);
	ck_assert_ptr_null(x);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *t = tcase_create("names");

	tcase_add_test(t, other_files_are_refused_and_left_alone);
	tcase_add_loop_test(t, store_that_cannot_be_is_said_in_words, 0,
			    (int)BL_ARRAY_SIZE(refused));
	suite_add_tcase(suite, t);
	return suite;
}
