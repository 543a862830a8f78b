/* SPDX-License-Identifier: Apache-2.0 */
/* What every store promises (store.h) of many keys at once, on every store that
 * there is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/store/store.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"
#include "tests/support/store_pair.h"

START_TEST(who_only_compares_hears_whether_all_of_it_holds)
{
	struct bl_store_compare c[] = { { "a", 0 }, { "b", 0 } };
	int64_t before, after, untouched = -1;

	ck_assert_int_eq(pair_put(pair.s, "a", 0, "1"), 0);
	c[0].revision = pair_revision_of("a", "1");
	ck_assert_int_eq(bl_store_revision(pair.s, &before, NULL), 0);
	ck_assert_int_eq(bl_store_txn_at(pair.s, c, 2, NULL, 0, &untouched,
					 &pair.err),
			 0);
	ck_assert_int_eq(pair_put(pair.other, "b", 0, "2"), 0);
	ck_assert_int_eq(bl_store_txn_at(pair.s, c, 2, NULL, 0, &untouched,
					 &pair.err),
			 -EAGAIN);
	ck_assert_int_eq(untouched, -1);
	ck_assert_int_eq(
		pair_put(pair.other, "b", pair_revision_of("b", "2"), NULL), 0);
	ck_assert_int_eq(bl_store_txn(pair.s, c, 2, NULL, 0, &pair.err), 0);
	/* It was no transaction of its own. */
	ck_assert_int_eq(bl_store_revision(pair.s, &after, NULL), 0);
	ck_assert_int_eq(after, before + 2);
}
END_TEST

START_TEST(many_are_read_as_one_by_one)
{
	static char large[100000]; /* in pieces, where there are pieces */
	static const char *keys[BL_STORE_MANY_MAX] = { "b", "none", "large",
						       "a", "c" };
	struct bl_store_item items[BL_STORE_MANY_MAX];
	char names[BL_STORE_MANY_MAX][16];
	struct bl_store_put p = { "large", large, sizeof(large) };
	unsigned i;

	memset(large, 'x', sizeof(large));
	ck_assert_int_eq(pair_put(pair.s, "a", 0, "1"), 0);
	ck_assert_int_eq(pair_put(pair.s, "b", 0, ""), 0);
	ck_assert_int_eq(bl_store_txn(pair.s, NULL, 0, &p, 1, &pair.err), 0);
	for (i = 5; i < BL_STORE_MANY_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "none/%u", i);
		keys[i] = names[i];
	}
	ck_assert_int_eq(bl_store_get_many(pair.s, keys, BL_STORE_MANY_MAX,
					   items, &pair.err),
			 0);
	for (i = 0; i < BL_STORE_MANY_MAX; i++) {
		struct bl_store_item one = { 0 };
		int r = bl_store_get(pair.s, keys[i], &one, NULL);

		ck_assert_int_eq(r, i < 4 && i != 1 ? 0 : -ENOENT);
		ck_assert_int_eq(items[i].revision, one.revision);
		ck_assert_uint_eq(items[i].value.len, one.value.len);
		if (!r)
			ck_assert_mem_eq(bl_buf_str(&items[i].value),
					 bl_buf_str(&one.value), one.value.len);
		bl_store_item_free(&items[i]);
		bl_store_item_free(&one);
	}
	ck_assert_int_eq(bl_store_get_many(pair.s, keys, 0, items, &pair.err),
			 0);
}
END_TEST

