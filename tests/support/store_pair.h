/* SPDX-License-Identifier: Apache-2.0 */
/* Two handles of one store, in SQLite and in an etcd of one member, for tests of
 * what every store promises. */
#ifndef BL_TESTS_STORE_PAIR_H
#define BL_TESTS_STORE_PAIR_H

#include <check.h>

#include "canary/store/store.h"
#include "tests/support/etcd.h"

struct store_pair {
	struct etcd etcd;
	char *dir, *url;
	struct bl_store *s, *other;
	struct bl_err err;
};
extern struct store_pair pair;

/* Each test of the one has a file of its own, of the other a prefix. Without an
 * etcd all of it is skipped. */
void store_pair_fixtures(TCase *sqlite, TCase *on_etcd);

/* One handle more. */
int store_pair_open(struct bl_store **ret);

/* Writes one key if it is of @revision (0: not there); NULL removes it. */
int pair_put_bytes(struct bl_store *store, const char *key, int64_t revision,
		   const void *data, size_t len);
int pair_put(struct bl_store *store, const char *key, int64_t revision,
	     const char *value);

/* As pair.other has it, with its value asserted; 0: it is not there. */
int64_t pair_revision_of(const char *key, const char *value);

#endif
