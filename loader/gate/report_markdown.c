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
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/hints.h"
#include "loader/gate/report.h"
#include "loader/gate/report_fold.h"
#include "loader/kern/vlog.h"
#include "loader/kern/vlog_lines.h"

#define COMMENT_BYTES 60000
#define TABLE_BYTES   16000 /* of which the table of programs may take */
#define END_BYTES     600   /* kept free for what was left out */
#define COLUMNS_MAX   6	    /* kernels with a column each */
#define KERNELS_TOLD  8
#define WORDINGS_TOLD 4
#define DETAIL_LINES  40

/* --- pieces of text ------------------------------------------------------- */

struct md {
	const struct bl_report *report;
	struct bl_fold fold;
	struct bl_buf out;
	bool failed; /* out of memory */
};

static void md_free(struct md *m)
{
	bl_fold_free(&m->fold);
	bl_buf_free(&m->out);
}

static void add(struct md *m, struct bl_buf *b, const char *text, size_t len)
{
	if (bl_buf_add(b, text, len) < 0)
		m->failed = true;
}

static void put(struct md *m, struct bl_buf *b, const char *text)
{
	add(m, b, text, strlen(text));
}

#define putf(m, b, ...)                                \
	do {                                           \
		if (bl_buf_printf(b, __VA_ARGS__) < 0) \
			(m)->failed = true;            \
	} while (0)

