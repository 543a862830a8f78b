/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an instruction to the line of C that it came from, by .BTF.ext. Kernels
 * before 6.9 print the text of a line in the verifier's log but neither its
 * file nor its number, so both are found here, for every kernel alike.
 */
#ifndef BL_GATE_SOURCE_H
#define BL_GATE_SOURCE_H

#include "loader/object/object.h"

struct bl_source {
	const char *file; /* as the compiler was given it */
	const char *text; /* of the line, without leading blanks; may be "" */
	uint32_t line;
};

/*
 * The line of the instruction at byte @offset of the section with that index.
 * Strings belong to @o. -ENOENT when the object has no line there (built
 * without -g, or damaged).
 */
int bl_source_find(const struct bl_object *o, size_t section_index,
		   size_t offset, struct bl_source *ret);

/*
 * The line whose text is @text (blanks around it are ignored), for functions
 * in .text whose place in a program is known only to the loader. @line is its
 * number, 0 if that is not known. -ENOENT when none or more than one line is
 * like that.
 */
int bl_source_find_text(const struct bl_object *o, const char *text,
			uint32_t line, struct bl_source *ret);

#endif
