/* SPDX-License-Identifier: Apache-2.0 */
/* What is inside of the etcd store: for store_etcd.c, which says what is kept
 * how, and etcd_txn.c only. */
#ifndef BL_CANARY_ETCD_OWN_H
#define BL_CANARY_ETCD_OWN_H

#include "canary/store/etcd_chunks.h"
#include "canary/store/etcd_client.h"
#include "canary/store/store.h"

#define BL_ETCD_PREFIX_MAX 64
#define BL_ETCD_TRIES	   8

struct bl_etcd_store {
	struct bl_store head;
	struct bl_etcd_client *client;
	char prefix[BL_ETCD_PREFIX_MAX + 1];
	unsigned page;
};

/* Its name in etcd. */
void bl_etcd_key_of(const struct bl_etcd_store *s, const char *key,
		    char ret[static BL_ETCD_KEY_MAX]);

/* Where all chunks of @key are. */
int bl_etcd_folder_of(const struct bl_etcd_store *s, const char *key,
		      char ret[static BL_ETCD_KEY_MAX], struct bl_err *err);

/* Wraps what a call that ends with @r said; the errno that the store gives. */
int bl_etcd_store_fail(const struct bl_etcd_store *s, int r,
		       struct bl_err *err);

/* bl_store_ops.txn */
int bl_etcd_store_txn(struct bl_store *head,
		      const struct bl_store_compare *compares,
		      size_t compare_count, const struct bl_store_put *puts,
		      size_t put_count, int64_t *ret_revision,
		      struct bl_err *err);

#endif
