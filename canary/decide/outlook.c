/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/decide/outlook.h"

#include "loader/base/cleanup.h"

unsigned bl_outlook_rates(const struct bl_plan *plan,
			  double ret[static BL_PLAN_LADDER_MAX])
{
	static const double usual[] = { 0.2, 0.05, 0.01, 0.001 };
	unsigned i;

	for (i = 0; i < plan->ladder_count; i++)
		ret[i] = plan->ladder_percent[i] / 100;
	if (i)
		return i;
	for (; i < BL_ARRAY_SIZE(usual); i++)
		ret[i] = usual[i];
	return i;
}

/* Hosts of the wave after it was widened as often as it takes. */
static unsigned widened(const struct bl_view *view, unsigned wave,
			unsigned hosts)
{
	struct bl_tally all = { .good = hosts };
	unsigned next, wide;

	if (wave + 1 == view->plan->wave_count)
		return hosts;
	next = bl_decision_wave_size(view, wave + 1);
	while ((wide = bl_rates_widen(view->plan, wave, &all, next)) != 0)
		all.good = wide;
	return all.good;
}

void bl_outlook(const struct bl_view *view,
		struct bl_outlook ret[static BL_PLAN_WAVES_MAX])
{
	const struct bl_plan *plan = view->plan;
	int64_t trial_ms = plan->probation_ms ? plan->probation_ms + 5000
					      : BL_OUTLOOK_TRIAL_MS;
	double rates[BL_PLAN_LADDER_MAX];
	unsigned w, i, rounds, before = 0;
	unsigned count = bl_outlook_rates(plan, rates);
	int64_t at_ms = 0;

	for (w = 0; w < plan->wave_count; w++) {
		struct bl_outlook *o = &ret[w];

		*o = (struct bl_outlook){
			.said = bl_decision_wave_size(view, w),
			.rate = bl_plan_rate(plan, w),
		};
		if (o->said < before)
			o->said = before;
		o->hosts = widened(view, w, o->said);
		o->more = o->hosts - before;
		for (i = 0; i < count; i++)
			o->sees[i] = 1 - bl_rates_missed(rates[i], o->hosts);
		o->excluded = o->rate > 0 &&
			      bl_rates_needed(plan, w, 0) <= o->hosts;
		/* No more than the cap at a time. */
		rounds = (o->more + plan->cap - 1) / plan->cap;
		at_ms += rounds * trial_ms + plan->waves[w].soak_ms;
		o->at_best_ms = at_ms;
		before = o->hosts;
	}
}