/* The longest run of backticks in @text. */
static size_t ticks_in(const char *text, size_t len)
{
	size_t longest = 0, run = 0, i;

	for (i = 0; i < len; i++) {
		run = text[i] == '`' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

static void put_ticks(struct md *m, struct bl_buf *b, size_t n)
{
	while (n--)
		put(m, b, "`");
}

/* As code within a line. A bar would end the cell of a table even in code. */
static void put_code(struct md *m, struct bl_buf *b, const char *text)
{
	size_t ticks = ticks_in(text, strlen(text)), len;
	const char *pad = ticks ? " " : "";

	if (!*text)
		return;
	put_ticks(m, b, ticks + 1);
	put(m, b, pad);
	while (*text) {
		len = strcspn(text, "|\n\t");
		add(m, b, text, len);
		text += len;
		if (!*text)
			break;
		put(m, b, *text == '|' ? "\\|" : " ");
		text++;
	}
	put(m, b, pad);
	put_ticks(m, b, ticks + 1);
}

/* As prose within a line: no markup, no mention, no reference, no link. */
static void put_prose(struct md *m, struct bl_buf *b, const char *text)
{
	static const char breaker[] = "<!-- -->";

	for (; *text; text++) {
		if (*text == '<')
			put(m, b, "&lt;");
		else if (*text == '&')
			put(m, b, "&amp;");
		else if (*text == '\n' || *text == '\t')
			put(m, b, " ");
		else if (strchr("\\`*_[]|~>", *text))
			putf(m, b, "\\%c", *text);
		else
			add(m, b, text, 1);
		if (*text == '@' || *text == '#' ||
		    strncmp(text, "://", 3) == 0 ||
		    strncasecmp(text, "www.", 4) == 0)
			put(m, b, breaker);
	}
}

/* As a block of code; the fence is longer than any that is in it. */
static void put_block(struct md *m, struct bl_buf *b, const char *text,
		      size_t len)
{
	size_t ticks = ticks_in(text, len) + 1;

	ticks = ticks < 3 ? 3 : ticks;
	put_ticks(m, b, ticks);
	put(m, b, "text\n");
	add(m, b, text, len);
	put(m, b, "\n");
	put_ticks(m, b, ticks);
	put(m, b, "\n");
}

/* Takes @b over if there is room for it; false if not. */
static bool room_for(struct md *m, const struct bl_buf *b, size_t limit)
{
	if (m->out.len + b->len > limit)
		return false;
	add(m, &m->out, bl_buf_str(b), b->len);
	return true;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* --- head and table ------------------------------------------------------- */

static void put_head(struct md *m)
{
	enum bl_verdict v = bl_report_verdict(m->report, NULL);
	struct bl_buf *b = &m->out;
	const char *sep = "";

	putf(m, b, "### belay: **%s** ", bl_report_word(v));
	put_code(m, b, m->report->path);
	put(m, b, "\n\n");
	if (m->fold.rejections) {
		putf(m, b, "%zu reason%s", m->fold.rejections,
		     plural(m->fold.rejections));
		sep = ", ";
	}
	if (v == BL_VERDICT_UNDECIDED)
		putf(m, b,
		     "%snot everything could be checked, which is never a pass",
		     sep);
	else if (m->fold.undecided)
		putf(m, b, "%s%zu undecided", sep, m->fold.undecided);
	if (v == BL_VERDICT_UNDECIDED || m->fold.undecided)
		sep = ", ";
	if (m->fold.warnings) {
		putf(m, b, "%s%zu warning%s", sep, m->fold.warnings,
		     plural(m->fold.warnings));
		sep = ", ";
	}
	if (m->fold.program_count) {
		putf(m, b, "%s%zu program%s on %zu kernel%s", sep,
		     m->fold.program_count, plural(m->fold.program_count),
		     m->report->kernel_count, plural(m->report->kernel_count));
		sep = ", ";
	}
	if (m->report->total_ms)
		putf(m, b, "%s%.1f s", sep, (double)m->report->total_ms / 1000);
	put(m, b, "\n");
}

static void put_cell(struct md *m, struct bl_buf *b, size_t program,
		     size_t kernel)
{
	char text[64];
	enum bl_verdict v =
		bl_fold_say(&m->fold, program, kernel, text, sizeof(text));

	putf(m, b, v > BL_VERDICT_WARN ? " **%s** |" : " %s |", text);
}

/* With a column for each kernel. */
static void put_wide_row(struct md *m, struct bl_buf *b, size_t program)
{
	size_t k;

	for (k = 0; k < m->report->kernel_count; k++)
		put_cell(m, b, program, k);
}

/* More kernels than columns fit: how many take it, and which do not. */
static void put_narrow_row(struct md *m, struct bl_buf *b, size_t program)
{
	const struct bl_report *r = m->report;
	const char *sep = "";
	size_t k, told = 0, more = 0;
	char text[64];

	putf(m, b, " %zu of %zu | ", m->fold.programs[program].kernels,
	     r->kernel_count);
	for (k = 0; k < r->kernel_count; k++) {
		if (bl_fold_say(&m->fold, program, k, text, sizeof(text)) <=
		    BL_VERDICT_WARN)
			continue;
		if (told++ >= KERNELS_TOLD) {
			more++;
			continue;
		}
		putf(m, b, "%s%.*s **%s**", sep,
		     bl_fold_short(r->kernels[k].name), r->kernels[k].name,
		     text);
		sep = ", ";
	}
	if (more)
		putf(m, b, " and %zu more", more);
	put(m, b, " |");
}

static void put_table_head(struct md *m, bool wide)
{
	struct bl_buf *b = &m->out;
	size_t k;

	put(m, b, "\n| program |");
	for (k = 0; wide && k < m->report->kernel_count; k++) {
		const char *name = m->report->kernels[k].name;
		bl_autofree char *text =
			strndup(name, (size_t)bl_fold_short(name));

		put(m, b, " ");
		put_prose(m, b, text ? text : "");
		put(m, b, " |");
	}
	put(m, b, wide ? "\n| --- |" : " fits | does not fit |\n| --- |");
	for (k = 0; k < (wide ? m->report->kernel_count : 2); k++)
		put(m, b, " --- |");
	put(m, b, "\n");
}

static bool put_row(struct md *m, size_t program, bool wide)
{
	const struct bl_fold_program *p = &m->fold.programs[program];
	bl_autobuf struct bl_buf b = { 0 };

	put(m, &b, "| ");
	put_code(m, &b, p->name);
	put(m, &b, p->optional ? " (optional) |" : " |");
	if (wide)
		put_wide_row(m, &b, program);
	else
		put_narrow_row(m, &b, program);
	put(m, &b, "\n");
	return room_for(m, &b, TABLE_BYTES);
}

/* Programs that do not fit everywhere first: if rows are left out, others. */
static void put_table(struct md *m)
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
		putf(m, &m->out,
		     "\n%zu more programs do not fit every kernel.\n", failing);
	if (fitting)
		putf(m, &m->out, "\n%zu more programs fit every kernel.\n",
		     fitting);
}

/* --- findings ------------------------------------------------------------- */

/* What a kernel or libbpf said is code; our own sentences are prose. */
static void put_message(struct md *m, struct bl_buf *b,
			const struct bl_finding *x)
{
	if (x->status > BL_STATUS_ACCEPTED)
		put_code(m, b, x->message);
	else
		put_prose(m, b, x->message);
}

static void put_kernels(struct md *m, struct bl_buf *b, const char *before,
			const struct bl_fold_group *g)
{
	bl_autobuf struct bl_buf names = { 0 };

	if (bl_fold_kernels(&m->fold, g, KERNELS_TOLD, &names) < 0)
		m->failed = true;
	if (!names.len)
		return;
	put(m, b, before);
	put_prose(m, b, bl_buf_str(&names));
}

static void put_wordings(struct md *m, struct bl_buf *b,
			 const struct bl_fold_group *g)
{
	size_t i, n, told = 0;

	for (i = 0; i < g->count; i += n) {
		const struct bl_finding *x = m->fold.members[g->first + i];
		struct bl_fold_group run = { g->first + i, 0, x };

		n = run.count = bl_fold_run(&m->fold, g, i);
		if (told++ == WORDINGS_TOLD) {
			putf(m, b, "and %zu more like these\n\n", g->count - i);
			return;
		}
		put_message(m, b, x);
		if (n < g->count)
			put_kernels(m, b, " on ", &run);
		put(m, b, n < g->count ? "  \n" : "\n");
	}
	put(m, b, "\n");
}

static void put_place(struct md *m, struct bl_buf *b,
		      const struct bl_finding *x)
{
	bl_autobuf struct bl_buf at = { 0 };

	if (!*x->file && !*x->source)
		return;
	if (*x->file) {
		putf(m, &at, x->line ? "%s:%u" : "%s", x->file, x->line);
		put(m, b, "at ");
		put_code(m, b, bl_buf_str(&at));
		put(m, b, *x->source ? ": " : "\n\n");
	}
	if (*x->source) {
		put_code(m, b, x->source);
		put(m, b, "\n\n");
	}
}

static void put_log(struct md *m, struct bl_buf *b, const struct bl_finding *x)
{
	bl_autobuf struct bl_buf text = { 0 };
	struct bl_vlog_lines lines;
	size_t i;

	bl_vlog_lines(x->log, &lines);
	for (i = 0; i < lines.count; i++)
		putf(m, &text, "%s%.*s", i ? "\n" : "", (int)lines.line[i].len,
		     lines.line[i].text);
	if (text.len)
		put_block(m, b, bl_buf_str(&text), text.len);
}

/* More of the log, for who wants it: folded away. */
static bool put_details(struct md *m, const struct bl_finding *x)
{
	bl_autobuf struct bl_buf b = { 0 };
	const char *from;
	size_t len;

	from = bl_vlog_excerpt(x->log, DETAIL_LINES, &len);
	if (!len)
		return true;
	put(m, &b, "\n<details><summary>the verifier's log");
	if (*x->kernel) {
		put(m, &b, " on ");
		put_prose(m, &b, x->kernel);
	}
	put(m, &b, "</summary>\n\n");
	put_block(m, &b, from, len);
	put(m, &b, "\n</details>\n");
	return room_for(m, &b, COMMENT_BYTES - END_BYTES);
}

static const char *word_of(const struct bl_finding *x)
{
	if (x->status > BL_STATUS_ACCEPTED && x->status < BL_STATUS_UNKNOWN)
		return bl_status_name(x->status);
	return x->verdict == BL_VERDICT_REJECT ? "rejected" : "undecided";
}

static bool put_group(struct md *m, const struct bl_fold_group *g)
{
	const struct bl_finding *x = g->shown;
	bl_autobuf struct bl_buf b = { 0 };
	const char *hint = bl_hint_of(x);

	put(m, &b, "\n#### ");
	if (*x->program) {
		put_code(m, &b, x->program);
		put(m, &b, ": ");
	}
	putf(m, &b, "%s by ", word_of(x));
	put_prose(m, &b, x->check);
	put_kernels(m, &b, " on ", g);
	put(m, &b, "\n\n");
	put_wordings(m, &b, g);
	put_place(m, &b, x);
	if (x->status == BL_STATUS_REJECTED)
		put_log(m, &b, x);
	if (*hint) {
		put(m, &b, "\n> ");
		put_prose(m, &b, hint);
		put(m, &b, "\n");
	}
	return room_for(m, &b, COMMENT_BYTES - END_BYTES);
}

static bool put_warning(struct md *m, const struct bl_fold_group *g)
{
	const struct bl_finding *x = g->shown;
	bl_autobuf struct bl_buf b = { 0 };
	const char *hint = bl_hint_of(x);

	put(m, &b, "- ");
	put_prose(m, &b, x->check);
	put(m, &b, ": ");
	if (*x->program) {
		put_code(m, &b, x->program);
		put(m, &b, ": ");
	}
	put_message(m, &b, x);
	put_kernels(m, &b, " on ", g);
	if (*hint) {
		put(m, &b, ". ");
		put_prose(m, &b, hint);
	}
	put(m, &b, "\n");
	return room_for(m, &b, COMMENT_BYTES - END_BYTES);
}

/* What costs more than it did: a row for each program and kernel. */
static bool put_cost(struct md *m, const struct bl_finding *x)
{
	bl_autobuf struct bl_buf b = { 0 };
	bl_autofree char *kernel =
		strndup(x->kernel, (size_t)bl_fold_short(x->kernel));

	put(m, &b, "| ");
	put_code(m, &b, x->program);
	put(m, &b, " | ");
	put_prose(m, &b, kernel ? kernel : "");
	put(m, &b, " | ");
	put_prose(m, &b, x->message);
	put(m, &b,
	    x->verdict == BL_VERDICT_WARN ? " |\n" : " **too much** |\n");
	return room_for(m, &b, COMMENT_BYTES / 2);
}

static bool is_cost(const struct bl_finding *x)
{
	return strcmp(x->check, "budget") == 0 && *x->program &&
	       x->verdict != BL_VERDICT_PASS &&
	       x->verdict != BL_VERDICT_UNDECIDED;
}

static size_t put_costs(struct md *m)
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
				put(m, &m->out,
				    "\n| program | kernel | cost |\n| --- | --- | --- |\n");
			any = true;
			left_out += !put_cost(m, m->fold.members[g->first + k]);
		}
	}
	if (*hint) {
		put(m, &m->out, "\n> ");
		put_prose(m, &m->out, hint);
		put(m, &m->out, "\n");
	}
	return left_out;
}

