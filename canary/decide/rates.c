/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/decide/rates.h"

#include <limits.h>
#include <math.h>

#include "canary/decide/wald.h"

struct bl_tally bl_tally_sum(const struct bl_tally *strata, size_t count)
{
	struct bl_tally sum = { .name = "all hosts" };
	size_t i;

	for (i = 0; i < count; i++) {
		sum.waiting += strata[i].waiting;
		sum.open += strata[i].open;
		sum.good += strata[i].good;
		sum.bad += strata[i].bad;
	}
	return sum;
}

static unsigned metrics(const struct bl_plan *plan)
{
	unsigned i, n = 1;

	for (i = 0; i < BL_GUARD_METRICS; i++)
		n += plan->guarded[i];
	return n;
}

double bl_rates_guard_alpha(const struct bl_plan *plan)
{
	return plan->alpha / metrics(plan);
}

enum bl_guard_metric
bl_rates_guard(const struct bl_plan *plan,
	       const struct bl_pairs pairs[static BL_GUARD_METRICS])
{
	double alpha = bl_rates_guard_alpha(plan);
	enum bl_guard_metric m;

	for (m = 0; m < BL_GUARD_METRICS; m++)
		if (plan->guarded[m] &&
		    bl_guard_bad(pairs[m].worse, pairs[m].pairs, alpha))
			break;
	return m;
}

/* Keeps the test that is past its bound, or else nearest to it. */
static void look(const struct bl_plan *plan, const struct bl_tally *t,
		 size_t stratum, double rate, double alpha,
		 struct bl_rates_verdict *ret)
{
	const struct bl_wald w = { .p0 = plan->p0_percent / 100,
				   .p1 = rate,
				   .alpha = alpha,
				   .beta = plan->beta };
	struct bl_rates_verdict v = {
		.stratum = stratum,
		.rate = rate,
		.alpha = alpha,
		.bound = -log(alpha),
		.llr = bl_wald_llr(&w, t->good + t->open, t->bad),
		.of = bl_tally_exposed(t),
		.count = t->bad,
	};

	v.bad = bl_wald_judge(&w, t->good + t->open, t->bad) == BL_WALD_BAD;
	if (!ret->of || v.llr - v.bound > ret->llr - ret->bound)
		*ret = v;
}

void bl_rates_judge(const struct bl_plan *plan, const struct bl_tally *strata,
		    size_t count, struct bl_rates_verdict *ret)
{
	double half = bl_rates_guard_alpha(plan) / 2;
	struct bl_tally all = bl_tally_sum(strata, count);
	unsigned i, rates = plan->ladder_count;
	size_t s;

	*ret = (struct bl_rates_verdict){ .stratum = BL_RATES_FLEET };
	if (!all.bad)
		return;
	for (i = 0; i < rates; i++)
		look(plan, &all, BL_RATES_FLEET, plan->ladder_percent[i] / 100,
		     half / rates, ret);
	for (s = 0; s < count; s++) {
		double share = half / (double)count / (rates + 1);

		if (!strata[s].bad)
			continue;
		look(plan, &strata[s], s, 1, share, ret);
		for (i = 0; i < rates; i++)
			look(plan, &strata[s], s, plan->ladder_percent[i] / 100,
			     share, ret);
	}
}

unsigned bl_rates_needed(const struct bl_plan *plan, unsigned wave,
			 unsigned bad)
{
	const struct bl_wald w = { .p0 = plan->p0_percent / 100,
				   .p1 = bl_plan_rate(plan, wave),
				   .alpha = plan->alpha,
				   .beta = plan->beta };
	uint64_t good;

	if (w.p1 <= 0)
		return 0;
	good = bl_wald_good_needed(&w, bad);
	return good > UINT_MAX - bad ? UINT_MAX : (unsigned)good + bad;
}

/* Hosts more until the rate is found, if it is there: as Wald has it, the way to
 * the bound by what a host adds on average. */
static double expected_more(const struct bl_plan *plan, const struct bl_wald *w,
			    double llr)
{
	double share = bl_rates_guard_alpha(plan) / 2 / plan->ladder_count;
	double each;

	if (w->p0 <= 0)
		return ceil(1 / w->p1); /* the first bad one is enough */
	each = w->p1 * bl_wald_llr(w, 0, 1) +
	       (1 - w->p1) * (w->p1 < 1 ? bl_wald_llr(w, 1, 0) : 0);

	return ceil((-log(share) - llr) / each);
}

unsigned bl_rates_widen(const struct bl_plan *plan, unsigned wave,
			const struct bl_tally *all, unsigned next)
{
	unsigned exposed = bl_tally_exposed(all), needed, i;
	double more;

	for (i = 0; i <= wave && i < plan->ladder_count; i++) {
		const struct bl_wald w = { .p0 = plan->p0_percent / 100,
					   .p1 = bl_plan_rate(plan, i),
					   .alpha = plan->alpha,
					   .beta = plan->beta };

		needed = bl_rates_needed(plan, i, all->bad);
		if (needed <= exposed)
			continue;
		if (needed >= next)
			return 0;
		more = expected_more(plan, &w,
				     bl_wald_llr(&w, all->good, all->bad));
		if (more < 1)
			more = 1;
		return more < needed - exposed ? exposed + (unsigned)more
					       : needed;
	}
	return 0;
}

double bl_rates_missed(double rate, unsigned hosts)
{
	return pow(1 - rate, hosts);
}
