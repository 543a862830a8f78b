/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/hostile.h"

#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define BLOCK 512

/* ustar, POSIX.1-1988 */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12];
	char sum[8], type, link[100], magic[6], version[2];
	char uname[32], gname[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

/* @digits octal digits and a space, as libarchive writes them. */
static void octal(char *field, int digits, uint64_t value)
{
	field[digits] = ' ';
	while (digits--) {
		field[digits] = (char)('0' + (value & 7));
		value >>= 3;
	}
}

void hostile_tar_add(struct bl_buf *tar, const struct hostile_entry *e)
{
	static const char zeros[BLOCK];
	struct header h = { 0 };
	unsigned sum = 0;
	size_t i;

	memcpy(h.name, e->name, strnlen(e->name, sizeof(h.name)));
	if (e->link)
		memcpy(h.link, e->link, strnlen(e->link, sizeof(h.link)));
	octal(h.mode, 6, e->mode ? e->mode : 0644);
	octal(h.uid, 6, e->uid);
	octal(h.gid, 6, 0);
	octal(h.size, 11, e->claim ? e->claim : e->len);
	octal(h.mtime, 11, e->mtime);
	h.type = e->type ? e->type : '0';
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	octal(h.major, 6, 0);
	octal(h.minor, 6, 0);
	memset(h.sum, ' ', sizeof(h.sum));
	for (i = 0; i < sizeof(h); i++)
		sum += ((const unsigned char *)&h)[i];
	octal(h.sum, 6, sum);
	h.sum[6] = '\0'; /* digits, NUL, space */
	h.sum[7] = ' ';
	ck_assert_int_eq(bl_buf_add(tar, &h, sizeof(h)), 0);
	ck_assert_int_eq(bl_buf_add(tar, e->data, e->len), 0);
	if (e->len % BLOCK)
		ck_assert_int_eq(bl_buf_add(tar, zeros, BLOCK - e->len % BLOCK),
				 0);
}

void hostile_tar_end(struct bl_buf *tar)
{
	static const char zeros[2 * BLOCK];

	ck_assert_int_eq(bl_buf_add(tar, zeros, sizeof(zeros)), 0);
}

static la_ssize_t to_buf(struct archive *a, void *ctx, const void *data,
			 size_t len)
{
	(void)a;
	ck_assert_int_eq(bl_buf_add(ctx, data, len), 0);
	return (la_ssize_t)len;
}

/* @data, or @len zeros if it is NULL. */
static void squeeze(const void *data, size_t len, struct bl_buf *out)
{
	static const char zeros[64 * 1024];
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	ck_assert_int_eq(archive_write_add_filter_zstd(a), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_set_format_raw(a), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_set_bytes_in_last_block(a, 1), 0);
	ck_assert_int_eq(archive_write_open(a, out, NULL, to_buf, NULL), 0);
	archive_entry_set_filetype(e, AE_IFREG);
	ck_assert_int_eq(archive_write_header(a, e), ARCHIVE_OK);
	while (len) {
		size_t take = !data && len > sizeof(zeros) ? sizeof(zeros)
							   : len;

		ck_assert_int_gt(
			archive_write_data(a, data ? data : zeros, take), 0);
		len -= take;
	}
	ck_assert_int_eq(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(e);
	archive_write_free(a);
}

void hostile_zstd(const void *data, size_t len, struct bl_buf *out)
{
	squeeze(data ? data : "", len, out);
}

void hostile_bomb(size_t len, struct bl_buf *out)
{
	squeeze(NULL, len, out);
}

static void write_file(const char *dir, const char *name, const void *data,
		       size_t len)
{
	bl_autofree char *path = bl_path("%s/%s", dir, name);

	ck_assert_ptr_nonnull(path);
	ck_assert_int_eq(bl_file_write(path, data, len, 0644, NULL), 0);
}

void hostile_write_inputs(const char *dir)
{
	static const char manifest[] =
		"{\"name\": \"probe\", \"version\": \"1.0\",\n"
		" \"object\": \"sensor.bpf.o\", \"content\": \"content.json\",\n"
		" \"trial\": {\"probation_ms\": 250}}\n";
	static const char content[] =
		"{\"contract\": 1, \"default\": {\"exec\": \"emit\"},\n"
		" \"rules\": [{\"id\": \"shadow\", \"event\": \"open\",\n"
		"  \"path\": \"/etc/shadow\", \"action\": \"emit\"}]}\n";
	unsigned char object[3000];
	size_t i;

	/* Not compressible to nothing, not a multiple of a block. */
	for (i = 0; i < sizeof(object); i++)
		object[i] = (unsigned char)(i * i >> 3 ^ i);
	write_file(dir, "manifest.json", manifest, sizeof(manifest) - 1);
	write_file(dir, "content.json", content, sizeof(content) - 1);
	write_file(dir, "sensor.bpf.o", object, sizeof(object));
}
