/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/trial/pace.h"

#include <stdlib.h>
#include <string.h>

static void add_time(struct bl_pace *p, const struct bl_kern_sample *sample)
{
	uint64_t runs = sample->run_count - p->run_count;

	if (sample->run_count < p->run_count + BL_PACE_MIN_RUNS)
		return;
	p->ns[p->count++ % BL_PACE_INTERVALS] =
		(sample->run_time_ns - p->run_time_ns) / runs;
	p->run_count = sample->run_count;
	p->run_time_ns = sample->run_time_ns;
}

static void add_share(struct bl_pace *p, const struct bl_kern_sample *sample,
		      uint64_t elapsed_ms)
{
	uint64_t ms = elapsed_ms - p->share_ms;
	unsigned cpus = sample->cpus ? sample->cpus : 1;

	if (elapsed_ms < p->share_ms + BL_PACE_MIN_MS)
		return;
	p->share[p->share_count++ % BL_PACE_INTERVALS] =
		(double)(sample->run_time_ns - p->share_time_ns) /
		((double)ms * 1e6 * cpus);
	p->share_ms = elapsed_ms;
	p->share_time_ns = sample->run_time_ns;
}

void bl_pace_add(struct bl_pace *p, const struct bl_kern_sample *sample,
		 uint64_t elapsed_ms)
{
	add_time(p, sample);
	add_share(p, sample, elapsed_ms);
}

static unsigned kept(unsigned count)
{
	return count < BL_PACE_INTERVALS ? count : BL_PACE_INTERVALS;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int compare_share(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

bool bl_pace_median(const struct bl_pace *p, uint64_t *ret_ns)
{
	unsigned n = kept(p->count);
	uint64_t sorted[BL_PACE_INTERVALS];

	if (!n)
		return false;
	memcpy(sorted, p->ns, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	/* Of an even number the lower one: in doubt for the sensor. */
	*ret_ns = sorted[(n - 1) / 2];
	return true;
}

bool bl_pace_share(const struct bl_pace *p, double *ret_ratio)
{
	unsigned n = kept(p->share_count);
	double sorted[BL_PACE_INTERVALS];

	if (!n)
		return false;
	memcpy(sorted, p->share, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_share);
	*ret_ratio = sorted[(n - 1) / 2];
	return true;
}
