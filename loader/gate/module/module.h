/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "module", as far as no kernel is needed for it: what the files of a
 * bundle of kernel modules are, and which of the chosen kernels has one.
 *
 *	a file for another machine, or not linked as a module   reject
 *	a module, and no content: it would report nothing       reject
 *	a chosen kernel without a module                        reject
 *	a module for a kernel that was not chosen               warn; undecided
 *	                                                        if all were
 *	the running kernel chosen                               undecided
 *
 * And what the gate asks of an object and cannot ask of a module, each a
 * warning of its own under the check that is missing: no report of a module may
 * look as if somebody had verified it.
 */
#ifndef BL_GATE_MODULE_H
#define BL_GATE_MODULE_H

#include "loader/gate/candidate.h"
#include "loader/gate/choice.h"
#include "loader/gate/finding.h"

/* The module of a bundle for one kernel. */
struct bl_gate_module {
	const char *file; /* its name in the bundle; NULL: there is none */
	const void *data;
	size_t len;
};

/* The files themselves. 0 or as bl_report_add, as all of these. */
int bl_module_check_files(const struct bl_candidate *c, struct bl_report *r);

/* What is not asked of a module. @previous: something is live already. */
int bl_module_not_asked(bool previous, struct bl_report *r);

/*
 * Which module each chosen kernel would get: ret[i] for choice->kernels[i].
 * Kernels that have none, and the running one, are added to the report here,
 * with their finding.
 */
int bl_module_cover(const struct bl_candidate *c,
		    const struct bl_choice *choice, struct bl_gate_module *ret,
		    struct bl_report *r);

#endif
