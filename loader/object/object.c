/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object/object.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

void bl_object_free(struct bl_object *o)
{
	free(o->copy);
	free(o->sections);
	free(o->programs);
	*o = (struct bl_object){ 0 };
}

static const char *machine_name(unsigned machine)
{
	static const struct {
		unsigned machine;
		const char *name;
	} names[] = {
		{ EM_X86_64, "x86-64" },       { EM_386, "32-bit x86" },
		{ EM_AARCH64, "64-bit ARM" },  { EM_ARM, "32-bit ARM" },
		{ EM_RISCV, "RISC-V" },	       { EM_PPC64, "64-bit PowerPC" },
		{ EM_S390, "IBM Z" },	       { EM_MIPS, "MIPS" },
		{ EM_LOONGARCH, "LoongArch" }, { EM_NONE, "no machine" },
	};
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return NULL;
}

static int fail(struct bl_err *err, const char *hint)
{
	bl_err_hint(err, "%s", hint);
	return -EBADMSG;
}

/* What the first bytes say, for files that are not ELF at all. */
static const char *looks_like(const unsigned char *data, size_t len)
{
	static const struct {
		const char *bytes, *name;
		size_t len;
	} known[] = {
		{ "\x7f"
		  "ELF",
		  "a truncated ELF file", 4 },
		{ "!<arch>\n", "an archive of object files", 8 },
		{ "BC\xc0\xde", "LLVM bitcode", 4 },
		{ "\x28\xb5\x2f\xfd", "zstd-compressed data", 4 },
		{ "\x1f\x8b", "gzip-compressed data", 2 },
		{ "#!", "a script", 2 },
	};
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(known); i++)
		if (len >= known[i].len &&
		    memcmp(data, known[i].bytes, known[i].len) == 0)
			return known[i].name;
	for (i = 0; i < len && i < 512; i++)
		if (data[i] == 0 || data[i] >= 0x80)
			return "unknown binary data";
	return "text";
}

static int check_header(const char *name, const unsigned char *data, size_t len,
			struct bl_err *err)
{
	static const char how[] =
		"build it with clang -target bpf -g -O2 -c FILE.bpf.c";
	const char *machine;
	Elf64_Ehdr h;

	if (len == 0) {
		bl_err_set(err, -EBADMSG, "%s: the file is empty", name);
		return fail(err, how);
	}
	if (len < SELFMAG || memcmp(data, ELFMAG, SELFMAG) != 0) {
		bl_err_set(err, -EBADMSG, "%s: not a BPF object: it is %s",
			   name, looks_like(data, len));
		return fail(err, how);
	}
	if (len < sizeof(h)) {
		bl_err_set(
			err, -EBADMSG,
			"%s: truncated: %zu bytes are less than an ELF header",
			name, len);
		return fail(err, "build or copy it again");
	}
	memcpy(&h, data, sizeof(h));
	if (h.e_ident[EI_CLASS] == ELFCLASS32)
		return bl_err_set(
			err, -EBADMSG,
			"%s: not a BPF object: it is a 32-bit ELF file", name);
	if (h.e_ident[EI_DATA] == ELFDATA2MSB) {
		bl_err_set(
			err, -EBADMSG,
			"%s: a big-endian ELF file; the kernels here are little-endian",
			name);
		return fail(err, "build it with clang -target bpfel");
	}
	if (h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB)
		return bl_err_set(err, -EBADMSG,
				  "%s: the ELF header is damaged", name);
	if (h.e_machine != EM_BPF) {
		machine = machine_name(h.e_machine);
		if (machine)
			bl_err_set(
				err, -EBADMSG,
				"%s: not a BPF object: it is an ELF file for %s",
				name, machine);
		else
			bl_err_set(
				err, -EBADMSG,
				"%s: not a BPF object: it is an ELF file for machine %u",
				name, h.e_machine);
		return fail(err, how);
	}
	if (h.e_type != ET_REL)
		return bl_err_set(
			err, -EBADMSG,
			"%s: a BPF ELF file of type %u, not an object file",
			name, h.e_type);
	if (h.e_shentsize != sizeof(Elf64_Shdr) || h.e_shoff == 0)
		return bl_err_set(err, -EBADMSG,
				  "%s: the ELF header names no section table",
				  name);
	if (h.e_shoff > len ||
	    (uint64_t)h.e_shnum * sizeof(Elf64_Shdr) > len - h.e_shoff) {
		bl_err_set(
			err, -EBADMSG,
			"%s: truncated: its section table should be at byte %llu, the file has %zu bytes",
			name, (unsigned long long)h.e_shoff, len);
		return fail(err, "build or copy it again");
	}
	return 0;
}

