/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/decide/guard.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

/* The mixture is a sum over the middles of this many slices of (1/2, 1): each
 * slice alone is a bet that is allowed, so the sum is one, too, and no closer
 * to the integral than it needs to be. */
#define SLICES 64

static const struct {
	const char *name;
	double nothing; /* a difference in the metric's unit that is none */
	bool fewer;	/* is worse */
} metrics[] = {
	[BL_GUARD_TIME_PER_EVENT] = { "time_per_event", 200, false }, /* ns */
	[BL_GUARD_DROP_RATIO] = { "drop_ratio", 0.001, false },
	/* per second */
	[BL_GUARD_EVENTS_MORE] = { "events_more", 1, false },
	[BL_GUARD_EVENTS_FEWER] = { "events_fewer", 1, true },
	[BL_GUARD_MEMORY] = { "memory", 1 << 20, false },     /* bytes */
	[BL_GUARD_AGENT_CPU] = { "agent_cpu", 0.005, false }, /* of one CPU */
};

const char *bl_guard_name(enum bl_guard_metric metric)
{
	return metrics[metric].name;
}

int bl_guard_parse(const char *name, enum bl_guard_metric *ret)
{
	size_t i;

	for (i = 0; i < BL_GUARD_METRICS; i++)
		if (strcmp(metrics[i].name, name) == 0) {
			*ret = (enum bl_guard_metric)i;
			return 0;
		}
	return -EINVAL;
}

bool bl_guard_worse(enum bl_guard_metric metric, double value, double other,
		    double tolerated_percent)
{
	double factor = 1 + tolerated_percent / 100;

	if (metrics[metric].fewer)
		return value * factor < other &&
		       other - value > metrics[metric].nothing;
	return value > other * factor &&
	       value - other > metrics[metric].nothing;
}

double bl_guard_log_e(uint64_t worse, uint64_t pairs)
{
	double terms[SLICES], top = -INFINITY, sum = 0;
	unsigned i;

	assert(worse <= pairs);
	for (i = 0; i < SLICES; i++) {
		double q = 0.5 + (i + 0.5) / (2.0 * SLICES);

		terms[i] = (double)worse * log(2 * q) +
			   (double)(pairs - worse) * log(2 * (1 - q));
		if (terms[i] > top)
			top = terms[i];
	}
	for (i = 0; i < SLICES; i++)
		sum += exp(terms[i] - top);
	return top + log(sum / SLICES);
}

bool bl_guard_bad(uint64_t worse, uint64_t pairs, double alpha)
{
	return pairs && bl_guard_log_e(worse, pairs) >= -log(alpha);
}

uint64_t bl_guard_pairs_needed(double alpha)
{
	uint64_t n = 1;

	while (!bl_guard_bad(n, n, alpha))
		n++;
	return n;
}
