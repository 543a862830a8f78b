/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/store_pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"

/* A machine may be slow; that is not what is tested here. */
#define TIMEOUT_MS 600000

struct store_pair pair;

int store_pair_open(struct bl_store **ret)
{
	const struct bl_store_etcd_opts opts = { .timeout_ms = TIMEOUT_MS,
						 .page = 3 };

	if (strncmp(pair.url, "etcd:", 5) == 0)
		return bl_store_etcd_open(pair.url + 5, &opts, ret, &pair.err);
	return bl_store_open(pair.url, ret, &pair.err);
}

static void open_both(void)
{
	ck_assert_msg(store_pair_open(&pair.s) == 0, "%s", pair.err.text);
	ck_assert_msg(store_pair_open(&pair.other) == 0, "%s", pair.err.text);
}

static void set_up_sqlite(void)
{
	pair.dir = bl_test_tmpdir();
	pair.url = bl_path("sqlite:%s/s.db", pair.dir);
	open_both();
}

static void tear_down_sqlite(void)
{
	bl_store_close(pair.s);
	bl_store_close(pair.other);
	bl_file_rmtree(pair.dir, NULL);
	free(pair.dir);
	free(pair.url);
}

static void start_etcd(void)
{
	etcd_start(&pair.etcd, 1);
}

static void stop_etcd(void)
{
	etcd_stop(&pair.etcd);
}

/* Every test has a prefix of its own: the process is forked for it. */
static void set_up_etcd(void)
{
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "test/%d", (int)getpid());
	pair.url = etcd_url(&pair.etcd, prefix);
	open_both();
}

static void tear_down_etcd(void)
{
	bl_store_close(pair.s);
	bl_store_close(pair.other);
	free(pair.url);
}

void store_pair_fixtures(TCase *sqlite, TCase *on_etcd)
{
	etcd_need();
	tcase_add_checked_fixture(sqlite, set_up_sqlite, tear_down_sqlite);
	tcase_add_unchecked_fixture(on_etcd, start_etcd, stop_etcd);
	tcase_add_checked_fixture(on_etcd, set_up_etcd, tear_down_etcd);
}

int pair_put_bytes(struct bl_store *store, const char *key, int64_t revision,
		   const void *data, size_t len)
{
	struct bl_store_compare c = { key, revision };
	struct bl_store_put p = { key, data, len };

	return bl_store_txn(store, &c, 1, &p, 1, &pair.err);
}

int pair_put(struct bl_store *store, const char *key, int64_t revision,
	     const char *value)
{
	return pair_put_bytes(store, key, revision, value,
			      value ? strlen(value) : 0);
}

int64_t pair_revision_of(const char *key, const char *value)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	int r = bl_store_get(pair.other, key, &item, &pair.err);

	if (r == -ENOENT)
		return 0;
	ck_assert_msg(r == 0, "%s", pair.err.text);
	ck_assert_str_eq(item.key, key);
	ck_assert_str_eq(bl_buf_str(&item.value), value);
	return item.revision;
}
