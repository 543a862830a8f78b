/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "swap": what happens when a version is exchanged for its next. Facts to
 * findings, nothing else.
 *
 * bl_swap_compare needs no kernel: what changed between two objects that a
 * running version cannot simply be replaced by. bl_swap_ways says what a kernel
 * can do for each attached program; bl_swap_check also judges the rehearsal
 * there:
 *
 *	an operation without any event      reject
 *	operations with more than one       pass: their number is told, readers
 *	                                    tell them apart by the generation
 *	a program that can be there once    warning: there is a gap
 *	not rehearsed                       undecided; a warning for a foreign
 *	                                    object, whose events nobody numbers
 *
 * Each adds at least one finding whatever the facts are.
 */
#ifndef BL_GATE_SWAP_H
#define BL_GATE_SWAP_H

#include "loader/gate/finding.h"
#include "loader/object/object.h"

/* All: 0 or as bl_report_add. */
int bl_swap_check(const struct bl_facts *f, const char *kernel,
		  struct bl_report *r);
int bl_swap_ways(const struct bl_facts *f, const char *kernel,
		 struct bl_report *r);
int bl_swap_compare(const struct bl_object *now,
		    const struct bl_object *previous, struct bl_report *r);

#endif
