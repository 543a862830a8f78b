/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a version bad? From the sums of a rollout, by stratum, and a plan's rates:
 * wald.h on the whole fleet and on every stratum, with the plan's alpha split
 * over all of it.
 *
 * An equal share of alpha goes to the rate of bad hosts and to each guard
 * metric. Of the share for bad hosts one half is split over the rates of the
 * ladder, on the whole fleet; the other over strata, and for each of them over
 * the ladder and "every host". All of these tests run all the time, whatever
 * the wave: the wave says only how far the next one is (bl_rates_needed).
 *
 * Bad hosts are heard of sooner than good ones, so a verdict of BAD counts
 * hosts that are still in their trial as good: it can only come later for it,
 * and what wald.h promises holds for the order in which hosts were exposed.
 *
 * With a p0 of 0 all this is one sentence: the first bad host is BAD.
 *
 * Pure: no I/O, no clock.
 */
#ifndef BL_CANARY_RATES_H
#define BL_CANARY_RATES_H

#include <stdbool.h>
#include <stddef.h>

#include "canary/decide/plan.h"

/* The sums of one stratum. */
struct bl_tally {
	const char *name;
	unsigned waiting; /* neither exposed nor gone, left out or there */
	unsigned open;	  /* exposed, nothing is known yet */
	unsigned good;	  /* committed, and heard of since */
	unsigned bad;
};

static inline unsigned bl_tally_exposed(const struct bl_tally *t)
{
	return t->open + t->good + t->bad;
}

/* Pairs of a guard metric (guard.h). */
struct bl_pairs {
	unsigned worse, pairs;
};

struct bl_tally bl_tally_sum(const struct bl_tally *strata, size_t count);

#define BL_RATES_FLEET SIZE_MAX

/* One test that decided, or is nearest to it. */
struct bl_rates_verdict {
	bool bad;
	size_t stratum;	    /* BL_RATES_FLEET: all of them */
	double rate, alpha; /* p1, and the share of alpha */
	double llr, bound;  /* bad: llr >= bound; logarithms */
	unsigned of, count; /* bad hosts, of exposed ones */
};

void bl_rates_judge(const struct bl_plan *plan, const struct bl_tally *strata,
		    size_t count, struct bl_rates_verdict *ret);

/* The share of alpha of each guard metric. */
double bl_rates_guard_alpha(const struct bl_plan *plan);
/* The first metric that @pairs convicts; BL_GUARD_METRICS: none. */
enum bl_guard_metric
bl_rates_guard(const struct bl_plan *plan,
	       const struct bl_pairs pairs[static BL_GUARD_METRICS]);

/* Exposed hosts in all, @bad of them bad, that exclude the rate of @wave;
 * UINT_MAX: no number does. 0 if the wave has no rate. */
unsigned bl_rates_needed(const struct bl_plan *plan, unsigned wave,
			 unsigned bad);

/*
 * How many hosts in all are to have it before a wave wider than @next hosts may
 * follow @wave, whose hosts so far are @all (none of them open): 0 if that is
 * enough, or if it would be no less than @next.
 *
 * The ladder is climbed from its first rate on, each time by as many hosts as
 * exclude the rate, but by no more than Wald expects to need if it is there: so
 * that what is found is found on few hosts more.
 */
unsigned bl_rates_widen(const struct bl_plan *plan, unsigned wave,
			const struct bl_tally *all, unsigned next);

/* The chance that none of @hosts is bad at a rate of @rate: what a wave of so
 * many good hosts does not see. */
double bl_rates_missed(double rate, unsigned hosts);

#endif
