/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that strangers hand in: whole, wrong, cut short and damaged. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/object/source.h"
#include "loader/gate/policy/policy.h"
#include "loader/object/object.h"
#include "tests/main.h"

static struct bl_buf file;
static struct bl_object object;
static struct bl_err err;
static const struct bl_profile profile = { .name = "observe" };

static void load(const char *name)
{
	bl_autofree char *path = bl_path("%s/tests/lab/objects/%s.bpf.o",
					 BL_TEST_BUILD_DIR, name);

	bl_buf_free(&file);
	ck_assert_msg(bl_file_read(path, 1 << 20, &file, &err) == 0, "%s",
		      err.text);
}

static int reopen(size_t len)
{
	bl_object_free(&object);
	err = (struct bl_err){ 0 };
	return bl_object_open("x.bpf.o", file.data, len, &object, &err);
}

START_TEST(reads_programs_sections_and_license)
{
	const struct bl_object_program *p;

	load("foreign");
	ck_assert_int_eq(reopen(file.len), 0);
	ck_assert_str_eq(object.license, "Dual BSD/GPL");
	p = bl_object_program(&object, "on_openat");
	ck_assert_ptr_nonnull(p);
	ck_assert_str_eq(p->section, "tracepoint/syscalls/sys_enter_openat");
	ck_assert(p->optional);
	p = bl_object_program(&object, "pass_ipv4");
	ck_assert_ptr_nonnull(p);
	ck_assert(!p->optional);
	/* a function that programs call is none itself */
	ck_assert_ptr_null(bl_object_program(&object, "count"));
}
END_TEST

/* Both bad lines, with their numbers, from nothing but the object. */
START_TEST(finds_source_lines)
{
	const struct bl_object_program *p;
	struct bl_source src;

	load("oob");
	ck_assert_int_eq(reopen(file.len), 0);
	p = bl_object_program(&object, "direct");
	ck_assert_int_eq(bl_source_find(&object, p->section_index,
					p->offset + 11 * 8, &src),
			 0);
	ck_assert_str_eq(src.text, "return (int)c->fields[c->count]; "
				   "/* bad line: direct */");
	ck_assert_ptr_nonnull(strstr(src.file, "oob.bpf.c"));
	ck_assert_uint_eq(src.line, 38);
	ck_assert_int_eq(
		bl_source_find_text(&object,
				    "  return (int)c->fields[index & 31]; "
				    "/* bad line: called */\n",
				    0, &src),
		0);
	ck_assert_uint_eq(src.line, 26);
	/* the same text in two places names neither, unless the line does */
	ck_assert_int_eq(bl_source_find_text(&object, "__u32 zero = 0;", 0,
					     &src),
			 -ENOENT);
	ck_assert_int_eq(
		bl_source_find_text(&object, "__u32 zero = 0;", 44, &src), 0);
	ck_assert_int_eq(bl_source_find_text(&object, "no such line", 0, &src),
			 -ENOENT);
}
END_TEST

static void set_header(size_t offset, unsigned value, size_t len)
{
	memcpy(file.data + offset, &value, len);
}

#define AT(field) offsetof(Elf64_Ehdr, field)

static void make_empty(void)
{
	file.len = 0;
}

static void make_text(void)
{
	file.len = 0;
	ck_assert_int_eq(bl_buf_printf(&file, "int main(void)\n"), 0);
}

static void make_zeros(void)
{
	memset(file.data, 0, file.len);
}

static void make_archive(void)
{
	memcpy(file.data, "!<arch>\n", 8);
}

static void make_x86(void)
{
	set_header(AT(e_machine), EM_X86_64, 2);
}

static void make_unknown_machine(void)
{
	set_header(AT(e_machine), 0x7777, 2);
}

static void make_32bit(void)
{
	file.data[EI_CLASS] = ELFCLASS32;
}

static void make_big_endian(void)
{
	file.data[EI_DATA] = ELFDATA2MSB;
}

static void make_short(void)
{
	file.len = 40;
}

static void make_half(void)
{
	file.len /= 2;
}

static void make_executable(void)
{
	set_header(AT(e_type), ET_EXEC, 2);
}

static void make_library(void)
{
	load("library");
}

static void make_bigger_section(void)
{
	Elf64_Ehdr h;

	memcpy(&h, file.data, sizeof(h));
	memset(file.data + h.e_shoff + 2 * sizeof(Elf64_Shdr) +
		       offsetof(Elf64_Shdr, sh_size),
	       0x7f, 8);
}

/* The section header at number @i of the file. */
static Elf64_Shdr *header_of(size_t i)
{
	Elf64_Ehdr h;

	memcpy(&h, file.data, sizeof(h));
	ck_assert_uint_lt(i, h.e_shnum);
	return (Elf64_Shdr *)(file.data + h.e_shoff) + i;
}

static size_t section_of_type(unsigned type)
{
	size_t i = 1;

	while (header_of(i)->sh_type != type)
		i++;
	return i;
}

static void make_no_symbols(void)
{
	header_of(section_of_type(SHT_SYMTAB))->sh_type = SHT_PROGBITS;
}

static void make_two_symbol_tables(void)
{
	header_of(section_of_type(SHT_REL))->sh_type = SHT_SYMTAB;
}

static void make_overlap(void)
{
	size_t rel = section_of_type(SHT_REL);

	header_of(rel)->sh_offset = 0;
	header_of(rel)->sh_size = file.len;
}

