/* SPDX-License-Identifier: Apache-2.0 */
/* The store's promises, on files: compare-and-swap between two handles, all or
 * nothing, and what was written is there after the process was killed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/store.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"

static char *dir, *url;
static struct bl_store *s, *other;
static struct bl_err err;

static void set_up(void)
{
	dir = bl_test_tmpdir();
	url = bl_path("sqlite:%s/s.db", dir);
	ck_assert_int_eq(bl_store_open(url, &s, NULL), 0);
	ck_assert_int_eq(bl_store_open(url, &other, NULL), 0);
}

static void tear_down(void)
{
	bl_store_close(s);
	bl_store_close(other);
	s = other = NULL;
	bl_file_rmtree(dir, NULL);
	free(dir);
	free(url);
}

static int put(struct bl_store *store, const char *key, int64_t revision,
	       const char *value)
{
	struct bl_store_compare c = { key, revision };
	struct bl_store_put p = { key, value, value ? strlen(value) : 0 };

	return bl_store_txn(store, &c, 1, &p, 1, &err);
}

static int64_t revision_of(const char *key, const char *value)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	int r = bl_store_get(other, key, &item, &err);

	if (r == -ENOENT)
		return 0;
	ck_assert_int_eq(r, 0);
	ck_assert_str_eq(bl_buf_str(&item.value), value);
	return item.revision;
}

START_TEST(only_one_of_two_wins)
{
	int64_t first;

	ck_assert_int_eq(put(s, "k", 0, "a"), 0);
	first = revision_of("k", "a");
	ck_assert_int_eq(put(other, "k", 0, "b"), -EAGAIN);
	ck_assert_int_eq(put(other, "k", first, "b"), 0);
	ck_assert_int_eq(put(s, "k", first, "c"), -EAGAIN);
	ck_assert_int_gt(revision_of("k", "b"), first);
}
END_TEST

START_TEST(removed_key_does_not_come_back_with_its_revision)
{
	int64_t first;

	ck_assert_int_eq(put(s, "k", 0, "a"), 0);
	first = revision_of("k", "a");
	ck_assert_int_eq(put(s, "k", first, NULL), 0);
	ck_assert_int_eq(revision_of("k", ""), 0);
	ck_assert_int_eq(put(s, "k", 0, "a"), 0);
	ck_assert_int_ne(revision_of("k", "a"), first);
	ck_assert_int_eq(put(s, "k", first, "b"), -EAGAIN);
}
END_TEST

START_TEST(all_or_nothing)
{
	struct bl_store_compare c[] = { { "a", 0 }, { "b", 7 } };
	struct bl_store_put p[] = { { "a", "1", 1 }, { "b", "2", 1 } };
	int64_t before, after;

	ck_assert_int_eq(bl_store_revision(s, &before, NULL), 0);
	ck_assert_int_eq(bl_store_txn(s, c, 2, p, 2, &err), -EAGAIN);
	ck_assert_int_eq(revision_of("a", ""), 0);
	ck_assert_int_eq(bl_store_revision(s, &after, NULL), 0);
	ck_assert_int_eq(before, after);
	c[1].revision = 0;
	ck_assert_int_eq(bl_store_txn(s, c, 2, p, 2, &err), 0);
	ck_assert_int_eq(revision_of("a", "1"), revision_of("b", "2"));
}
END_TEST

START_TEST(lists_by_prefix_and_nothing_else)
{
	static const char *const keys[] = { "host/a",  "host/b", "host0",
					    "hosts/c", "host/",	 "rollout/r1",
					    "host" };
	bl_autostore_list struct bl_store_list list = { 0 };
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(keys); i++)
		ck_assert_int_eq(put(s, keys[i], 0, keys[i]), 0);
	ck_assert_int_eq(bl_store_list(other, "host/", &list, &err), 0);
	ck_assert_uint_eq(list.count, 3);
	ck_assert_str_eq(list.items[0].key, "host/");
	ck_assert_str_eq(list.items[1].key, "host/a");
	ck_assert_str_eq(bl_buf_str(&list.items[2].value), "host/b");
}
END_TEST

START_TEST(keeps_any_bytes)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	struct bl_store_put p = { "k", "a\0b\xff", 4 };

	ck_assert_int_eq(bl_store_txn(s, NULL, 0, &p, 1, &err), 0);
	ck_assert_int_eq(bl_store_get(s, "k", &item, &err), 0);
	ck_assert_uint_eq(item.value.len, 4);
	ck_assert_mem_eq(item.value.data, "a\0b\xff", 4);
}
END_TEST

/* A child counts up and says after each step how far it is; it is killed in
 * the middle of it. What it said is there, and at most one step more. */
START_TEST(what_was_said_survives_kill_9)
{
	int fds[2], said = 0, status;
	int64_t kept;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct bl_store *mine;
		char text[16];
		int i;

		if (bl_store_open(url, &mine, NULL) < 0)
			_exit(1);
		for (i = 1;; i++) {
			struct bl_store_put p[] = { { "a", text, 0 },
						    { "b", text, 0 } };

			snprintf(text, sizeof(text), "%d", i);
			p[0].len = p[1].len = strlen(text);
			if (bl_store_txn(mine, NULL, 0, p, 2, NULL) < 0 ||
			    write(fds[1], &i, sizeof(i)) < 0)
				_exit(1);
		}
	}
	while (said < 20 + _i * 3)
		ck_assert_int_eq(read(fds[0], &said, sizeof(said)),
				 sizeof(said));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ck_assert(WIFSIGNALED(status));
	close(fds[1]);
	while (read(fds[0], &said, sizeof(said)) == sizeof(said))
		;
	close(fds[0]);
	ck_assert_int_eq(bl_store_revision(s, &kept, NULL), 0);
	ck_assert_int_ge(kept, said);
	ck_assert_int_le(kept, said + 1);
}
END_TEST

START_TEST(other_files_are_refused_and_left_alone)
{
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
	ck_assert_int_eq(bl_store_open("etcd:x", &x, &err), -EINVAL);
	ck_assert_int_eq(bl_store_open("sqlite:/no/such/folder/x", &x, &err),
			 -ENOENT);
	ck_assert_ptr_null(x);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *t = tcase_create("sqlite");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, only_one_of_two_wins);
	tcase_add_test(t, removed_key_does_not_come_back_with_its_revision);
	tcase_add_test(t, all_or_nothing);
	tcase_add_test(t, lists_by_prefix_and_nothing_else);
	tcase_add_test(t, keeps_any_bytes);
	tcase_add_loop_test(t, what_was_said_survives_kill_9, 0, 5);
	tcase_add_test(t, other_files_are_refused_and_left_alone);
	suite_add_tcase(suite, t);
	return suite;
}
