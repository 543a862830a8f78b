/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF object as a stranger hands it in: looked at before libbpf, with nothing
 * taken for granted, so that every kind of wrong file gets its own sentence.
 *
 * Usage:
 *
 *	bl_autoobject struct bl_object o = { 0 };
 *	r = bl_object_open("x.bpf.o", data, len, &o, err);
 *
 * Names and bytes in it belong to it. Offsets and sizes are checked against
 * the file once, here; nobody behind this needs to do it again.
 */
#ifndef BL_OBJECT_OBJECT_H
#define BL_OBJECT_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

#define BL_OBJECT_SECTIONS_MAX 4096
#define BL_OBJECT_PROGRAMS_MAX 1024
#define BL_OBJECT_NAME_MAX     512 /* bytes of a section's or symbol's name */
#define BL_OBJECT_INSN	       8   /* bytes of an instruction */

struct bl_object_section {
	const char *name;
	const unsigned char *data; /* NULL: takes no room in the file */
	size_t size;
	uint32_t type, link, info;
	uint64_t flags;
};

/* A function: a program, or in .text one that programs call. */
struct bl_object_program {
	const char *name, *section; /* "lsm/file_open", without the "?" */
	size_t section_index;
	size_t offset, size; /* bytes in the section; multiples of 8 */
	bool optional;	     /* "?": its loader switches it on */
	bool called;	     /* in .text: not a program of its own */
};

struct bl_object {
	unsigned char *copy; /* of the file */
	size_t len;
	struct bl_object_section *sections; /* [0] is ELF's null section */
	size_t section_count;
	struct bl_object_program *programs;
	size_t program_count; /* those in .text included */
	const char *license;  /* NULL: it has no license section */
	size_t symtab;	      /* index of the one section of symbols */
};

/* A name for a place in a section, or for something outside of the object. */
struct bl_object_symbol {
	const char *name;    /* a section's own symbol has its section's name */
	size_t section;	     /* index; 0 for what lies outside */
	uint64_t value;	     /* byte in the section; not checked against it */
	uint64_t size;	     /* bytes; not checked either */
	unsigned type, bind; /* STT_…, STB_… */
	bool external;	     /* another object or the kernel has it */
};

/* A place that the loader fills in. */
struct bl_object_reloc {
	size_t offset;	 /* byte in the section; lies inside it */
	uint32_t symbol; /* for bl_object_symbol_at */
	uint32_t type;	 /* R_BPF_… */
};

#define bl_autoobject __attribute__((cleanup(bl_object_free)))
void bl_object_free(struct bl_object *o);

/*
 * Copies and reads the object; @name is for messages. -EBADMSG when it is not
 * a BPF object with at least one program (the message says what it is instead),
 * -ENOMEM. *ret is untouched on failure.
 */
int bl_object_open(const char *name, const void *data, size_t len,
		   struct bl_object *ret, struct bl_err *err);

/* The first section of that name, NULL if there is none. */
const struct bl_object_section *bl_object_section(const struct bl_object *o,
						  const char *name);

/* The program (not a called function) of that name, NULL if there is none. */
const struct bl_object_program *bl_object_program(const struct bl_object *o,
						  const char *name);

/* Symbol number @index. -ENOENT when there is none, or its name or section is
 * not inside the object. */
int bl_object_symbol_at(const struct bl_object *o, size_t index,
			struct bl_object_symbol *ret);

/*
 * The relocations of a section, by offset, as libbpf takes them: from every
 * SHT_REL section whose sh_info is @section. The caller frees *ret. -EBADMSG
 * when one lies outside the section or two fill one place, -ENOMEM.
 */
int bl_object_relocs(const struct bl_object *o, size_t section,
		     struct bl_object_reloc **ret, size_t *ret_count,
		     struct bl_err *err);

#endif
