/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/backoff.h"

#include <sys/random.h>

int64_t bl_jitter_ms(int64_t ms)
{
	uint32_t n = 0;

	if (getrandom(&n, sizeof(n), 0) < 0 || ms < 10)
		return ms;
	return ms - ms / 10 + n % (ms / 5);
}

int64_t bl_backoff_ms(int64_t interval_ms, unsigned failures)
{
	int64_t ms = 250, max = interval_ms > BL_BACKOFF_MAX_MS
					? interval_ms
					: BL_BACKOFF_MAX_MS;

	while (failures-- > 1 && ms < max)
		ms *= 2;
	return ms < max ? ms : max;
}
