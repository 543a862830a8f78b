/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/archive.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/tar.h"

#define CHUNK (64u * 1024)

/* Bundles are built once and read by every host: some time for some bytes. */
#define ZSTD_LEVEL "9"

void bl_archive_free(struct bl_archive *a)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		bl_buf_free(&a->members[i].data);
	*a = (struct bl_archive){ 0 };
}

int bl_archive_add(struct bl_archive *a, const char *name, const void *data,
		   size_t len)
{
	struct bl_member *m = &a->members[a->count];
	int r;

	if (a->count == BL_ARCHIVE_MEMBERS_MAX)
		return -E2BIG;
	r = bl_buf_add(&m->data, data, len);
	if (r < 0)
		return r;
	snprintf(m->name, sizeof(m->name), "%s", name);
	a->count++;
	return 0;
}

const struct bl_member *bl_archive_find(const struct bl_archive *a,
					const char *name)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (strcmp(a->members[i].name, name) == 0)
			return &a->members[i];
	return NULL;
}

bool bl_archive_is(const void *data, size_t len)
{
	static const unsigned char magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

	return len >= sizeof(magic) && memcmp(data, magic, sizeof(magic)) == 0;
}

/* Packing. */

static int write_all(const struct bl_archive *a, bool compress,
		     archive_write_callback *write, void *ctx,
		     struct bl_err *err)
{
	BL_CLEANUP(bl_tar_free_writer) struct archive *w = archive_write_new();
	size_t i;
	int r = 0;

	if (!w)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (compress)
		r = archive_write_add_filter_zstd(w);
	if (!r && compress)
		r = archive_write_set_filter_option(
			w, "zstd", "compression-level", ZSTD_LEVEL);
	if (!r)
		r = archive_write_set_format_ustar(w);
	if (!r)
		r = archive_write_set_bytes_in_last_block(w, 1);
	if (!r)
		r = archive_write_open(w, ctx, NULL, write, NULL);
	for (i = 0; !r && i < a->count; i++)
		r = bl_tar_write(w, a->members[i].name,
				 bl_buf_str(&a->members[i].data),
				 a->members[i].data.len);
	if (!r)
		r = archive_write_close(w);
	if (r)
		return bl_err_set(err, -EIO, "cannot pack the archive: %s",
				  archive_error_string(w));
	return 0;
}

int bl_archive_pack(const struct bl_archive *a, struct bl_buf *ret,
		    struct bl_err *err)
{
	bl_autobuf struct bl_buf out = { 0 };
	int r = write_all(a, true, bl_tar_to_buf, &out, err);

	if (r < 0)
		return r;
	if (out.len > BL_BUNDLE_MAX)
		return bl_err_set(
			err, -EFBIG,
			"the bundle is larger than the limit of %u bytes",
			BL_BUNDLE_MAX);
	*ret = out;
	out = (struct bl_buf){ 0 };
	return 0;
}

/* Unpacking, first half: bytes under zstd to bytes. */

static int fail_read(struct archive *a, const char *name, struct bl_err *err)
{
	const char *why = archive_error_string(a);

	if (archive_errno(a) == ENOMEM)
		return bl_err_set(err, -ENOMEM, "%s: out of memory", name);
	return bl_err_set(err, -EBADMSG, "%s is not an intact bundle: %s", name,
			  why ? why : "its archive is damaged");
}

static int read_all(struct archive *a, const char *name, struct bl_buf *out,
		    struct bl_err *err)
{
	for (;;) {
		la_ssize_t n;

		if (bl_buf_reserve(out, CHUNK) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
		n = archive_read_data(a, out->data + out->len, CHUNK);
		if (n < 0)
			return fail_read(a, name, err);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		if (out->len > BL_BUNDLE_UNPACKED_MAX)
			return bl_err_set(
				err, -EFBIG,
				"%s unpacks to more than the limit of %u bytes",
				name, BL_BUNDLE_UNPACKED_MAX);
	}
}

/*
 * The filter is named, not guessed: libarchive would otherwise undo as many
 * compressions as it finds, one inside the other.
 */
static int decompress(const char *name, const void *data, size_t len,
		      struct bl_buf *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_tar_free_reader) struct archive *a = archive_read_new();
	struct archive_entry *e;

	if (!a)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_append_filter(a, ARCHIVE_FILTER_ZSTD) != ARCHIVE_OK)
		return bl_err_set(err, -EIO, "cannot unpack %s: %s", name,
				  archive_error_string(a));
	if (archive_read_open_memory(a, data, len) != ARCHIVE_OK ||
	    archive_read_next_header(a, &e) != ARCHIVE_OK)
		return fail_read(a, name, err);
	return read_all(a, name, ret, err);
}

/* Unpacking, second half: members of the tar archive. */