/* Groups of one verdict, as long as there is room. Returns how many did not
 * fit. */
static size_t put_groups(struct md *m, enum bl_verdict v)
{
	size_t i, left_out = 0;

	for (i = 0; i < m->fold.group_count; i++) {
		const struct bl_fold_group *g = &m->fold.groups[i];

		if (g->shown->verdict != v || is_cost(g->shown))
			continue;
		if (v == BL_VERDICT_WARN)
			left_out += !put_warning(m, g);
		else if (left_out || !put_group(m, g))
			left_out++;
		else if (g->shown->status == BL_STATUS_REJECTED)
			put_details(m, g->shown);
	}
	return left_out;
}

static size_t put_warnings(struct md *m)
{
	static const char open[] = "\n<details><summary>warnings</summary>\n\n";
	size_t left_out;

	if (!m->fold.warnings)
		return 0;
	put(m, &m->out, open);
	left_out = put_groups(m, BL_VERDICT_WARN);
	put(m, &m->out, "\n</details>\n");
	return left_out;
}

int bl_report_print_markdown(const struct bl_report *r, FILE *f)
{
	BL_CLEANUP(md_free) struct md m = { .report = r };
	size_t costs, grave, warnings;
	int e = bl_fold_build(r, &m.fold);

	if (e < 0)
		return e;
	put_head(&m);
	put_table(&m);
	costs = put_costs(&m);
	grave = put_groups(&m, BL_VERDICT_REJECT);
	grave += put_groups(&m, BL_VERDICT_UNDECIDED);
	warnings = put_warnings(&m);
	if (costs + grave + warnings)
		putf(&m, &m.out,
		     "\nThis comment would be longer than a comment may be: %zu rejected or undecided, %zu about costs and %zu warnings are left out. The report as text, JSON or SARIF has them all.\n",
		     grave, costs, warnings);
	if (m.failed)
		return -ENOMEM;
	fwrite(bl_buf_str(&m.out), 1, m.out.len, f);
	return 0;
}
