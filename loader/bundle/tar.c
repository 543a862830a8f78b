/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/tar.h"

#include <errno.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"

la_ssize_t bl_tar_to_buf(struct archive *a, void *ctx, const void *data,
			 size_t len)
{
	if (bl_buf_add(ctx, data, len) < 0) {
		archive_set_error(a, ENOMEM, "out of memory");
		return -1;
	}
	return (la_ssize_t)len;
}

int bl_tar_write(struct archive *a, const char *name, const void *data,
		 size_t len)
{
	BL_CLEANUP(bl_tar_free_entry)
	struct archive_entry *e = archive_entry_new();
	la_ssize_t n;

	if (!e)
		return ARCHIVE_FATAL;
	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, BL_TAR_MODE);
	archive_entry_set_size(e, (la_int64_t)len);
	archive_entry_set_mtime(e, 0, 0);
	if (archive_write_header(a, e) != ARCHIVE_OK)
		return ARCHIVE_FATAL;
	n = archive_write_data(a, data, len);
	return n == (la_ssize_t)len ? ARCHIVE_OK : ARCHIVE_FATAL;
}
