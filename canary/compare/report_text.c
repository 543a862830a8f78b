/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "canary/compare/cell.h"
#include "canary/compare/report.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/term.h"
#include "loader/base/text.h"

static const enum bl_style styles[BL_COMPARE_ENDINGS] = {
	[BL_COMPARE_HELD] = BL_STYLE_GOOD,
	[BL_COMPARE_NO_EFFECT] = BL_STYLE_GOOD,
	[BL_COMPARE_RECOVERED] = BL_STYLE_WARN,
	[BL_COMPARE_GOES_ON] = BL_STYLE_WARN,
	[BL_COMPARE_LOST] = BL_STYLE_BAD,
	[BL_COMPARE_NOT_DONE] = BL_STYLE_DIM,
	[BL_COMPARE_NOT_RUN] = BL_STYLE_DIM,
	[BL_COMPARE_NO_VARIANT] = BL_STYLE_DIM,
};

/* How much a cell says: all of it, without what hosts went through, or only
 * the sign and the word. */
enum detail { FULL, STOPS, SIGNS };

static void put_cell(struct bl_table *t, const struct bl_compare_cell *cell,
		     enum detail detail)
{
	char stop[BL_COMPARE_WORDS_MAX], harm[BL_COMPARE_WORDS_MAX];
	const char *past = bl_compare_cell_past(cell);
	const char *odd = cell->run && !cell->run->failed &&
					  !cell->run->as_expected
				  ? " (!)"
				  : "";

	bl_compare_cell_stop(cell, stop, sizeof(stop));
	bl_compare_cell_harm(cell, harm, sizeof(harm));
	if (detail == SIGNS) {
		past = "";
		stop[strcspn(stop, ":")] = '\0';
	}
	if (detail != FULL)
		*harm = '\0';
	bl_table_cell(t, styles[cell->ending], "%s %s%s%s%s%s%s",
		      bl_compare_ending_sign(cell->ending), stop,
		      *past ? " > " : "", past, *harm ? ", " : "", harm, odd);
}

static struct bl_table *build(const struct bl_compare *c, const char *kernel,
			      enum detail detail, unsigned title_max)
{
	struct bl_table *t = bl_table_new(2 + BL_COMPARE_WAYS);
	struct bl_compare_cell cell;
	char title[BL_COMPARE_WORDS_MAX], number[8];
	json_t *fault;
	unsigned way;
	size_t i;

	if (!t)
		return NULL;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_BOLD, " #");
	bl_table_cell(t, BL_STYLE_BOLD, "fault");
	for (way = 0; way < BL_COMPARE_WAYS; way++)
		bl_table_cell(t, BL_STYLE_BOLD, "%s%s%s",
			      bl_compare_way_name(way),
			      detail == FULL ? "  " : "",
			      detail == FULL ? bl_compare_way_title(way) : "");
	json_array_foreach (c->faults, i, fault) {
		const char *id = bl_compare_fault_text(fault, "id");
		const char *name = bl_compare_fault_text(fault, "title");

		bl_text_copy(title,
			     title_max < sizeof(title) ? title_max + 1
						       : sizeof(title),
			     detail == FULL && *name ? name : id);
		bl_table_row(t);
		bl_text_copy(number, sizeof(number),
			     bl_compare_fault_text(fault, "number"));
		bl_table_cell(t, BL_STYLE_DIM, "%3s", number);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", title);
		for (way = 0; way < BL_COMPARE_WAYS; way++) {
			bl_compare_cell(c, fault, kernel, way, &cell);
			put_cell(t, &cell, detail);
		}
	}
	return t;
}

/* Columns of the widest line that @t prints. */
static size_t width_of(const struct bl_table *t)
{
	bl_autofree char *text = NULL;
	size_t size = 0, widest = 0, n = 0;
	const char *p;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return 0;
	bl_table_print(t, f, "");
	if (fclose(f) != 0)
		return 0;
	for (p = text; *p; p++) {
		n = *p == '\n' ? 0 : n + (((unsigned char)*p & 0xc0) != 0x80);
		widest = n > widest ? n : widest;
	}
	return widest;
}

/* The fullest table that fits. Anything but a terminal takes all of it. */
static int print_kernel(const struct bl_compare *c, const char *kernel,
			unsigned width, bool colour, FILE *f)
{
	static const struct {
		enum detail detail;
		unsigned title;
	} forms[] = {
		{ FULL, 48 }, { STOPS, 32 }, { SIGNS, 26 }, { SIGNS, 13 }
	};
	size_t i;

	fprintf(f, "\n%s%s%s\n", bl_style(colour, BL_STYLE_BOLD), kernel,
		bl_style_end(colour));
	for (i = 0; i < BL_ARRAY_SIZE(forms); i++) {
		bl_autotable struct bl_table *t =
			build(c, kernel, forms[i].detail, forms[i].title);

		if (!t)
			return -ENOMEM;
		if (width && i + 1 < BL_ARRAY_SIZE(forms) &&
		    width_of(t) > width)
			continue;
		bl_table_print(t, f, "");
		break;
	}
	return 0;
}

