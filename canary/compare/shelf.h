/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of results, which makes a comparison resumable:
 *
 *	OUT/runs/FAULT.KERNEL.WAY.json	one run each, written when it is over
 *	OUT/compare.{json,md,html}	all of them; made anew from these
 *	OUT/work			of the run under way; of no use afterwards
 */
#ifndef BL_CANARY_COMPARE_SHELF_H
#define BL_CANARY_COMPARE_SHELF_H

#include "canary/compare/catalog.h"
#include "canary/compare/document.h"

/* Whether @have (NULL: there is none) answers for the version with the digest
 * @variant as @belay would find it now. A run that failed is made again. Pure. */
bool bl_shelf_current(const struct bl_compare_result *have, const char *belay,
		      const char *variant);

/* -ENOENT: there is none. */
int bl_shelf_load(const char *out, const char *fault, const char *kernel,
		  enum bl_compare_way way, struct bl_compare_result *ret,
		  struct bl_err *err);

int bl_shelf_save(const char *out, const struct bl_compare_result *run,
		  struct bl_err *err);

/*
 * All that there are of the catalogue's faults, in its order, oldest kernel
 * first, with the entries of those faults. Runs of what is no longer in the
 * catalogue are left out. *ret is zeroed by the caller.
 */
int bl_shelf_collect(const char *out, const struct bl_faults *faults,
		     struct bl_compare *ret, struct bl_err *err);

/* Writes OUT/compare.json, .md and .html. */
int bl_shelf_report(const char *out, const struct bl_compare *all,
		    struct bl_err *err);

#endif