/* A NUL-terminated string of bounded length inside a string table. */
static const char *string_at(const struct bl_object *o, size_t section,
			     uint64_t at)
{
	const struct bl_object_section *s;
	size_t room;

	if (section >= o->section_count)
		return NULL;
	s = &o->sections[section];
	if (s->type != SHT_STRTAB || !s->data || at >= s->size)
		return NULL;
	room = s->size - at;
	if (room > BL_OBJECT_NAME_MAX + 1)
		room = BL_OBJECT_NAME_MAX + 1;
	if (strnlen((const char *)s->data + at, room) == room)
		return NULL;
	return (const char *)s->data + at;
}

static int read_section(const char *name, struct bl_object *o, Elf_Scn *scn,
			size_t i, struct bl_err *err)
{
	struct bl_object_section *s = &o->sections[i];
	GElf_Shdr sh;

	if (!gelf_getshdr(scn, &sh))
		return bl_err_set(err, -EBADMSG,
				  "%s: section %zu cannot be read: %s", name, i,
				  elf_errmsg(-1));
	*s = (struct bl_object_section){ .type = sh.sh_type,
					 .link = sh.sh_link,
					 .info = sh.sh_info,
					 .flags = sh.sh_flags,
					 .size = sh.sh_size };
	if (sh.sh_type == SHT_NOBITS || sh.sh_type == SHT_NULL)
		return 0;
	if (sh.sh_offset > o->len || sh.sh_size > o->len - sh.sh_offset) {
		bl_err_set(
			err, -EBADMSG,
			"%s: truncated: section %zu should end at byte %llu, the file has %zu bytes",
			name, i,
			(unsigned long long)(sh.sh_offset + sh.sh_size),
			o->len);
		return fail(err, "build or copy it again");
	}
	s->data = o->copy + sh.sh_offset;
	return 0;
}

static int name_sections(const char *name, struct bl_object *o, Elf *elf,
			 struct bl_err *err)
{
	size_t names, i = 0;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return bl_err_set(err, -EBADMSG,
				  "%s: damaged: no table of section names",
				  name);
	o->sections[0].name = "";
	while ((scn = elf_nextscn(elf, scn))) {
		i = elf_ndxscn(scn);
		if (i >= o->section_count || !gelf_getshdr(scn, &sh))
			return bl_err_set(err, -EBADMSG,
					  "%s: damaged section table", name);
		o->sections[i].name = string_at(o, names, sh.sh_name);
		if (!o->sections[i].name)
			return bl_err_set(
				err, -EBADMSG,
				"%s: damaged: the name of section %zu is outside its table",
				name, i);
	}
	return 0;
}

/* Were they allowed to share bytes, 4,096 sections of the whole file would make
 * whoever walks them walk the file as often. */
static int refuse_overlap(const char *name, const struct bl_object *o,
			  struct bl_err *err)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 1; i < o->section_count; i++)
		if (o->sections[i].data)
			sum += o->sections[i].size;
	if (sum <= o->len)
		return 0;
	return bl_err_set(
		err, -EBADMSG,
		"%s: damaged: its sections overlap: they have %llu bytes together, the file has %zu",
		name, (unsigned long long)sum, o->len);
}

static int read_sections(const char *name, struct bl_object *o,
			 struct bl_err *err)
{
	Elf *elf = elf_memory((char *)o->copy, o->len);
	Elf_Scn *scn = NULL;
	size_t count;
	int r = 0;

	if (!elf || elf_kind(elf) != ELF_K_ELF ||
	    elf_getshdrnum(elf, &count) < 0) {
		r = bl_err_set(err, -EBADMSG, "%s: damaged ELF file: %s", name,
			       elf_errmsg(-1));
		elf_end(elf);
		return r;
	}
	if (count < 2 || count > BL_OBJECT_SECTIONS_MAX) {
		elf_end(elf);
		return bl_err_set(err, -EBADMSG,
				  "%s: %zu sections; an object has 2 to %d",
				  name, count, BL_OBJECT_SECTIONS_MAX);
	}
	o->sections = calloc(count, sizeof(*o->sections));
	o->section_count = o->sections ? count : 0;
	if (!o->sections)
		r = bl_err_set(err, -ENOMEM, "out of memory");
	while (r == 0 && (scn = elf_nextscn(elf, scn))) {
		size_t i = elf_ndxscn(scn);

		if (i < count)
			r = read_section(name, o, scn, i, err);
	}
	if (r == 0)
		r = name_sections(name, o, elf, err);
	if (r == 0)
		r = refuse_overlap(name, o, err);
	elf_end(elf);
	return r;
}

