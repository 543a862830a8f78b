/* SPDX-License-Identifier: Apache-2.0 */
/* belay rollout explain: every decision of a rollout, why, and made again. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/explain.h"
#include "canary/operator/cmd_rollout.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/base/text.h"

static const char usage[] =
	"usage: belay rollout explain [ID]\n"
	"\n"
	"Tells each decision of a rollout (the newest if none is named), when and why,\n"
	"and what was known then; makes each again from what was stored with it, but for\n"
	"those of operators. Exit status 1 if one comes out otherwise: then this belay\n"
	"decides by other rules than the one that did.\n"
	"\n" //
	BL_CLIENT_USAGE "\n"
	"example: belay rollout explain r7\n";

struct totals {
	unsigned count, again, differ;
	bool stop; /* the sums at the stop were shown */
};

static void print_strata(const struct bl_explained *e)
{
	static const char *const heads[] = { "stratum", "good", "bad", "open",
					     "waiting" };
	bl_autotable struct bl_table *t = bl_table_new(BL_ARRAY_SIZE(heads));
	size_t i;

	if (!t || !e->view.stratum_count)
		return;
	bl_table_row(t);
	for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", heads[i]);
	for (i = 0; i < e->view.stratum_count; i++) {
		const struct bl_tally *s = &e->strata[i];

		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", s->name);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", s->good);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", s->bad);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", s->open);
		bl_table_cell(t, BL_STYLE_PLAIN, "%u", s->waiting);
	}
	bl_table_print(t, stdout, "    ");
}

/* What was excluded by then, and what was not. */
static void print_rates(const struct bl_explained *e)
{
	const struct bl_plan *plan = e->view.plan;
	struct bl_tally all = bl_tally_sum(e->strata, e->view.stratum_count);
	struct bl_rates_verdict r;
	unsigned i, needed;

	for (i = 0; i < plan->ladder_count; i++) {
		needed = bl_rates_needed(plan, i, all.bad);
		if (needed == UINT32_MAX)
			continue;
		printf("    a bad rate of %g %%: %s (%u of %u hosts that it takes)\n",
		       plan->ladder_percent[i],
		       all.good + all.bad >= needed ? "excluded"
						    : "not excluded",
		       all.good + all.bad, needed);
	}
	bl_rates_judge(plan, e->strata, e->view.stratum_count, &r);
	if (r.of && plan->p0_percent > 0)
		printf("    nearest to a stop: %g %% in %s, 10^%.1f of 10^%.1f\n",
		       r.rate * 100,
		       r.stratum == BL_RATES_FLEET ? "all strata"
						   : e->names[r.stratum],
		       r.llr / M_LN10, r.bound / M_LN10);
}

static int print_one(const json_t *obj, const struct bl_plan *plan, bool last,
		     struct totals *totals, struct bl_err *err)
{
	bl_autofree struct bl_explained *e = calloc(1, sizeof(*e));
	char when[BL_TIME_ISO_LEN];
	struct bl_decision now;
	char about[BL_NAME_MAX + 8] = "";
	int r = e ? bl_explain_read(obj, plan, e, err)
		  : bl_err_set(err, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	/* The reasons of other kinds name whom they are about. */
	if (e->said.kind == BL_DECISION_SILENT ||
	    e->said.kind == BL_DECISION_STUCK)
		snprintf(about, sizeof(about), "%s: ", e->host_name);
	else if (*e->said.by)
		snprintf(about, sizeof(about), "by %s: ", e->said.by);
	printf("%s  %-7s  %s%s\n", bl_clock_iso(e->view.now_ms, when),
	       bl_decision_name(e->said.kind), about, e->said.reason);
	totals->count++;
	/* With an operator's act only the sums of the record are kept. */
	if (e->said.kind == BL_DECISION_STOP ||
	    (last && !totals->stop && !bl_decision_is_act(e->said.kind))) {
		print_strata(e);
		print_rates(e);
		totals->stop = true;
	}
	if (!e->again)
		return 0;
	totals->again++;
	if (bl_explain_holds(e, &now))
		return 0;
	totals->differ++;
	printf("    made again it is otherwise: %s: %s\n",
	       bl_decision_name(now.kind), now.reason);
	return 0;
}

static const char *text_of(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "";
}

static int explain(const struct bl_json_doc *doc, struct totals *totals,
		   struct bl_err *err)
{
	const json_t *list = json_object_get(doc->root, "decisions"), *v;
	char reason[BL_REASON_MAX];
	struct bl_plan plan;
	size_t i;
	int r = bl_plan_read(doc, json_object_get(doc->root, "plan"), "plan",
			     &plan, err);

	if (r < 0)
		return r;
	bl_text_copy(reason, sizeof(reason), text_of(doc->root, "reason"));
	printf("rollout %s: %s %s, %s%s%s\n", text_of(doc->root, "id"),
	       text_of(doc->root, "name"), text_of(doc->root, "version"),
	       text_of(doc->root, "state"), *reason ? ": " : "", reason);
	json_array_foreach (list, i, v) {
		r = print_one(v, &plan, i + 1 == json_array_size(list), totals,
			      err);
		if (r < 0)
			return r;
	}
	if (!totals->count)
		printf("nothing was decided yet\n");
	else if (!totals->differ)
		printf("made again from what was stored: %u of %u decision%s, and none came out otherwise\n",
		       totals->again, totals->count,
		       totals->count == 1 ? "" : "s");
	else
		printf("made again from what was stored: %u of %u decision%s, and %u came out otherwise\n",
		       totals->again, totals->count,
		       totals->count == 1 ? "" : "s", totals->differ);
	return 0;
}

struct options {
	struct bl_client_args client;
	const char *id;
};

int bl_cmd_rollout_explain(int argc, char **argv, struct bl_err *err)
{
	static const struct bl_arg rows[] = {
		BL_CLIENT_ARGS(struct options, client),
		{ BL_ROLLOUT_ID, BL_ARG_OPERAND, offsetof(struct options, id),
		  0, 0 },
	};
	static const struct bl_args spec = { "rollout explain", usage, rows,
					     BL_ARRAY_SIZE(rows) };
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autofree char *path = NULL;
	struct totals totals = { 0 };
	struct options o = { 0 };
	int r;

	if (!bl_args_read(&spec, argc, argv, &o, &r, err))
		return r;
	if (bl_client_open_by(&o.client, &c, err) < 0)
		return BL_EXIT_USAGE;
	r = bl_rollout_path(c, o.id, "/decisions", &path, err);
	if (!r)
		r = bl_client_json(c, "GET", path, NULL, &doc, err);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	if (o.client.json)
		return bl_client_print_json(doc.root);
	if (explain(&doc, &totals, err) < 0)
		return BL_EXIT_UNDECIDED;
	return totals.differ ? BL_EXIT_REJECTED : BL_EXIT_OK;
}
