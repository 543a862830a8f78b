/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller of a fleet of ways B and C: `belay controller` as a process of
 * its own with a new store, and the API calls of an operator. Versions are
 * started as they are: what the gate said of them is on record and does not
 * keep them from the fleet ("past the gate"). Tombstones hold.
 */
#ifndef BL_CANARY_COMPARE_CONTROL_H
#define BL_CANARY_COMPARE_CONTROL_H

#include "canary/compare/variant.h"
#include "canary/ledger/record.h"
#include "canary/wire/client.h"

struct bl_control;

/* Starts one whose store and log are in @dir. */
int bl_control_start(const char *dir, struct bl_control **ret,
		     struct bl_err *err);
void bl_control_stop(struct bl_control *c);
static inline void bl_control_stopp(struct bl_control **c)
{
	bl_control_stop(*c);
}
uint16_t bl_control_port(const struct bl_control *c);

/*
 * Gives it @v and starts a rollout. 0 with *ret_id; 1: the controller does not
 * take it, and err says why; else what went wrong with asking.
 */
int bl_control_rollout(struct bl_control *c, const struct bl_variant *v,
		       char ret_id[static BL_ROLLOUT_ID_LEN],
		       struct bl_err *err);

/* GET /v1/rollouts/ID, POST …/abort and GET /v1/hosts. */
int bl_control_status(struct bl_control *c, const char *id,
		      struct bl_json_doc *ret, struct bl_err *err);
int bl_control_abort(struct bl_control *c, const char *id, struct bl_err *err);
int bl_control_hosts(struct bl_control *c, struct bl_json_doc *ret,
		     struct bl_err *err);

#endif
