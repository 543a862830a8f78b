/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state table of a host transaction. Pure: no clock, file or kernel.
 *
 * A transaction is in one phase, which is durable before the phase's action is
 * done. What came of the action (or that somebody found the transaction open)
 * is an event; the table says which phase follows:
 *
 *	phase = BL_PHASE_INTENT;
 *	while (!bl_phase_closed(phase)) {
 *		event = act(bl_txn_action(kind, phase));
 *		step = bl_txn_next(kind, phase, event);
 *		write(step.phase);
 *		phase = step.phase;
 *	}
 */
#ifndef BL_HOST_TXN_H
#define BL_HOST_TXN_H

#include <stdbool.h>

enum bl_txn_kind {
	BL_TXN_APPLY,	 /* something new, on trial */
	BL_TXN_ROLLBACK, /* back to the one before, which was good */
	BL_TXN_RESTORE,	 /* the live one again, after a reboot */
	BL_TXN_KINDS,
};

enum bl_phase {
	BL_PHASE_INTENT,
	BL_PHASE_STAGED,
	BL_PHASE_TRIAL,
	BL_PHASE_COMMITTING,
	BL_PHASE_COMMITTED,
	BL_PHASE_DONE,
	BL_PHASE_ROLLING_BACK,
	BL_PHASE_ROLLED_BACK,
	BL_PHASES,
};

enum bl_txn_event {
	BL_TXN_OK,	   /* the action was done */
	BL_TXN_FAILED,	   /* it could not be done: nobody's verdict */
	BL_TXN_BAD,	   /* the generation failed its trial */
	BL_TXN_ABORT,	   /* somebody asked to stop */
	BL_TXN_FOUND,	   /* found open: the process died */
	BL_TXN_FOUND_BOOT, /* found open after a reboot: the host went down */
	BL_TXN_EVENTS,
};

enum bl_txn_action {
	BL_ACT_NONE,
	BL_ACT_STAGE,
	BL_ACT_ATTACH,
	BL_ACT_TRY, /* attach, then probe until the probation is over */
	BL_ACT_PERSIST,
	BL_ACT_RETIRE_OLD,
	BL_ACT_RETIRE_NEW,
};

struct bl_txn_step {
	enum bl_phase phase;
	bool tombstone; /* the digest failed here */
	bool commit;	/* the new slot becomes the live one */
	bool attempt;	/* a trial begins: count it */
};

/* Done or rolled back: nothing is left to do. */
bool bl_phase_closed(enum bl_phase phase);

enum bl_txn_action bl_txn_action(enum bl_txn_kind kind, enum bl_phase phase);

/* What follows. A closed phase stays as it is. */
struct bl_txn_step bl_txn_next(enum bl_txn_kind kind, enum bl_phase phase,
			       enum bl_txn_event event);

/* Names as they stand in the journal; -1 for an unknown one. */
const char *bl_phase_name(enum bl_phase phase);
const char *bl_txn_kind_name(enum bl_txn_kind kind);
int bl_phase_by_name(const char *name);
int bl_txn_kind_by_name(const char *name);

#endif
