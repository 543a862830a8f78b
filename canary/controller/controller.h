/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's logic, without HTTP and without a clock: every function
 * reads the store, decides, and writes one transaction; if somebody else was
 * faster it does so again. Nothing is kept between two calls, so a controller
 * can be killed and started again at any moment, and several can share a store.
 *
 * @now_ms is wall clock time. What a poll answers is durable before the call
 * returns (I7).
 *
 * Errors that callers tell apart: -ENOENT (no such thing), -EINVAL (bad name or
 * value), -ESTALE (a poll that came late, twice, or from another agent of that
 * name), -EBUSY (a rollout is running), -EPERM (tombstone), -ENOSPC (a limit),
 * -EAGAIN (the store is contended: try again).
 */
#ifndef BL_CANARY_CONTROLLER_H
#define BL_CANARY_CONTROLLER_H

#include "canary/ledger/fleet.h"
#include "canary/ledger/ledger.h"
#include "loader/bundle/bundle.h"

#define BL_HOSTS_MAX	20000
#define BL_BUNDLES_KEPT 32
#define BL_TICK_MS	500
/* Another agent may take a name over when its holder was quiet for this. */
#define BL_NAME_FREE_MS 60000

int bl_controller_poll(struct bl_store *store, const char *host,
		       const struct bl_poll *poll, int64_t now_ms,
		       struct bl_order *ret, struct bl_err *err);

/* Makes every decision that is due. Call every BL_TICK_MS. */
int bl_controller_tick(struct bl_store *store, int64_t now_ms,
		       struct bl_err *err);

/* Keeps a bundle that was parsed; one that is there already is success.
 * Drops the oldest beyond BL_BUNDLES_KEPT that no rollout is using. */
int bl_controller_store_bundle(struct bl_store *store,
			       const struct bl_bundle *bundle, int64_t now_ms,
			       struct bl_err *err);

struct bl_start {
	const char *digest;
	struct bl_plan plan;
	const char *override_reason; /* ""; else starts despite a tombstone */
};

/* Starts a rollout; its ID goes to @ret_id. */
int bl_controller_start(struct bl_store *store, const struct bl_start *start,
			int64_t now_ms, char ret_id[static BL_ROLLOUT_ID_LEN],
			struct bl_err *err);

/*
 * Takes every host that the rollout exposed back. One that is going back, or
 * has, stays as it is. A done rollout can be aborted while it is the newest:
 * after that its hosts have moved on.
 */
int bl_controller_abort(struct bl_store *store, const char *id,
			const char *reason, int64_t now_ms, struct bl_err *err);

/* Lets the next wave of the rollout begin, if it waits for an operator or will;
 * its number, from 1, to @ret_wave. -EINVAL: no wave is left. */
int bl_controller_approve(struct bl_store *store, const char *id,
			  unsigned *ret_wave, struct bl_err *err);

#endif
