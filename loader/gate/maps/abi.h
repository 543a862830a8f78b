/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "abi": the maps of an object against those of its previous version. A
 * map is what outlives a program, or what others read: it has an interface.
 *
 *	r = bl_abi_check(&now, &previous, &manifest.state, report);
 *
 * Maps are compared by name; what makes two of them alike is told by the one
 * judge (mapdiff.h). Here that becomes findings:
 *
 *	same          pass
 *	unclear       warn
 *	extended      warn, and what its loader or its readers must do
 *	undecided     undecided
 *	incompatible  reject, with both layouts
 *	gone          warn, or reject if it was pinned
 *	new           pass
 *
 * Not compared: .data, .bss, .rodata, .kconfig and struct_ops, which each
 * version makes anew.
 */
#ifndef BL_GATE_ABI_H
#define BL_GATE_ABI_H

#include "loader/gate/finding.h"
#include "loader/object/carry.h"
#include "loader/object/object.h"

/*
 * Adds at least one finding to *report. 0 or as bl_report_add. @words: what the
 * manifest says about the maps, NULL if there is none. Of a map that it names,
 * a change is known and meant, and no more than a warning; whether the word can
 * be followed is for check "state".
 */
int bl_abi_check(const struct bl_object *now, const struct bl_object *previous,
		 const struct bl_carry_rules *words, struct bl_report *report);

#endif