static int add_program(const char *name, struct bl_object *o,
		       const Elf64_Sym *sym, const char *symbol,
		       struct bl_err *err)
{
	const struct bl_object_section *s = &o->sections[sym->st_shndx];
	struct bl_object_program *list;

	if (sym->st_value > s->size || sym->st_size > s->size - sym->st_value ||
	    sym->st_value % BL_OBJECT_INSN || sym->st_size % BL_OBJECT_INSN ||
	    !sym->st_size)
		return bl_err_set(
			err, -EBADMSG,
			"%s: damaged: function %s is not inside its section %s",
			name, symbol, s->name);
	if (o->program_count >= BL_OBJECT_PROGRAMS_MAX)
		return bl_err_set(err, -EBADMSG,
				  "%s: more than the limit of %d functions",
				  name, BL_OBJECT_PROGRAMS_MAX);
	list = realloc(o->programs, (o->program_count + 1) * sizeof(*list));
	if (!list)
		return bl_err_set(err, -ENOMEM, "out of memory");
	o->programs = list;
	list[o->program_count++] = (struct bl_object_program){
		.name = symbol,
		.section = s->name[0] == '?' ? s->name + 1 : s->name,
		.section_index = sym->st_shndx,
		.offset = sym->st_value,
		.size = sym->st_size,
		.optional = s->name[0] == '?',
		.called = strcmp(s->name, ".text") == 0,
	};
	return 0;
}

static bool holds_code(const struct bl_object_section *s)
{
	return s->type == SHT_PROGBITS && (s->flags & SHF_EXECINSTR) &&
	       s->data && s->size;
}

/* The one table; libbpf refuses a second one, and so nobody can show one table
 * to the gate and another to the loader. */
static int find_symbols(const char *name, struct bl_object *o,
			struct bl_err *err)
{
	size_t i;

	for (i = 1; i < o->section_count; i++) {
		if (o->sections[i].type != SHT_SYMTAB)
			continue;
		if (o->symtab)
			return bl_err_set(err, -EBADMSG,
					  "%s: damaged: two symbol tables",
					  name);
		o->symtab = i;
	}
	if (o->symtab)
		return 0;
	return bl_err_set(
		err, -EBADMSG,
		"%s: it has no symbol table, so no program has a name", name);
}

static int read_programs(const char *name, struct bl_object *o,
			 struct bl_err *err)
{
	const struct bl_object_section *table = &o->sections[o->symtab];
	Elf64_Sym sym;
	size_t i;
	int r;

