/* SPDX-License-Identifier: Apache-2.0 */
/* A plan out of JSON: one function per key that is more than a number. */
#include "canary/decide/plan_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define SECOND_MS 1000

struct reader {
	const struct bl_json_doc *doc;
	const char *path; /* of the plan; "" */
	struct bl_plan *plan;
	struct bl_err *err;
};

struct raw_plan {
	json_t *waves, *strata, *ladder, *guards, *freeze, *leave_out;
	int64_t trial_s, silence_s, soak_s, cap, gone_s, probation_s;
	double p0_percent, alpha, beta;
	const char *undecided;
};

#define TIME(m, least)                                                         \
	{                                                                      \
#m, BL_JSON_INT, false, offsetof(struct raw_plan, m), (least), \
			BL_PLAN_TIME_MAX_S                                     \
	}

static const struct bl_json_field plan_fields[] = {
	{ "waves", BL_JSON_ARRAY, true, offsetof(struct raw_plan, waves), 1,
	  BL_PLAN_WAVES_MAX },
	TIME(trial_s, 1),
	TIME(silence_s, 1),
	TIME(soak_s, 0),
	{ "cap", BL_JSON_INT, false, offsetof(struct raw_plan, cap), 1,
	  BL_PLAN_HOSTS_MAX },
	TIME(gone_s, 10),
	TIME(probation_s, 0),
	{ "strata", BL_JSON_ARRAY, false, offsetof(struct raw_plan, strata), 0,
	  BL_PLAN_STRATA_MAX },
	{ "p0_percent", BL_JSON_REAL, false,
	  offsetof(struct raw_plan, p0_percent), 0, 50 },
	{ "alpha", BL_JSON_REAL, false, offsetof(struct raw_plan, alpha), 0,
	  0 },
	{ "beta", BL_JSON_REAL, false, offsetof(struct raw_plan, beta), 0, 0 },
	{ "ladder_percent", BL_JSON_ARRAY, false,
	  offsetof(struct raw_plan, ladder), 0, BL_PLAN_LADDER_MAX },
	{ "guards", BL_JSON_OBJECT, false, offsetof(struct raw_plan, guards), 0,
	  0 },
	{ "freeze", BL_JSON_ARRAY, false, offsetof(struct raw_plan, freeze), 0,
	  BL_PLAN_FREEZES_MAX },
	{ "undecided", BL_JSON_STRING, false,
	  offsetof(struct raw_plan, undecided), 0, 16 },
	{ "leave_out", BL_JSON_ARRAY, false,
	  offsetof(struct raw_plan, leave_out), 0, BL_PLAN_NAMES_MAX },
};

struct raw_wave {
	int64_t hosts, per_stratum, soak_s;
	double percent;
	json_t *names;
	bool gate;
};

static const struct bl_json_field wave_fields[] = {
	{ "hosts", BL_JSON_INT, false, offsetof(struct raw_wave, hosts), 1,
	  BL_PLAN_HOSTS_MAX },
	{ "percent", BL_JSON_REAL, false, offsetof(struct raw_wave, percent), 0,
	  100 },
	{ "per_stratum", BL_JSON_INT, false,
	  offsetof(struct raw_wave, per_stratum), 1, BL_PLAN_HOSTS_MAX },
	{ "names", BL_JSON_ARRAY, false, offsetof(struct raw_wave, names), 1,
	  BL_PLAN_NAMES_MAX },
	{ "soak_s", BL_JSON_INT, false, offsetof(struct raw_wave, soak_s), 0,
	  BL_PLAN_TIME_MAX_S },
	{ "gate", BL_JSON_BOOL, false, offsetof(struct raw_wave, gate), 0, 0 },
};

void bl_plan_default_ladder(struct bl_plan *plan)
{
	static const double rates[] = { 20, 5, 1, 0.1 };
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(rates) && rates[i] > plan->p0_percent;
	     i++)
		plan->ladder_percent[plan->ladder_count++] = rates[i];
}

/* The path of one of the plan's keys, or of an element of it. */
static const char *at(const struct reader *r, const char *key, size_t index,
		      char buf[static BL_JSON_PATH_MAX])
{
	int n = snprintf(buf, BL_JSON_PATH_MAX, "%s%s%s", r->path,
			 *r->path ? "." : "", key);

	if (index != SIZE_MAX && n > 0 && n < BL_JSON_PATH_MAX)
		snprintf(buf + n, BL_JSON_PATH_MAX - (size_t)n, "[%zu]", index);
	return buf;
}

