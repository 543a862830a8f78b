/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time per event, and share of the processors, over the probes of a trial.
 * Pure.
 *
 * The kernel's statistics (BPF_ENABLE_STATS, 5.8) take the clock on the wall: a
 * program that is preempted, or whose virtual CPU is, is charged for the whole
 * pause. In a mean one such pause outweighs thousands of runs and convicts a
 * healthy sensor on a busy host. So every interval between two probes gives one
 * value, and the median of them is judged: a program that is slow is slow in
 * most intervals, whatever happens in one. The same holds for the share of all
 * processors' time that its programs took.
 */
#ifndef BL_HOST_PACE_H
#define BL_HOST_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/kern/ops.h"

#define BL_PACE_INTERVALS     64 /* the newest are kept */
#define BL_PACE_MIN_RUNS      8	 /* in an interval; fewer go into the next */
#define BL_PACE_MIN_INTERVALS 5	 /* before anybody is called slow */
/* The same when the trial is over: one alone may be nothing but a pause. */
#define BL_PACE_END_INTERVALS 2
#define BL_PACE_MIN_MS	      100 /* shorter says nothing about a share */

/* Zero-initialise when the trial starts. */
struct bl_pace {
	uint64_t run_count, run_time_ns; /* up to the last interval's end */
	unsigned count;			 /* intervals so far, kept or not */
	uint64_t ns[BL_PACE_INTERVALS];	 /* per run, in no order */

	uint64_t share_ms, share_time_ns; /* up to the last share's end */
	unsigned share_count;
	double share[BL_PACE_INTERVALS];
};

/* Takes the counters of one probe, @elapsed_ms after the trial's start; they
 * count from there. */
void bl_pace_add(struct bl_pace *p, const struct bl_kern_sample *sample,
		 uint64_t elapsed_ms);

/* The median of the intervals. false, and *ret_ns unchanged, without one. */
bool bl_pace_median(const struct bl_pace *p, uint64_t *ret_ns);
/* Likewise: 0 to 1 of the time that all processors had. */
bool bl_pace_share(const struct bl_pace *p, double *ret_ratio);

#endif
