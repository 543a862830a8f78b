/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "canary/compare/cell.h"
#include "canary/compare/report.h"
#include "loader/gate/report/markdown.h"

static const char *const signs[BL_COMPARE_ENDINGS] = {
	[BL_COMPARE_HELD] = "✅",      [BL_COMPARE_NO_EFFECT] = "⚪",
	[BL_COMPARE_RECOVERED] = "🔁", [BL_COMPARE_GOES_ON] = "⚠️",
	[BL_COMPARE_LOST] = "❌",      [BL_COMPARE_NOT_DONE] = "❔",
	[BL_COMPARE_NOT_RUN] = "·",   [BL_COMPARE_NO_VARIANT] = "–",
};

static void put_totals(struct bl_md *m, const struct bl_compare *c)
{
	struct bl_compare_total t;
	char time[32];
	unsigned way;

	bl_md_put(
		m,
		"| way | hosts lost | got the faulty version | crashes | reboots | crashes laid to the right version | longest recovery |\n"
		"| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
	for (way = 0; way < BL_COMPARE_WAYS; way++) {
		bl_compare_sum(c, NULL, way, &t);
		bl_compare_longest(&t, time, sizeof(time));
		bl_md_printf(m, "| **%s** %s | %u of %u | %u | %u | %u |",
			     bl_compare_way_name(way),
			     bl_compare_way_title(way), t.lost, t.hosts,
			     t.exposed, t.crashes, t.reboots);
		if (way == BL_COMPARE_A)
			bl_md_put(m, " no belay |");
		else
			bl_md_printf(m, " %u of %u runs |", t.blamed,
				     t.crashed);
		bl_md_printf(m, " %s |\n", time);
	}
}

static void put_cell(struct bl_md *m, const struct bl_compare_cell *cell)
{
	char stop[BL_COMPARE_WORDS_MAX], harm[BL_COMPARE_WORDS_MAX];
	const char *past = bl_compare_cell_past(cell);

	bl_compare_cell_stop(cell, stop, sizeof(stop));
	bl_compare_cell_harm(cell, harm, sizeof(harm));
	bl_md_printf(m, " %s ", signs[cell->ending]);
	bl_md_prose(m, stop);
	if (*past)
		bl_md_printf(m, " → %s", past);
	if (*harm)
		bl_md_printf(m, "<br>%s", harm);
	if (cell->run && !cell->run->failed && !cell->run->as_expected)
		bl_md_put(m, "<br>*not as expected*");
	bl_md_put(m, " |");
}

static void put_kernel(struct bl_md *m, const struct bl_compare *c,
		       const char *kernel)
{
	struct bl_compare_cell cell;
	json_t *fault;
	unsigned way;
	size_t i;

	bl_md_put(m, "\n### ");
	bl_md_prose(m, kernel);
	bl_md_put(m, "\n\n| # | fault |");
	for (way = 0; way < BL_COMPARE_WAYS; way++)
		bl_md_printf(m, " %s |", bl_compare_way_name(way));
	bl_md_put(m, "\n| ---: | --- | --- | --- | --- |\n");
	json_array_foreach (c->faults, i, fault) {
		bl_md_put(m, "| ");
		bl_md_prose(m, bl_compare_fault_text(fault, "number"));
		bl_md_put(m, " | ");
		bl_md_prose(m, bl_compare_fault_text(fault, "title"));
		bl_md_put(m, " |");
		for (way = 0; way < BL_COMPARE_WAYS; way++) {
			bl_compare_cell(c, fault, kernel, way, &cell);
			put_cell(m, &cell);
		}
		bl_md_put(m, "\n");
	}
}

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* The table of scripts/bench sensor, without what only an expert asks. */
static void put_overhead(struct bl_md *m, const json_t *overhead)
{
	json_t *cases = json_object_get(overhead, "cases"), *v;
	double module;
	size_t i;

	if (json_array_size(cases) == 0)
		return;
	bl_md_put(m, "\n### What an event costs\n\n");
	bl_md_prose(m, bl_compare_fault_text(overhead, "note"));
	bl_md_put(m, "\n\nInstructions that the sensor adds to one event:\n\n"
		     "| event | indicators | module | eBPF | eBPF / module |\n"
		     "| --- | ---: | ---: | ---: | ---: |\n");
	json_array_foreach (cases, i, v) {
		bl_md_put(m, "| ");
		bl_md_prose(m, bl_compare_fault_text(v, "event"));
		bl_md_put(m, ", ");
		bl_md_prose(m, bl_compare_fault_text(v, "outcome"));
		module = number(json_object_get(v, "module"), "instructions");
		bl_md_printf(m, " | %.0f | %.0f | %.0f |",
			     number(v, "indicators"), module,
			     number(json_object_get(v, "ebpf_dispatch"),
				    "instructions"));
		/* What differs between runs can be more than a sensor costs. */
		if (module > 0 && number(v, "ratio_dispatch") > 0)
			bl_md_printf(m, " %.2f |\n",
				     number(v, "ratio_dispatch"));
		else
			bl_md_put(m, " – |\n");
	}
}

static void put_failed(struct bl_md *m, const struct bl_compare *c)
{
	size_t i;

	for (i = 0; i < c->run_count; i++) {
		const struct bl_compare_result *r = &c->runs[i];

		if (!r->failed)
			continue;
		bl_md_put(m, "\n- could not run ");
		bl_md_code(m, r->fault);
		bl_md_put(m, " on ");
		bl_md_code(m, r->kernel);
		bl_md_printf(m, " in way %s: ", bl_compare_way_name(r->way));
		bl_md_prose(m, r->failed);
	}
}

int bl_compare_print_markdown(const struct bl_compare *c, FILE *f)
{
	bl_automd struct bl_md m = { 0 };
	char headline[BL_COMPARE_WORDS_MAX];
	unsigned i;

	bl_compare_headline(c, NULL, headline, sizeof(headline));
	bl_md_printf(&m, "## The fault catalogue, three ways\n\n%s%s\n",
		     *headline ? headline : "Nothing was run yet",
		     *headline ? ". A host counts once for each fault." : ".");
	bl_md_put(&m, "\n");
	put_totals(&m, c);
	for (i = 0; i < c->kernel_count; i++)
		put_kernel(&m, c, c->kernels[i]);
	put_failed(&m, c);
	bl_md_put(
		&m,
		"\nFirst the line that stopped it; behind the arrow what stopped it on hosts that got it in spite of the gate.");
	for (i = 0; i < BL_COMPARE_ENDINGS; i++)
		bl_md_printf(&m, "%s %s %s", i ? "," : "", signs[i],
			     bl_compare_ending_words(i));
	bl_md_put(&m, ".\n");
	put_overhead(&m, c->overhead);
	bl_md_put(&m, "\nMade: ");
	bl_md_prose(&m, c->made);
	bl_md_put(&m, ". belay ");
	bl_md_prose(&m, c->belay);
	bl_md_put(&m, ".\n");
	if (m.failed)
		return -ENOMEM;
	fwrite(bl_buf_str(&m.text), 1, m.text.len, f);
	return 0;
}
