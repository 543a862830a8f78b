/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report as Markdown, for a comment on a pull request: the verdict, which
 * program fits which kernel, what a program costs more than before, and each
 * rejection with its place and what to do.
 *
 * A comment may have 65,536 characters; this stays below COMMENT_BYTES,
 * and says what it left out. Names and messages come from a stranger's object
 * and are shown as they are: they can neither become markup nor call people
 * or link to other issues.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/report/hints.h"
#include "loader/gate/report/markdown.h"
#include "loader/gate/report/report.h"
#include "loader/gate/report/report_fold.h"
#include "loader/kern/ask/vlog.h"
#include "loader/kern/ask/vlog_lines.h"

#define COMMENT_BYTES 60000
#define TABLE_BYTES   16000 /* of which the table of programs may take */
#define DETAILS_BYTES 30000 /* up to which longer logs are added */
#define END_BYTES     600   /* kept free for what was left out */
#define COLUMNS_MAX   6	    /* kernels with a column each */
#define KERNELS_TOLD  8
#define WORDINGS_TOLD 4
#define DETAIL_LINES  40

struct comment {
	const struct bl_report *report;
	struct bl_fold fold;
	struct bl_md out;
};

static void comment_free(struct comment *m)
{
	bl_fold_free(&m->fold);
	bl_md_free(&m->out);
}

/* Takes @b over if there is room for it; false if not. */
static bool room_for(struct comment *m, const struct bl_md *b, size_t limit)
{
	if (m->out.text.len + b->text.len > limit)
		return false;
	bl_md_add(&m->out, bl_buf_str(&b->text), b->text.len);
	m->out.failed |= b->failed;
	return true;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* --- head and table ------------------------------------------------------- */

static void put_head(struct comment *m)
{
	enum bl_verdict v = bl_report_verdict(m->report, NULL);
	struct bl_md *b = &m->out;
	const char *sep = "";

	bl_md_printf(b, "### belay: **%s** ", bl_report_word(v));
	bl_md_code(b, m->report->path);
	bl_md_put(b, "\n\n");
	if (m->fold.rejections) {
		bl_md_printf(b, "%zu reason%s", m->fold.rejections,
			     plural(m->fold.rejections));
		sep = ", ";
	}
	if (v == BL_VERDICT_UNDECIDED)
		bl_md_printf(b,
			     "%snot everything could be checked (never a pass)",
			     sep);
	else if (m->fold.undecided)
		bl_md_printf(b, "%s%zu undecided", sep, m->fold.undecided);
	if (v == BL_VERDICT_UNDECIDED || m->fold.undecided)
		sep = ", ";
	if (m->fold.warnings) {
		bl_md_printf(b, "%s%zu warning%s", sep, m->fold.warnings,
			     plural(m->fold.warnings));
		sep = ", ";
	}
	if (m->fold.program_count) {
		bl_md_printf(b, "%s%zu program%s on %zu kernel%s", sep,
			     m->fold.program_count,
			     plural(m->fold.program_count),
			     m->report->kernel_count,
			     plural(m->report->kernel_count));
		sep = ", ";
	}
	if (m->report->total_ms)
		bl_md_printf(b, "%s%.1f s", sep,
			     (double)m->report->total_ms / 1000);
	bl_md_put(b, "\n");
}

static void put_cell(struct comment *m, struct bl_md *b, size_t program,
		     size_t kernel)
{
	char text[64];
	enum bl_verdict v =
		bl_fold_say(&m->fold, program, kernel, text, sizeof(text));

	bl_md_printf(b, v > BL_VERDICT_WARN ? " **%s** |" : " %s |", text);
}

/* With a column for each kernel. */
static void put_wide_row(struct comment *m, struct bl_md *b, size_t program)
{
	size_t k;

	for (k = 0; k < m->report->kernel_count; k++)
		put_cell(m, b, program, k);
}

/* More kernels than columns fit: how many take it, and which do not. */
static void put_narrow_row(struct comment *m, struct bl_md *b, size_t program)
{
	const struct bl_report *r = m->report;
	const char *sep = "";
	size_t k, told = 0, more = 0;
	char text[64];

	bl_md_printf(b, " %zu of %zu | ", m->fold.programs[program].kernels,
		     r->kernel_count);
	for (k = 0; k < r->kernel_count; k++) {
		if (bl_fold_say(&m->fold, program, k, text, sizeof(text)) <=
		    BL_VERDICT_WARN)
			continue;
		if (told++ >= KERNELS_TOLD) {
			more++;
			continue;
		}
		bl_md_printf(b, "%s%.*s **%s**", sep,
			     bl_fold_short(r->kernels[k].name),
			     r->kernels[k].name, text);
		sep = ", ";
	}
	if (more)
		bl_md_printf(b, " and %zu more", more);
	bl_md_put(b, " |");
}

static void put_table_head(struct comment *m, bool wide)
{
	struct bl_md *b = &m->out;
	size_t k;

	bl_md_put(b, "\n| program |");
	for (k = 0; wide && k < m->report->kernel_count; k++) {
		const char *name = m->report->kernels[k].name;
		bl_autofree char *text =
			strndup(name, (size_t)bl_fold_short(name));

		bl_md_put(b, " ");
		bl_md_prose(b, text ? text : "");
		bl_md_put(b, " |");
	}
	bl_md_put(b, wide ? "\n| --- |" : " fits | does not fit |\n| --- |");
	for (k = 0; k < (wide ? m->report->kernel_count : 2); k++)
		bl_md_put(b, " --- |");
	bl_md_put(b, "\n");
}

static bool put_row(struct comment *m, size_t program, bool wide)
{
	const struct bl_fold_program *p = &m->fold.programs[program];
	bl_automd struct bl_md b = { 0 };

	bl_md_put(&b, "| ");
	bl_md_cell_code(&b, p->name);
	bl_md_put(&b, p->optional ? " (optional) |" : " |");
	if (wide)
		put_wide_row(m, &b, program);
	else
		put_narrow_row(m, &b, program);
	bl_md_put(&b, "\n");
	return room_for(m, &b, TABLE_BYTES);
}

/* Programs that do not fit everywhere first: if rows are left out, others. */
static void put_table(struct comment *m)
{
	bool wide = m->report->kernel_count <= COLUMNS_MAX;
	size_t i, fitting = 0, failing = 0;
	int pass;

	if (!m->fold.program_count || !m->report->kernel_count)
		return;
	put_table_head(m, wide);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < m->fold.program_count; i++) {
			bool all = m->fold.programs[i].all;

			if (all == (pass == 1) && !put_row(m, i, wide)) {
				fitting += all;
				failing += !all;
			}
		}
	if (failing)
		bl_md_printf(&m->out,
			     "\n%zu more programs do not fit every kernel.\n",
			     failing);
	if (fitting)
		bl_md_printf(&m->out, "\n%zu more programs fit every kernel.\n",
			     fitting);
}

