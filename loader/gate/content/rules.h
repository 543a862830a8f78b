/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "content": what the rules of a content would do to a host, whatever
 * the sensor. Pure; each path is put through the interpreter that runs in the
 * kernel.
 *
 *	reject	a rule that denies what a host needs to live (vital.h), or
 *		nearly everything; content after which a sensor reports nothing
 *		at all, since a blind sensor looks like a quiet fleet; a binary
 *		form that is not what the JSON says, or in which a rule is not
 *		found
 *	warn	a rule that reports or ignores nearly everything; that can never
 *		match, since its path leads through a symbolic link; that
 *		changes nothing; that names the digest of the empty file
 *
 * A rule that only repeats what a shorter one does is no mistake when it has
 * an id: events then carry its name.
 */
#ifndef BL_GATE_RULES_H
#define BL_GATE_RULES_H

#include "loader/gate/finding.h"

/*
 * @json is content called @name, @bin what it compiled to (aligned as memory
 * from malloc). Adds at least one finding to *report, placed at a line of the
 * JSON where it is about a rule. 0, -ENOMEM, or as bl_report_add.
 */
int bl_rules_check(const char *name, const char *json, size_t json_len,
		   const void *bin, size_t bin_len, struct bl_report *report);

#endif