START_TEST(takes_as_many_at_once_as_it_says)
{
	struct bl_store_compare c[BL_STORE_TXN_MAX];
	struct bl_store_put p[BL_STORE_TXN_MAX];
	char keys[BL_STORE_TXN_MAX][16], value[60000];
	bl_autostore_list struct bl_store_list list = { 0 };
	size_t i;

	memset(value, 'v', sizeof(value));
	for (i = 0; i < BL_STORE_TXN_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k/%zu", i);
		c[i] = (struct bl_store_compare){ keys[i], 0 };
		p[i] = (struct bl_store_put){ keys[i], value, sizeof(value) };
	}
	ck_assert_msg(bl_store_txn(pair.s, c, BL_STORE_TXN_MAX, p,
				   BL_STORE_TXN_MAX, &pair.err) == 0,
		      "%s", pair.err.text);
	ck_assert_int_eq(bl_store_list(pair.s, "k/", &list, &pair.err), 0);
	ck_assert_uint_eq(list.count, BL_STORE_TXN_MAX);
}
END_TEST

START_TEST(takes_many_small_ones_at_once)
{
	struct bl_store_compare c[BL_STORE_MANY_MAX];
	struct bl_store_put p[BL_STORE_MANY_MAX];
	char keys[BL_STORE_MANY_MAX][16], value[4000];
	bl_autostore_list struct bl_store_list list = { 0 };
	int64_t revision = 0;
	size_t i;

	memset(value, 'v', sizeof(value));
	for (i = 0; i < BL_STORE_MANY_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k/%zu", i);
		c[i] = (struct bl_store_compare){ keys[i], 0 };
		p[i] = (struct bl_store_put){ keys[i], value, sizeof(value) };
	}
	ck_assert_msg(bl_store_txn_at(pair.s, c, BL_STORE_MANY_MAX, p,
				      BL_STORE_MANY_MAX, &revision,
				      &pair.err) == 0,
		      "%s", pair.err.text);
	ck_assert_int_eq(bl_store_list(pair.other, "k/", &list, &pair.err), 0);
	ck_assert_uint_eq(list.count, BL_STORE_MANY_MAX);
	/* What it said is what it takes to write them again. */
	for (i = 0; i < BL_STORE_MANY_MAX; i++) {
		ck_assert_int_eq(list.items[i].revision, revision);
		c[i].revision = revision;
	}
	ck_assert_int_eq(bl_store_txn(pair.s, c, BL_STORE_MANY_MAX, p,
				      BL_STORE_MANY_MAX, &pair.err),
			 0);
	ck_assert_int_eq(bl_store_txn(pair.s, c, BL_STORE_MANY_MAX, p,
				      BL_STORE_MANY_MAX, &pair.err),
			 -EAGAIN);
}
END_TEST

START_TEST(refuses_more_bytes_than_a_transaction_takes)
{
	struct bl_store_put p[BL_STORE_TXN_MAX + 1];
	char keys[BL_STORE_TXN_MAX + 1][16];
	static char value[BL_STORE_MANY_BYTES / BL_STORE_TXN_MAX];
	bl_autostore_list struct bl_store_list list = { 0 };
	size_t i;

	memset(value, 'v', sizeof(value));
	for (i = 0; i < BL_STORE_TXN_MAX + 1; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k/%zu", i);
		p[i] = (struct bl_store_put){ keys[i], value, sizeof(value) };
	}
	ck_assert_int_eq(bl_store_txn(pair.s, NULL, 0, p, BL_STORE_TXN_MAX + 1,
				      &pair.err),
			 -EFBIG);
	ck_assert_int_eq(bl_store_list(pair.other, "k/", &list, &pair.err), 0);
	ck_assert_uint_eq(list.count, 0);
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_test(t, who_only_compares_hears_whether_all_of_it_holds);
	tcase_add_test(t, many_are_read_as_one_by_one);
	tcase_add_test(t, takes_as_many_at_once_as_it_says);
	tcase_add_test(t, takes_many_small_ones_at_once);
	tcase_add_test(t, refuses_more_bytes_than_a_transaction_takes);
}

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("store_many");
	TCase *sqlite = tcase_create("sqlite");
	TCase *on_etcd = tcase_create("etcd");

	store_pair_fixtures(sqlite, on_etcd);
	add_all(sqlite);
	suite_add_tcase(suite, sqlite);
	add_all(on_etcd);
	suite_add_tcase(suite, on_etcd);
	return suite;
}