/* A name, or the beginning of one and a *. */
static bool name_valid(const char *name)
{
	char plain[BL_NAME_MAX + 2];
	size_t len = strlen(name);

	if (!len || len > BL_NAME_MAX + 1 || name[len - 1] != '*')
		return bl_name_valid(name);
	memcpy(plain, name, len);
	plain[len - 1] = '\0';
	return len == 1 || bl_name_valid(plain);
}

static int read_names(const struct reader *r, const json_t *list,
		      const char *path, struct bl_plan_names *ret)
{
	struct bl_plan *plan = r->plan;
	const json_t *v;
	size_t i;

	*ret = (struct bl_plan_names){ .at = plan->name_count };
	json_array_foreach (list, i, v) {
		const char *name = json_string_value(v);

		if (!name || strlen(name) != json_string_length(v) ||
		    !name_valid(name))
			return bl_json_fail(
				r->doc, path, r->err,
				"element %zu is not a host's name, or the beginning of one and a *",
				i);
		if (plan->name_count == BL_PLAN_NAMES_MAX)
			return bl_json_fail(r->doc, path, r->err,
					    "a plan has at most %d names",
					    BL_PLAN_NAMES_MAX);
		snprintf(plan->names[plan->name_count], sizeof(plan->names[0]),
			 "%s", name);
		plan->name_count++;
		ret->count++;
	}
	return 0;
}

static int read_wave(const struct reader *r, const json_t *obj,
		     const char *path, size_t index, int64_t soak_s,
		     struct bl_wave *ret)
{
	static const char *const sizes[] = { "hosts", "percent", "per_stratum",
					     "names" };
	struct raw_wave raw = { .soak_s = soak_s };
	unsigned given = 0;
	size_t i;
	int e = bl_json_read(r->doc, obj, path, wave_fields,
			     BL_ARRAY_SIZE(wave_fields), &raw, r->err);

	if (e < 0)
		return e;
	for (i = 0; i < BL_ARRAY_SIZE(sizes); i++)
		given += json_object_get(obj, sizes[i]) != NULL;
	if (given != 1)
		return bl_json_fail(
			r->doc, path, r->err,
			"a wave has one of 'hosts', 'percent', 'per_stratum' and 'names', this one has %s",
			!given	     ? "none"
			: given == 2 ? "two"
				     : "more");
	if (json_object_get(obj, "percent") && raw.percent <= 0)
		return bl_json_fail(r->doc, path, r->err,
				    "a wave of 0 percent exposes nobody");
	if (raw.names && index > 0)
		return bl_json_fail(r->doc, path, r->err,
				    "only the first wave may be of names");
	*ret = (struct bl_wave){ .hosts = (unsigned)raw.hosts,
				 .percent = raw.percent,
				 .per_stratum = (unsigned)raw.per_stratum,
				 .soak_ms = raw.soak_s * SECOND_MS,
				 .gate = raw.gate };
	return raw.names ? read_names(r, raw.names, path, &ret->names) : 0;
}

/* Waves are totals; one that is not above the wave before it is a mistake
 * ("hosts": 5 twice was meant as five more). */
static int check_growth(const struct reader *r, const char *path,
			const struct bl_wave *before, const struct bl_wave *w)
{
	if (before->hosts && w->hosts && w->hosts <= before->hosts)
		return bl_json_fail(
			r->doc, path, r->err,
			"waves are totals: %u hosts come after %u hosts",
			w->hosts, before->hosts);
	if (before->per_stratum && w->per_stratum &&
	    w->per_stratum <= before->per_stratum)
		return bl_json_fail(
			r->doc, path, r->err,
			"waves are totals: %u of each stratum come after %u",
			w->per_stratum, before->per_stratum);
	if (before->percent > 0 && w->percent > 0 &&
	    w->percent <= before->percent)
		return bl_json_fail(
			r->doc, path, r->err,
			"waves are totals: %g percent comes after %g percent",
			w->percent, before->percent);
	if (before->percent > 0 && w->per_stratum)
		return bl_json_fail(
			r->doc, path, r->err,
			"a wave of each stratum comes before those by percent");
	return 0;
}