static int check_entry(const char *name, struct archive_entry *e,
		       const struct bl_archive *seen, struct bl_err *err)
{
	const char *path = archive_entry_pathname(e);
	const char *wrong = NULL;

	if (!path || !bl_name_valid(path) || strlen(path) > BL_MEMBER_NAME_MAX)
		return bl_err_set(
			err, -EBADMSG,
			"%s: member '%.200s': a member has a plain name, never a path",
			name, path ? path : "");
	if (archive_entry_hardlink(e) || archive_entry_symlink(e))
		wrong = "is a link";
	else if (archive_entry_filetype(e) != AE_IFREG)
		wrong = "is not a regular file";
	else if (!archive_entry_size_is_set(e) || archive_entry_size(e) < 0)
		wrong = "has no size";
	else if (archive_entry_perm(e) != BL_TAR_MODE ||
		 archive_entry_uid(e) != 0 || archive_entry_gid(e) != 0 ||
		 archive_entry_mtime(e) != 0)
		wrong = "has a mode, owner or time of its own";
	else if (bl_archive_find(seen, path))
		wrong = "is there twice";
	else if (seen->count == BL_ARCHIVE_MEMBERS_MAX)
		wrong = "is one more than a bundle has";
	if (wrong)
		return bl_err_set(err, -EBADMSG, "%s: member '%s' %s", name,
				  path, wrong);
	return 0;
}

static int read_member(struct archive *a, const char *name,
		       struct archive_entry *e, size_t limit,
		       struct bl_archive *into, struct bl_err *err)
{
	const char *path = archive_entry_pathname(e);
	la_int64_t size = archive_entry_size(e);
	bl_autobuf struct bl_buf data = { 0 };
	size_t len;

	if ((uint64_t)size > limit)
		return bl_err_set(
			err, -EBADMSG,
			"%s: member '%s' claims %lld bytes, more than the archive holds",
			name, path, (long long)size);
	len = (size_t)size;
	if (bl_buf_reserve(&data, len) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (archive_read_data(a, data.data, len) != (la_ssize_t)len)
		return fail_read(a, name, err);
	data.data[len] = '\0';
	data.len = len;
	snprintf(into->members[into->count].name, BL_MEMBER_NAME_MAX + 1, "%s",
		 path);
	into->members[into->count++].data = data;
	data = (struct bl_buf){ 0 };
	return 0;
}

/* What was unpacked, and how much of it was found again. */
struct same {
	const struct bl_buf *tar;
	size_t len;
};

static la_ssize_t write_to_same(struct archive *a, void *ctx, const void *data,
				size_t len)
{
	struct same *s = ctx;

	if (len > s->tar->len - s->len ||
	    memcmp(s->tar->data + s->len, data, len) != 0) {
		archive_set_error(a, EILSEQ, "other bytes");
		return -1;
	}
	s->len += len;
	return (la_ssize_t)len;
}

/*
 * The members, packed again, must give the same bytes. So nothing hides in an
 * extended header, a sparse map, unused fields, padding or behind the end.
 */
static int check_canonical(const char *name, const struct bl_buf *tar,
			   const struct bl_archive *a, struct bl_err *err)
{
	struct same same = { .tar = tar };
	int r = write_all(a, false, write_to_same, &same, err);

	if (r == -ENOMEM)
		return r;
	if (r || same.len != tar->len)
		return bl_err_set(
			err, -EBADMSG,
			"%s: its archive holds bytes that belong to no member",
			name);
	return 0;
}

static int read_tar(const char *name, const struct bl_buf *tar,
		    struct bl_archive *out, struct bl_err *err)
{
	BL_CLEANUP(bl_tar_free_reader) struct archive *a = archive_read_new();
	struct archive_entry *e;
	int r;

	if (!a)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, bl_buf_str(tar), tar->len) !=
		    ARCHIVE_OK)
		return fail_read(a, name, err);
	while ((r = archive_read_next_header(a, &e)) != ARCHIVE_EOF) {
		if (r != ARCHIVE_OK)
			return fail_read(a, name, err);
		r = check_entry(name, e, out, err);
		if (!r)
			r = read_member(a, name, e, tar->len, out, err);
		if (r < 0)
			return r;
	}
	return check_canonical(name, tar, out, err);
}

int bl_archive_unpack(const char *name, const void *data, size_t len,
		      struct bl_archive *ret, struct bl_err *err)
{
	bl_autoarchive struct bl_archive out = { 0 };
	bl_autobuf struct bl_buf tar = { 0 };
	int r;

	if (len > BL_BUNDLE_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s is larger than the limit of %u bytes",
				  name, BL_BUNDLE_MAX);
	if (!bl_archive_is(data, len)) {
		bl_err_set(
			err, -EBADMSG,
			"%s is not a bundle: it does not begin like a zstd file",
			name);
		bl_err_hint(err, "'belay bundle build' makes one");
		return -EBADMSG;
	}
	r = decompress(name, data, len, &tar, err);
	if (!r)
		r = read_tar(name, &tar, &out, err);
	if (r < 0)
		return r;
	*ret = out;
	out = (struct bl_archive){ 0 };
	return 0;
}