static void print_totals(const struct bl_compare *c, FILE *f, bool wide)
{
	bl_autotable struct bl_table *t = bl_table_new(8);
	struct bl_compare_total sum;
	char time[32];
	unsigned way;

	if (!t)
		return;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_BOLD, "way");
	bl_table_cell(t, BL_STYLE_BOLD, "hosts lost");
	bl_table_cell(t, BL_STYLE_BOLD, "exposed");
	bl_table_cell(t, BL_STYLE_BOLD, "crashes");
	bl_table_cell(t, BL_STYLE_BOLD, "reboots");
	bl_table_cell(t, BL_STYLE_BOLD, "blamed right");
	bl_table_cell(t, BL_STYLE_BOLD, "longest recovery");
	bl_table_cell(t, BL_STYLE_BOLD, "runs");
	for (way = 0; way < BL_COMPARE_WAYS; way++) {
		bl_compare_sum(c, NULL, way, &sum);
		bl_compare_longest(&sum, time, sizeof(time));
		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s%s%s",
			      bl_compare_way_name(way), wide ? "  " : "",
			      wide ? bl_compare_way_title(way) : "");
		bl_table_cell(t, sum.lost ? BL_STYLE_BAD : BL_STYLE_PLAIN,
			      "%u of %u", sum.lost, sum.hosts);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", sum.exposed);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", sum.crashes);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", sum.reboots);
		if (way == BL_COMPARE_A)
			bl_table_cell(t, BL_STYLE_DIM, "no belay");
		else
			bl_table_cell(t, BL_STYLE_PLAIN, "%u of %u", sum.blamed,
				      sum.crashed);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", time);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u%s", sum.runs - sum.failed,
			      sum.failed ? " (some could not be made)" : "");
	}
	bl_table_print(t, f, "");
}

static void print_legend(FILE *f, bool colour)
{
	unsigned i;

	for (i = 0; i < BL_COMPARE_ENDINGS; i++)
		fprintf(f, "%s%s%s %s\n", bl_style(colour, styles[i]),
			bl_compare_ending_sign(i), bl_style_end(colour),
			bl_compare_ending_words(i));
	fputs("> what stopped it on hosts that got it in spite of the gate\n"
	      "(!) not what the catalogue expects\n",
	      f);
}

/* What could not be run, and why: it must not hide in a table of signs. */
static void print_failed(const struct bl_compare *c, FILE *f)
{
	size_t i;

	for (i = 0; i < c->run_count; i++) {
		const struct bl_compare_result *r = &c->runs[i];

		if (r->failed)
			fprintf(f, "could not run %s on %s in way %s: %.*s\n",
				r->fault, r->kernel,
				bl_compare_way_name(r->way),
				(int)strcspn(r->failed, "\n"), r->failed);
	}
}

/* What the sensor costs: goals only; the page has the whole table. */
static void print_goals(const struct bl_compare *c, FILE *f, bool colour)
{
	json_t *goals = json_object_get(c->overhead, "goals");
	char what[BL_COMPARE_WORDS_MAX], why[BL_COMPARE_WORDS_MAX];
	const json_t *goal;
	size_t i;

	json_array_foreach (goals, i, goal) {
		bool reached = json_is_true(json_object_get(goal, "reached"));
		double value =
			json_number_value(json_object_get(goal, "value"));
		double to_reach =
			json_number_value(json_object_get(goal, "to_reach"));
		enum bl_style style = reached ? BL_STYLE_GOOD : BL_STYLE_WARN;

		bl_text_copy(what, sizeof(what),
			     bl_compare_fault_text(goal, "what"));
		if (!json_is_number(json_object_get(goal, "value"))) {
			bl_text_copy(why, sizeof(why),
				     bl_compare_fault_text(goal, "why"));
			fprintf(f, "%s: not measured: %s\n", what, why);
			continue;
		}
		fprintf(f, "%s: %s%.2f%s, to reach %.2f\n", what,
			bl_style(colour, style), value, bl_style_end(colour),
			to_reach);
	}
}

int bl_compare_print_text(const struct bl_compare *c, FILE *f)
{
	bool colour = bl_term_colour(f);
	unsigned width = isatty(fileno(f)) == 1 ? bl_term_columns(f) : 0;
	char headline[BL_COMPARE_WORDS_MAX];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < c->kernel_count; i++)
		r = print_kernel(c, c->kernels[i], width, colour, f);
	if (r < 0)
		return r;
	fputc('\n', f);
	print_legend(f, colour);
	fputc('\n', f);
	print_totals(c, f, !width || width >= 100);
	print_failed(c, f);
	print_goals(c, f, colour);
	bl_compare_headline(c, NULL, headline, sizeof(headline));
	if (*headline)
		fprintf(f, "\n%s%s.%s\n", bl_style(colour, BL_STYLE_BOLD),
			headline, bl_style_end(colour));
	return 0;
}
