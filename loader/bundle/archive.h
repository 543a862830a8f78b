/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive of a bundle: a few named byte strings in one reproducible file,
 * ustar under zstd. It knows nothing of what the members mean.
 *
 * Packing is a function of names and bytes alone: no time, owner, host or
 * folder gets in. Unpacking takes a stranger's bytes and holds every limit
 * before it allocates: it decompresses into memory up to
 * BL_BUNDLE_UNPACKED_MAX, then accepts exactly what packing would have
 * written: plain files with valid names, mode 0644, owner 0, time 0, two zero
 * blocks at the end and nothing else. So there is no path, link, device,
 * sparse file, extended header or hidden byte to have an opinion about.
 */
#ifndef BL_BUNDLE_ARCHIVE_H
#define BL_BUNDLE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_MEMBER_MANIFEST    "manifest.json"
#define BL_MEMBER_CONTENT_BIN "content.bin"
#define BL_MEMBER_DIGESTS     "digests.json"
#define BL_MEMBER_NAME_MAX    99 /* what a ustar header holds */

#define BL_ARCHIVE_MEMBERS_MAX 20 /* 16 modules and what goes with them */

struct bl_member {
	char name[BL_MEMBER_NAME_MAX + 1];
	struct bl_buf data;
};

struct bl_archive {
	struct bl_member members[BL_ARCHIVE_MEMBERS_MAX];
	size_t count;
};

#define bl_autoarchive __attribute__((cleanup(bl_archive_free)))
void bl_archive_free(struct bl_archive *a);

/* Appends a copy of the bytes as member @name (a valid name). -ENOMEM, -E2BIG
 * when the archive is full. */
int bl_archive_add(struct bl_archive *a, const char *name, const void *data,
		   size_t len);

/* The member of that name; NULL if there is none. Borrowed. */
const struct bl_member *bl_archive_find(const struct bl_archive *a,
					const char *name);

/* Writes the file's bytes into *ret (empty before). -EIO, -ENOMEM, -EFBIG. */
int bl_archive_pack(const struct bl_archive *a, struct bl_buf *ret,
		    struct bl_err *err);

/* Whether the bytes begin like a zstd file. */
bool bl_archive_is(const void *data, size_t len);

/*
 * Reads a file's bytes. @name is for messages. -EBADMSG when it is damaged or
 * holds anything but plain members with different names; -EFBIG when it passes
 * a limit. *ret is whole or untouched.
 */
int bl_archive_unpack(const char *name, const void *data, size_t len,
		      struct bl_archive *ret, struct bl_err *err);

#endif
