/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF objects out of other people's files: bench_carve DIR FILE…
 *
 * A FILE that is an object is copied; out of any other the objects are cut that
 * lie in it as data, as the skeletons of bpftool do. What is written to DIR is
 * called after the file (NAME.bpf.o, NAME-2.bpf.o, …); bytes that were written
 * before are not written again. Prints what it wrote, a line each.
 *
 * The files are strangers': no offset in them is believed.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"

#define FILE_MAX    (256u << 20)
#define OBJECTS_MAX 4096

static struct {
	const char *dir;
	char seen[OBJECTS_MAX][BL_DIGEST_HEX];
	size_t count;
} out;

static int is_object(const Elf64_Ehdr *h)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 &&
	       h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_type == ET_REL &&
	       h->e_machine == EM_BPF && h->e_shentsize == sizeof(Elf64_Shdr) &&
	       h->e_shnum;
}

/* Bytes of the object at @p, of which @len are there; 0: not a whole one. */
static size_t extent(const char *p, size_t len)
{
	Elf64_Ehdr h;
	Elf64_Shdr s;
	size_t end, i;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, p, sizeof(h));
	if (!is_object(&h) || h.e_shoff > len ||
	    h.e_shnum * sizeof(s) > len - h.e_shoff)
		return 0;
	end = h.e_shoff + h.e_shnum * sizeof(s);
	for (i = 0; i < h.e_shnum; i++) {
		memcpy(&s, p + h.e_shoff + i * sizeof(s), sizeof(s));
		if (s.sh_type == SHT_NOBITS || s.sh_type == SHT_NULL)
			continue;
		if (s.sh_offset > len || s.sh_size > len - s.sh_offset)
			return 0;
		if (s.sh_offset + s.sh_size > end)
			end = s.sh_offset + s.sh_size;
	}
	return end;
}

/* "/usr/bin/tool" and "a/tool.bpf.o" are both called "tool". */
static char *name_of(const char *path)
{
	static const char *const tails[] = { ".o", ".bpf", ".elf", "-el",
					     "-libbpf" };
	const char *slash = strrchr(path, '/');
	char *name = strdup(slash ? slash + 1 : path);
	size_t i, len, tail;

	/* "libtool.so.0" is "libtool". */
	if (name && strstr(name, ".so") && strstr(name, ".so") != name)
		*strstr(name, ".so") = '\0';
	for (i = 0; name && i < BL_ARRAY_SIZE(tails); i++) {
		len = strlen(name);
		tail = strlen(tails[i]);
		if (len > tail && strcmp(name + len - tail, tails[i]) == 0)
			name[len - tail] = '\0';
	}
	return name;
}

/* 1 if this one is new, 0 if it is not. */
static int remember(const char *data, size_t len, struct bl_err *err)
{
	char hex[BL_DIGEST_HEX];
	int r = bl_digest(data, len, hex);
	size_t i;

	if (r < 0)
		return bl_err_errno(err, r, "digest");
	for (i = 0; i < out.count; i++)
		if (strcmp(out.seen[i], hex) == 0)
			return 0;
	if (out.count == OBJECTS_MAX)
		return bl_err_set(err, -E2BIG, "more than %d objects",
				  OBJECTS_MAX);
	memcpy(out.seen[out.count++], hex, sizeof(hex));
	return 1;
}

static int keep(const char *name, const char *data, size_t len,
		struct bl_err *err)
{
	bl_autofree char *path = NULL;
	unsigned n;
	int r = remember(data, len, err);

	if (r <= 0)
		return r;
	for (n = 1; n <= OBJECTS_MAX; n++) {
		free(path);
		path = n == 1 ? bl_path("%s/%s.bpf.o", out.dir, name)
			      : bl_path("%s/%s-%u.bpf.o", out.dir, name, n);
		if (!path)
			return bl_err_set(err, -ENOMEM, "out of memory");
		if (access(path, F_OK) < 0)
			break;
	}
	r = bl_file_write(path, data, len, 0644, err);
	if (r == 0)
		printf("%s\n", path);
	return r;
}

static int carve(const char *path, struct bl_err *err)
{
	bl_autofree char *name = name_of(path);
	bl_autobuf struct bl_buf b = { 0 };
	const char *at, *end;
	size_t len;
	int r;

	if (!name)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_file_read(path, FILE_MAX, &b, err);
	if (r < 0)
		return r;
	end = b.data + b.len;
	for (at = b.data; at && at < end; at += len ? len : 1) {
		at = memmem(at, (size_t)(end - at), ELFMAG, SELFMAG);
		if (!at)
			break;
		len = extent(at, (size_t)(end - at));
		r = len ? keep(name, at, len, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct bl_err err = { 0 };
	int i;

	if (argc < 3) {
		fprintf(stderr, "usage: %s DIR FILE…\n", argv[0]);
		return 64;
	}
	out.dir = argv[1];
	for (i = 2; i < argc; i++)
		if (carve(argv[i], &err) < 0) {
			fprintf(stderr, "bench_carve: %s\n", err.text);
			return EXIT_FAILURE;
		}
	return EXIT_SUCCESS;
}
