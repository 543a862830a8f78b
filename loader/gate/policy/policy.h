/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What belay lets an object be and do, whatever the verifier says: checks
 * "license" and "policy". Read from the object alone; no kernel is asked.
 *
 * A profile (profile.h) judges each program by its type, where it attaches and
 * whether it may sleep, and by the helpers and kfuncs that it calls, also those
 * in functions that it reaches. A finding names the instruction, its line, what
 * is denied, why, and which profile would allow it.
 *
 *  - A function is judged once, in the name of one program that reaches it. One
 *    that none reaches is never loaded: it gives warnings only.
 *  - An optional program that the profile denies is a warning, since only a
 *    loader that enforces switches it on; unless @denies.
 *  - What a profile file allows against its base is said too, with its reason.
 *  - What cannot be judged is undecided.
 */
#ifndef BL_GATE_POLICY_H
#define BL_GATE_POLICY_H

#include "loader/gate/finding.h"
#include "loader/gate/policy/profile.h"
#include "loader/object/object.h"

/* Findings about one object; what goes beyond is counted in one more. */
#define BL_POLICY_FINDINGS_MAX 256

/*
 * Adds at least one finding of each check to *report. @denies: the content that
 * comes with the object denies, so its optional programs are loaded too. 0, or
 * as bl_report_add.
 */
int bl_policy_check(const struct bl_object *o, const struct bl_profile *p,
		    bool denies, struct bl_report *report);

#endif
