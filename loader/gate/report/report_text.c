/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report/report_text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/term.h"
#include "loader/gate/report/hints.h"
#include "loader/gate/report/report.h"
#include "loader/gate/report/report_checks.h"
#include "loader/gate/report/report_fold.h"
#include "loader/gate/report/report_table.h"
#include "loader/kern/ask/vlog_lines.h"

#define KERNELS_TOLD  8	  /* by name; of more the number */
#define WORDINGS_TOLD 6	  /* of one finding on several kernels */
#define LOG_WIDTH     112 /* of a verifier's line that is not on a terminal */
#define WIDTH_MIN     40  /* narrower terminals break lines by themselves */

struct text {
	const struct bl_report *report;
	struct bl_fold fold;
	FILE *f;
	bool colour;
	unsigned width; /* of the terminal; 0: it is none */
};

static void text_free(struct text *t)
{
	bl_fold_free(&t->fold);
}

/* Names come from strangers: a line break in one must not begin a line of its
 * own, which could say anything. */
static void put_flat(FILE *f, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		fputc(s[i] == '\n' || s[i] == '\t' ? ' ' : s[i], f);
}

/* Bytes of the characters of @s (at most @len bytes) that fill @columns. */
static size_t fill(const char *s, size_t len, size_t columns)
{
	size_t i = 0;

	while (i < len && columns--)
		for (i++; i < len && ((unsigned char)s[i] & 0xc0) == 0x80;)
			i++;
	return i;
}

/* One line of @len bytes, broken between words where the terminal ends. What
 * follows the first line is indented by @hang more. */
static void print_wrapped(const struct text *t, const char *s, size_t len,
			  unsigned indent, unsigned hang)
{
	size_t room, n, cut;

	fprintf(t->f, "%*s", (int)indent, "");
	while (t->width) {
		room = t->width > indent + WIDTH_MIN ? t->width - indent
						     : WIDTH_MIN;
		n = fill(s, len, room);
		if (n == len)
			break;
		for (cut = n; cut && s[cut] != ' '; cut--)
			;
		cut = cut ? cut : n;
		put_flat(t->f, s, cut);
		fputc('\n', t->f);
		s += cut + (s[cut] == ' ');
		len -= cut + (s[-1] == ' ' && cut < len);
		indent += hang;
		hang = 0;
		fprintf(t->f, "%*s", (int)indent, "");
	}
	put_flat(t->f, s, len);
	fputc('\n', t->f);
}

/* @label in front of @s, each line of which is wrapped. */
static int print_text(const struct text *t, const char *label, const char *s,
		      unsigned indent)
{
	const char *end;
	int r = 0;

	for (; r == 0 && *s; s = *end ? end + 1 : end) {
		bl_autobuf struct bl_buf line = { 0 };

		end = strchrnul(s, '\n');
		r = bl_buf_printf(&line, "%s%.*s", label, (int)(end - s), s);
		if (r == 0)
			print_wrapped(t, bl_buf_str(&line), line.len, indent,
				      (unsigned)strlen(label) ? 2 : 0);
		label = "";
	}
	return r;
}

static void print_style(const struct text *t, enum bl_style style,
			const char *s)
{
	fputs(bl_style(t->colour, style), t->f);
	put_flat(t->f, s, strlen(s));
	fputs(bl_style_end(t->colour), t->f);
}

static void print_head(const struct text *t)
{
	print_style(t, BL_STYLE_BOLD, t->report->path);
	fprintf(t->f, "  %s", t->report->kind);
	if (t->report->digest[0])
		fprintf(t->f, "  %ssha256 %.12s%s",
			bl_style(t->colour, BL_STYLE_DIM), t->report->digest,
			bl_style_end(t->colour));
	fputc('\n', t->f);
}

/* "exercise  5.10.0-46: 300 events, none lost": each wording of a check that
 * passed, and its kernels if there are several. */
static int print_pass(const struct text *t, const struct bl_fold_group *g,
		      const char *check)
{
	size_t i, n, told = 0;
	int r = 0;

	for (i = 0; r == 0 && i < g->count && told++ < WORDINGS_TOLD; i += n) {
		struct bl_fold_group run = { g->first + i, 0, NULL };
		bl_autobuf struct bl_buf line = { 0 };

		n = run.count = bl_fold_run(&t->fold, g, i);
		r = bl_buf_printf(&line, "%-9s ", check);
		if (r == 0 && n < g->count) {
			r = bl_fold_kernels(&t->fold, &run, KERNELS_TOLD,
					    &line);
			r = r ? r : bl_buf_add(&line, ": ", 2);
		}
		r = r ? r
		      : bl_buf_printf(&line, "%s",
				      t->fold.members[g->first + i]->message);
		if (r == 0)
			print_wrapped(t, bl_buf_str(&line), line.len, 2, 10);
		check = "";
	}
	return r;
}

