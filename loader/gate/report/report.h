/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report in all its forms.
 *
 *	struct bl_report_output out;
 *
 *	r = bl_report_output_parse("sarif=belay.sarif", &out, err);
 *	if (r == 0)
 *		r = bl_report_output(&report, &out, stdout, err);
 *
 * Each form is one function from a report to a stream, in a file of its own
 * (report_NAME.c); the table below names them.
 *
 * Invariants:
 *  - no form says more than the report: what is undecided in it is never
 *    written as passed, and a report in which nothing was checked shows up as
 *    such in every form;
 *  - the same report gives the same bytes: no clock, no host name, no random
 *    identifier;
 *  - a report that could not be written whole is an error: never a pass.
 */
#ifndef BL_GATE_REPORT_H
#define BL_GATE_REPORT_H

#include <stdio.h>

#include "loader/gate/finding.h"

struct bl_report_format {
	const char *name;
	const char *what; /* for --help: a few words */
	/* 0 or -ENOMEM. Does not look at the stream's error flag. */
	int (*print)(const struct bl_report *r, FILE *f);
};

extern const struct bl_report_format bl_report_formats[];
extern const size_t bl_report_format_count;

/* NULL if there is none of that name. */
const struct bl_report_format *bl_report_format_find(const char *name);

/* The value of an option --format NAME[=FILE]. */
struct bl_report_output {
	const struct bl_report_format *format;
	const char *path; /* borrowed from the option; NULL: standard output */
};

/* 0 or -EINVAL with the known names in the error. */
int bl_report_output_parse(const char *option, struct bl_report_output *ret,
			   struct bl_err *err);

/*
 * Writes @r to the file of @out, replaced at once when it is complete, or to
 * @f if @out names none. 0, -ENOMEM, or what writing failed with.
 */
int bl_report_output(const struct bl_report *r,
		     const struct bl_report_output *out, FILE *f,
		     struct bl_err *err);

/* The forms; usually called through the table. */
int bl_report_print_text(const struct bl_report *r, FILE *f);
int bl_report_print_json(const struct bl_report *r, FILE *f);
int bl_report_print_junit(const struct bl_report *r, FILE *f);
int bl_report_print_sarif(const struct bl_report *r, FILE *f);
int bl_report_print_markdown(const struct bl_report *r, FILE *f);

#endif
