/* SPDX-License-Identifier: Apache-2.0 */
/* What every store promises (store.h), on every store that there is: SQLite in
 * a file, and etcd, as one member. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/store/store.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"
#include "tests/support/store_pair.h"

#define LARGE (5u << 20)

START_TEST(only_one_of_two_wins)
{
	int64_t first;

	ck_assert_int_eq(pair_put(pair.s, "k", 0, "a"), 0);
	first = pair_revision_of("k", "a");
	ck_assert_int_eq(pair_put(pair.other, "k", 0, "b"), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(pair.err.text, "somebody else"));
	ck_assert_int_eq(pair_put(pair.other, "k", first, "b"), 0);
	ck_assert_int_eq(pair_put(pair.s, "k", first, "c"), -EAGAIN);
	ck_assert_int_gt(pair_revision_of("k", "b"), first);
}
END_TEST

START_TEST(removed_key_does_not_come_back_with_its_revision)
{
	int64_t first;

	ck_assert_int_eq(pair_put(pair.s, "k", 0, "a"), 0);
	first = pair_revision_of("k", "a");
	ck_assert_int_eq(pair_put(pair.s, "k", first, NULL), 0);
	ck_assert_int_eq(pair_revision_of("k", ""), 0);
	ck_assert_int_eq(pair_put(pair.s, "k", 0, "a"), 0);
	ck_assert_int_gt(pair_revision_of("k", "a"), first);
	ck_assert_int_eq(pair_put(pair.s, "k", first, "b"), -EAGAIN);
}
END_TEST

START_TEST(all_or_nothing)
{
	struct bl_store_compare c[] = { { "a", 0 }, { "b", 7 } };
	struct bl_store_put p[] = { { "a", "1", 1 }, { "b", "2", 1 } };
	int64_t before, after;

	ck_assert_int_eq(bl_store_revision(pair.s, &before, NULL), 0);
	ck_assert_int_eq(bl_store_txn(pair.s, c, 2, p, 2, &pair.err), -EAGAIN);
	ck_assert_int_eq(pair_revision_of("a", ""), 0);
	ck_assert_int_eq(bl_store_revision(pair.s, &after, NULL), 0);
	ck_assert_int_eq(before, after);
	c[1].revision = 0;
	ck_assert_int_eq(bl_store_txn(pair.s, c, 2, p, 2, &pair.err), 0);
	ck_assert_int_eq(pair_revision_of("a", "1"),
			 pair_revision_of("b", "2"));
	ck_assert_int_eq(bl_store_revision(pair.s, &after, NULL), 0);
	ck_assert_int_eq(after, pair_revision_of("a", "1"));
	ck_assert_int_gt(after, before);
}
END_TEST

START_TEST(lists_what_changed_since_a_transaction)
{
	bl_autostore_list struct bl_store_list none = { 0 }, two = { 0 };
	struct bl_store_put p = { "host/c", "new", 3 };
	int64_t revision = 0, last = 0;
	size_t i;

	ck_assert_int_eq(pair_put(pair.s, "host/a", 0, "1"), 0);
	ck_assert_int_eq(pair_put(pair.s, "host/b", 0, "1"), 0);
	ck_assert_int_eq(bl_store_txn_at(pair.s, NULL, 0, &p, 1, &revision,
					 &pair.err),
			 0);
	ck_assert_int_eq(bl_store_changed(pair.other, "host/", revision, &none,
					  &pair.err),
			 0);
	ck_assert_uint_eq(none.count, 0);
	ck_assert_int_eq(pair_put(pair.s, "hosts", 0, "1"), 0);
	ck_assert_int_eq(pair_put(pair.s, "host/d", 0, "1"), 0);
	ck_assert_int_eq(pair_put(pair.s, "host/a",
				  pair_revision_of("host/a", "1"), "2"),
			 0);
	ck_assert_int_eq(bl_store_changed(pair.other, "host/", revision, &two,
					  &pair.err),
			 0);
	ck_assert_uint_eq(two.count, 2);
	ck_assert_str_eq(two.items[0].key, "host/a");
	ck_assert_str_eq(bl_buf_str(&two.items[0].value), "2");
	ck_assert_str_eq(two.items[1].key, "host/d");
	for (i = 0; i < two.count; i++) {
		ck_assert_int_gt(two.items[i].revision, revision);
		last = two.items[i].revision > last ? two.items[i].revision
						    : last;
	}
	bl_store_list_free(&two);
	ck_assert_int_eq(bl_store_changed(pair.other, "host/", last, &two,
					  &pair.err),
			 0);
	ck_assert_uint_eq(two.count, 0);
}
END_TEST

START_TEST(lists_by_prefix_and_nothing_else)
{
	static const char *const keys[] = { "host/a",  "host/b",     "host0",
					    "hosts/c", "host/",	     "host/c",
					    "host/b2", "rollout/r1", "host",
					    "host/a/b" };
	static const char *const sorted[] = { "host/",	"host/a",  "host/a/b",
					      "host/b", "host/b2", "host/c" };
	bl_autostore_list struct bl_store_list list = { 0 };
	bl_autostore_list struct bl_store_list none = { 0 };
	size_t i, count = 99;

	for (i = 0; i < BL_ARRAY_SIZE(keys); i++)
		ck_assert_int_eq(pair_put(pair.s, keys[i], 0, keys[i]), 0);
	ck_assert_int_eq(bl_store_list(pair.other, "host/", &list, &pair.err),
			 0);
	ck_assert_uint_eq(list.count, BL_ARRAY_SIZE(sorted));
	for (i = 0; i < list.count; i++) {
		ck_assert_str_eq(list.items[i].key, sorted[i]);
		ck_assert_str_eq(bl_buf_str(&list.items[i].value), sorted[i]);
		ck_assert_int_eq(list.items[i].revision,
				 pair_revision_of(sorted[i], sorted[i]));
	}
	ck_assert_int_eq(bl_store_count(pair.other, "host/", &count, &pair.err),
			 0);
	ck_assert_uint_eq(count, BL_ARRAY_SIZE(sorted));
	ck_assert_int_eq(bl_store_count(pair.other, "no/", &count, &pair.err),
			 0);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(bl_store_list(pair.other, "no/", &none, &pair.err), 0);
	ck_assert_uint_eq(none.count, 0);
}
END_TEST

START_TEST(keeps_any_bytes)
{
	bl_autostore_item struct bl_store_item item = { 0 }, empty = { 0 };

	ck_assert_int_eq(pair_put_bytes(pair.s, "k", 0, "a\0b\xff", 4), 0);
	ck_assert_int_eq(bl_store_get(pair.s, "k", &item, &pair.err), 0);
	ck_assert_uint_eq(item.value.len, 4);
	ck_assert_mem_eq(item.value.data, "a\0b\xff", 4);
	ck_assert_int_eq(pair_put_bytes(pair.s, "e", 0, "", 0), 0);
	ck_assert_int_eq(bl_store_get(pair.s, "e", &empty, &pair.err), 0);
	ck_assert_uint_eq(empty.value.len, 0);
}
END_TEST

static char *large(char first)
{
	char *data = malloc(LARGE);
	uint32_t random = 1;
	size_t i;

	ck_assert_ptr_nonnull(data);
	for (i = 0; i < LARGE; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = (char)(random >> 24);
	}
	data[0] = first;
	return data;
}

static void expect_large(const char *key, const char *data)
{
	bl_autostore_item struct bl_store_item item = { 0 };

	ck_assert_msg(bl_store_get(pair.other, key, &item, &pair.err) == 0,
		      "%s", pair.err.text);
	ck_assert_uint_eq(item.value.len, LARGE);
	ck_assert(memcmp(item.value.data, data, LARGE) == 0);
}

/* A bundle is larger than what etcd takes in one request. */
START_TEST(keeps_large_values)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	bl_autofree char *a = large('a');
	bl_autofree char *b = large('b');
	bl_autostore_item struct bl_store_item item = { 0 };

	ck_assert_msg(pair_put_bytes(pair.s, "blob/a", 0, a, LARGE) == 0, "%s",
		      pair.err.text);
	expect_large("blob/a", a);
	/* A loser's bytes change nothing. */
	ck_assert_int_eq(pair_put_bytes(pair.s, "blob/a", 0, b, LARGE),
			 -EAGAIN);
	expect_large("blob/a", a);
	ck_assert_int_eq(bl_store_get(pair.s, "blob/a", &item, &pair.err), 0);
	ck_assert_int_eq(
		pair_put_bytes(pair.s, "blob/a", item.revision, b, LARGE), 0);
	expect_large("blob/a", b);
	ck_assert_int_eq(pair_put_bytes(pair.s, "blob/b", 0, "small", 5), 0);
	ck_assert_int_eq(bl_store_list(pair.other, "blob/", &list, &pair.err),
			 0);
	ck_assert_uint_eq(list.count, 2);
	ck_assert_uint_eq(list.items[0].value.len, LARGE);
	ck_assert(memcmp(list.items[0].value.data, b, LARGE) == 0);
	ck_assert_str_eq(list.items[1].value.data, "small");
	ck_assert_int_eq(
		pair_put(pair.s, "blob/a", list.items[0].revision, NULL), 0);
	ck_assert_int_eq(pair_revision_of("blob/a", ""), 0);
}
END_TEST