static int read_waves(const struct reader *r, const json_t *list,
		      int64_t soak_s)
{
	struct bl_plan *plan = r->plan;
	char path[BL_JSON_PATH_MAX];
	const json_t *wave;
	size_t i;
	int e;

	memset(plan->waves, 0, sizeof(plan->waves));
	plan->wave_count = (unsigned)json_array_size(list);
	json_array_foreach (list, i, wave) {
		at(r, "waves", i, path);
		e = read_wave(r, wave, path, i, soak_s, &plan->waves[i]);
		if (!e && i > 0)
			e = check_growth(r, path, &plan->waves[i - 1],
					 &plan->waves[i]);
		if (e < 0)
			return e;
	}
	return 0;
}

static bool fact_valid(const char *fact)
{
	static const char *const facts[] = { "kernel", "series", "arch", "os",
					     "role" };
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(facts); i++)
		if (strcmp(fact, facts[i]) == 0)
			return true;
	return strncmp(fact, "label:", 6) == 0 &&
	       strlen(fact) < BL_PLAN_FACT_LEN && bl_name_valid(fact + 6);
}

static int read_strata(const struct reader *r, const json_t *list)
{
	struct bl_plan *plan = r->plan;
	char path[BL_JSON_PATH_MAX];
	const json_t *v;
	size_t i;

	if (!list)
		return 0;
	memset(plan->strata, 0, sizeof(plan->strata));
	plan->stratum_facts = (unsigned)json_array_size(list);
	json_array_foreach (list, i, v) {
		const char *fact = json_string_value(v);

		if (!fact || strlen(fact) != json_string_length(v) ||
		    !fact_valid(fact))
			return bl_json_fail(
				r->doc, at(r, "strata", SIZE_MAX, path), r->err,
				"element %zu is not kernel, series, arch, os, role or label:KEY",
				i);
		snprintf(plan->strata[i], sizeof(plan->strata[i]), "%s", fact);
	}
	return 0;
}

/* Absent: none, unless a rate is tolerated, which is nothing without one that
 * is not. */
static int read_ladder(const struct reader *r, const json_t *list)
{
	struct bl_plan *plan = r->plan;
	char path[BL_JSON_PATH_MAX];
	const json_t *v;
	size_t i;

	plan->ladder_count = 0;
	memset(plan->ladder_percent, 0, sizeof(plan->ladder_percent));
	if (!list && plan->p0_percent > 0)
		bl_plan_default_ladder(plan);
	json_array_foreach (list, i, v) {
		double rate = json_number_value(v);
		double least = i + 1 < json_array_size(list) ? 0
							     : plan->p0_percent;

		if (!json_is_number(v) || !(rate > least && rate <= 100) ||
		    (i && rate >= plan->ladder_percent[i - 1]))
			return bl_json_fail(
				r->doc, at(r, "ladder_percent", SIZE_MAX, path),
				r->err,
				"element %zu: rates are percents that fall, to above p0_percent (%g)",
				i, plan->p0_percent);
		plan->ladder_percent[plan->ladder_count++] = rate;
	}
	if (plan->p0_percent > 0 && !plan->ladder_count)
		return bl_json_fail(
			r->doc, at(r, "p0_percent", SIZE_MAX, path), r->err,
			"tolerating %g percent wants a ladder_percent above it",
			plan->p0_percent);
	return 0;
}

static int read_guards(const struct reader *r, const json_t *obj)
{
	struct bl_plan *plan = r->plan;
	char path[BL_JSON_PATH_MAX];
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)obj, key, v) {
		enum bl_guard_metric m;
		double percent = json_number_value(v);

		at(r, "guards", SIZE_MAX, path);
		if (bl_guard_parse(key, &m) < 0)
			return bl_json_fail(
				r->doc, path, r->err,
				"'%s' is not time_per_event, drop_ratio, events_more, events_fewer, memory or agent_cpu",
				key);
		if (!json_is_number(v) || !(percent >= 0 && percent <= 10000))
			return bl_json_fail(
				r->doc, path, r->err,
				"%s: tolerated are 0 to 10000 percent", key);
		plan->guarded[m] = true;
		plan->guard_percent[m] = percent;
	}
	return 0;
}

/* A wave is over before anybody of it was compared, else. */
static int check_soak(const struct reader *r)
{
	const struct bl_plan *plan = r->plan;
	char path[BL_JSON_PATH_MAX];
	bool any = false;
	unsigned i;

	for (i = 0; i < BL_GUARD_METRICS; i++)
		any |= plan->guarded[i];
	for (i = 0; any && i + 1 < plan->wave_count; i++)
		if (plan->waves[i].soak_ms < BL_PLAN_GUARD_SOAK_S * SECOND_MS)
			return bl_json_fail(
				r->doc, at(r, "waves", i, path), r->err,
				"guards are measured after the commit: soak_s must be %d or more in all waves but the last",
				BL_PLAN_GUARD_SOAK_S);
	return 0;
}

