/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's logic: what to say to the controller, and what an order means.
 * Pure: the daemon (cmd_agent.c) and the simulated fleet drive the same
 * functions; both keep the record durable where it says so.
 *
 *	       order   bl_agent_take      work: apply or roll back
 *	poll <-------- controller  ------> begin (record durable) -> host
 *	  ^                                                            |
 *	  +---------------- bl_agent_poll <---- bl_agent_finish <------+
 *
 * Invariants:
 *  - an order is begun once: a controller that repeats itself, or answers
 *    late, starts nothing twice;
 *  - what was begun and not finished when the agent died is finished by
 *    bl_agent_restore from what the host says runs: done or failed, never
 *    begun again by itself;
 *  - a rollback leaves one named version. A host that does not run it has
 *    nothing to do, however often it is told (I3);
 *  - without orders nothing changes (I9): silence of the controller is none.
 */
#ifndef BL_CANARY_AGENT_H
#define BL_CANARY_AGENT_H

#include "canary/ledger/protocol.h"

#define BL_AGENT_RECORD_MAX (16 * 1024)

enum bl_agent_do {
	BL_AGENT_NOTHING,
	BL_AGENT_APPLY,	   /* fetch agent->order.digest and apply it */
	BL_AGENT_ROLLBACK, /* leave agent->order.digest */
};

/* Zero-initialise, then set the facts in poll (boot, session, kernel …). */
struct bl_agent {
	struct bl_poll poll;   /* said next; work and seq are the agent's own */
	struct bl_order order; /* the newest one taken */
	enum bl_work_state state; /* of it */
	char reason[BL_REASON_MAX];
	enum bl_agent_do busy; /* what the worker does now */
	bool stop_trial;       /* the worker is to end its trial */
	bool refused;	       /* the order was not taken: who gave it? */
};

/* What to post now. */
void bl_agent_poll(struct bl_agent *a, struct bl_poll *ret);

/* Takes the controller's answer; returns what the worker is to start. */
enum bl_agent_do bl_agent_take(struct bl_agent *a,
			       const struct bl_order *order);

/* Whether an order to apply is the one that is begun or ended already. */
bool bl_agent_knows(const struct bl_agent *a, const struct bl_order *order);

/* An order that this host does not obey, for @reason: reported as failed where
 * nothing else goes on. Should the right one give it, it is begun all the same. */
void bl_agent_refuse(struct bl_agent *a, const struct bl_order *order,
		     const char *reason);

/* What the worker is at, for `belay host list`: "" or a few words. */
void bl_agent_tell(struct bl_agent *a, const char *text);

/* How work ended. */
enum bl_agent_end {
	BL_AGENT_DONE,	    /* committed; or gone back */
	BL_AGENT_UNDECIDED, /* gone back: a probe of its trial could not run */
	BL_AGENT_FAILED, /* rolled back by itself, refused; could not go back */
	BL_AGENT_LATER,	 /* nothing was tried (no bundle yet, host busy): the
			  * controller will say it again */
};

/*
 * The worker is done, and the host now runs @live. Returns what it is to do
 * next: going back may have been ordered meanwhile.
 */
enum bl_agent_do bl_agent_finish(struct bl_agent *a, enum bl_agent_end end,
				 const char *reason, const char *live);

/*
 * The record: to be made durable before an apply is begun, and again after
 * every bl_agent_finish. NULL: out of memory. Caller frees.
 */
char *bl_agent_record(const struct bl_agent *a);

/*
 * Takes up the record of the life before. @live is what runs now that the host
 * was recovered, @reason why an open trial is no more ("" if not known).
 */
int bl_agent_restore(struct bl_agent *a, const char *text, size_t len,
		     const char *live, const char *reason, struct bl_err *err);

#endif
