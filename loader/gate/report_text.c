/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/term.h"
#include "loader/kern/vlog.h"

#define COLUMNS_MAX   60  /* kernels in one table */
#define LOG_LINES     12  /* of the verifier that are shown */
#define LOG_WIDTH_MIN 112 /* bytes of a verifier's line that are shown */

static enum bl_style style_of(enum bl_verdict v)
{
	switch (v) {
	case BL_VERDICT_PASS:
		return BL_STYLE_GOOD;
	case BL_VERDICT_WARN:
		return BL_STYLE_WARN;
	case BL_VERDICT_REJECT:
		return BL_STYLE_BAD;
	default:
		return BL_STYLE_WARN;
	}
}

/* "6.1.0-37-cloud-amd64" is "6.1.0-37" in a table: up to the second dash, or
 * the flavour of the kernel when that begins with a letter. */
static int short_len(const char *release)
{
	const char *p = release;

	while ((p = strchr(p, '-'))) {
		if (strncmp(p, "-cloud", 6) == 0 || strcmp(p, "-amd64") == 0)
			return (int)(p - release);
		p++;
	}
	return (int)strlen(release);
}

static void print_head(const struct bl_report *r, FILE *f, bool colour)
{
	fprintf(f, "%s%s%s  %s", bl_style(colour, BL_STYLE_BOLD), r->path,
		bl_style_end(colour), r->kind);
	if (r->digest[0])
		fprintf(f, "  %ssha256 %.12s%s", bl_style(colour, BL_STYLE_DIM),
			r->digest, bl_style_end(colour));
	fputc('\n', f);
}

/* Passed checks of the file as a whole, in one line. */
static void print_passed(const struct bl_report *r, FILE *f)
{
	const char *sep = "  ";
	size_t i;

	for (i = 0; i < r->count; i++) {
		const struct bl_finding *x = &r->findings[i];

		if (x->verdict != BL_VERDICT_PASS || x->status)
			continue;
		fprintf(f, "%s%s", sep, x->message);
		sep = "; ";
	}
	if (strcmp(sep, "; ") == 0)
		fputc('\n', f);
}

static const struct bl_finding *answer(const struct bl_report *r,
				       const char *program, const char *kernel)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->findings[i].status &&
		    strcmp(r->findings[i].program, program) == 0 &&
		    strcmp(r->findings[i].kernel, kernel) == 0)
			return &r->findings[i];
	return NULL;
}

/* Whether finding @i is the first about its program. */
static bool first_of_program(const struct bl_report *r, size_t i)
{
	size_t k;

	if (!r->findings[i].status)
		return false;
	for (k = 0; k < i; k++)
		if (r->findings[k].status &&
		    strcmp(r->findings[k].program, r->findings[i].program) == 0)
			return false;
	return true;
}

/* What the table says of a kernel that never answered. */
static const struct bl_finding *outcome(const struct bl_report *r,
					const char *kernel)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (!r->findings[i].status &&
		    r->findings[i].verdict >= BL_VERDICT_UNDECIDED &&
		    strcmp(r->findings[i].kernel, kernel) == 0)
			return &r->findings[i];
	return NULL;
}

static void answer_cell(struct bl_table *t, const struct bl_report *r,
			const char *program, const char *kernel)
{
	const struct bl_finding *x = answer(r, program, kernel);

	if (!x) {
		x = outcome(r, kernel);
		bl_table_cell(t, x ? style_of(x->verdict) : BL_STYLE_WARN, "%s",
			      x && x->verdict == BL_VERDICT_REJECT ? "panic"
								   : "?");
	} else if (x->status == BL_STATUS_ACCEPTED) {
		bl_table_cell(t, BL_STYLE_GOOD, "ok %" PRIu64, x->effort.insns);
	} else if (x->status == BL_STATUS_UNKNOWN) {
		bl_table_cell(t, BL_STYLE_WARN, "?");
	} else {
		bl_table_cell(t, style_of(x->verdict), "%s",
			      bl_status_name(x->status));
	}
}

static void print_table(const struct bl_report *r, FILE *f)
{
	size_t columns = r->kernel_count < COLUMNS_MAX ? r->kernel_count
						       : COLUMNS_MAX;
	bl_autotable struct bl_table *t = bl_table_new((unsigned)columns + 1);
	size_t i, k, rows = 0;

	if (!t || !columns)
		return;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_BOLD, "program");
	for (k = 0; k < columns; k++)
		bl_table_cell(t, BL_STYLE_BOLD, "%.*s",
			      short_len(r->kernels[k].name),
			      r->kernels[k].name);
	for (i = 0; i < r->count; i++) {
		if (!first_of_program(r, i))
			continue;
		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s%s", r->findings[i].program,
			      r->findings[i].optional ? " (optional)" : "");
		for (k = 0; k < columns; k++)
			answer_cell(t, r, r->findings[i].program,
				    r->kernels[k].name);
		rows++;
	}
	if (!rows)
		return;
	fputc('\n', f);
	bl_table_print(t, f, "  ");
}

static bool same(const struct bl_finding *a, const struct bl_finding *b)
{
	return a->verdict == b->verdict && a->status == b->status &&
	       a->line == b->line && strcmp(a->check, b->check) == 0 &&
	       strcmp(a->program, b->program) == 0 &&
	       strcmp(a->message, b->message) == 0 &&
	       strcmp(a->file, b->file) == 0;
}

