/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exposure ledger: which host may have which version, written before the
 * host is told.
 *
 * Functions here change records in memory, purely; struct bl_change collects
 * what was read and what is to be written, and writes it in one transaction
 * that holds only if nothing that was read has changed since. Whoever loses
 * reads again. So the sums in a rollout's record are true at every revision,
 * however many controllers run and wherever they are killed.
 *
 * Invariants:
 *  - I7: bl_ledger_expose is the only way to a new exposure, and it refuses
 *    when `unconfirmed` has reached the plan's cap or `exposed` the target,
 *    when it is paused, or strata.h or the plan (left out, frozen) says no;
 *  - an exposure and the rollout's counters change in one transaction;
 *  - exposures move only along the arrows of bl_ledger_mark: what was
 *    committed never becomes a trial again, and FAILED and BACK are final;
 *  - a host whose trial could not be judged (UNDECIDED, final) is in no sum but
 *    `undecided`; nobody new is exposed until the rollout was held for it;
 *  - I6: no record of a host's silence is undone by time passing, only by the
 *    host. So a silent or stuck host counts against the cap until it says how
 *    its trial ended, or the rollout is over: sums are of one rollout, and the
 *    next one begins at 0.
 */
#ifndef BL_CANARY_LEDGER_H
#define BL_CANARY_LEDGER_H

#include "canary/ledger/protocol.h"
#include "canary/ledger/record.h"

/* A STUCK host is told again after this long. */
#define BL_LEDGER_RETRY_MS 30000

/* Whether the exposed hosts of a rollout go back, or have gone. */
bool bl_rollout_returns(const struct bl_rollout *r);
/* Whether the rollout still holds the fleet. */
bool bl_rollout_open(const struct bl_rollout *r);
/* Whether the host may still run what it was exposed to. */
bool bl_exposure_open(const struct bl_exposure *e);

/* Whether one more host of @s (NULL: its stratum's first) may be exposed now,
 * whatever its name. */
bool bl_ledger_may(const struct bl_rollout *r, const struct bl_stratum *s,
		   int64_t now_ms);

/*
 * Exposes @h: true with *ret_e, *r and *h changed, false if target, cap or the
 * rollout's state forbid it.
 */
bool bl_ledger_expose(struct bl_rollout *r, struct bl_fleet_host *h,
		      int64_t now_ms, struct bl_exposure *ret_e);

/* Moves @e to @state if there is such an arrow; whether it did. */
bool bl_ledger_mark(struct bl_rollout *r, struct bl_exposure *e,
		    enum bl_exposure_state state, const char *reason,
		    int64_t now_ms);

/* What a decision about the whole rollout makes of its record; those about one
 * host leave it alone. */
void bl_ledger_decided(struct bl_rollout *r, const struct bl_decision *d,
		       int64_t now_ms);

/* What @poll of the exposed host says about @e; whether anything changed. */
bool bl_ledger_report(struct bl_rollout *r, struct bl_exposure *e,
		      const struct bl_poll *poll, int64_t now_ms);

/* What the host of @e is to do now. */
void bl_ledger_order(const struct bl_rollout *r, const struct bl_exposure *e,
		     int64_t now_ms, struct bl_order *ret);

/* One transaction in the making. Zero-initialise. */
struct bl_change {
	struct bl_store_compare compares[BL_STORE_MANY_MAX];
	struct bl_store_put puts[BL_STORE_MANY_MAX];
	size_t compare_count, put_count;
	size_t bytes; /* of the values */
	char *strings[3 * BL_STORE_MANY_MAX];
	size_t string_count;
	bool failed; /* out of memory: write says so */
};
#define bl_autochange __attribute__((cleanup(bl_change_free)))
void bl_change_free(struct bl_change *c);

/* @key was read at @revision (0: was not there) and must not have changed. */
void bl_change_expect(struct bl_change *c, int64_t revision, const char *fmt,
		      ...) __attribute__((format(printf, 3, 4)));
/* Writes @value (taken; NULL counts as out of memory). */
void bl_change_put(struct bl_change *c, json_t *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void bl_change_remove(struct bl_change *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* As bl_store_txn. With nothing to put, nothing happens. */
int bl_change_write(struct bl_change *c, struct bl_store *store,
		    struct bl_err *err);
/* As bl_store_txn_at: with nothing to put, it asks whether what is expected
 * holds. */
int bl_change_write_at(struct bl_change *c, struct bl_store *store,
		       int64_t *ret_revision, struct bl_err *err);

#endif
