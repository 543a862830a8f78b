/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object/modfile.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SECTIONS_MAX 4096
#define SIGNATURE    "~Module signature appended~\n"
#define THIS_MODULE  ".gnu.linkonce.this_module"

struct file {
	const char *name; /* for messages */
	const unsigned char *data;
	size_t len;
	Elf64_Ehdr head;
	Elf64_Shdr names;
};

struct bytes {
	const unsigned char *data;
	size_t len;
};

static int damaged(const struct file *f, const char *what, struct bl_err *err)
{
	return bl_err_set(err, -EBADMSG, "%s: damaged module: %s", f->name,
			  what);
}

/* The file's bytes may lie anywhere, so headers are copied out of it. */
static bool section_at(const struct file *f, size_t i, Elf64_Shdr *ret)
{
	uint64_t at = f->head.e_shoff + i * sizeof(*ret);

	if (at > f->len || f->len - at < sizeof(*ret))
		return false;
	memcpy(ret, f->data + at, sizeof(*ret));
	return true;
}

static bool inside(const struct file *f, const Elf64_Shdr *s)
{
	return s->sh_type != SHT_NOBITS && s->sh_offset <= f->len &&
	       s->sh_size <= f->len - s->sh_offset;
}

static bool is_called(const struct file *f, const Elf64_Shdr *s,
		      const char *name)
{
	size_t len = strlen(name) + 1;

	return s->sh_name <= f->names.sh_size &&
	       f->names.sh_size - s->sh_name >= len &&
	       !memcmp(f->data + f->names.sh_offset + s->sh_name, name, len);
}

static int open_file(struct file *f, struct bl_err *err)
{
	const Elf64_Ehdr *h = &f->head;

	if (f->len < sizeof(*h) || memcmp(f->data, ELFMAG, SELFMAG) != 0)
		return bl_err_set(err, -EBADMSG,
				  "%s is no kernel module: not an ELF file",
				  f->name);
	memcpy(&f->head, f->data, sizeof(f->head));
	if (h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB)
		return bl_err_set(err, -EBADMSG,
				  "%s: not of a 64-bit little-endian machine",
				  f->name);
	if (h->e_type != ET_REL || h->e_machine == EM_BPF)
		return bl_err_set(err, -EBADMSG,
				  "%s is no kernel module: it is %s", f->name,
				  h->e_machine == EM_BPF
					  ? "a BPF object"
					  : "linked to run by itself");
	if (h->e_shentsize != sizeof(Elf64_Shdr) || !h->e_shnum ||
	    h->e_shnum > SECTIONS_MAX || h->e_shoff > f->len ||
	    h->e_shstrndx >= h->e_shnum ||
	    !section_at(f, h->e_shstrndx, &f->names) || !inside(f, &f->names))
		return damaged(f, "no table of sections", err);
	return 0;
}

/* The first section of that name; empty, if there is none or it lies outside
 * of the file. */
static struct bytes section(const struct file *f, const char *name)
{
	Elf64_Shdr s;

	for (size_t i = 1; i < f->head.e_shnum; i++)
		if (section_at(f, i, &s) && is_called(f, &s, name) &&
		    inside(f, &s))
			return (struct bytes){ f->data + s.sh_offset,
					       s.sh_size };
	return (struct bytes){ 0 };
}

/* The value of "@key=…" among the strings of .modinfo. -ENOENT, -ENAMETOOLONG
 */
static int info(struct bytes in, const char *key, char *ret, size_t size)
{
	size_t key_len = strlen(key);

	for (size_t at = 0; at < in.len;) {
		const char *text = (const char *)in.data + at;
		size_t len = strnlen(text, in.len - at);

		if (len == in.len - at)
			return -ENOENT; /* without an end */
		at += len + 1;
		if (len <= key_len || text[key_len] != '=' ||
		    strncmp(text, key, key_len) != 0)
			continue;
		if (len - key_len > size)
			return -ENAMETOOLONG;
		memcpy(ret, text + key_len + 1, len - key_len);
		return 0;
	}
	return -ENOENT;
}

static bool printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static int read_info(const struct file *f, struct bl_modfile *m,
		     struct bl_err *err)
{
	struct bytes in = section(f, ".modinfo");
	size_t release;

	if (!in.len)
		return bl_err_set(
			err, -EBADMSG,
			"%s is no kernel module: it has no section .modinfo",
			f->name);
	if (info(in, "name", m->name, sizeof(m->name)) || !*m->name ||
	    !printable(m->name))
		return damaged(f, ".modinfo has no name", err);
	if (info(in, "vermagic", m->vermagic, sizeof(m->vermagic)) ||
	    !printable(m->vermagic))
		return damaged(
			f, ".modinfo does not say for which kernel (vermagic)",
			err);
	release = strcspn(m->vermagic, " ");
	if (!release || release >= sizeof(m->release))
		return damaged(f, "its vermagic names no kernel", err);
	memcpy(m->release, m->vermagic, release);
	return 0;
}

static int read_build_id(const struct file *f, struct bl_modfile *m,
			 struct bl_err *err)
{
	struct bytes note = section(f, ".note.gnu.build-id");
	Elf64_Nhdr head;
	size_t at = sizeof(head) + 4; /* behind "GNU" */

	if (note.len < at)
		return bl_err_set(
			err, -EBADMSG,
			"%s has no build id, by which a crash is told to be its own: build it with the kernel's own build (--build-id)",
			f->name);
	memcpy(&head, note.data, sizeof(head));
	if (head.n_type != NT_GNU_BUILD_ID || head.n_namesz != 4 ||
	    memcmp(note.data + sizeof(head), "GNU", 4) != 0 ||
	    head.n_descsz < (BL_MODFILE_TAG_LEN - 1) / 2 ||
	    head.n_descsz > (BL_MODFILE_BUILD_LEN - 1) / 2 ||
	    head.n_descsz > note.len - at)
		return damaged(f, "its build id cannot be read", err);
	for (size_t i = 0; i < head.n_descsz; i++)
		snprintf(m->build_id + 2 * i, 3, "%02x", note.data[at + i]);
	memcpy(m->tag, m->build_id, sizeof(m->tag) - 1);
	return 0;
}

int bl_modfile_read(const char *name, const void *data, size_t len,
		    struct bl_modfile *ret, struct bl_err *err)
{
	struct file f = { .name = name, .data = data, .len = len };
	struct bl_modfile m = { 0 };
	const size_t mark = sizeof(SIGNATURE) - 1;
	int r = open_file(&f, err);

	if (!r)
		r = read_info(&f, &m, err);
	if (!r)
		r = read_build_id(&f, &m, err);
	if (r)
		return r;
	m.machine = f.head.e_machine;
	m.linked = section(&f, THIS_MODULE).len > 0;
	m.has_signature = len > mark &&
			  !memcmp(f.data + len - mark, SIGNATURE, mark);
	*ret = m;
	return 0;
}

bool bl_modfile_fits(const struct bl_modfile *m, const char *release)
{
	return !strcmp(m->release, release);
}
