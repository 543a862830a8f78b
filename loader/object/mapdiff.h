/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of two definitions of one map: what was before, and what is now.
 *
 *	BL_CLEANUP(bl_map_diff_free) struct bl_map_diff d = { 0 };
 *	size_t fields = 0;
 *
 *	r = bl_map_compare(&old, a, &new, b, &fields, &d);
 *
 * Pure. There is one judge: the gate's check "abi" and the host's decision on
 * what is carried over (carry.h) both ask here.
 *
 * Types are compared by the names, places and kinds of their members
 * (layout.h), whatever the types are called.
 *
 *	same          nothing that a reader or a program could notice
 *	unclear       a type that BTF does not describe on one side: by its
 *	              size, the same. Or fewer entries in a map that nobody pins
 *	extended      what was there is where it was: members that are new
 *	              behind the old ones or in their padding; members that
 *	              only changed their name; more entries of a pinned map;
 *	              flags that no reader notices
 *	undecided     it could not be compared
 *	incompatible  another type or key, members that moved, changed or went,
 *	              fewer entries in a pinned map, flags of a pinned map,
 *	              access taken from user space, not pinned any more
 *
 * What its loader makes anew anyway cannot differ in ways that matter: of ring
 * buffers and perf event arrays only the type is compared.
 */
#ifndef BL_OBJECT_MAPDIFF_H
#define BL_OBJECT_MAPDIFF_H

#include "loader/base/buf.h"
#include "loader/object/mapdef.h"

/* How much a change matters; the worst counts. */
enum bl_alike {
	BL_ALIKE_SAME,
	BL_ALIKE_UNCLEAR,
	BL_ALIKE_EXTENDED,
	BL_ALIKE_UNDECIDED,
	BL_ALIKE_INCOMPATIBLE,
};

/* "same", "same form", "extended", "cannot be compared", "incompatible" */
const char *bl_alike_name(enum bl_alike alike);

struct bl_map_diff {
	enum bl_alike alike;
	bool resized;	   /* its values have another size now */
	bool one_form;	   /* to a kernel: sizes, flags, entries are equal */
	struct bl_buf why; /* what differs, "; " between; "" for nothing */
	struct bl_buf log; /* both layouts, where they do not fit together */
};

void bl_map_diff_free(struct bl_map_diff *d);

/*
 * Compares @a of @before with @b of @now. *@fields counts the members that were
 * looked at, for all maps of an object together: begin with 0. 0 or -ENOMEM;
 * *ret is to be freed, and untouched on failure.
 */
int bl_map_compare(const struct bl_map_list *before, const struct bl_map_def *a,
		   const struct bl_map_list *now, const struct bl_map_def *b,
		   size_t *fields, struct bl_map_diff *ret);

#endif
