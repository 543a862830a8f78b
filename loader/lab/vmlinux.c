/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/vmlinux.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define IMAGE_MAX  (256u * 1024 * 1024)
#define CONFIG_MAX (4u * 1024 * 1024)

/* Offsets of the setup header, Documentation/arch/x86/boot.rst. */
enum {
	SETUP_SECTS = 0x1f1,
	MAGIC = 0x202,
	VERSION = 0x206,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
	HEADER_END = 0x250,
};

static uint32_t le32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static bool find_payload(const unsigned char *d, size_t len, size_t *ret_at,
			 size_t *ret_len)
{
	size_t at, n;

	if (len < HEADER_END || memcmp(d + MAGIC, "HdrS", 4) != 0 ||
	    d[VERSION + 1] < 2 || (d[VERSION + 1] == 2 && d[VERSION] < 8))
		return false;
	at = ((size_t)(d[SETUP_SECTS] ? d[SETUP_SECTS] : 4) + 1) * 512 +
	     le32(d + PAYLOAD_OFFSET);
	n = le32(d + PAYLOAD_LENGTH);
	/* The last four bytes are the unpacked size, not the stream's. */
	if (n < 5 || at > len || n > len - at)
		return false;
	*ret_at = at;
	*ret_len = n - 4;
	return true;
}

static bool unpack(struct archive *a, const unsigned char *d, size_t len,
		   struct bl_buf *out)
{
	struct archive_entry *entry;
	la_ssize_t n;

	archive_read_support_filter_all(a);
	archive_read_support_format_raw(a);
	if (archive_read_open_memory(a, d, len) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return false;
	do {
		if (bl_buf_reserve(out, 1024 * 1024) < 0)
			return false;
		n = archive_read_data(a, out->data + out->len, 1024 * 1024);
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0 && out->len <= BL_VMLINUX_MAX);
	return n == 0 && out->len > 4 && memcmp(out->data, "\177ELF", 4) == 0;
}

int bl_vmlinux_extract(const void *data, size_t len, struct bl_buf *ret,
		       struct bl_err *err)
{
	bl_autobuf struct bl_buf out = { 0 };
	struct archive *a;
	size_t at, n;
	bool ok;

	if (!find_payload(data, len, &at, &n))
		return bl_err_set(err, -EBADMSG, "this is no bzImage");
	a = archive_read_new();
	if (!a)
		return bl_err_set(err, -ENOMEM, "out of memory");
	ok = unpack(a, (const unsigned char *)data + at, n, &out);
	archive_read_free(a);
	if (!ok)
		return bl_err_set(err, -EBADMSG,
				  "the kernel inside cannot be unpacked");
	bl_buf_free(ret);
	*ret = out;
	out = (struct bl_buf){ 0 };
	return 0;
}

/* Whether the kernel has the entry that QEMU needs to start it unpacked. */
static bool has_pvh(const struct bl_kernel *k)
{
	bl_autofree char *path = bl_path("%s/config", k->dir);
	bl_autobuf struct bl_buf config = { 0 };

	return path && bl_file_read(path, CONFIG_MAX, &config, NULL) == 0 &&
	       strstr(bl_buf_str(&config), "\nCONFIG_PVH=y\n");
}

char *bl_vmlinux_path(const struct bl_kernel *k)
{
	bl_autofree char *path = bl_path("%s/vmlinux", k->dir);
	bl_autobuf struct bl_buf image = { 0 };
	bl_autobuf struct bl_buf elf = { 0 };

	if (path && access(path, R_OK) == 0)
		return BL_TAKE(path);
	if (path && has_pvh(k) &&
	    bl_file_read(k->image, IMAGE_MAX, &image, NULL) == 0 &&
	    bl_vmlinux_extract(image.data, image.len, &elf, NULL) == 0 &&
	    bl_file_write(path, elf.data, elf.len, 0644, NULL) == 0)
		return BL_TAKE(path);
	return strdup(k->image);
}