/* Of programs that passed the table tells enough. */
static int print_passed(const struct text *t)
{
	const char *check = "";
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < t->fold.group_count; i++) {
		const struct bl_fold_group *g = &t->fold.groups[i];
		const struct bl_finding *x = g->shown;

		if (x->verdict != BL_VERDICT_PASS || *x->program ||
		    !*x->message)
			continue;
		if (!*check)
			fputc('\n', t->f);
		r = print_pass(t, g,
			       strcmp(x->check, check) == 0 ? "" : x->check);
		check = x->check;
	}
	return r;
}

/* "rejected", "missing" or "refused" for what a kernel said of a program, the
 * verdict for everything else. */
static const char *word_of(const struct bl_finding *x)
{
	if (x->status > BL_STATUS_ACCEPTED && x->status < BL_STATUS_UNKNOWN &&
	    x->verdict != BL_VERDICT_PASS)
		return bl_status_name(x->status);
	return x->verdict == BL_VERDICT_REJECT ? "rejected"
					       : bl_verdict_name(x->verdict);
}

/* "verifier: rejected direct (tracepoint/…) on 5.10.0-46, 6.1.0-56" */
static int print_title(const struct text *t, const struct bl_fold_group *g)
{
	const struct bl_finding *x = g->shown;
	bl_autobuf struct bl_buf kernels = { 0 };
	int r = bl_fold_kernels(&t->fold, g, KERNELS_TOLD, &kernels);

	fputs("  ", t->f);
	put_flat(t->f, x->check, strlen(x->check));
	fputs(": ", t->f);
	print_style(t, bl_report_style(x->verdict), word_of(x));
	if (*x->program) {
		fputc(' ', t->f);
		print_style(t, BL_STYLE_BOLD, x->program);
	}
	if (*x->section) {
		fputs(" (", t->f);
		put_flat(t->f, x->section, strlen(x->section));
		fputc(')', t->f);
	}
	if (kernels.len) {
		fputs(" on ", t->f);
		put_flat(t->f, bl_buf_str(&kernels), kernels.len);
	}
	fputc('\n', t->f);
	return r;
}

/* Each wording once; with its kernels if there are several. */
static int print_messages(const struct text *t, const struct bl_fold_group *g,
			  unsigned indent)
{
	size_t i, n, told = 0;
	int r = 0;

	for (i = 0; r == 0 && i < g->count; i += n) {
		const struct bl_finding *x = t->fold.members[g->first + i];
		struct bl_fold_group run = { g->first + i, 0, x };
		bl_autobuf struct bl_buf label = { 0 };

		n = run.count = bl_fold_run(&t->fold, g, i);
		if (told++ == WORDINGS_TOLD) {
			fprintf(t->f, "%*sand %zu more like these\n",
				(int)indent, "", g->count - i);
			break;
		}
		if (n < g->count && *x->kernel) {
			r = bl_fold_kernels(&t->fold, &run, KERNELS_TOLD,
					    &label);
			r = r ? r : bl_buf_add(&label, ": ", 2);
		}
		r = r ? r
		      : print_text(t, bl_buf_str(&label), x->message, indent);
	}
	return r;
}

static int print_place(const struct text *t, const struct bl_finding *x,
		       unsigned indent)
{
	bl_autobuf struct bl_buf line = { 0 };
	int r;

	if (*x->file && x->line)
		r = bl_buf_printf(&line, "at %s:%u%s%s", x->file, x->line,
				  *x->source ? ": " : "", x->source);
	else if (*x->file || *x->source)
		r = bl_buf_printf(&line, "at %s%s%s", x->file,
				  *x->file && *x->source ? ": " : "",
				  x->source);
	else
		return 0;
	if (r == 0)
		print_wrapped(t, bl_buf_str(&line), line.len, indent, 2);
	return r;
}

/* The lines of the verifier's log that the message does not say already. */
static void print_log(const struct text *t, const struct bl_finding *x)
{
	size_t width = t->width > WIDTH_MIN ? t->width - 8 : LOG_WIDTH;
	struct bl_vlog_lines lines;
	size_t i, n;

	bl_vlog_lines(x->log, &lines);
	for (i = 0; i < lines.count; i++) {
		const char *s = lines.line[i].text;
		size_t len = lines.line[i].len;

		if (len == strlen(x->message) &&
		    memcmp(s, x->message, len) == 0)
			continue;
		n = fill(s, len, width);
		fprintf(t->f, "    %s| %.*s%s%s\n",
			bl_style(t->colour, BL_STYLE_DIM), (int)n, s,
			n < len ? "…" : "", bl_style_end(t->colour));
	}
}

