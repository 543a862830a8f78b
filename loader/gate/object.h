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
#ifndef BL_GATE_OBJECT_H
#define BL_GATE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

#define BL_OBJECT_SECTIONS_MAX 4096
#define BL_OBJECT_PROGRAMS_MAX 1024
#define BL_OBJECT_NAME_MAX     512 /* bytes of a section's or symbol's name */

struct bl_object_section {
	const char *name;
	const unsigned char *data; /* NULL: takes no room in the file */
	size_t size;
	uint32_t type, link;
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

#endif
