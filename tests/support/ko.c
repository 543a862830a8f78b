/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/ko.h"

#include <check.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

enum { NOTHING, INFO, BUILD_ID, LINKED, NAMES, SECTIONS };

static const char names[] = "\0.modinfo\0.note.gnu.build-id\0.shstrtab\0"
			    ".gnu.linkonce.this_module";

static void add(struct bl_buf *to, const void *data, size_t len)
{
	ck_assert_int_eq(bl_buf_add(to, data, len), 0);
}

/* Where it lies in the file becomes its header's. */
static void place(struct bl_buf *file, Elf64_Shdr *s, size_t name,
		  const struct bl_buf *data)
{
	*s = (Elf64_Shdr){ .sh_name = (Elf64_Word)name,
			   .sh_type = SHT_PROGBITS,
			   .sh_offset = file->len,
			   .sh_size = data->len };
	add(file, bl_buf_str(data), data->len);
}

static void info_make(const struct ko *ko, struct bl_buf *ret)
{
	add(ret, "license=GPL", 12);
	ck_assert_int_eq(bl_buf_printf(ret, "name=%s",
				       ko->name ? ko->name : "belay_sensor"),
			 0);
	add(ret, "", 1);
	if (!ko->vermagic)
		return;
	ck_assert_int_eq(bl_buf_printf(ret, "vermagic=%s", ko->vermagic), 0);
	add(ret, "", 1);
}

static void build_make(const struct ko *ko, struct bl_buf *ret)
{
	const Elf64_Nhdr head = { .n_namesz = 4,
				  .n_descsz = ko->build_bytes,
				  .n_type = NT_GNU_BUILD_ID };

	add(ret, &head, sizeof(head));
	add(ret, "GNU", 4);
	for (unsigned i = 0; i < ko->build_bytes; i++)
		add(ret, &ko->build, 1);
}

void ko_make(const struct ko *ko, struct bl_buf *ret)
{
	bl_autobuf struct bl_buf info = { 0 }, build = { 0 }, text = { 0 };
	bl_autobuf struct bl_buf module = { 0 };
	Elf64_Shdr sections[SECTIONS] = { 0 };
	Elf64_Ehdr head = { .e_type = ET_REL,
			    .e_machine = EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_ehsize = sizeof(head),
			    .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = SECTIONS,
			    .e_shstrndx = NAMES };

	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	info_make(ko, &info);
	if (ko->build_bytes)
		build_make(ko, &build);
	if (ko->linked)
		add(&module, "struct module", 13);
	add(&text, names, sizeof(names));
	add(ret, &head, sizeof(head));
	place(ret, &sections[INFO], 1, &info);
	place(ret, &sections[BUILD_ID], ko->build_bytes ? 10 : 0, &build);
	place(ret, &sections[NAMES], 29, &text);
	place(ret, &sections[LINKED], ko->linked ? 39 : 0, &module);
	head.e_shoff = ret->len;
	memcpy(ret->data, &head, sizeof(head));
	add(ret, sections, sizeof(sections));
	if (ko->has_signature)
		add(ret, "~Module signature appended~\n", 28);
}
