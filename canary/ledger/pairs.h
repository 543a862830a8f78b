/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is compared with whom: each host that has the version for long enough,
 * once, with one of its stratum that does not have it, and was in no pair yet
 * (guard.h). Which one is drawn by the names alone, so that every controller
 * draws the same, and nobody chooses by the values.
 *
 * Pure: no I/O, no clock.
 */
#ifndef BL_CANARY_PAIRS_H
#define BL_CANARY_PAIRS_H

#include "canary/ledger/fleet.h"
#include "canary/ledger/gauge.h"

/* After its commit; a wave soaks longer than that if there are guards. */
#define BL_PAIRS_AFTER_MS (BL_GAUGE_WINDOW_MS + 4000)
/* Of a rollout: what so many do not show, more would not. */
#define BL_PAIRS_MAX 500

/* The next pair that is due: indexes into exposures and hosts of @f. */
bool bl_pairs_next(const struct bl_fleet *f, size_t *ret_exposure,
		   size_t *ret_other);

/* Writes into both records what the pair says. */
void bl_pairs_take(struct bl_rollout *r, struct bl_exposure *e,
		   const struct bl_fleet_host *h,
		   const struct bl_fleet_host *other);

#endif
