/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles on their way to many hosts at once: one copy in memory for all of
 * them, read from the store once. A digest is always the same bytes, so what is
 * kept can be neither old nor wrong, and a controller that forgot it reads it
 * again. One that the store has dropped since may still be given.
 *
 *	r = bl_blobs_get(&blobs, store, digest, &blob, err);
 *	…blob->data until…
 *	bl_blob_put(blob);
 *
 * bl_blobs_* are for one thread at a time, bl_blob_put for any.
 */
#ifndef BL_CANARY_BLOBS_H
#define BL_CANARY_BLOBS_H

#include <stdatomic.h>

#include "canary/store/store.h"
#include "loader/bundle/digest.h"

/* What is rolled out, and what it takes the place of. */
#define BL_BLOBS_KEPT 2

struct bl_blob {
	atomic_uint users;
	unsigned answers; /* under way: http_answer.c's, and its thread's */
	char digest[BL_DIGEST_HEX];
	struct bl_buf data;
};

/* Zero-initialise. */
struct bl_blobs {
	struct bl_blob *kept[BL_BLOBS_KEPT]; /* asked for last first */
};

/* -ENOENT: there is none in the store, or of the store. */
int bl_blobs_get(struct bl_blobs *all, struct bl_store *store,
		 const char *digest, struct bl_blob **ret, struct bl_err *err);
void bl_blobs_free(struct bl_blobs *all);

/* NULL is fine. */
void bl_blob_put(struct bl_blob *blob);

#endif
