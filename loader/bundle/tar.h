/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What archives of bundles and of OCI layouts have in common: handles of
 * libarchive that are released where their scope ends, and members whose bytes
 * depend on name and data alone.
 *
 *	BL_CLEANUP(bl_tar_free_writer) struct archive *w = archive_write_new();
 *	r = archive_write_open(w, &buf, NULL, bl_tar_to_buf, NULL);
 *	r = bl_tar_write(w, "index.json", data, len);
 */
#ifndef BL_BUNDLE_TAR_H
#define BL_BUNDLE_TAR_H

#include <archive.h>
#include <archive_entry.h>

#define BL_TAR_MODE 0644 /* of every member */

static inline void bl_tar_free_reader(struct archive **a)
{
	archive_read_free(*a);
}

static inline void bl_tar_free_writer(struct archive **a)
{
	archive_write_free(*a);
}

static inline void bl_tar_free_entry(struct archive_entry **e)
{
	archive_entry_free(*e);
}

/* An archive_write_callback: @ctx is a struct bl_buf. */
la_ssize_t bl_tar_to_buf(struct archive *a, void *ctx, const void *data,
			 size_t len);

/* A regular file of time 0. ARCHIVE_OK, or ARCHIVE_FATAL. */
int bl_tar_write(struct archive *a, const char *name, const void *data,
		 size_t len);

#endif
