/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/decide/wald.h"

#include <assert.h>
#include <math.h>

/* What adding and multiplying logarithms may be off by: two hosts at odds of
 * 1000 reach 1e6. */
#define ROUNDING 1e-9

static double per_bad(const struct bl_wald *w)
{
	return log(w->p1) - log(w->p0); /* p0 = 0: infinite, as it should be */
}

static double per_good(const struct bl_wald *w)
{
	return log1p(-w->p1) - log1p(-w->p0); /* p1 = 1: minus infinity */
}

double bl_wald_llr(const struct bl_wald *w, uint64_t good, uint64_t bad)
{
	double llr = 0;

	assert(w->p0 >= 0 && w->p0 < w->p1 && w->p1 <= 1);
	/* Both impossible: not p1 for sure, and nothing is tolerated. */
	if (bad && w->p0 <= 0)
		return INFINITY;
	if (bad)
		llr += (double)bad * per_bad(w);
	if (good)
		llr += (double)good * per_good(w);
	return llr;
}

enum bl_wald_verdict bl_wald_judge(const struct bl_wald *w, uint64_t good,
				   uint64_t bad)
{
	double llr = bl_wald_llr(w, good, bad);

	if (llr >= -log(w->alpha) - ROUNDING)
		return BL_WALD_BAD;
	if (llr <= log(w->beta) + ROUNDING)
		return BL_WALD_GOOD;
	return BL_WALD_UNDECIDED;
}

uint64_t bl_wald_good_needed(const struct bl_wald *w, uint64_t bad)
{
	double need = bl_wald_llr(w, 0, bad) - log(w->beta) - ROUNDING;
	double each = -per_good(w);

	if (!isfinite(need) || each <= 0)
		return UINT64_MAX;
	if (isinf(each))
		return 1;
	return (uint64_t)ceil(need / each);
}

uint64_t bl_wald_bad_needed(const struct bl_wald *w)
{
	double each = per_bad(w);

	if (isinf(each))
		return 1;
	return (uint64_t)ceil((-log(w->alpha) - ROUNDING) / each);
}

double bl_wald_expected(const struct bl_wald *w)
{
	double step, up = log((1 - w->beta) / w->alpha);
	double down = log(w->beta / (1 - w->alpha));

	if (w->p0 <= 0)
		return 1 / w->p1;
	if (w->p1 >= 1)
		return (double)bl_wald_bad_needed(w);
	step = w->p1 * per_bad(w) + (1 - w->p1) * per_good(w);
	return ((1 - w->beta) * up + w->beta * down) / step;
}
