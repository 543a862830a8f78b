/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of a C type, flattened: where each of its fields lies and what it
 * is. And what became of it in a later version of the type.
 *
 *	bl_autolayout struct bl_layout a = { 0 }, b = { 0 };
 *	r = bl_layout_read(&old_btf, old_id, &a);
 *	r = bl_layout_read(&new_btf, new_id, &b);
 *	r = bl_layout_compare(&a, &b, &diff);
 *
 * Pure. Names of types do not matter, nor do typedefs and const: the names,
 * places, sizes and kinds of fields do. A pointer is 8 bytes, whatever it
 * points to. An array is a field of its own ("name") and, once, its element
 * ("name[]").
 *
 * A field called pad, padding, reserved, unused, rsvd, resv or filler, with
 * underscores and digits around it, is room, not data: it may shrink, move, and
 * give way to another field.
 */
#ifndef BL_OBJECT_LAYOUT_H
#define BL_OBJECT_LAYOUT_H

#include "loader/base/buf.h"
#include "loader/object/btf.h"

#define BL_LAYOUT_FIELDS_MAX 4096
#define BL_LAYOUT_PATH_MAX   256 /* bytes of "a.b[].c" */

enum bl_field_kind {
	BL_FIELD_UNSIGNED,
	BL_FIELD_SIGNED,
	BL_FIELD_BOOL,
	BL_FIELD_FLOAT,
	BL_FIELD_POINTER,
	BL_FIELD_ENUM,
	BL_FIELD_ARRAY, /* the whole of it; its element is another field */
};

struct bl_field {
	const char *path; /* "" for the value itself */
	uint64_t bit_offset, bit_size;
	enum bl_field_kind kind;
	uint32_t count; /* of an array */
	uint32_t type;	/* of an enum, in the layout's btf */
	bool is_room;	/* by its name */
};

struct bl_layout {
	const struct bl_btf *btf; /* borrowed */
	struct bl_field *fields;  /* as they stand in the type */
	struct bl_field *sorted;  /* the same, by path */
	size_t count;
	uint32_t size;	     /* bytes of the type */
	struct bl_buf paths; /* what the fields' paths point into */
};

#define bl_autolayout __attribute__((cleanup(bl_layout_free)))
void bl_layout_free(struct bl_layout *l);

/* -E2BIG when the type has too many fields, or too deep ones; -EINVAL when one
 * of them has no size; -ENOMEM. */
int bl_layout_read(const struct bl_btf *b, uint32_t type,
		   struct bl_layout *ret);

#define BL_LAYOUT_TEXT_MAX 1024

struct bl_layout_diff {
	/* Fields that are gone, moved or of another kind; that are new; that
	 * have another name at the same place. */
	unsigned broken, added, renamed;
	/* The first of each, in words: member "x" moved from byte 8 to 16 */
	char first_broken[BL_LAYOUT_TEXT_MAX];
	char first_added[BL_LAYOUT_TEXT_MAX];
	char first_renamed[BL_LAYOUT_TEXT_MAX];
};

/* -E2BIG when there is too much to compare. */
int bl_layout_compare(const struct bl_layout *before,
		      const struct bl_layout *now, struct bl_layout_diff *ret);

/* A line for each field, for people; at most @max of them. 0 or -ENOMEM. */
int bl_layout_print(const struct bl_layout *l, size_t max, struct bl_buf *ret);

#endif
