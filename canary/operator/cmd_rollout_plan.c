/* SPDX-License-Identifier: Apache-2.0 */
/* belay rollout plan: what a plan would do to the fleet that is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/decide/outlook.h"
#include "canary/ledger/fleet.h"
#include "canary/operator/cmd_rollout.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/duration.h"
#include "loader/base/term.h"
#include "loader/base/text.h"

static const char usage[] =
	"usage: belay rollout plan [FILE]\n"
	"\n"
	"Shows what a rollout by this plan (default: as of rollout start) would do to\n"
	"the fleet: which strata there are and who of them may be first, how many hosts\n"
	"each wave is, how sure it shows a bad version, how long it takes at best.\n"
	"Starts nothing.\n"
	"\n" //
	BL_CLIENT_USAGE "\n"
	"example: belay rollout plan careful.json\n";

#define SHOWN 3 /* hosts of a stratum by name */

struct present {
	struct bl_plan plan;
	struct bl_view view;
	struct bl_tallies tallies;
	char first[BL_STRATA_MAX][SHOWN * (BL_NAME_MAX + 2)];
	struct bl_outlook waves[BL_PLAN_WAVES_MAX];
};

static void copy(const json_t *obj, const char *key, char *ret, size_t size)
{
	bl_text_copy(ret, size, json_string_value(json_object_get(obj, key)));
}

static void add_host(struct present *p, const json_t *obj, int64_t now_ms)
{
	struct bl_fleet_host h = { 0 };
	const json_t *labels = json_object_get(obj, "labels"), *v;
	int64_t heard_ms = json_integer_value(json_object_get(obj, "heard_ms"));
	struct bl_tally *t;
	size_t i, s, used;

	copy(obj, "name", h.name, sizeof(h.name));
	copy(obj, "kernel", h.kernel, sizeof(h.kernel));
	copy(obj, "arch", h.arch, sizeof(h.arch));
	copy(obj, "os", h.os, sizeof(h.os));
	copy(obj, "role", h.role, sizeof(h.role));
	json_array_foreach (labels, i, v) {
		if (i == BL_LABELS_MAX)
			break;
		bl_text_copy(h.labels[i], BL_LABEL_LEN, json_string_value(v));
		h.label_count++;
	}
	if (bl_plan_names_has(&p->plan, &p->plan.left_out, h.name)) {
		p->view.left_out++;
		return;
	}
	if (now_ms - heard_ms > p->plan.gone_ms) {
		p->view.gone++;
		return;
	}
	t = bl_tallies_of(&p->tallies, &p->plan, &h);
	t->waiting++;
	p->view.waiting++;
	p->view.named +=
		bl_plan_names_has(&p->plan, &p->plan.waves[0].names, h.name);
	s = (size_t)(t - p->tallies.sums);
	used = strlen(p->first[s]);
	if (t->waiting <= SHOWN)
		snprintf(p->first[s] + used, sizeof(p->first[s]) - used, "%s%s",
			 used ? ", " : "", h.name);
	else if (t->waiting == SHOWN + 1)
		snprintf(p->first[s] + used, sizeof(p->first[s]) - used, ", …");
}

static void look(struct present *p, const json_t *doc)
{
	const json_t *hosts = json_object_get(doc, "hosts"), *h;
	int64_t now_ms = json_integer_value(json_object_get(doc, "now_ms"));
	size_t i;

	json_array_foreach (hosts, i, h)
		add_host(p, h, now_ms);
	p->view.plan = &p->plan;
	p->view.strata = p->tallies.sums;
	p->view.stratum_count = p->tallies.count;
	bl_outlook(&p->view, p->waves);
}

static void print_strata(const struct present *p)
{
	bl_autotable struct bl_table *t = bl_table_new(3);
	size_t i;

	if (!t)
		return;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "stratum");
	bl_table_cell(t, BL_STYLE_PLAIN, "hosts");
	bl_table_cell(t, BL_STYLE_PLAIN, "whoever polls first of");
	for (i = 0; i < p->tallies.count; i++) {
		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", p->tallies.names[i]);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u",
			      p->tallies.sums[i].waiting);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", p->first[i]);
	}
	bl_table_print(t, stdout, "");
}

static void print_waves(const struct present *p)
{
	double rates[BL_PLAN_LADDER_MAX];
	unsigned w, i, count = bl_outlook_rates(&p->plan, rates);
	bl_autotable struct bl_table *t = bl_table_new(5 + count);
	char what[64], when[BL_DURATION_LEN];

	if (!t)
		return;
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "wave");
	bl_table_cell(t, BL_STYLE_PLAIN, "is");
	bl_table_cell(t, BL_STYLE_PLAIN, "hosts");
	for (i = 0; i < count; i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "sees %g %%", rates[i] * 100);
	bl_table_cell(t, BL_STYLE_PLAIN, "ends at best");
	bl_table_cell(t, BL_STYLE_PLAIN, "then");
	for (w = 0; w < p->plan.wave_count; w++) {
		const struct bl_outlook *o = &p->waves[w];

		bl_plan_wave_text(&p->plan, w, what, sizeof(what));
		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", w + 1);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s%s", what,
			      o->hosts > o->said ? ", widened" : "");
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", o->hosts);
		for (i = 0; i < count; i++)
			bl_table_cell(t, BL_STYLE_PLAIN, "%.4g %%",
				      o->sees[i] * 100);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      bl_duration_text((uint64_t)o->at_best_ms, when));
		if (o->rate <= 0)
			bl_table_cell(t, BL_STYLE_PLAIN, "%s", "");
		else
			bl_table_cell(t, BL_STYLE_PLAIN, "%g %% is %sexcluded",
				      o->rate * 100, o->excluded ? "" : "not ");
	}
	bl_table_print(t, stdout, "");
}

