/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles that many hosts fetch at once: read once, whole for everybody. */
#include <errno.h>
#include <string.h>

#include "canary/controller/blobs.h"
#include "loader/base/cleanup.h"
#include "tests/main.h"

/* A store that has every blob, of which each is its own key; or none. */
static struct {
	struct bl_store head;
	unsigned reads;
	int fails;
} fake;

static int fake_get(struct bl_store *s, const char *key,
		    struct bl_store_item *ret, struct bl_err *err)
{
	(void)s;
	fake.reads++;
	if (fake.fails)
		return bl_err_set(err, fake.fails, "no");
	*ret = (struct bl_store_item){ .revision = 1, .key = strdup(key) };
	return bl_buf_add(&ret->value, key, strlen(key));
}

static const struct bl_store_ops ops = { .get = fake_get };
static struct bl_blobs all;
static struct bl_err err;
static char digests[3][BL_DIGEST_HEX];

static void set_up(void)
{
	size_t i;

	fake.head.ops = &ops;
	for (i = 0; i < BL_ARRAY_SIZE(digests); i++)
		memset(digests[i], 'a' + (int)i, BL_DIGEST_HEX - 1);
}

static void tear_down(void)
{
	bl_blobs_free(&all);
}

static struct bl_blob *get(unsigned i)
{
	struct bl_blob *b = NULL;

	ck_assert_msg(!bl_blobs_get(&all, &fake.head, digests[i], &b, &err),
		      "%s", err.text);
	ck_assert_str_eq(b->data.data + strlen("blob/"), digests[i]);
	return b;
}

START_TEST(it_is_read_once_for_everybody)
{
	struct bl_blob *a = get(0), *b = get(0);

	ck_assert_ptr_eq(a, b);
	bl_blob_put(a);
	bl_blob_put(b);
	bl_blob_put(get(0));
	ck_assert_uint_eq(fake.reads, 1);
	/* What is asked for between is kept beside it. */
	bl_blob_put(get(1));
	bl_blob_put(get(0));
	bl_blob_put(get(1));
	ck_assert_uint_eq(fake.reads, 2);
}
END_TEST

START_TEST(who_fetches_keeps_it_when_others_take_its_place)
{
	struct bl_blob *slow = get(0);

	bl_blob_put(get(1));
	bl_blob_put(get(2));
	ck_assert_str_eq(slow->data.data + strlen("blob/"), digests[0]);
	/* The one asked for longest ago made room. */
	bl_blob_put(get(1));
	ck_assert_uint_eq(fake.reads, 3);
	bl_blob_put(get(0));
	ck_assert_uint_eq(fake.reads, 4);
	bl_blobs_free(&all);
	ck_assert_str_eq(slow->data.data + strlen("blob/"), digests[0]);
	bl_blob_put(slow);
}
END_TEST

START_TEST(what_is_not_there_is_asked_for_again)
{
	struct bl_blob *b = NULL;

	fake.fails = _i ? -EHOSTUNREACH : -ENOENT;
	ck_assert_int_eq(bl_blobs_get(&all, &fake.head, digests[0], &b, &err),
			 fake.fails);
	ck_assert_ptr_null(b);
	fake.fails = 0;
	bl_blob_put(get(0));
	ck_assert_uint_eq(fake.reads, 2);
}
END_TEST

START_TEST(what_is_no_digest_is_not_looked_up)
{
	struct bl_blob *b = NULL;

	ck_assert_int_eq(bl_blobs_get(&all, &fake.head, "aaaa", &b, &err),
			 -ENOENT);
	ck_assert_str_eq(err.text, "there is no bundle aaaa here");
	ck_assert_uint_eq(fake.reads, 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("blobs");
	TCase *t = tcase_create("blobs");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, it_is_read_once_for_everybody);
	tcase_add_test(t, who_fetches_keeps_it_when_others_take_its_place);
	tcase_add_loop_test(t, what_is_not_there_is_asked_for_again, 0, 2);
	tcase_add_test(t, what_is_no_digest_is_not_looked_up);
	suite_add_tcase(s, t);
	return s;
}
