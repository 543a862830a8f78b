/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wald's sequential test of a rate: after each host that turned out good or
 * bad, are there enough of them to say which of two rates it is?
 *
 *	p0	rate of bad hosts that nobody would blame on the version
 *	p1	rate that must be found (above p0; 1: every host)
 *	alpha	at most this chance to say BAD of a version of rate p0
 *	beta	at most this chance to say GOOD of a version of rate p1
 *
 *	struct bl_wald w = { .p0 = 0.001, .p1 = 0.2, .alpha = 1e-3, .beta = 1e-3 };
 *	bl_wald_judge(&w, good, bad);
 *
 * The likelihood ratio of p1 against p0 is followed until it leaves the range
 * beta to 1 / alpha. These bounds are a little wider than Wald's (1 - beta) /
 * alpha and beta / (1 - alpha), and hold without his approximation: under p0
 * the ratio is a martingale that begins at 1, so that its chance ever to reach
 * 1 / alpha is at most alpha, however long and however often one looks.
 *
 * Invariants:
 *  - a host more that is bad never takes a verdict away from BAD, one more
 *    that is good never takes one away from GOOD;
 *  - p0 = 0 tolerates nothing: one bad host is BAD.
 *
 * A. Wald, Sequential Tests of Statistical Hypotheses, Annals of Mathematical
 * Statistics 16 (1945), 117-186: the test and its expected length. J. Ville,
 * Étude critique de la notion de collectif (1939): the bound for all times.
 *
 * Pure: no I/O, no clock, no chance.
 */
#ifndef BL_CANARY_WALD_H
#define BL_CANARY_WALD_H

#include <stdint.h>

struct bl_wald {
	double p0, p1, alpha, beta;
};

enum bl_wald_verdict {
	BL_WALD_UNDECIDED,
	BL_WALD_GOOD, /* p1 is excluded */
	BL_WALD_BAD,
};

/* The logarithm of the likelihood ratio of p1 against p0; may be infinite. */
double bl_wald_llr(const struct bl_wald *w, uint64_t good, uint64_t bad);

enum bl_wald_verdict bl_wald_judge(const struct bl_wald *w, uint64_t good,
				   uint64_t bad);

/* Good hosts beside @bad bad ones that make it GOOD; UINT64_MAX: no number. */
uint64_t bl_wald_good_needed(const struct bl_wald *w, uint64_t bad);
/* Bad hosts in a row from the first on that make it BAD. */
uint64_t bl_wald_bad_needed(const struct bl_wald *w);

/* Hosts until a verdict, as Wald expects it of a version of rate p1 (his
 * approximation: what goes beyond a bound is not counted). */
double bl_wald_expected(const struct bl_wald *w);

#endif