static const struct {
	void (*make)(void);
	const char *says;
} wrong[] = {
	{ make_empty, "x.bpf.o: the file is empty" },
	{ make_text, "it is text" },
	{ make_zeros, "it is unknown binary data" },
	{ make_archive, "it is an archive of object files" },
	{ make_x86, "it is an ELF file for x86-64" },
	{ make_unknown_machine, "an ELF file for machine 30583" },
	{ make_32bit, "it is a 32-bit ELF file" },
	{ make_big_endian, "a big-endian ELF file" },
	{ make_short, "truncated: 40 bytes are less than an ELF header" },
	{ make_half, "truncated: its section table should be at byte" },
	{ make_executable, "not an object file" },
	{ make_library, "no program in it: helper is an ordinary function" },
	{ make_bigger_section, "truncated: section 2 should end at byte" },
	{ make_no_symbols, "it has no symbol table" },
	{ make_two_symbol_tables, "two symbol tables" },
	{ make_overlap, "its sections overlap" },
};

START_TEST(wrong_files_are_named)
{
	load("foreign");
	wrong[_i].make();
	ck_assert_int_eq(reopen(file.len), -EBADMSG);
	ck_assert_msg(strstr(err.text, wrong[_i].says), "%s", err.text);
}
END_TEST

START_TEST(symbols_and_relocations_are_read)
{
	bl_autofree struct bl_object_reloc *relocs = NULL;
	struct bl_object_symbol symbol = { 0 };
	const struct bl_object_program *p;
	size_t count, i;

	load("foreign");
	ck_assert_int_eq(reopen(file.len), 0);
	p = bl_object_program(&object, "classify");
	ck_assert_int_eq(bl_object_relocs(&object, p->section_index, &relocs,
					  &count, &err),
			 0);
	ck_assert_uint_eq(count, 0);
	free(BL_TAKE(relocs));
	p = bl_object_program(&object, "pass_ipv4");
	ck_assert_int_eq(bl_object_relocs(&object, p->section_index, &relocs,
					  &count, &err),
			 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_lt(relocs[0].offset, p->size);
	ck_assert_int_eq(
		bl_object_symbol_at(&object, relocs[0].symbol, &symbol), 0);
	ck_assert_str_eq(symbol.name, ".text");
	ck_assert(!symbol.external);
	for (i = 0; bl_object_symbol_at(&object, i, &symbol) == 0; i++)
		if (strcmp(symbol.name, "counts") == 0)
			break;
	ck_assert_str_eq(object.sections[symbol.section].name, ".maps");
	ck_assert_int_eq(bl_object_symbol_at(&object, UINT32_MAX, &symbol),
			 -ENOENT);
}
END_TEST

START_TEST(no_truncation_passes)
{
	size_t len;

	load("foreign");
	for (len = 0; len < file.len; len++) {
		ck_assert_int_eq(reopen(len), -EBADMSG);
		ck_assert_str_ne(err.text, "");
	}
}
END_TEST

/* What the gate does with an object before any kernel sees it. */
static void use_all_of_it(void)
{
	bl_autoreport struct bl_report report = { 0 };
	struct bl_source src;
	size_t i, at;

	ck_assert_int_eq(bl_report_init(&report, "x", "object"), 0);
	ck_assert_int_eq(bl_policy_check(&object, &profile, false, &report), 0);
	ck_assert_uint_gt(report.count, 0);
	for (i = 0; i < object.program_count; i++)
		for (at = 0; at < object.programs[i].size; at += 8)
			if (bl_source_find(
				    &object, object.programs[i].section_index,
				    object.programs[i].offset + at, &src) == 0)
				ck_assert_uint_gt(strlen(src.file), 0);
	bl_source_find_text(&object, "__u32 zero = 0;", 0, &src);
}

/* Nothing is promised about the answer but that there is one. Sanitizers see
 * to it that no byte outside the file is read. */
START_TEST(damage_is_survived)
{
	size_t i;

	load(_i ? "foreign" : "oob");
	srand((unsigned)_i + 1);
	for (i = 0; i < file.len; i++) {
		char old = file.data[i];
		int r;

		file.data[i] = (char)(i % 3 ? old ^ (1 << (rand() & 7))
					    : rand() & 0xff);
		r = reopen(file.len);
		if (r == 0)
			use_all_of_it();
		else
			ck_assert_str_ne(err.text, "");
		file.data[i] = old;
	}
}
END_TEST

/* Many bytes at once, mostly in what describes the rest. */
START_TEST(heavy_damage_is_survived)
{
	bl_autobuf struct bl_buf whole = { 0 };
	Elf64_Ehdr h;
	unsigned round, n;

	load("foreign");
	ck_assert_int_eq(bl_buf_add(&whole, file.data, file.len), 0);
	memcpy(&h, file.data, sizeof(h));
	srand(7);
	for (round = 0; round < 2000; round++) {
		memcpy(file.data, whole.data, whole.len);
		for (n = 0; n < 1 + round % 8; n++) {
			size_t from = round & 1 ? h.e_shoff : 0;
			size_t at = from + (size_t)rand() % (file.len - from);

			file.data[at] = (char)rand();
		}
		if (reopen(file.len) == 0)
			use_all_of_it();
	}
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-object");
	TCase *t = tcase_create("object");
	TCase *damage = tcase_create("damage");

	tcase_add_test(t, reads_programs_sections_and_license);
	tcase_add_test(t, finds_source_lines);
	tcase_add_test(t, symbols_and_relocations_are_read);
	tcase_add_loop_test(t, wrong_files_are_named, 0,
			    (int)BL_ARRAY_SIZE(wrong));
	suite_add_tcase(s, t);
	tcase_add_test(damage, no_truncation_passes);
	tcase_add_loop_test(damage, damage_is_survived, 0, 2);
	tcase_add_test(damage, heavy_damage_is_survived);
	suite_add_tcase(s, damage);
	return s;
}
