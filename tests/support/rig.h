/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host over the fake kernel, and what must hold on it whatever happened.
 *
 * The host's state folder is real (SQLite journal, bundles, lock), its kernel a
 * model in shared memory (fake_kern.h), its clock stands still. Every action
 * runs in a process of its own, which may die anywhere; the parent looks at
 * what is left:
 *
 *	rig_set_up();
 *	rig_start(scenario);		// from an empty host to the begin
 *	rig_restore_begin();		// back there, again and again
 *	…something goes wrong in…	rig_run(scenario->action);
 *	rig_check_recovery(scenario);	// I3, I4: old or new
 *	rig_check_usable();		// and not stuck
 *	rig_tear_down();
 *
 * What does not hold fails the running test. One rig for each process.
 */
#ifndef RIG_H
#define RIG_H

#include <sys/types.h>

#include "loader/host/host.h"
#include "loader/host/journal/journal.h"
#include "tests/support/fake_kern.h"
#include "tests/support/snapshot.h"

/* RIG_CONTENT is RIG_V1 with other content. */
enum rig_version {
	RIG_V1,
	RIG_V2,
	RIG_V3,
	RIG_SPARE,
	RIG_CONTENT,
	RIG_VERSIONS
};
#define RIG_NOTHING (-1) /* a version: none is live */

/* What a child did, for its parent. */
struct rig_report {
	int code; /* of the call */
	struct bl_apply_result result;
	char text[512]; /* of its error */
};

struct rig {
	struct fake_kern *fake;
	struct rig_report *report;
	char dir[64], state_dir[96];
	const char *pstore_dir; /* the test's own; NULL: there is none */
	struct bl_bundle bundles[RIG_VERSIONS];
	struct snapshot_host host;
	struct snapshot begin; /* of the scenario */
	/* Called in every child before it touches anything; may be NULL. */
	void (*in_child)(void);
};
extern struct rig rig;

typedef int (*rig_action)(struct bl_host *h, struct bl_apply_result *ret,
			  struct bl_err *err);

int rig_apply_v1(struct bl_host *h, struct bl_apply_result *ret,
		 struct bl_err *err);
int rig_apply_v2(struct bl_host *h, struct bl_apply_result *ret,
		 struct bl_err *err);
int rig_apply_v3(struct bl_host *h, struct bl_apply_result *ret,
		 struct bl_err *err);
/* It loses most of its events. */
int rig_apply_v2_bad(struct bl_host *h, struct bl_apply_result *ret,
		     struct bl_err *err);
int rig_apply_v2_forced(struct bl_host *h, struct bl_apply_result *ret,
			struct bl_err *err);
/* The content alone: belay apply CONTENT. */
int rig_apply_content(struct bl_host *h, struct bl_apply_result *ret,
		      struct bl_err *err);
int rig_rollback(struct bl_host *h, struct bl_apply_result *ret,
		 struct bl_err *err);
/* A host that comes up bare is an error. */
int rig_recover(struct bl_host *h, struct bl_apply_result *ret,
		struct bl_err *err);

struct rig_scenario {
	const char *name;
	rig_action before[3]; /* make the start, from an empty host */
	bool reboot;	      /* and then the host is rebooted */
	rig_action action;
	/* Versions that may be live afterwards. */
	int old, new;
};
extern const struct rig_scenario rig_scenarios[];
extern const int rig_scenario_count;

/* @faults: the database's writes and syncs are steps of the fake too. */
void rig_set_up(bool faults);
void rig_tear_down(void);

/* Makes the begin of @s, and keeps it. */
void rig_start(const struct rig_scenario *s);
void rig_restore_begin(void);

/* Forks; the child runs @action and ends. For who waits for it in its own way:
 * call rig_reap with its status. */
pid_t rig_spawn(rig_action action);
/* What the child held is gone. Whether it lived to its end; @killed: it may
 * also have been killed. */
bool rig_reap(int status, bool killed);
/* Both. */
bool rig_run(rig_action action);

/* I1, I2, I4 and I5 after every step of the fake (fake->watch). I1 only while
 * the scenario that was started keeps something live. */
void rig_watch(struct fake_kern *fake, const char *step);

/*
 * These read a copy of the journal, so that whoever comes next finds what the
 * dead left. The version that is live, with its transaction.
 */
int rig_live(struct bl_journal_txn *ret);
/* The phase in which a transaction was left open, or -1. */
int rig_open_phase(enum bl_txn_kind *ret_kind);
bool rig_tombstoned(int version);

/* I1: if anything is live by the journal, a good generation is in the kernel. */
void rig_check_live_whole(void);
/* I5: only a host that went down in a trial convicts. @before: @s->new had a
 * tombstone then. */
void rig_check_convicted(const struct rig_scenario *s, enum bl_txn_kind kind,
			 int phase, bool before, bool reboot);
/* Nothing lies about in the state folder that nobody will ever take away. */
void rig_check_clean(void);

/* I4: old or new, complete, and nothing else in the kernel, and the journal
 * says the same. Returns the version. */
int rig_check_old_or_new(const struct rig_scenario *s);
/* After any fault: one recovery brings the host to old or new, and a second
 * one finds nothing to do (I3). Returns the version. */
int rig_check_recovery(const struct rig_scenario *s);
/* After a death, when the journal was left in @phase of a @kind (-1: closed):
 * @version is the one that follows from that (I4). */
void rig_check_decided(const struct rig_scenario *s, enum bl_txn_kind kind,
		       int phase, int version);
/* What the action's call said is what happened (not for recover). */
void rig_check_told(const struct rig_scenario *s);
/* The host is not stuck: something good can still be applied. */
void rig_check_usable(void);

#endif
