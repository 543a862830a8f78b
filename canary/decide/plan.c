/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/decide/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/decide/plan_read.h"
#include "loader/base/cleanup.h"

#define SECOND_MS 1000

const char *const bl_plan_undecided_names[BL_PLAN_UNDECIDED_COUNT] = {
	[BL_UNDECIDED_PAUSE] = "pause",
	[BL_UNDECIDED_STOP] = "stop",
};

void bl_plan_default(struct bl_plan *ret)
{
	*ret = (struct bl_plan){
		.waves = { { .per_stratum = 1 },
			   { .per_stratum = 2 },
			   { .percent = 50 },
			   { .percent = 100 } },
		.wave_count = 4,
		.cap = 10,
		.trial_ms = 120 * SECOND_MS,
		.silence_ms = 30 * SECOND_MS,
		.gone_ms = 3600 * SECOND_MS,
		.strata = { "kernel", "arch", "os", "role" },
		.stratum_facts = 4,
		.alpha = 1e-3,
		.beta = 1e-3,
	};
	for (unsigned i = 0; i < ret->wave_count; i++)
		ret->waves[i].soak_ms = 5 * SECOND_MS;
	bl_plan_default_ladder(ret);
}

int64_t bl_plan_poll_ms(const struct bl_plan *plan)
{
	int64_t ms = plan->silence_ms / BL_PLAN_POLLS;

	return ms < BL_PLAN_POLL_MAX_MS ? ms : BL_PLAN_POLL_MAX_MS;
}

int bl_plan_parse(const char *name, const char *text, size_t len,
		  struct bl_plan *ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r;

	if (len > BL_PLAN_BYTES_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s is larger than the limit of %d bytes",
				  name, BL_PLAN_BYTES_MAX);
	r = bl_json_parse(name, text, len, &doc, err);
	if (r < 0)
		return r;
	return bl_plan_read(&doc, doc.root, "", ret, err);
}

int bl_plan_load(const char *file, struct bl_plan *ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r = bl_json_load(file, BL_PLAN_BYTES_MAX, &doc, err);

	if (r < 0)
		return r;
	return bl_plan_read(&doc, doc.root, "", ret, err);
}

static json_t *names_json(const struct bl_plan *plan,
			  const struct bl_plan_names *names)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < names->count; i++)
		json_array_append_new(list,
				      json_string(plan->names[names->at + i]));
	return list;
}

static json_t *wave_json(const struct bl_plan *plan, const struct bl_wave *w)
{
	json_t *obj = json_pack("{s:I}", "soak_s",
				(json_int_t)(w->soak_ms / SECOND_MS));

	if (w->names.count)
		json_object_set_new(obj, "names", names_json(plan, &w->names));
	else if (w->per_stratum)
		json_object_set_new(obj, "per_stratum",
				    json_integer(w->per_stratum));
	else if (w->hosts)
		json_object_set_new(obj, "hosts", json_integer(w->hosts));
	else
		json_object_set_new(obj, "percent", json_real(w->percent));
	if (w->gate)
		json_object_set_new(obj, "gate", json_true());
	return obj;
}

static json_t *guards_json(const struct bl_plan *plan)
{
	json_t *obj = json_object();
	enum bl_guard_metric m;

	for (m = 0; m < BL_GUARD_METRICS; m++)
		if (plan->guarded[m])
			json_object_set_new(obj, bl_guard_name(m),
					    json_real(plan->guard_percent[m]));
	return obj;
}

static json_t *freezes_json(const struct bl_plan *plan)
{
	char text[BL_FREEZE_TEXT_LEN];
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < plan->freeze_count; i++) {
		bl_freeze_text(&plan->freezes[i], text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

json_t *bl_plan_json(const struct bl_plan *plan)
{
	json_t *waves = json_array(), *strata = json_array();
	json_t *ladder = json_array();
	unsigned i;

	for (i = 0; i < plan->wave_count; i++)
		json_array_append_new(waves, wave_json(plan, &plan->waves[i]));
	for (i = 0; i < plan->stratum_facts; i++)
		json_array_append_new(strata, json_string(plan->strata[i]));
	for (i = 0; i < plan->ladder_count; i++)
		json_array_append_new(ladder,
				      json_real(plan->ladder_percent[i]));
	return json_pack(
		"{s:o,s:I,s:I,s:I,s:I,s:I,s:o,s:f,s:f,s:f,s:o,s:o,s:o,s:o,s:s}",
		"waves", waves, "trial_s",
		(json_int_t)(plan->trial_ms / SECOND_MS), "silence_s",
		(json_int_t)(plan->silence_ms / SECOND_MS), "gone_s",
		(json_int_t)(plan->gone_ms / SECOND_MS), "probation_s",
		(json_int_t)(plan->probation_ms / SECOND_MS), "cap",
		(json_int_t)plan->cap, "strata", strata, "p0_percent",
		plan->p0_percent, "alpha", plan->alpha, "beta", plan->beta,
		"ladder_percent", ladder, "guards", guards_json(plan), "freeze",
		freezes_json(plan), "leave_out",
		names_json(plan, &plan->left_out), "undecided",
		bl_plan_undecided_names[plan->undecided]);
}

unsigned bl_plan_wave_size(const struct bl_plan *plan, unsigned wave,
			   unsigned fleet)
{
	const struct bl_wave *w = &plan->waves[wave];
	double exact = w->percent * fleet / 100;
	unsigned n = (unsigned)exact;

	if (w->hosts)
		return w->hosts < fleet ? w->hosts : fleet;
	/* Rounds up; what rounding left behind is not another host. A wave of
	 * nobody would let the next one go without a canary. */
	if (exact - n > 1e-9 || !n)
		n++;
	return n < fleet ? n : fleet;
}

void bl_plan_wave_text(const struct bl_plan *plan, unsigned wave, char *ret,
		       size_t size)
{
	const struct bl_wave *w = &plan->waves[wave];

	if (w->names.count)
		snprintf(ret, size, "%s%s", plan->names[w->names.at],
			 w->names.count > 1 ? " and others" : "");
	else if (w->per_stratum)
		snprintf(ret, size, "%u of each stratum", w->per_stratum);
	else if (w->hosts)
		snprintf(ret, size, "%u host%s", w->hosts,
			 w->hosts == 1 ? "" : "s");
	else
		snprintf(ret, size, "%g %%", w->percent);
}

bool bl_plan_names_has(const struct bl_plan *plan,
		       const struct bl_plan_names *names, const char *host)
{
	unsigned i;

	for (i = names->at; i < names->at + names->count; i++) {
		const char *name = plan->names[i];
		size_t len = strlen(name);

		if (name[len - 1] == '*' ? strncmp(name, host, len - 1) == 0
					 : strcmp(name, host) == 0)
			return true;
	}
	return false;
}

bool bl_plan_frozen(const struct bl_plan *plan, int64_t now_ms,
		    int64_t *ret_until_ms)
{
	unsigned i;

	for (i = 0; i < plan->freeze_count; i++)
		if (bl_freeze_covers(&plan->freezes[i], now_ms, ret_until_ms))
			return true;
	return false;
}

double bl_plan_rate(const struct bl_plan *plan, unsigned wave)
{
	if (!plan->ladder_count)
		return 0;
	if (wave >= plan->ladder_count)
		wave = plan->ladder_count - 1;
	return plan->ladder_percent[wave] / 100;
}
