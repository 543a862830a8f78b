/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/plan.h"

#include <errno.h>
#include <stdio.h>

#include "loader/base/cleanup.h"

#define SECOND_MS 1000

void bl_plan_default(struct bl_plan *ret)
{
	*ret = (struct bl_plan){
		.waves = { { .hosts = 1 },
			   { .percent = 50 },
			   { .percent = 100 } },
		.wave_count = 3,
		.cap = 10,
		.trial_ms = 120 * SECOND_MS,
		.silence_ms = 30 * SECOND_MS,
		.gone_ms = 3600 * SECOND_MS,
	};
	for (unsigned i = 0; i < ret->wave_count; i++)
		ret->waves[i].soak_ms = 5 * SECOND_MS;
}

struct raw_plan {
	json_t *waves;
	int64_t trial_s, silence_s, soak_s, cap, gone_s, probation_s;
};

static const struct bl_json_field plan_fields[] = {
	{ "waves", BL_JSON_ARRAY, true, offsetof(struct raw_plan, waves), 1,
	  BL_PLAN_WAVES_MAX },
	{ "trial_s", BL_JSON_INT, false, offsetof(struct raw_plan, trial_s), 1,
	  BL_PLAN_TIME_MAX_S },
	{ "silence_s", BL_JSON_INT, false, offsetof(struct raw_plan, silence_s),
	  1, BL_PLAN_TIME_MAX_S },
	{ "soak_s", BL_JSON_INT, false, offsetof(struct raw_plan, soak_s), 0,
	  BL_PLAN_TIME_MAX_S },
	{ "cap", BL_JSON_INT, false, offsetof(struct raw_plan, cap), 1,
	  BL_PLAN_HOSTS_MAX },
	{ "gone_s", BL_JSON_INT, false, offsetof(struct raw_plan, gone_s), 10,
	  BL_PLAN_TIME_MAX_S },
	{ "probation_s", BL_JSON_INT, false,
	  offsetof(struct raw_plan, probation_s), 0, BL_PLAN_TIME_MAX_S },
};

struct raw_wave {
	int64_t hosts, soak_s;
	double percent;
};

static const struct bl_json_field wave_fields[] = {
	{ "hosts", BL_JSON_INT, false, offsetof(struct raw_wave, hosts), 1,
	  BL_PLAN_HOSTS_MAX },
	{ "percent", BL_JSON_REAL, false, offsetof(struct raw_wave, percent), 0,
	  100 },
	{ "soak_s", BL_JSON_INT, false, offsetof(struct raw_wave, soak_s), 0,
	  BL_PLAN_TIME_MAX_S },
};

static int read_wave(const struct bl_json_doc *doc, const json_t *obj,
		     const char *path, int64_t soak_s, struct bl_wave *ret,
		     struct bl_err *err)
{
	struct raw_wave raw = { .soak_s = soak_s };
	bool hosts, percent;
	int r = bl_json_read(doc, obj, path, wave_fields,
			     BL_ARRAY_SIZE(wave_fields), &raw, err);

	if (r < 0)
		return r;
	hosts = json_object_get(obj, "hosts");
	percent = json_object_get(obj, "percent");
	if (hosts == percent)
		return bl_json_fail(
			doc, path, err,
			"a wave has either 'hosts' or 'percent', this one has %s",
			hosts ? "both" : "neither");
	if (percent && raw.percent <= 0)
		return bl_json_fail(doc, path, err,
				    "a wave of 0 percent exposes nobody");
	*ret = (struct bl_wave){ .hosts = (unsigned)raw.hosts,
				 .percent = raw.percent,
				 .soak_ms = raw.soak_s * SECOND_MS };
	return 0;
}

/* Waves are totals; one that is not above the wave before it is a mistake
 * ("hosts": 5 twice was meant as five more). */
static int check_growth(const struct bl_json_doc *doc, const char *path,
			const struct bl_wave *before, const struct bl_wave *w,
			struct bl_err *err)
{
	if (before->hosts && w->hosts && w->hosts <= before->hosts)
		return bl_json_fail(
			doc, path, err,
			"waves are totals: %u hosts come after %u hosts",
			w->hosts, before->hosts);
	if (!before->hosts && !w->hosts && w->percent <= before->percent)
		return bl_json_fail(
			doc, path, err,
			"waves are totals: %g percent comes after %g percent",
			w->percent, before->percent);
	return 0;
}

int bl_plan_read(const struct bl_json_doc *doc, const json_t *obj,
		 const char *path, struct bl_plan *ret, struct bl_err *err)
{
	struct bl_plan plan;
	struct raw_plan raw;
	char at[BL_JSON_PATH_MAX];
	json_t *wave;
	size_t i;
	int r;

	bl_plan_default(&plan);
	raw = (struct raw_plan){
		.trial_s = plan.trial_ms / SECOND_MS,
		.silence_s = plan.silence_ms / SECOND_MS,
		.soak_s = plan.waves[0].soak_ms / SECOND_MS,
		.cap = plan.cap,
		.gone_s = plan.gone_ms / SECOND_MS,
	};
	r = bl_json_read(doc, obj, path, plan_fields,
			 BL_ARRAY_SIZE(plan_fields), &raw, err);
	if (r < 0)
		return r;
	json_array_foreach (raw.waves, i, wave) {
		snprintf(at, sizeof(at), "%s%swaves[%zu]", path,
			 *path ? "." : "", i);
		r = read_wave(doc, wave, at, raw.soak_s, &plan.waves[i], err);
		if (!r && i > 0)
			r = check_growth(doc, at, &plan.waves[i - 1],
					 &plan.waves[i], err);
		if (r < 0)
			return r;
	}
	plan.wave_count = (unsigned)json_array_size(raw.waves);
	plan.cap = (unsigned)raw.cap;
	plan.trial_ms = raw.trial_s * SECOND_MS;
	plan.silence_ms = raw.silence_s * SECOND_MS;
	plan.gone_ms = raw.gone_s * SECOND_MS;
	plan.probation_ms = raw.probation_s * SECOND_MS;
	if (plan.probation_ms >= plan.trial_ms)
		return bl_json_fail(
			doc, path, err,
			"probation_s (%lld) must be below trial_s (%lld), or every host is late",
			(long long)raw.probation_s, (long long)raw.trial_s);
	*ret = plan;
	return 0;
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

static json_t *wave_json(const struct bl_wave *w)
{
	json_int_t soak = w->soak_ms / SECOND_MS;

	if (w->hosts)
		return json_pack("{s:I,s:I}", "hosts", (json_int_t)w->hosts,
				 "soak_s", soak);
	return json_pack("{s:f,s:I}", "percent", w->percent, "soak_s", soak);
}

json_t *bl_plan_json(const struct bl_plan *plan)
{
	json_t *waves = json_array();
	unsigned i;

	for (i = 0; i < plan->wave_count; i++)
		json_array_append_new(waves, wave_json(&plan->waves[i]));
	return json_pack("{s:o,s:I,s:I,s:I,s:I,s:I}", "waves", waves, "trial_s",
			 (json_int_t)(plan->trial_ms / SECOND_MS), "silence_s",
			 (json_int_t)(plan->silence_ms / SECOND_MS), "gone_s",
			 (json_int_t)(plan->gone_ms / SECOND_MS), "probation_s",
			 (json_int_t)(plan->probation_ms / SECOND_MS), "cap",
			 (json_int_t)plan->cap);
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
