/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values larger than what etcd takes in one request, as chunks under keys of
 * their own: FOLDER/NAME/000000 and on. NAME is drawn, so that two who write
 * the same value at once do not mix. Only store_etcd.c calls this; when chunks
 * begin and end to count is said there.
 */
#ifndef BL_CANARY_ETCD_CHUNKS_H
#define BL_CANARY_ETCD_CHUNKS_H

#include "canary/store/etcd_client.h"

#define BL_ETCD_CHUNK_BYTES (1024u * 1024)
#define BL_ETCD_CHUNK_NAME  17
#define BL_ETCD_KEY_MAX	    1024

struct bl_etcd_chunked {
	char name[BL_ETCD_CHUNK_NAME];
	unsigned long chunks;
	unsigned long long size; /* bytes in all */
};

/* The first key behind all that begin with @prefix, which ends in a byte that
 * has a successor. */
void bl_etcd_end(const char *prefix, char ret[static BL_ETCD_KEY_MAX]);

/* The key of chunk @n; @folder ends in a slash. */
void bl_etcd_chunk_key(const char *folder, const char *name, unsigned long n,
		       char ret[static BL_ETCD_KEY_MAX]);

/* Writes @data (at least a byte) in chunks. */
int bl_etcd_chunks_write(struct bl_etcd_client *client, const char *folder,
			 const void *data, size_t len,
			 struct bl_etcd_chunked *ret, struct bl_err *err);

/* Reads them as they were at @revision, into *ret, which is empty. -EBADMSG:
 * they are not what @c says. -ESTALE: as bl_etcd_failure_read. */
int bl_etcd_chunks_read(struct bl_etcd_client *client, const char *folder,
			const struct bl_etcd_chunked *c, int64_t revision,
			struct bl_buf *ret, struct bl_err *err);

#endif
