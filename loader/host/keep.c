/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/keep.h"

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
	if (k->strikes >= BL_KEEP_STRIKES)
		return BL_KEEP_WITHHOLD;
	/* It came back, and not before the lease had run out. */
	if (came_back && k->since_ms && now_ms - k->renewed_ms >= lease_ms) {
		bool soon = k->renewed_ms - k->since_ms < BL_KEEP_SOON_MS;

		k->strikes = soon ? k->strikes + 1 : 1;
		k->since_ms = 0;
		if (k->strikes >= BL_KEEP_STRIKES)
			return BL_KEEP_WITHHOLD;
	}
	if (!k->since_ms)
		k->since_ms = now_ms;
	k->renewed_ms = now_ms;
	return BL_KEEP_RENEW;
}