	for (i = 0; i + sizeof(sym) <= table->size; i += sizeof(sym)) {
		const char *symbol;

		memcpy(&sym, table->data + i, sizeof(sym));
		if (ELF64_ST_TYPE(sym.st_info) != STT_FUNC ||
		    sym.st_shndx == SHN_UNDEF)
			continue;
		symbol = string_at(o, table->link, sym.st_name);
		if (sym.st_shndx >= o->section_count || !symbol || !*symbol)
			return bl_err_set(err, -EBADMSG,
					  "%s: damaged symbol table", name);
		if (!holds_code(&o->sections[sym.st_shndx]))
			return bl_err_set(
				err, -EBADMSG,
				"%s: damaged: function %s lies in section %s, which holds no code",
				name, symbol, o->sections[sym.st_shndx].name);
		r = add_program(name, o, &sym, symbol, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int require_program(const char *name, const struct bl_object *o,
			   struct bl_err *err)
{
	size_t i;

	for (i = 0; i < o->program_count; i++)
		if (!o->programs[i].called)
			return 0;
	if (o->program_count)
		bl_err_set(
			err, -EBADMSG,
			"%s: no program in it: %s is an ordinary function in .text",
			name, o->programs[0].name);
	else
		bl_err_set(err, -EBADMSG, "%s: no program in it", name);
	return fail(
		err,
		"a program is a function with a section: SEC(\"fentry/…\")");
}

static void find_license(struct bl_object *o)
{
	const struct bl_object_section *s = bl_object_section(o, "license");

	if (s && s->data && s->size &&
	    strnlen((const char *)s->data, s->size) < s->size)
		o->license = (const char *)s->data;
}

int bl_object_open(const char *name, const void *data, size_t len,
		   struct bl_object *ret, struct bl_err *err)
{
	bl_autoobject struct bl_object o = { 0 };
	int r = check_header(name, data, len, err);

	if (r < 0)
		return r;
	o.copy = malloc(len);
	if (!o.copy || elf_version(EV_CURRENT) == EV_NONE)
		return bl_err_set(err, -ENOMEM, "out of memory");
	memcpy(o.copy, data, len);
	o.len = len;
	r = read_sections(name, &o, err);
	if (r == 0)
		r = find_symbols(name, &o, err);
	if (r == 0)
		r = read_programs(name, &o, err);
	if (r == 0)
		r = require_program(name, &o, err);
	if (r < 0)
		return r;
	find_license(&o);
	*ret = o;
	o = (struct bl_object){ 0 };
	return 0;
}

const struct bl_object_section *bl_object_section(const struct bl_object *o,
						  const char *name)
{
	size_t i;

	for (i = 1; i < o->section_count; i++)
		if (strcmp(o->sections[i].name, name) == 0)
			return &o->sections[i];
	return NULL;
}

const struct bl_object_program *bl_object_program(const struct bl_object *o,
						  const char *name)
{
	size_t i;

	for (i = 0; i < o->program_count; i++)
		if (!o->programs[i].called &&
		    strcmp(o->programs[i].name, name) == 0)
			return &o->programs[i];
	return NULL;
}

int bl_object_symbol_at(const struct bl_object *o, size_t index,
			struct bl_object_symbol *ret)
{
	const struct bl_object_section *table = &o->sections[o->symtab];
	struct bl_object_symbol symbol;
	Elf64_Sym sym;

	if (index >= table->size / sizeof(sym))
		return -ENOENT;
	memcpy(&sym, table->data + index * sizeof(sym), sizeof(sym));
	symbol = (struct bl_object_symbol){
		.name = string_at(o, table->link, sym.st_name),
		.section = sym.st_shndx,
		.value = sym.st_value,
		.size = sym.st_size,
		.type = ELF64_ST_TYPE(sym.st_info),
		.bind = ELF64_ST_BIND(sym.st_info),
		.external = sym.st_shndx == SHN_UNDEF,
	};
	if (symbol.section >= o->section_count)
		return -ENOENT;
	if (symbol.type == STT_SECTION)
		symbol.name = o->sections[symbol.section].name;
	if (!symbol.name)
		return -ENOENT;
	*ret = symbol;
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct bl_object_reloc *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

static bool fills(const struct bl_object_section *s, size_t section)
{
	return s->type == SHT_REL && s->info == section && s->data;
}

static size_t reloc_count(const struct bl_object_section *s)
{
	return s->size / sizeof(Elf64_Rel);
}

static int take_relocs(const struct bl_object_section *from,
		       const struct bl_object_section *to,
		       struct bl_object_reloc *ret, struct bl_err *err)
{
	Elf64_Rel rel;
	size_t i;

	for (i = 0; i < reloc_count(from); i++) {
		memcpy(&rel, from->data + i * sizeof(rel), sizeof(rel));
		if (rel.r_offset >= to->size)
			return bl_err_set(
				err, -EBADMSG,
				"damaged: relocation %zu of section %s lies outside of it",
				i, to->name);
		ret[i] = (struct bl_object_reloc){
			.offset = rel.r_offset,
			.symbol = ELF64_R_SYM(rel.r_info),
			.type = ELF64_R_TYPE(rel.r_info),
		};
	}
	return 0;
}

int bl_object_relocs(const struct bl_object *o, size_t section,
		     struct bl_object_reloc **ret, size_t *ret_count,
		     struct bl_err *err)
{
	bl_autofree struct bl_object_reloc *list = NULL;
	const struct bl_object_section *to = &o->sections[section];
	size_t i, count = 0;
	int r;

	for (i = 1; i < o->section_count; i++)
		if (fills(&o->sections[i], section))
			count += reloc_count(&o->sections[i]);
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 1, count = 0; i < o->section_count; i++) {
		const struct bl_object_section *s = &o->sections[i];

		if (!fills(s, section))
			continue;
		r = take_relocs(s, to, list + count, err);
		if (r < 0)
			return r;
		count += reloc_count(s);
	}
	qsort(list, count, sizeof(*list), by_offset);
	for (i = 1; i < count; i++)
		if (list[i].offset == list[i - 1].offset)
			return bl_err_set(
				err, -EBADMSG,
				"damaged: two relocations for byte %zu of section %s",
				list[i].offset, to->name);
	*ret = BL_TAKE(list);
	*ret_count = count;
	return 0;
}
