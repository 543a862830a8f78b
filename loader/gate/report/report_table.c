/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report/report_table.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define KERNELS_MAX 60 /* in one table */
#define CELL_MAX    64
#define GAP	    2 /* columns between cells, and before the first */

enum bl_style bl_report_style(enum bl_verdict v)
{
	switch (v) {
	case BL_VERDICT_PASS:
		return BL_STYLE_GOOD;
	case BL_VERDICT_REJECT:
		return BL_STYLE_BAD;
	default:
		return BL_STYLE_WARN;
	}
}

/* A name in one line, whatever a stranger called it. */
static char *flat(const char *name)
{
	char *copy = strdup(name), *p;

	for (p = copy; p && *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	return copy;
}

static const char *optional_mark(const struct bl_fold_program *p)
{
	return p->optional ? " (optional)" : "";
}

static size_t width_of_programs(const struct bl_fold *fold)
{
	size_t width = strlen("program"), i, len;

	for (i = 0; i < fold->program_count; i++) {
		len = strlen(fold->programs[i].name) +
		      strlen(optional_mark(&fold->programs[i]));
		width = len > width ? len : width;
	}
	return width;
}

static size_t width_of_kernel(const struct bl_fold *fold, size_t kernel)
{
	size_t width =
		(size_t)bl_fold_short(fold->report->kernels[kernel].name);
	char text[CELL_MAX];
	size_t i, len;

	for (i = 0; i < fold->program_count; i++) {
		bl_fold_say(fold, i, kernel, text, sizeof(text));
		len = strlen(text);
		width = len > width ? len : width;
	}
	return width;
}

/* How many kernels from @first on fit beside the programs' names; at least
 * one. */
static size_t kernels_in(const struct bl_fold *fold, size_t first,
			 unsigned width)
{
	size_t left = fold->report->kernel_count - first, n;
	size_t used = GAP + width_of_programs(fold);

	left = left > KERNELS_MAX ? KERNELS_MAX : left;
	for (n = 0; n < left; n++) {
		used += GAP + width_of_kernel(fold, first + n);
		if (width && n && used > width)
			break;
	}
	return n;
}

static int print_part(const struct bl_fold *fold, size_t first, size_t count,
		      FILE *f)
{
	bl_autotable struct bl_table *t = bl_table_new((unsigned)count + 1);
	const struct bl_report_kernel *kernels = fold->report->kernels;
	char text[CELL_MAX];
	size_t i, k;

	if (!t)
		return -ENOMEM;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_BOLD, "program");
	for (k = first; k < first + count; k++)
		bl_table_cell(t, BL_STYLE_BOLD, "%.*s",
			      bl_fold_short(kernels[k].name), kernels[k].name);
	for (i = 0; i < fold->program_count; i++) {
		bl_autofree char *name = flat(fold->programs[i].name);

		if (!name)
			return -ENOMEM;
		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s%s", name,
			      optional_mark(&fold->programs[i]));
		for (k = first; k < first + count; k++) {
			enum bl_verdict v =
				bl_fold_say(fold, i, k, text, sizeof(text));

			bl_table_cell(t, bl_report_style(v), "%s", text);
		}
	}
	fputc('\n', f);
	bl_table_print(t, f, "  ");
	return 0;
}

int bl_report_table(const struct bl_fold *fold, unsigned width, FILE *f)
{
	size_t first = 0, count;
	int r = 0;

	if (!fold->program_count)
		return 0;
	while (r == 0 && first < fold->report->kernel_count) {
		count = kernels_in(fold, first, width);
		r = print_part(fold, first, count, f);
		first += count;
	}
	return r;
}
