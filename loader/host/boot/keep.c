/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/boot/keep.h"

static enum bl_keep_do withhold(struct bl_keep *k, uint64_t now_ms)
{
	k->pause_ms = k->pause_ms ? 2 * k->pause_ms : BL_KEEP_PAUSE_MS;
	if (k->pause_ms > BL_KEEP_PAUSE_MAX_MS)
		k->pause_ms = BL_KEEP_PAUSE_MAX_MS;
	k->until_ms = now_ms + k->pause_ms;
	return BL_KEEP_WITHHOLD;
}

enum bl_keep_do bl_keep_next(struct bl_keep *k, uint64_t now_ms,
			     uint64_t lease_ms, uint32_t generation,
			     bool usable)
{
	bool came_back;

	if (generation != k->generation)
		*k = (struct bl_keep){ .generation = generation };
	came_back = usable && k->unusable;
	k->unusable = !usable;
	if (!usable)
		return BL_KEEP_WAIT;
	if (k->strikes >= BL_KEEP_STRIKES) {
		if (now_ms < k->until_ms)
			return BL_KEEP_WITHHOLD;
		k->strikes = BL_KEEP_STRIKES - 1;
	}
	/* It came back, and not before the lease had run out. */
	if (came_back && k->since_ms && now_ms - k->renewed_ms >= lease_ms) {
		bool soon = k->renewed_ms - k->since_ms < BL_KEEP_SOON_MS;

		k->strikes = soon ? k->strikes + 1 : 1;
		k->pause_ms = soon ? k->pause_ms : 0;
		k->since_ms = 0;
		if (k->strikes >= BL_KEEP_STRIKES)
			return withhold(k, now_ms);
	}
	if (!k->since_ms)
		k->since_ms = now_ms;
	k->renewed_ms = now_ms;
	return BL_KEEP_RENEW;
}
