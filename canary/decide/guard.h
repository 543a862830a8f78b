/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guard metrics: is a host with the new version worse than one without it, in
 * something that no host can judge alone?
 *
 * Each host that got the version is paired once with one of the same stratum
 * that does not have it yet (each of these is used once, too), and the pair is
 * WORSE if the first one's value is more than the plan tolerates above the
 * second one's. Of two hosts that are alike each is as likely the larger one, so
 * at most half of the pairs of a version that is no worse are WORSE, however
 * much hosts differ. (That is why too many and too few events are two metrics:
 * "too far in either direction" may be true of most pairs of any fleet.) How far the count is from half is bet on, by a mixture over all
 * rates above one half:
 *
 *	e = integral over q in (1/2, 1) of 2 (2q)^worse (2(1-q))^rest dq
 *
 * Whatever the metric's distribution, e is a supermartingale under "no worse":
 * its chance ever to reach 1 / alpha is at most alpha, so one may look after
 * every pair and stop at any time. The price: 1 / alpha = 1000 takes 13 pairs
 * even if all of them are worse.
 *
 * Ranks, since times and rates have heavy tails and no two hosts are alike: one
 * host that is off by a factor of a thousand is one pair.
 *
 * J. Ville 1939 (as in wald.h). D. A. Darling and H. Robbins, Some
 * nonparametric sequential tests with power one, PNAS 61 (1968), 804-809: tests
 * of ranks that never stop looking. H. Robbins, Statistical methods related to
 * the law of the iterated logarithm, Annals of Mathematical Statistics 41
 * (1970), 1397-1409: the mixture. A. Ramdas et al., Game-theoretic statistics
 * and safe anytime-valid inference, Statistical Science 38 (2023), 576-601: the
 * betting view and composite hypotheses.
 *
 * Pure: no I/O, no clock, no chance.
 */
#ifndef BL_CANARY_GUARD_H
#define BL_CANARY_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum bl_guard_metric {
	BL_GUARD_TIME_PER_EVENT,
	BL_GUARD_DROP_RATIO,
	BL_GUARD_EVENTS_MORE,
	BL_GUARD_EVENTS_FEWER,
	BL_GUARD_MEMORY,
	BL_GUARD_AGENT_CPU,
	BL_GUARD_METRICS, /* how many there are */
};

const char *bl_guard_name(enum bl_guard_metric metric);

/* -EINVAL for an unknown name. */
int bl_guard_parse(const char *name, enum bl_guard_metric *ret);

/* Whether @value is more than @tolerated_percent above @other (events_fewer:
 * below), and by more than is nothing in the metric's unit: twice as many drops
 * as next to none are next to none. */
bool bl_guard_worse(enum bl_guard_metric metric, double value, double other,
		    double tolerated_percent);

/* The logarithm of e after @worse of @pairs pairs. */
double bl_guard_log_e(uint64_t worse, uint64_t pairs);
/* Whether e has reached 1 / alpha. */
bool bl_guard_bad(uint64_t worse, uint64_t pairs, double alpha);
/* Pairs in a row that must be worse for that. */
uint64_t bl_guard_pairs_needed(double alpha);

#endif
