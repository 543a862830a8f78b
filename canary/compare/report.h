/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A comparison as a person reads it: a table for the terminal, Markdown for an
 * issue or a README, and one HTML page that needs nothing but a browser.
 *
 * Invariants:
 *  - no form says more than the document: what was not run or could not be is
 *    never shown as harmless, and numbers are computed from its runs;
 *  - the same document gives the same bytes;
 *  - text of strangers (logs, a gate's words) is data in all of them: it can
 *    neither become markup, nor script, nor move the cursor.
 *
 * Each: 0 or -ENOMEM. The stream's error flag is the caller's to look at.
 */
#ifndef BL_CANARY_COMPARE_REPORT_H
#define BL_CANARY_COMPARE_REPORT_H

#include <stdio.h>

#include "canary/compare/document.h"

/* Colour and width are those of @f (loader/base/term.h). */
int bl_compare_print_text(const struct bl_compare *c, FILE *f);
int bl_compare_print_markdown(const struct bl_compare *c, FILE *f);
/* Self-contained: no request to any network. */
int bl_compare_print_page(const struct bl_compare *c, FILE *f);

#endif