/* --- findings ------------------------------------------------------------- */

/* What a kernel or libbpf said is code; our own sentences are prose. */
static void put_message(struct bl_md *b, const struct bl_finding *x)
{
	if (x->status > BL_STATUS_ACCEPTED)
		bl_md_code(b, x->message);
	else
		bl_md_prose(b, x->message);
}

static void put_kernels(struct comment *m, struct bl_md *b, const char *before,
			const struct bl_fold_group *g)
{
	bl_autobuf struct bl_buf names = { 0 };

	if (bl_fold_kernels(&m->fold, g, KERNELS_TOLD, &names) < 0)
		m->out.failed = true;
	if (!names.len)
		return;
	bl_md_put(b, before);
	bl_md_prose(b, bl_buf_str(&names));
}

static void put_wordings(struct comment *m, struct bl_md *b,
			 const struct bl_fold_group *g)
{
	size_t i, n, told = 0;

	for (i = 0; i < g->count; i += n) {
		const struct bl_finding *x = m->fold.members[g->first + i];
		struct bl_fold_group run = { g->first + i, 0, x };

		n = run.count = bl_fold_run(&m->fold, g, i);
		if (told++ == WORDINGS_TOLD) {
			bl_md_printf(b, "and %zu more like these\n",
				     g->count - i);
			return;
		}
		put_message(b, x);
		if (n < g->count)
			put_kernels(m, b, " on ", &run);
		/* two blanks: the next wording on a line of its own */
		bl_md_put(b, i + n < g->count ? "  \n" : "\n");
	}
}

