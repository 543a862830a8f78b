/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "attach": whether every program that a kernel accepted could also be
 * attached there. Facts to findings, nothing else.
 *
 *	attached    pass, one finding for all of them
 *	elsewhere   warning: only its loader knows where; says what it must give
 *	missing     reject: what it attaches to is not on this kernel; a warning
 *	            for an optional program
 *	failed      reject
 *	untried     undecided
 *
 * On the running kernel, which may be a restricted one and is nobody's target,
 * missing and failed are undecided. Programs that were not accepted are the
 * verifier check's. At least one finding whatever the facts are.
 */
#ifndef BL_GATE_ATTACH_H
#define BL_GATE_ATTACH_H

#include "loader/gate/finding.h"

/* @kernel: a release, or "host" with @host. 0 or as bl_report_add. */
int bl_attach_check(const struct bl_facts *f, const char *kernel, bool host,
		    struct bl_report *r);

#endif
