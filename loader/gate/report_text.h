/* SPDX-License-Identifier: Apache-2.0 */
/* A report for a person: the table program × kernel, what went wrong and where,
 * and the verdict as the last line. */
#ifndef BL_GATE_REPORT_TEXT_H
#define BL_GATE_REPORT_TEXT_H

#include <stdio.h>

#include "loader/gate/finding.h"

void bl_report_print(const struct bl_report *r, FILE *f);

#endif