static int print_group(const struct text *t, const struct bl_fold_group *g)
{
	const struct bl_finding *x = g->shown;
	int r;

	fputc('\n', t->f);
	r = print_title(t, g);
	r = r ? r : print_messages(t, g, 4);
	r = r ? r : print_place(t, x, 4);
	if (x->status == BL_STATUS_REJECTED)
		print_log(t, x);
	r = r ? r : print_text(t, "hint: ", bl_hint_of(x), 4);
	if (*x->log_path) {
		fputs("    log: ", t->f);
		put_flat(t->f, x->log_path, strlen(x->log_path));
		fputc('\n', t->f);
	}
	return r;
}

/* A warning in as few lines as it has sentences: "warn: prog: message (on
 * 6.1)". */
static int print_warning(const struct text *t, const struct bl_fold_group *g)
{
	const struct bl_finding *x = g->shown;
	bl_autobuf struct bl_buf line = { 0 }, kernels = { 0 };
	const char *message = x->message;
	int r = bl_fold_kernels(&t->fold, g, KERNELS_TOLD, &kernels);

	fputs("  ", t->f);
	print_style(t, BL_STYLE_WARN, "warn");
	r = r ? r
	      : bl_buf_printf(&line, " %s: %s%s", x->check, x->program,
			      *x->program ? ": " : "");
	r = r ? r : bl_buf_add(&line, message, strcspn(message, "\n"));
	if (r == 0 && *x->file && x->line)
		r = bl_buf_printf(&line, " (%s:%u)", x->file, x->line);
	if (r == 0 && kernels.len)
		r = bl_buf_printf(&line, " (on %s)", bl_buf_str(&kernels));
	if (r == 0)
		print_wrapped(t, bl_buf_str(&line), line.len, 0, 4);
	return r ? r : print_text(t, "hint: ", bl_hint_of(x), 4);
}

static int print_unproven(const struct text *t)
{
	bl_autobuf struct bl_buf b = { 0 };
	int r = bl_fold_unproven(&t->fold, &b);

	if (r < 0 || !b.len)
		return r;
	fputc('\n', t->f);
	print_wrapped(t, bl_buf_str(&b), b.len, 2, 2);
	return 0;
}

static int print_findings(const struct text *t)
{
	int r = print_unproven(t);
	bool first = true;
	size_t i;

	for (i = 0; r == 0 && i < t->fold.group_count; i++)
		if (t->fold.groups[i].shown->verdict > BL_VERDICT_WARN)
			r = print_group(t, &t->fold.groups[i]);
	for (i = 0; r == 0 && i < t->fold.group_count; i++) {
		if (t->fold.groups[i].shown->verdict != BL_VERDICT_WARN)
			continue;
		if (first)
			fputc('\n', t->f);
		first = false;
		r = print_warning(t, &t->fold.groups[i]);
	}
	return r;
}

static void count(const struct text *t, size_t n, const char *what,
		  const char *sep)
{
	fprintf(t->f, "%s%zu %s%s", sep, n, what, n == 1 ? "" : "s");
}

static void print_verdict(const struct text *t)
{
	enum bl_verdict v = bl_report_verdict(t->report, NULL);
	const char *sep = ": ";

	fputc('\n', t->f);
	print_style(t, bl_report_style(v), bl_report_word(v));
	if (v == BL_VERDICT_REJECT) {
		count(t, t->fold.rejections, "reason", sep);
		sep = "; ";
	}
	if (v == BL_VERDICT_UNDECIDED) {
		fprintf(t->f, "%snot everything could be checked", sep);
		sep = "; ";
	} else if (t->fold.undecided) {
		fprintf(t->f, "%s%zu undecided", sep, t->fold.undecided);
		sep = "; ";
	}
	if (t->fold.warnings) {
		count(t, t->fold.warnings, "warning", sep);
		sep = "; ";
	}
	if (t->fold.program_count) {
		count(t, t->fold.program_count, "program", sep);
		count(t, t->report->kernel_count, "kernel", " on ");
	}
	if (t->report->total_ms)
		fprintf(t->f, ", %.1f s", (double)t->report->total_ms / 1000);
	fputc('\n', t->f);
}

int bl_report_print_text(const struct bl_report *r, FILE *f)
{
	BL_CLEANUP(text_free)
	struct text t = {
		.report = r,
		.f = f,
		.colour = bl_term_colour(f),
	};
	int e = bl_fold_build(r, &t.fold);

	if (e < 0)
		return e;
	if (isatty(fileno(f)) == 1)
		t.width = bl_term_columns(f);
	print_head(&t);
	e = bl_report_table(&t.fold, t.width, f);
	e = e ? e : print_findings(&t);
	e = e ? e : print_passed(&t);
	if (e == 0)
		print_verdict(&t);
	return e;
}

void bl_report_print(const struct bl_report *r, FILE *f)
{
	if (bl_report_print_text(r, f) < 0)
		fputs("the report is incomplete: out of memory\n", f);
}
