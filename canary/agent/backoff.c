/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/backoff.h"

int64_t bl_jitter_ms(int64_t ms, uint32_t random)
{
	return ms < 10 ? ms : ms - ms / 10 + random % (ms / 5 + 1);
}

/* The longest that a window gets. */
static int64_t limit_ms(int64_t interval_ms, int64_t poll_ms)
{
	int64_t ms = interval_ms > BL_BACKOFF_MAX_MS ? interval_ms
						     : BL_BACKOFF_MAX_MS;

	if (poll_ms > 0 && poll_ms < ms / BL_BACKOFF_POLLS)
		return poll_ms * BL_BACKOFF_POLLS;
	return ms;
}

static int64_t window_ms(int64_t max_ms, unsigned failures)
{
	int64_t ms = BL_BACKOFF_FIRST_MS;

	while (failures-- > 1 && ms < max_ms)
		ms *= 2;
	return ms < max_ms ? ms : max_ms;
}

int64_t bl_backoff_ms(int64_t interval_ms, int64_t poll_ms, unsigned failures,
		      int64_t asked_ms, uint32_t random)
{
	int64_t max = limit_ms(interval_ms, poll_ms);
	int64_t window = window_ms(max, failures), ms;

	if (asked_ms < 0)
		asked_ms = 0;
	if (asked_ms > BL_RETRY_AFTER_MAX_MS)
		asked_ms = BL_RETRY_AFTER_MAX_MS;
	if (poll_ms > 0 && asked_ms > max)
		asked_ms = max;
	if (window < asked_ms)
		window = asked_ms;
	ms = asked_ms + random % (window + 1);
	return ms < BL_BACKOFF_MIN_MS ? BL_BACKOFF_MIN_MS : ms;
}
