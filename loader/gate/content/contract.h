/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "content": the contract between a sensor's object and the content that
 * it is shipped with. What the content supplies must be, member by member, what
 * the object was compiled to read: on 19 July 2024 a content file had 21 fields
 * where the driver supplied 20, and nothing looked.
 *
 * The object says what it reads in its BTF: the values of its maps
 * bl_content_hdr and bl_content_slots. Compared are size, and each member's
 * name, offset and size, with the interpreter in this belay (bpf/content.h),
 * which made the content.
 *
 *	reject	a map is there and what it holds is laid out otherwise, or there
 *		is content and no room for its rules
 *	undecided	the object does not say what its maps hold
 *	pass	it fits
 */
#ifndef BL_GATE_CONTRACT_H
#define BL_GATE_CONTRACT_H

#include "loader/gate/finding.h"
#include "loader/object/object.h"

/*
 * @bin is the binary form of the content that is shipped with the object, NULL
 * if there is none (then only the layout is checked). Adds at least one finding
 * to *report. 0, -ENOMEM, or as bl_report_add.
 */
int bl_contract_check(const struct bl_object *o, const void *bin, size_t len,
		      struct bl_report *report);

#endif