static void print(const struct present *p)
{
	const struct bl_plan *plan = &p->plan;
	unsigned i;

	if (!p->view.waiting) {
		printf("no host is there that this plan is for: %u left out, %u not heard of for long\n",
		       p->view.left_out, p->view.gone);
		return;
	}
	printf("%u host%s in %zu strat%s", p->view.waiting,
	       p->view.waiting == 1 ? "" : "s", p->tallies.count,
	       p->tallies.count == 1 ? "um" : "a");
	if (p->view.left_out)
		printf("; %u left out", p->view.left_out);
	if (p->view.gone)
		printf("; %u not heard of, not waited for", p->view.gone);
	printf("\n");
	print_strata(p);
	print_waves(p);
	if (plan->waves[0].names.count && !p->view.named)
		printf("no host is there that wave 1 names: it waits for one\n");
	for (i = 0; i < plan->wave_count; i++)
		if (plan->waves[i].per_stratum)
			break;
	if (i < plan->wave_count)
		printf("a fault of every host of one stratum is seen by wave %u, for certain\n",
		       i + 1);
	for (i = 0; i < plan->wave_count; i++)
		if (plan->waves[i].gate)
			printf("wave %u waits for 'belay rollout approve'\n",
			       i + 1);
	if (plan->freeze_count)
		printf("the plan freezes times: they come on top\n");
	if (plan->p0_percent <= 0)
		printf("the first bad host stops it\n");
	else
		printf("%g %% of bad hosts are tolerated; a good version is stopped with a chance of at most %g\n",
		       plan->p0_percent, plan->alpha);
}

static int print_json(const struct present *p)
{
	json_t *waves = json_array(), *strata = json_array(), *sees, *rate_list;
	double rates[BL_PLAN_LADDER_MAX];
	unsigned w, i, count = bl_outlook_rates(&p->plan, rates);
	bl_autofree char *text = NULL;

	rate_list = json_array();
	for (i = 0; i < count; i++)
		json_array_append_new(rate_list, json_real(rates[i] * 100));
	for (i = 0; i < p->tallies.count; i++)
		json_array_append_new(
			strata,
			json_pack("{s:s,s:I,s:s}", "name", p->tallies.names[i],
				  "hosts",
				  (json_int_t)p->tallies.sums[i].waiting,
				  "first", p->first[i]));
	for (w = 0; w < p->plan.wave_count; w++) {
		const struct bl_outlook *o = &p->waves[w];

		sees = json_array();
		for (i = 0; i < count; i++)
			json_array_append_new(sees, json_real(o->sees[i]));
		json_array_append_new(
			waves, json_pack("{s:I,s:I,s:I,s:f,s:b,s:o,s:b,s:I}",
					 "hosts", (json_int_t)o->hosts, "more",
					 (json_int_t)o->more, "said",
					 (json_int_t)o->said, "rate_percent",
					 o->rate * 100, "excluded", o->excluded,
					 "sees", sees, "gate",
					 p->plan.waves[w].gate, "at_best_s",
					 (json_int_t)(o->at_best_ms / 1000)));
	}
	text = bl_json_dump(json_pack(
		"{s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "hosts",
		(json_int_t)p->view.waiting, "left_out",
		(json_int_t)p->view.left_out, "gone", (json_int_t)p->view.gone,
		"strata", strata, "rates_percent", rate_list, "waves", waves,
		"plan", bl_plan_json(&p->plan)));
	if (!text)
		return BL_EXIT_UNDECIDED;
	fputs(text, stdout);
	return BL_EXIT_OK;
}

struct options {
	struct bl_client_args client;
	const char *file;
};

int bl_cmd_rollout_plan(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_arg rows[] = {
		BL_CLIENT_ARGS(struct options, client),
		{ "the plan", BL_ARG_OPERAND, offsetof(struct options, file), 0,
		  0 },
	};
	static const struct bl_args spec = { "rollout plan", usage, rows,
					     BL_ARRAY_SIZE(rows) };
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autofree struct present *p = calloc(1, sizeof(*p));
	struct options o = { 0 };
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	if (!p) {
		bl_err_set(err, -ENOMEM, "out of memory");
		return BL_EXIT_UNDECIDED;
	}
	bl_plan_default(&p->plan);
	r = o.file ? bl_plan_load(o.file, &p->plan, err) : 0;
	if (r < 0)
		return bl_cli_exit_of_file(r);
	if (bl_client_open_by(&o.client, &c, err) < 0)
		return BL_EXIT_USAGE;
	if (bl_client_json(c, "GET", "/v1/hosts", NULL, &doc, err) < 0)
		return BL_EXIT_UNDECIDED;
	look(p, doc.root);
	if (o.client.json)
		return print_json(p);
	print(p);
	return BL_EXIT_OK;
}
