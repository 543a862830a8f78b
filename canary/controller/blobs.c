/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/blobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/fleet.h"
#include "loader/base/cleanup.h"

void bl_blob_put(struct bl_blob *blob)
{
	if (!blob || atomic_fetch_sub(&blob->users, 1) > 1)
		return;
	bl_buf_free(&blob->data);
	free(blob);
}

static int read_blob(struct bl_store *store, const char *digest,
		     struct bl_blob **ret, struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	struct bl_blob *blob;
	int r = bl_fleet_get(store, &item, err, "blob/", digest);

	if (r < 0)
		return r;
	if (!item.revision)
		return bl_err_set(err, -ENOENT, "there is no bundle %s here",
				  digest);
	blob = calloc(1, sizeof(*blob));
	if (!blob)
		return bl_err_set(err, -ENOMEM, "out of memory");
	atomic_init(&blob->users, 1);
	memcpy(blob->digest, digest, BL_DIGEST_HEX);
	blob->data = item.value;
	item.value = (struct bl_buf){ 0 };
	*ret = blob;
	return 0;
}

int bl_blobs_get(struct bl_blobs *all, struct bl_store *store,
		 const char *digest, struct bl_blob **ret, struct bl_err *err)
{
	struct bl_blob *blob = NULL;
	size_t i;
	int r;

	if (!bl_digest_valid(digest))
		return bl_err_set(err, -ENOENT, "there is no bundle %s here",
				  digest);
	for (i = 0; i < BL_BLOBS_KEPT; i++)
		if (all->kept[i] && strcmp(all->kept[i]->digest, digest) == 0)
			break;
	if (i == BL_BLOBS_KEPT) {
		r = read_blob(store, digest, &blob, err);
		if (r < 0)
			return r;
		bl_blob_put(all->kept[--i]);
	} else {
		blob = all->kept[i];
	}
	memmove(&all->kept[1], &all->kept[0], i * sizeof(all->kept[0]));
	all->kept[0] = blob;
	atomic_fetch_add(&blob->users, 1);
	*ret = blob;
	return 0;
}

void bl_blobs_free(struct bl_blobs *all)
{
	size_t i;

	for (i = 0; i < BL_BLOBS_KEPT; i++)
		bl_blob_put(all->kept[i]);
	*all = (struct bl_blobs){ 0 };
}
