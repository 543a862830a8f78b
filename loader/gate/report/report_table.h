/* SPDX-License-Identifier: Apache-2.0 */
/* The table program × kernel of a report, for a terminal. */
#ifndef BL_GATE_REPORT_TABLE_H
#define BL_GATE_REPORT_TABLE_H

#include <stdio.h>

#include "loader/base/term.h"
#include "loader/gate/report/report_fold.h"

/* In as many tables below each other as @width columns ask for; 0: any width.
 * Nothing if no kernel was asked. 0 or -ENOMEM. */
int bl_report_table(const struct bl_fold *fold, unsigned width, FILE *f);

/* How a verdict is coloured. */
enum bl_style bl_report_style(enum bl_verdict v);

#endif
