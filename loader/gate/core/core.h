/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "core": every CO-RE relocation of an object against the types of any
 * number of kernels, without booting one.
 *
 * What a relocation is on one kernel, and what is said of it:
 *
 *	resolved	counted in the pass finding of that kernel;
 *	guarded		the kernel lacks what it names, and no way through the
 *			program leads there on that kernel: counted too;
 *	unresolved	and the program comes there: rejected;
 *	undecided	and whether it comes there is decided by what a loader
 *			sets (.rodata, kconfig, weak symbols), or a limit was
 *			met (core_reach.h);
 *	refused		loaders stop at it, wherever it stands: types of one
 *			name that differ, a field too far away: rejected.
 *
 * Of an optional program (SEC "?…") the last three are warnings: its loader
 * switches it on where it fits.
 *
 * Types of kernel modules are not seen. Loaders look into modules only for a
 * type that the kernel itself lacks, and only into those that are loaded. So
 * what names such a type without a guard is undecided, not rejected, where
 * modules can be loaded. What tests for it (bpf_core_type_exists) is taken as
 * "not there": with the module, the program would run the code behind the test
 * with the module's types, which nobody checked here.
 */
#ifndef BL_GATE_CORE_H
#define BL_GATE_CORE_H

#include "loader/base/buf.h"
#include "loader/gate/finding.h"
#include "loader/object/object.h"

/* The types of one kernel; the first of data, load and why_not that is there
 * counts. */
struct bl_btf_source {
	const char *name; /* of the kernel, for findings */
	const void *data; /* its BTF */
	size_t len;
	/* Adds its BTF to *ret when it is needed; 0 or -errno. */
	int (*load)(const void *ctx, struct bl_buf *ret, struct bl_err *err);
	const void *ctx;
	const char *why_not; /* there is none: a few words */
	bool modules;	     /* types may also come from modules */
};

/*
 * Adds at least one finding for each source, one in all if the object has no
 * relocations. 0 or as bl_report_add.
 */
int bl_core_check(const struct bl_object *o, const struct bl_btf_source *list,
		  size_t count, struct bl_report *report);

/*
 * After the kernels were asked: where one accepted a program (status ACCEPTED)
 * of which this check was undecided on that kernel, its answer counts, and the
 * finding becomes a warning: other settings of its loader may change it. 0 or
 * -ENOMEM.
 */
int bl_core_settle(struct bl_report *report);

#endif