/* Two write the same large value at once, again and again: one of them wins
 * each time, and what is there is always one of the two, whole. */
START_TEST(large_values_of_two_writers_do_not_mix)
{
	int64_t revision = 0;
	int i, status;
	pid_t pid = fork();
	bl_autofree char *mine = large(pid ? 'p' : 'c');
	struct bl_store *store = pair.s;

	if (pid == 0 && store_pair_open(&store) < 0)
		_exit(1);
	for (i = 0; i < 6; i++) {
		bl_autostore_item struct bl_store_item item = { 0 };
		int r = pair_put_bytes(store, "k", revision, mine, LARGE);

		if (r == 0 || r == -EAGAIN)
			r = bl_store_get(store, "k", &item, &pair.err);
		if (pid == 0 && r < 0)
			_exit(2);
		ck_assert_msg(r == 0, "%s", pair.err.text);
		ck_assert_uint_eq(item.value.len, LARGE);
		ck_assert(item.value.data[0] == 'p' ||
			  item.value.data[0] == 'c');
		ck_assert(memcmp(item.value.data + 1, mine + 1, LARGE - 1) ==
			  0);
		revision = item.revision;
	}
	if (pid == 0)
		_exit(0);
	waitpid(pid, &status, 0);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

/* A child counts up and says after each step how far it is; it is killed in
 * the middle of it. What it said is there, and at most one step more. */
START_TEST(what_was_said_survives_kill_9)
{
	bl_autostore_item struct bl_store_item a = { 0 }, b = { 0 };
	int fds[2], said = 0, status;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct bl_store *mine;
		char text[16];
		int i;

		if (store_pair_open(&mine) < 0)
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
	ck_assert_int_eq(bl_store_get(pair.s, "a", &a, NULL), 0);
	ck_assert_int_eq(bl_store_get(pair.s, "b", &b, NULL), 0);
	ck_assert_int_ge(strtol(a.value.data, NULL, 10), said);
	ck_assert_int_le(strtol(a.value.data, NULL, 10), said + 1);
	/* One transaction wrote both. The killed one may still come. */
	if (a.revision == b.revision)
		ck_assert_str_eq(a.value.data, b.value.data);
}
END_TEST

/* A child raises a number again and again, and so do we: none is lost. */
START_TEST(two_that_count_lose_nothing)
{
	enum { EACH = 40 };
	struct bl_store *store = pair.s;
	int i, r, status;
	pid_t pid = fork();

	if (pid == 0 && store_pair_open(&store) < 0)
		_exit(1);
	for (i = 0; i < EACH; i++) {
		do {
			bl_autostore_item struct bl_store_item item = { 0 };
			char text[32];

			r = bl_store_get(store, "n", &item, &pair.err);
			if (r < 0 && r != -ENOENT)
				break;
			snprintf(text, sizeof(text), "%ld",
				 strtol(bl_buf_str(&item.value), NULL, 10) + 1);
			r = pair_put(store, "n", item.revision, text);
		} while (r == -EAGAIN || r == -EBUSY);
		if (r < 0 && pid == 0)
			_exit(2);
		ck_assert_msg(r == 0, "%s", pair.err.text);
	}
	if (pid == 0)
		_exit(0);
	waitpid(pid, &status, 0);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_gt(pair_revision_of("n", "80"), 0);
}
END_TEST

/* The first key and the last are always written together. A list of several
 * pages sees them alike, while history is dropped all the time. */
START_TEST(list_is_one_reading)
{
	static const char *const keys[] = { "k/0", "k/1", "k/2", "k/3",
					    "k/4", "k/5", "k/6", "k/7" };
	size_t last = BL_ARRAY_SIZE(keys) - 1, i;
	int fds[2], status, lists, seen = 0;
	bool is_etcd = strncmp(pair.url, "etcd:", 5) == 0;
	char was[16] = "";
	pid_t pid;

	for (i = 0; i <= last; i++)
		ck_assert_int_eq(pair_put(pair.s, keys[i], 0, "0"), 0);
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct bl_store *mine;
		char text[16];
		int n;

		close(fds[0]);
		if (store_pair_open(&mine) < 0)
			_exit(1);
		for (n = 1;; n++) {
			struct bl_store_put p[] = { { keys[0], text, 0 },
						    { keys[last], text, 0 } };

			snprintf(text, sizeof(text), "%d", n);
			p[0].len = p[1].len = strlen(text);
			if (bl_store_txn(mine, NULL, 0, p, 2, NULL) < 0)
				_exit(2);
			if (is_etcd && n % 4 == 0)
				etcd_compact(&pair.etcd);
		}
	}
	/* Until it saw enough of them change. */
	for (lists = 0; seen < 30; lists++) {
		bl_autostore_list struct bl_store_list list = { 0 };
		int r = bl_store_list(pair.other, "k/", &list, &pair.err);

		ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
		if (r == -EAGAIN)
			continue; /* it was compacted faster than it is read */
		ck_assert_msg(r == 0, "%s", pair.err.text);
		ck_assert_uint_eq(list.count, BL_ARRAY_SIZE(keys));
		ck_assert_str_eq(list.items[0].value.data,
				 list.items[last].value.data);
		seen += strcmp(was, list.items[0].value.data) != 0;
		snprintf(was, sizeof(was), "%s", list.items[0].value.data);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ck_assert(WIFSIGNALED(status));
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_test(t, only_one_of_two_wins);
	tcase_add_test(t, removed_key_does_not_come_back_with_its_revision);
	tcase_add_test(t, all_or_nothing);
	tcase_add_test(t, lists_what_changed_since_a_transaction);
	tcase_add_test(t, lists_by_prefix_and_nothing_else);
	tcase_add_test(t, keeps_any_bytes);
	tcase_add_test(t, keeps_large_values);
	tcase_add_test(t, large_values_of_two_writers_do_not_mix);
	tcase_add_loop_test(t, what_was_said_survives_kill_9, 0, 3);
	tcase_add_test(t, two_that_count_lose_nothing);
	tcase_add_test(t, list_is_one_reading);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("store_conformance");
	TCase *sqlite = tcase_create("sqlite");
	TCase *on_etcd = tcase_create("etcd");

	store_pair_fixtures(sqlite, on_etcd);
	add_all(sqlite);
	suite_add_tcase(suite, sqlite);
	add_all(on_etcd);
	suite_add_tcase(suite, on_etcd);
	return suite;
}