static int read_freezes(const struct reader *r, const json_t *list)
{
	struct bl_plan *plan = r->plan;
	char path[BL_JSON_PATH_MAX];
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v) {
		const char *text = json_string_value(v);

		if (!text || bl_freeze_parse(text, &plan->freezes[i]) < 0)
			return bl_json_fail(
				r->doc, at(r, "freeze", SIZE_MAX, path), r->err,
				"element %zu is neither like 'Fri 16:00 - Mon 06:00' nor like '2026-12-23 00:00 - 2027-01-02 00:00' (UTC)",
				i);
		plan->freeze_count++;
	}
	return 0;
}

static int check_chance(const struct reader *r, const char *key, double value)
{
	char path[BL_JSON_PATH_MAX];

	if (value >= 1e-12 && value <= 0.5)
		return 0;
	return bl_json_fail(r->doc, at(r, key, SIZE_MAX, path), r->err,
			    "%g is outside 1e-12 to 0.5", value);
}

static int read_numbers(const struct reader *r, const struct raw_plan *raw)
{
	struct bl_plan *plan = r->plan;
	int e = check_chance(r, "alpha", raw->alpha);

	if (!e)
		e = check_chance(r, "beta", raw->beta);
	if (e < 0)
		return e;
	plan->cap = (unsigned)raw->cap;
	plan->trial_ms = raw->trial_s * SECOND_MS;
	plan->silence_ms = raw->silence_s * SECOND_MS;
	plan->gone_ms = raw->gone_s * SECOND_MS;
	plan->probation_ms = raw->probation_s * SECOND_MS;
	plan->p0_percent = raw->p0_percent;
	plan->alpha = raw->alpha;
	plan->beta = raw->beta;
	if (plan->probation_ms >= plan->trial_ms)
		return bl_json_fail(
			r->doc, r->path, r->err,
			"probation_s (%lld) must be below trial_s (%lld), or every host is late",
			(long long)raw->probation_s, (long long)raw->trial_s);
	return 0;
}

static int read_undecided(const struct reader *r, const char *name)
{
	char path[BL_JSON_PATH_MAX];
	unsigned i;

	for (i = 0; i < BL_PLAN_UNDECIDED_COUNT; i++) {
		if (strcmp(bl_plan_undecided_names[i], name) != 0)
			continue;
		r->plan->undecided = (enum bl_plan_undecided)i;
		return 0;
	}
	return bl_json_fail(r->doc, at(r, "undecided", SIZE_MAX, path), r->err,
			    "'%s' is neither pause nor stop", name);
}

int bl_plan_read(const struct bl_json_doc *doc, const json_t *obj,
		 const char *path, struct bl_plan *ret, struct bl_err *err)
{
	struct bl_plan plan;
	struct reader r = { doc, path, &plan, err };
	struct raw_plan raw;
	char names[BL_JSON_PATH_MAX];
	int e;

	bl_plan_default(&plan);
	raw = (struct raw_plan){
		.trial_s = plan.trial_ms / SECOND_MS,
		.silence_s = plan.silence_ms / SECOND_MS,
		.soak_s = plan.waves[0].soak_ms / SECOND_MS,
		.cap = plan.cap,
		.gone_s = plan.gone_ms / SECOND_MS,
		.alpha = plan.alpha,
		.beta = plan.beta,
		.undecided = bl_plan_undecided_names[plan.undecided],
	};
	e = bl_json_read(doc, obj, path, plan_fields,
			 BL_ARRAY_SIZE(plan_fields), &raw, err);
	if (!e)
		e = read_waves(&r, raw.waves, raw.soak_s);
	if (!e)
		e = read_numbers(&r, &raw);
	if (!e)
		e = read_strata(&r, raw.strata);
	if (!e)
		e = read_ladder(&r, raw.ladder);
	if (!e)
		e = read_guards(&r, raw.guards);
	if (!e)
		e = check_soak(&r);
	if (!e)
		e = read_freezes(&r, raw.freeze);
	if (!e)
		e = read_names(&r, raw.leave_out,
			       at(&r, "leave_out", SIZE_MAX, names),
			       &plan.left_out);
	if (!e)
		e = read_undecided(&r, raw.undecided);
	if (e < 0)
		return e;
	*ret = plan;
	return 0;
}
