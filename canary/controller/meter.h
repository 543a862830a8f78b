/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this controller has done since it was started, for GET /metrics. It is
 * the process's own: controllers remember nothing, and Prometheus adds up those
 * of several by itself.
 *
 * What became of the fleet is counted where it becomes durable: the store that
 * bl_meter_store makes counts exposures, reports and decisions of transactions
 * that were written, and how long the store takes for anything.
 *
 * Any thread may call any of it.
 */
#ifndef BL_CANARY_METER_H
#define BL_CANARY_METER_H

#include <stdbool.h>

#include "canary/controller/api.h"
#include "canary/store/store.h"
#include "canary/wire/prom.h"

struct bl_meter;

/* -ENOMEM. */
int bl_meter_new(struct bl_meter **ret);
/* NULL is fine. */
void bl_meter_free(struct bl_meter *m);

/* @store, measured: valid as long as both are. It stays the caller's; what is
 * returned is not closed. */
struct bl_store *bl_meter_store(struct bl_meter *m, struct bl_store *store);

/* A request that was answered. */
void bl_meter_answer(struct bl_meter *m, const struct bl_response *a);
/* A connection came or went. */
void bl_meter_connection(struct bl_meter *m, bool came);
/* A tick was made or failed; so many watch. */
void bl_meter_tick(struct bl_meter *m, bool good, unsigned streams);

/* A write that no request waits for failed with @err: of what is written later,
 * for many hosts at once, nobody else is told. */
void bl_meter_background(struct bl_meter *m, const struct bl_err *err);
/* How many of these failed since the last call; the newest to @err. */
unsigned bl_meter_unwritten(struct bl_meter *m, struct bl_err *err);

/* All of the above. */
void bl_meter_print(struct bl_meter *m, struct bl_prom *p);

/*
 * What GET /metrics answers: the above (unless @m is NULL), the process, and
 * the fleet as @store has it, which any controller of it answers alike. A store
 * that is away (NULL: that is known) is belay_store_up 0, no failure: who scrapes
 * wants to know, also where nobody can say whether its certificate was taken
 * back. Only -ENOMEM is one.
 */
int bl_metrics_text(struct bl_store *store, struct bl_meter *m, int64_t now_ms,
		    struct bl_buf *ret);

#endif
