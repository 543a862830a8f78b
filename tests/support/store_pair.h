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

#endif