static void put_place(struct bl_md *b, const struct bl_finding *x)
{
	bl_automd struct bl_md at = { 0 };

	if (!*x->file && !*x->source)
		return;
	bl_md_put(b, "\n");
	if (*x->file) {
		bl_md_printf(&at, x->line ? "%s:%u" : "%s", x->file, x->line);
		bl_md_put(b, "at ");
		bl_md_code(b, bl_buf_str(&at.text));
		b->failed |= at.failed;
		bl_md_put(b, *x->source ? ": " : "");
	}
	bl_md_code(b, x->source);
	bl_md_put(b, "\n");
}

/* Returns how many bytes of the log it shows. */
static size_t put_log(struct bl_md *b, const struct bl_finding *x)
{
	bl_automd struct bl_md log = { 0 };
	struct bl_vlog_lines lines;
	size_t i;

	bl_vlog_lines(x->log, &lines);
	if (lines.count == 1) /* the message again */
		return lines.line[0].len;
	for (i = 0; i < lines.count; i++)
		bl_md_printf(&log, "%s%.*s", i ? "\n" : "",
			     (int)lines.line[i].len, lines.line[i].text);
	b->failed |= log.failed;
	if (log.text.len) {
		bl_md_put(b, "\n");
		bl_md_block(b, bl_buf_str(&log.text), log.text.len);
	}
	return log.text.len;
}

/* More of the log, for who wants it: folded away. */
static void put_details(struct comment *m, const struct bl_finding *x,
			size_t shown)
{
	bl_automd struct bl_md b = { 0 };
	const char *from;
	size_t len;

	from = bl_vlog_excerpt(x->log, DETAIL_LINES, &len);
	if (len <= shown)
		return;
	bl_md_put(&b, "\n<details><summary>the verifier's log");
	if (*x->kernel) {
		bl_md_put(&b, " on ");
		bl_md_prose(&b, x->kernel);
	}
	bl_md_put(&b, "</summary>\n\n");
	bl_md_block(&b, from, len);
	bl_md_put(&b, "\n</details>\n");
	room_for(m, &b, DETAILS_BYTES);
}

static const char *word_of(const struct bl_finding *x)
{
	if (x->status > BL_STATUS_ACCEPTED && x->status < BL_STATUS_UNKNOWN)
		return bl_status_name(x->status);
	return x->verdict == BL_VERDICT_REJECT ? "rejected" : "undecided";
}

static bool put_group(struct comment *m, const struct bl_fold_group *g)
{
	const struct bl_finding *x = g->shown;
	bl_automd struct bl_md b = { 0 };
	const char *hint = bl_hint_of(x);
	size_t shown = 0;

	bl_md_put(&b, "\n#### ");
	if (*x->program) {
		bl_md_code(&b, x->program);
		bl_md_put(&b, ": ");
	}
	bl_md_printf(&b, "%s by ", word_of(x));
	bl_md_prose(&b, x->check);
	put_kernels(m, &b, " on ", g);
	bl_md_put(&b, "\n\n");
	put_wordings(m, &b, g);
	put_place(&b, x);
	if (x->status == BL_STATUS_REJECTED)
		shown = put_log(&b, x);
	if (*hint) {
		bl_md_put(&b, "\n> ");
		bl_md_prose(&b, hint);
		bl_md_put(&b, "\n");
	}
	if (!room_for(m, &b, COMMENT_BYTES - END_BYTES))
		return false;
	if (x->status == BL_STATUS_REJECTED)
		put_details(m, x, shown);
	return true;
}

static bool put_warning(struct comment *m, const struct bl_fold_group *g)
{
	const struct bl_finding *x = g->shown;
	bl_automd struct bl_md b = { 0 };
	const char *hint = bl_hint_of(x);

	bl_md_put(&b, "- ");
	bl_md_prose(&b, x->check);
	bl_md_put(&b, ": ");
	if (*x->program) {
		bl_md_code(&b, x->program);
		bl_md_put(&b, ": ");
	}
	put_message(&b, x);
	put_kernels(m, &b, " on ", g);
	if (*hint) {
		bl_md_put(&b, ". ");
		bl_md_prose(&b, hint);
	}
	bl_md_put(&b, "\n");
	return room_for(m, &b, COMMENT_BYTES - END_BYTES);
}

