/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/proc.h"

#define HEADERS_MAX 64

static bool read_at(int fd, void *to, size_t len, uint64_t at)
{
	return at < INT64_MAX && pread(fd, to, len, (off_t)at) == (ssize_t)len;
}

static enum bl_elf_kind elf_interp(int fd, char *ret, size_t size)
{
	Elf64_Ehdr eh;

	if (!read_at(fd, &eh, sizeof(eh), 0) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_phentsize != sizeof(Elf64_Phdr))
		return BL_ELF_NONE;
	for (unsigned i = 0; i < eh.e_phnum && i < HEADERS_MAX; i++) {
		Elf64_Phdr ph;

		if (!read_at(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)))
			return BL_ELF_NONE;
		if (ph.p_type != PT_INTERP)
			continue;
		if (ph.p_filesz < 2 || ph.p_filesz > size ||
		    !read_at(fd, ret, ph.p_filesz, ph.p_offset) ||
		    ret[ph.p_filesz - 1] != '\0' || ret[0] != '/')
			return BL_ELF_NONE;
		return BL_ELF_DYNAMIC;
	}
	return BL_ELF_NONE;
}

static enum bl_elf_kind script_interp(int fd, char *ret, size_t size)
{
	char line[256];
	ssize_t n = pread(fd, line, sizeof(line) - 1, 2);
	char *p = line, *end;

	if (n <= 0)
		return BL_ELF_NONE;
	line[n] = '\0';
	p += strspn(p, " \t");
	end = p + strcspn(p, " \t\n");
	if (*p != '/' || !*end || (size_t)(end - p) >= size)
		return BL_ELF_NONE;
	memcpy(ret, p, (size_t)(end - p));
	ret[end - p] = '\0';
	return BL_ELF_SCRIPT;
}

enum bl_elf_kind bl_elf_kind(const char *path, char *ret, size_t size)
{
	bl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	char magic[SELFMAG];

	if (fd < 0 || !read_at(fd, magic, sizeof(magic), 0))
		return BL_ELF_NONE;
	if (memcmp(magic, ELFMAG, SELFMAG) == 0)
		return elf_interp(fd, ret, size);
	if (memcmp(magic, "#!", 2) == 0)
		return script_interp(fd, ret, size);
	return BL_ELF_NONE;
}

/* One line of ld.so --list: "\tlibz.so.1 => /lib/…/libz.so.1 (0x…)" or
 * "\t/lib64/ld-linux-x86-64.so.2 (0x…)", or the vdso, which has no file. */
static int one_line(char *line, const char *program,
		    int (*fn)(void *ctx, const char *library,
			      struct bl_err *err),
		    void *ctx, struct bl_err *err)
{
	char *path = strstr(line, "=> "), *end;

	if (path && strncmp(path + 3, "not found", 9) == 0) {
		line[strcspn(line, " ")] = '\0';
		return bl_err_set(err, -ENOENT,
				  "%s needs %s, which is not installed",
				  program, line + strspn(line, "\t"));
	}
	path = path ? path + 3 : line + strspn(line, "\t ");
	end = strstr(path, " (0x");
	if (*path != '/' || !end)
		return 0;
	*end = '\0';
	return fn(ctx, path, err);
}

int bl_elf_libraries(const char *path, const char *loader,
		     int (*fn)(void *ctx, const char *library,
			       struct bl_err *err),
		     void *ctx, struct bl_err *err)
{
	const char *const argv[] = { loader, "--list", path, NULL };
	const struct bl_proc_opts opts = { .timeout_ms = 10000 };
	bl_autoproc struct bl_proc_result res = { 0 };
	char *line, *rest;
	int r = fn(ctx, loader, err);

	if (!r)
		r = bl_proc_run(argv, &opts, &res, err);
	if (r < 0)
		return bl_err_wrap(err, r, "libraries of %s", path);
	if (res.status != 0 || !res.out.len)
		return bl_err_set(err, -ENOEXEC,
				  "%s cannot load %s: status %d: %s", loader,
				  path, res.status, bl_buf_str(&res.out));
	for (line = strtok_r(res.out.data, "\n", &rest); line && !r;
	     line = strtok_r(NULL, "\n", &rest))
		r = one_line(line, path, fn, ctx, err);
	return r;
}
