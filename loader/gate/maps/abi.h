/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "abi": the maps of an object against those of its previous version. A
 * map is what outlives a program, or what others read: it has an interface.
 *
 *	r = bl_abi_check(&now, &previous, report);
 *
 * Maps are compared by name: type, keys, values, flags, entries, pinning and,
 * for maps of maps, what is in them. Types are compared by the names, places
 * and kinds of their members (layout.h), whatever the types are called.
 *
 *	same          pass
 *	extended      warn, and what its loader or its readers must do: more
 *	              entries of a pinned map; members that are new behind the
 *	              old ones or in their padding; members that only changed
 *	              their name; flags that no reader notices
 *	incompatible  reject, with both layouts: another type or key, members
 *	              that moved, changed or went, fewer entries in a pinned map,
 *	              flags of a pinned map, access taken from user space, a
 *	              pinned map that is gone or not pinned any more
 *	gone          warn, if it was not pinned
 *	new           pass
 *
 * A type that is not described by BTF on one side is compared by its size, and
 * that is a warning. What cannot be compared is undecided.
 *
 * Not compared: .data, .bss, .rodata, .kconfig and struct_ops, which each
 * version makes anew. Ring buffers and perf event arrays hold nothing that
 * outlives a version: their size may change, their type may not.
 */
#ifndef BL_GATE_ABI_H
#define BL_GATE_ABI_H

#include "loader/gate/finding.h"
#include "loader/object/object.h"

/* Adds at least one finding to *report. 0 or as bl_report_add. */
int bl_abi_check(const struct bl_object *now, const struct bl_object *previous,
		 struct bl_report *report);

#endif
