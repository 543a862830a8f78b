/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/kbtf.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/vmlinux.h"

#define FILE_MAX (512u * 1024 * 1024)
#define NAME	 ".BTF"

static bool inside(uint64_t at, uint64_t size, uint64_t len)
{
	return at <= len && size <= len - at;
}

/* Header number @i of the section table; false when it lies outside. */
static bool section(const unsigned char *elf, size_t len, const Elf64_Ehdr *h,
		    uint64_t i, Elf64_Shdr *ret)
{
	uint64_t at = h->e_shoff + i * sizeof(*ret);

	if (h->e_shoff > len || i > UINT32_MAX ||
	    !inside(at, sizeof(*ret), len))
		return false;
	memcpy(ret, elf + at, sizeof(*ret));
	return ret->sh_type == SHT_NOBITS ||
	       inside(ret->sh_offset, ret->sh_size, len);
}

bool bl_kbtf_find(const void *elf, size_t len, size_t *ret_at, size_t *ret_len)
{
	const unsigned char *data = elf;
	Elf64_Shdr names, s;
	Elf64_Ehdr h;
	uint64_t i;

	if (len < sizeof(h) || memcmp(data, ELFMAG, SELFMAG) != 0)
		return false;
	memcpy(&h, data, sizeof(h));
	if (h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_shentsize != sizeof(Elf64_Shdr) ||
	    !section(data, len, &h, h.e_shstrndx, &names) ||
	    names.sh_type != SHT_STRTAB)
		return false;
	for (i = 1; i < h.e_shnum; i++) {
		if (!section(data, len, &h, i, &s) || s.sh_type == SHT_NOBITS ||
		    !inside(s.sh_name, sizeof(NAME), names.sh_size) ||
		    memcmp(data + names.sh_offset + s.sh_name, NAME,
			   sizeof(NAME)) != 0)
			continue;
		*ret_at = s.sh_offset;
		*ret_len = s.sh_size;
		return s.sh_size > 0;
	}
	return false;
}

static bool is_btf(const struct bl_buf *b)
{
	return b->len > 2 && memcmp(b->data, "\x9f\xeb", 2) == 0;
}

/* BTF, or an ELF file with it. */
static int take_btf(const struct bl_buf *from, struct bl_buf *ret,
		    struct bl_err *err)
{
	size_t at = 0, len = from->len;

	if (!is_btf(from) && !bl_kbtf_find(from->data, from->len, &at, &len))
		return bl_err_set(err, -EBADMSG, "there is no BTF in it");
	if (len > BL_KBTF_MAX)
		return bl_err_set(err, -EFBIG,
				  "%zu bytes of BTF; the limit is %u", len,
				  BL_KBTF_MAX);
	if (bl_buf_add(ret, from->data + at, len) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* The first file of an archive, or the one compressed stream that it is. */
static bool unpack(struct archive *a, const struct bl_buf *from,
		   struct bl_buf *ret)
{
	struct archive_entry *entry;
	la_ssize_t n;

	archive_read_support_filter_all(a);
	archive_read_support_format_tar(a);
	archive_read_support_format_raw(a);
	if (archive_read_open_memory(a, from->data, from->len) != ARCHIVE_OK)
		return false;
	do {
		if (archive_read_next_header(a, &entry) != ARCHIVE_OK)
			return false;
	} while (archive_format(a) != ARCHIVE_FORMAT_RAW &&
		 archive_entry_filetype(entry) != AE_IFREG);
	do {
		if (bl_buf_reserve(ret, 1024 * 1024) < 0)
			return false;
		n = archive_read_data(a, ret->data + ret->len, 1024 * 1024);
		if (n > 0)
			ret->len += (size_t)n;
	} while (n > 0 && ret->len <= BL_VMLINUX_MAX);
	return n == 0;
}

static int read_packed(const struct bl_buf *file, struct bl_buf *ret,
		       struct bl_err *err)
{
	bl_autobuf struct bl_buf inner = { 0 };
	struct archive *a = archive_read_new();
	bool ok;

	if (!a)
		return bl_err_set(err, -ENOMEM, "out of memory");
	ok = unpack(a, file, &inner);
	archive_read_free(a);
	if (!ok)
		return bl_err_set(err, -EBADMSG, "there is no BTF in it");
	return take_btf(&inner, ret, err);
}

int bl_kbtf_read(const char *path, struct bl_buf *ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf file = { 0 };
	bl_autobuf struct bl_buf elf = { 0 };
	int r = bl_file_read(path, FILE_MAX, &file, err);

	if (r < 0)
		return r;
	if (is_btf(&file) ||
	    (file.len > SELFMAG && memcmp(file.data, ELFMAG, SELFMAG) == 0))
		r = take_btf(&file, ret, err);
	else if (bl_vmlinux_extract(file.data, file.len, &elf, NULL) == 0)
		r = take_btf(&elf, ret, err);
	else
		r = read_packed(&file, ret, err);
	return r < 0 ? bl_err_wrap(err, r, "%s", path) : 0;
}

int bl_kernel_btf(const struct bl_kernel *k, struct bl_buf *ret,
		  struct bl_err *err)
{
	bl_autofree char *kept = bl_path("%s/vmlinux.btf", k->dir);
	bl_autofree char *elf = bl_path("%s/vmlinux", k->dir);
	bl_autobuf struct bl_buf btf = { 0 };
	int r;

	if (!kept || !elf)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (access(kept, R_OK) == 0)
		return bl_file_read(kept, BL_KBTF_MAX, ret, err);
	if (!k->btf)
		return bl_err_set(err, -ENOENT, "this kernel has no BTF");
	r = bl_kbtf_read(access(elf, R_OK) == 0 ? elf : k->image, &btf, err);
	if (r < 0)
		return r;
	/* A cache that cannot be written is only slow. */
	(void)bl_file_write(kept, btf.data, btf.len, 0644, NULL);
	if (bl_buf_add(ret, btf.data, btf.len) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return 0;
}
