/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/txn.h"

#include <string.h>

#define P(name) BL_PHASE_##name

/* Rows: where we are. Columns, in the order of enum bl_txn_event: ok, failed,
 * bad, abort, found, found after a reboot. */
static const enum bl_phase next_phase[BL_PHASES][BL_TXN_EVENTS] = {
	/* Nothing of it is live: whatever goes wrong, undo. */
	[P(INTENT)] = { P(STAGED), P(ROLLING_BACK), P(ROLLING_BACK),
			P(ROLLING_BACK), P(ROLLING_BACK), P(ROLLING_BACK) },
	[P(STAGED)] = { P(TRIAL), P(ROLLING_BACK), P(ROLLING_BACK),
			P(ROLLING_BACK), P(ROLLING_BACK), P(ROLLING_BACK) },
	/* Live, and not yet trusted. */
	[P(TRIAL)] = { P(COMMITTING), P(ROLLING_BACK), P(ROLLING_BACK),
		       P(ROLLING_BACK), P(ROLLING_BACK), P(ROLLING_BACK) },
	[P(COMMITTING)] = { P(COMMITTED), P(ROLLING_BACK), P(ROLLING_BACK),
			    P(ROLLING_BACK), P(ROLLING_BACK), P(ROLLING_BACK) },
	/* From here there is only forward: the old may be half retired. */
	[P(COMMITTED)] = { P(DONE), P(COMMITTED), P(COMMITTED), P(COMMITTED),
			   P(COMMITTED), P(COMMITTED) },
	[P(DONE)] = { P(DONE), P(DONE), P(DONE), P(DONE), P(DONE), P(DONE) },
	[P(ROLLING_BACK)] = { P(ROLLED_BACK), P(ROLLING_BACK), P(ROLLING_BACK),
			      P(ROLLING_BACK), P(ROLLING_BACK),
			      P(ROLLING_BACK) },
	[P(ROLLED_BACK)] = { P(ROLLED_BACK), P(ROLLED_BACK), P(ROLLED_BACK),
			     P(ROLLED_BACK), P(ROLLED_BACK), P(ROLLED_BACK) },
};

static const enum bl_txn_action actions[BL_PHASES] = {
	[P(INTENT)] = BL_ACT_STAGE,
	[P(STAGED)] = BL_ACT_NONE,
	[P(TRIAL)] = BL_ACT_TRY,
	[P(COMMITTING)] = BL_ACT_PERSIST,
	[P(COMMITTED)] = BL_ACT_RETIRE_OLD,
	[P(DONE)] = BL_ACT_NONE,
	[P(ROLLING_BACK)] = BL_ACT_RETIRE_NEW,
	[P(ROLLED_BACK)] = BL_ACT_NONE,
};

static const char *const phase_names[BL_PHASES] = {
	[P(INTENT)] = "intent",
	[P(STAGED)] = "staged",
	[P(TRIAL)] = "trial",
	[P(COMMITTING)] = "committing",
	[P(COMMITTED)] = "committed",
	[P(DONE)] = "done",
	[P(ROLLING_BACK)] = "rolling-back",
	[P(ROLLED_BACK)] = "rolled-back",
};

static const char *const kind_names[BL_TXN_KINDS] = {
	[BL_TXN_APPLY] = "apply",
	[BL_TXN_ROLLBACK] = "rollback",
	[BL_TXN_RESTORE] = "restore",
};

bool bl_phase_closed(enum bl_phase phase)
{
	return phase == P(DONE) || phase == P(ROLLED_BACK);
}

enum bl_txn_action bl_txn_action(enum bl_txn_kind kind, enum bl_phase phase)
{
	/* What was committed before has no trial: it is attached as soon as
	 * its tags are durable. */
	if (kind != BL_TXN_APPLY && phase == P(STAGED))
		return BL_ACT_ATTACH;
	return actions[phase];
}

/*
 * A reboot in a trial is the host going down in it: the digest is suspect. The
 * death of the process alone says nothing about the sensor.
 */
static bool convicts(enum bl_phase phase, enum bl_txn_event event)
{
	switch (event) {
	case BL_TXN_BAD:
		return phase == P(TRIAL);
	case BL_TXN_FOUND_BOOT:
		return phase == P(TRIAL) || phase == P(COMMITTING);
	default:
		return false;
	}
}

struct bl_txn_step bl_txn_next(enum bl_txn_kind kind, enum bl_phase phase,
			       enum bl_txn_event event)
{
	struct bl_txn_step step = { .phase = next_phase[phase][event] };

	if (kind != BL_TXN_APPLY && step.phase == P(TRIAL))
		step.phase = P(COMMITTING);
	step.tombstone = kind == BL_TXN_APPLY && convicts(phase, event);
	step.commit = step.phase == P(COMMITTED) && phase != P(COMMITTED);
	step.attempt = step.phase == P(TRIAL) && phase != P(TRIAL);
	return step;
}

const char *bl_phase_name(enum bl_phase phase)
{
	return phase_names[phase];
}

const char *bl_txn_kind_name(enum bl_txn_kind kind)
{
	return kind_names[kind];
}

static int by_name(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (name && !strcmp(names[i], name))
			return i;
	return -1;
}

int bl_phase_by_name(const char *name)
{
	return by_name(phase_names, BL_PHASES, name);
}

int bl_txn_kind_by_name(const char *name)
{
	return by_name(kind_names, BL_TXN_KINDS, name);
}
