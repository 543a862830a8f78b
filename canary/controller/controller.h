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
 * name), -EEXIST (a rollout is running, or came after), -EPERM (tombstone),
 * -ENOSPC (a limit); and those of a moment, in which nothing was done: -EAGAIN
 * (others were faster, again and again), -EBUSY (the store is held by another
 * process).
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

/* Sets @err: @what was changed by others each time it was read. -EAGAIN. */
int bl_controller_contended(const char *what, struct bl_err *err);

int bl_controller_poll(struct bl_store *store, const char *host,
		       const struct bl_poll *poll, int64_t now_ms,
		       struct bl_order *ret, struct bl_err *err);

/* Makes every decision that is due. Call every BL_TICK_MS. */
int bl_controller_tick(struct bl_store *store, int64_t now_ms,
		       struct bl_err *err);

/* The same with what was read of the fleet for the last one: @f, zero-initialised
 * before the first, freed by the caller after the last. */
int bl_controller_tick_again(struct bl_store *store, struct bl_fleet *f,
			     int64_t now_ms, struct bl_err *err);

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

/* What an operator decides about a rollout. */
struct bl_act {
	enum bl_decision_kind kind; /* bl_decision_is_act */
	const char *by;		    /* the operator; "": not known */
	const char *reason;	    /* "": none was given */
};

/*
 * Carries it out and keeps it with the rollout's decisions, in one transaction.
 * What is so already is success, and changes nothing.
 *
 * ABORT	takes every host that the rollout exposed back. A done rollout
 *		can be aborted while it is the newest: after that its hosts have
 *		moved on (-EEXIST).
 * APPROVE	opens the next gate: lets a wave begin that waits for an operator
 *		or will.
 * PAUSE	exposes nobody new until RESUME; hosts that were exposed end
 *		their trials, and a bad one still stops it.
 *
 * -EINVAL: the rollout is over, or on its way back; no gate is left to open.
 */
int bl_controller_act(struct bl_store *store, const char *id,
		      const struct bl_act *act, int64_t now_ms,
		      struct bl_err *err);

#endif
