/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of several controllers makes the decisions. To decide is to look at the
 * whole fleet twice a second; all controllers answer polls, one is enough for
 * that. It holds a lease in the store, taken by compare-and-swap, while a
 * rollout is open; when it dies the next one has it within BL_DECIDER_LEASE_MS.
 *
 * Only load depends on it. Two who both believe that they hold it, by a clock
 * that is wrong or a pause that was long, do no harm: the ledger's own
 * compare-and-swap is what keeps I7.
 */
#ifndef BL_CANARY_DECIDER_H
#define BL_CANARY_DECIDER_H

#include "canary/ledger/fleet.h"
#include "canary/ledger/record.h"
#include "canary/store/store.h"

#define BL_DECIDER_LEASE_MS 2000

/* Whether @who (a name that nobody else has) is to decide now; renews, or takes
 * what nobody renewed. */
int bl_decider_take(struct bl_store *store, const char *who, int64_t now_ms,
		    bool *ret_mine, struct bl_err *err);

/* bl_controller_tick_again, if it is @who's turn or no rollout is open. */
int bl_decider_tick(struct bl_store *store, const char *who,
		    struct bl_fleet *fleet, int64_t now_ms, struct bl_err *err);

/* Such a name. */
void bl_decider_draw(char ret[static BL_SESSION_LEN]);

#endif