/* A finding that an earlier one already told, on another kernel. */
static bool told_before(const struct bl_report *r, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (same(&r->findings[k], &r->findings[i]))
			return true;
	return false;
}

static void print_kernels(const struct bl_report *r, size_t i, FILE *f)
{
	const char *sep = "";
	size_t k;

	for (k = i; k < r->count; k++) {
		const struct bl_finding *x = &r->findings[k];

		if (!same(x, &r->findings[i]) || !*x->kernel)
			continue;
		fprintf(f, "%s%.*s", *sep ? sep : " on ", short_len(x->kernel),
			x->kernel);
		sep = ", ";
	}
}

/* Lines of at most @width bytes (0: any), the rest of each cut off. */
static void print_lines(const char *text, size_t text_len, const char *indent,
			size_t width, FILE *f)
{
	const char *stop = text + text_len, *end;
	size_t len;

	for (; text < stop; text = end + 1) {
		end = memchr(text, '\n', (size_t)(stop - text));
		end = end ? end : stop;
		len = (size_t)(end - text);
		if (width && len > width) {
			len = width;
			while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
				len--;
		}
		fprintf(f, "%s%.*s%s\n", indent, (int)len, text,
			text + len < end ? "…" : "");
	}
}

static size_t log_width(FILE *f)
{
	unsigned columns = bl_term_columns(f);

	return columns > LOG_WIDTH_MIN ? columns - 8 : LOG_WIDTH_MIN;
}

/* Of the same finding on several kernels, the one of the newest: later kernels
 * explain more. */
static const struct bl_finding *newest(const struct bl_report *r, size_t i)
{
	size_t k = r->count - 1;

	while (k > i && (!*r->findings[k].log ||
			 !same(&r->findings[k], &r->findings[i])))
		k--;
	return &r->findings[k];
}

static void print_finding(const struct bl_report *r, size_t i, FILE *f,
			  bool colour)
{
	const struct bl_finding *x = newest(r, i);
	const char *log;
	size_t len;

	fprintf(f, "\n  %s%s%s", bl_style(colour, style_of(x->verdict)),
		x->status > BL_STATUS_ACCEPTED && x->status < BL_STATUS_UNKNOWN
			? bl_status_name(x->status)
			: bl_verdict_name(x->verdict),
		bl_style_end(colour));
	if (*x->program)
		fprintf(f, " %s", x->program);
	if (*x->section)
		fprintf(f, " (%s)", x->section);
	print_kernels(r, i, f);
	fprintf(f, "\n");
	print_lines(x->message, strlen(x->message), "    ", 0, f);
	if (*x->file)
		fprintf(f, "    at %s:%u: %s\n", x->file, x->line, x->source);
	else if (*x->source)
		fprintf(f, "    at: %s\n", x->source);
	if (x->status == BL_STATUS_REJECTED && *x->log) {
		log = bl_vlog_excerpt(x->log, LOG_LINES, &len);
		fputs(bl_style(colour, BL_STYLE_DIM), f);
		print_lines(log, len, "    | ", log_width(f), f);
		fputs(bl_style_end(colour), f);
	}
	if (*x->log_path)
		fprintf(f, "    log: %s\n", x->log_path);
}

static void count_programs(const struct bl_report *r, size_t *ret_programs,
			   size_t *ret_rejected)
{
	size_t i;

	*ret_programs = *ret_rejected = 0;
	for (i = 0; i < r->count; i++) {
		*ret_programs += first_of_program(r, i);
		*ret_rejected += r->findings[i].verdict == BL_VERDICT_REJECT &&
				 !told_before(r, i);
	}
}

static void print_verdict(const struct bl_report *r, FILE *f, bool colour)
{
	enum bl_verdict v = bl_report_verdict(r, NULL);
	size_t programs, rejected;

	count_programs(r, &programs, &rejected);
	fprintf(f, "\n%s%s%s", bl_style(colour, style_of(v)), bl_report_word(v),
		bl_style_end(colour));
	if (v == BL_VERDICT_REJECT)
		fprintf(f, ": %zu reason%s", rejected,
			rejected == 1 ? "" : "s");
	else if (v == BL_VERDICT_UNDECIDED)
		fprintf(f, ": not everything could be checked");
	if (programs)
		fprintf(f, "%s%zu program%s on %zu kernel%s",
			v == BL_VERDICT_PASS ? ": " : "; ", programs,
			programs == 1 ? "" : "s", r->kernel_count,
			r->kernel_count == 1 ? "" : "s");
	if (r->total_ms)
		fprintf(f, ", %.1f s", (double)r->total_ms / 1000);
	fputc('\n', f);
}

void bl_report_print(const struct bl_report *r, FILE *f)
{
	bool colour = bl_term_colour(f);
	size_t i;

	print_head(r, f, colour);
	print_passed(r, f);
	print_table(r, f);
	for (i = 0; i < r->count; i++)
		if (r->findings[i].verdict != BL_VERDICT_PASS &&
		    !told_before(r, i))
			print_finding(r, i, f, colour);
	print_verdict(r, f, colour);
}
