/* SPDX-License-Identifier: Apache-2.0 */
/* A report for a person: the table program × kernel, what went wrong, where and
 * what to do, and the verdict as the last line. */
#ifndef BL_GATE_REPORT_TEXT_H
#define BL_GATE_REPORT_TEXT_H

#include <stdio.h>

#include "loader/gate/finding.h"

/* bl_report_print_text() of report.h, for those who cannot do anything about a
 * report that cannot be printed: then it says so instead. */
void bl_report_print(const struct bl_report *r, FILE *f);

#endif
