/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of the gate as a reader of reports meets them: what each asks and
 * what its findings are about. Reports list findings in this order; in SARIF
 * each is a rule.
 *
 * A check that is not in the table is reported all the same, after the others:
 * a report must not lose a finding because its check is new.
 */
#ifndef BL_GATE_REPORT_CHECKS_H
#define BL_GATE_REPORT_CHECKS_H

#include <stddef.h>

struct bl_report_check {
	const char *name;  /* bl_finding.check */
	const char *asks;  /* one sentence, without a full stop at its end */
	const char *about; /* what it looks at and what rejects */
	const char *help;  /* what to do about a finding */
};

extern const struct bl_report_check bl_report_checks[];
extern const size_t bl_report_check_count;

/* Its place in the table; bl_report_check_count if it is not there. */
size_t bl_report_check_rank(const char *name);

#endif
