/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/pace.h"

#include <stdlib.h>
#include <string.h>

void bl_pace_add(struct bl_pace *p, const struct bl_kern_sample *sample)
{
	uint64_t runs = sample->run_count - p->run_count;

	if (sample->run_count < p->run_count + BL_PACE_MIN_RUNS)
		return;
	p->ns[p->count++ % BL_PACE_INTERVALS] =
		(sample->run_time_ns - p->run_time_ns) / runs;
	p->run_count = sample->run_count;
	p->run_time_ns = sample->run_time_ns;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

bool bl_pace_median(const struct bl_pace *p, uint64_t *ret_ns)
{
	unsigned n = p->count < BL_PACE_INTERVALS ? p->count
						  : BL_PACE_INTERVALS;
	uint64_t sorted[BL_PACE_INTERVALS];

	if (!n)
		return false;
	memcpy(sorted, p->ns, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	/* Of an even number the lower one: in doubt for the sensor. */
	*ret_ns = sorted[(n - 1) / 2];
	return true;
}