/* What costs more than it did: a row for each program and kernel. */
static bool put_cost(struct comment *m, const struct bl_finding *x)
{
	bl_automd struct bl_md b = { 0 };
	bl_autofree char *kernel =
		strndup(x->kernel, (size_t)bl_fold_short(x->kernel));

	bl_md_put(&b, "| ");
	bl_md_cell_code(&b, x->program);
	bl_md_put(&b, " | ");
	bl_md_prose(&b, kernel ? kernel : "");
	bl_md_put(&b, " | ");
	bl_md_prose(&b, x->message);
	bl_md_put(&b,
		  x->verdict == BL_VERDICT_WARN ? " |\n" : " **too much** |\n");
	return room_for(m, &b, COMMENT_BYTES / 2);
}

static bool is_cost(const struct bl_finding *x)
{
	return strcmp(x->check, "budget") == 0 && *x->program &&
	       x->verdict != BL_VERDICT_PASS &&
	       x->verdict != BL_VERDICT_UNDECIDED;
}

static size_t put_costs(struct comment *m)
{
	const char *hint = "";
	size_t i, k, left_out = 0;
	bool any = false;

	for (i = 0; i < m->fold.group_count; i++) {
		const struct bl_fold_group *g = &m->fold.groups[i];

		if (is_cost(g->shown) && !*hint)
			hint = bl_hint_of(g->shown);
		for (k = 0; is_cost(g->shown) && k < g->count; k++) {
			if (!any)
				bl_md_put(
					&m->out,
					"\n| program | kernel | cost |\n| --- | --- | --- |\n");
			any = true;
			left_out += !put_cost(m, m->fold.members[g->first + k]);
		}
	}
	if (*hint) {
		bl_md_put(&m->out, "\n> ");
		bl_md_prose(&m->out, hint);
		bl_md_put(&m->out, "\n");
	}
	return left_out;
}

/* Groups of one verdict, as long as there is room. Returns how many did not
 * fit. */
static size_t put_groups(struct comment *m, enum bl_verdict v)
{
	size_t i, left_out = 0;

	for (i = 0; i < m->fold.group_count; i++) {
		const struct bl_fold_group *g = &m->fold.groups[i];

		if (g->shown->verdict != v || is_cost(g->shown))
			continue;
		if (v == BL_VERDICT_WARN)
			left_out += !put_warning(m, g);
		else
			left_out += left_out || !put_group(m, g);
	}
	return left_out;
}

static size_t put_warnings(struct comment *m)
{
	static const char open[] = "\n<details><summary>warnings</summary>\n\n";
	size_t left_out;

	if (!m->fold.warnings)
		return 0;
	bl_md_put(&m->out, open);
	left_out = put_groups(m, BL_VERDICT_WARN);
	bl_md_put(&m->out, "\n</details>\n");
	return left_out;
}

static void put_unproven(struct comment *m)
{
	bl_autobuf struct bl_buf b = { 0 };

	if (bl_fold_unproven(&m->fold, &b) < 0)
		m->out.failed = true;
	if (!b.len)
		return;
	bl_md_put(&m->out, "\n");
	bl_md_prose(&m->out, bl_buf_str(&b));
	bl_md_put(&m->out, "\n");
}

int bl_report_print_markdown(const struct bl_report *r, FILE *f)
{
	BL_CLEANUP(comment_free) struct comment m = { .report = r };
	size_t costs, grave, warnings;
	int e = bl_fold_build(r, &m.fold);

	if (e < 0)
		return e;
	put_head(&m);
	put_table(&m);
	put_unproven(&m);
	costs = put_costs(&m);
	grave = put_groups(&m, BL_VERDICT_REJECT);
	grave += put_groups(&m, BL_VERDICT_UNDECIDED);
	warnings = put_warnings(&m);
	if (costs + grave + warnings)
		bl_md_printf(
			&m.out,
			"\nThis comment would be longer than a comment may be: %zu rejected or undecided, %zu about costs and %zu warnings are left out. The report as text, JSON or SARIF has them all.\n",
			grave, costs, warnings);
	if (m.out.failed)
		return -ENOMEM;
	fwrite(bl_buf_str(&m.out.text), 1, m.out.text.len, f);
	return 0;
}
