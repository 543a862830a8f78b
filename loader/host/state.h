/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of loader/host share. Nobody else includes it.
 *
 * Functions with _locked want the host's lock held by the caller.
 */
#ifndef BL_HOST_STATE_H
#define BL_HOST_STATE_H

#include "loader/host/host.h"
#include "loader/host/journal/journal.h"
#include "loader/host/lock.h"
#include "loader/host/slot.h"
#include "loader/host/trial/watchdog.h"
#include "loader/host/txn.h"
#include "loader/object/carry.h"

/* Boots in a row whose restores and rollbacks come to nothing before belay
 * stops trying by itself: a host that comes up bare beats one that never does.
 * Within one boot as many tries, and then none for BL_RESTORE_PAUSE_MS. */
#define BL_RESTORE_TRIES    3
#define BL_RESTORE_PAUSE_MS 600000

/* The same of restores that were cut short with nobody to blame: a power cycle
 * of a healthy host may come at any time, often, and must not leave it bare; a
 * machine that hangs in each of them without a word must not do so for ever. */
#define BL_RESTORE_CUTS 10

#define BL_EVIDENCE_DIR "evidence" /* in the state folder */
#define BL_KEEPER_LOCK	"keeper"   /* the same */

struct bl_host {
	char *state_dir;
	char *lock_path, *reader_path, *keeper_path;
	char *trust_dir;
	bool trust_named; /* by the caller: it must have a root */
	char *pstore_dir; /* NULL: none */
	const struct bl_kern_ops *ops;
	void *kern;
	struct bl_kern_both *own_kern; /* made by us, or NULL */
	struct bl_host_clock clock;
	int (*usable)(struct bl_err *err); /* as in bl_host_config; or NULL */
	const struct bl_guard_ops *guard;  /* NULL: no watchdog is looked for */
	struct bl_journal *journal;
	int lock_fd, reader_fd; /* -1: not held */
};

/* -EBUSY with *ret_owner when another has it, which is an answer: err stays as
 * it was. Not recursive. */
int bl_host_lock(struct bl_host *h, const char *what,
		 struct bl_lock_owner *ret_owner, struct bl_err *err);
/* As above for who is going to work here: waits for another's recovery. */
int bl_host_lock_soon(struct bl_host *h, const char *what,
		      struct bl_lock_owner *ret_owner, struct bl_err *err);
void bl_host_unlock(struct bl_host **h);
/* Becomes the reader of events, if it is not yet. -EBUSY. */
int bl_host_reader(struct bl_host *h, struct bl_err *err);
/* Who renews the leases of this host; 0: nobody. */
int bl_host_keeper(struct bl_host *h);
/* For a moment: a descriptor to be closed soon, or -EBUSY. */
int bl_host_reader_moment(struct bl_host *h);

/* Bundles kept in the state folder, by digest. */
int bl_store_keep(struct bl_host *h, const struct bl_bundle *b,
		  struct bl_err *err);
int bl_store_load(struct bl_host *h, const char *digest, struct bl_bundle *ret,
		  struct bl_err *err);
/* Forgets every bundle that neither the live generation nor the ones it can
 * go back to need. Best effort. */
void bl_store_prune(struct bl_host *h);

/* Whether a file of that name in the folder of bundles is belay's. */
bool bl_store_ours(const char *name);

/*
 * One transaction on its way (engine.c). Fill txn.kind, txn.row.{digest, name,
 * version, old_digest, slot, reason}, txn.parent and bundle; then begin, run.
 * For a transaction found open: set txn, then bl_work_resume.
 */
struct bl_work {
	struct bl_host *host;
	struct bl_journal_txn txn;
	const struct bl_bundle *bundle; /* NULL: to nothing, or resumed */
	const struct bl_carry *carry;	/* from the live slot; NULL: nothing */
	const struct bl_apply_opts *opts;
	struct bl_watchdog *watchdog; /* NULL: no trial is meant */

	/* What came of it. */
	char reason[BL_REASON_LEN];
	bool committed, tombstoned;
	bool undecided; /* the trial found no verdict */
	struct bl_kern_sample sample;

	/* On the way. */
	bool tombstone_due; /* decided, not yet durable */
	bool clocked;	    /* begun by this process, at began_ms */
	bool exchanged;	    /* one module for another */
	uint64_t began_ms;
	struct bl_kern_staged staged;
	struct bl_kern_splats splats;
	size_t exchange_len;	   /* of splats.text, until it was exchanged */
	int usable_before, usable; /* as the self test says: 0 or -errno */
	char locked_out[BL_REASON_LEN];
	const char *attribution; /* NULL: none; with why_down */
	const char *why_down;	 /* what the kernel said of it */
	bool innocent;		 /* that it went down was another's doing */
	uint64_t events_read;
	/* Since the last sample: whether another process read the ring, and the
	 * longest time that we did not. */
	bool read_elsewhere;
	uint64_t drained_ms, unread_ms;
	/* Of the old and the new one, each operation is seen by one: the old one
	 * is dispatched, or there is none. */
	bool exclusive;
	bool old_read;	 /* we have its ring open, and can read what is left */
	uint64_t cut_ns; /* newest event of the old ring that was passed on */
};

int bl_work_begin(struct bl_work *w, struct bl_err *err);
/* To the end of the transaction. 0: w->committed says which end. */
int bl_work_run(struct bl_work *w, struct bl_err *err);
/* A transaction that was found open, after a reboot or not. */
int bl_work_resume(struct bl_work *w, bool rebooted, struct bl_err *err);

/* Sets *time to now, as the times of a transaction are counted. */
void bl_work_mark(const struct bl_work *w, int64_t *time);

/* The generation that w->bundle describes. -EBADMSG: content is not sane. */
int bl_work_generation(const struct bl_bundle *b, uint32_t number,
		       struct bl_generation *ret, struct bl_err *err);

/* Whether generations of these strategies are called in turn while one gives way
 * to the other, so that one of the two at most sees an operation. */
bool bl_work_exclusive(const char *old_strategy, const char *new_strategy);

/* Attaches what is staged, and notes when that was. */
int bl_work_attach(struct bl_work *w, struct bl_err *err);

/* The trial (probe.c): attaches, probes until the probation is over. */
enum bl_txn_event bl_work_try(struct bl_work *w, struct bl_err *err);
/* Passes on what is left in the old ring, resp. what is new in the new. */
void bl_work_drain_old(struct bl_work *w);
void bl_work_drain_new(struct bl_work *w);

/*
 * What becomes of the maps of @live (NULL: nothing is) when @b takes its place,
 * in *ret, which is to be freed. @back: nothing is refused. -EBADMSG: the maps
 * of @b cannot be told. Changes nothing.
 */
int bl_host_carry(struct bl_host *h, const struct bl_journal_txn *live,
		  const struct bl_bundle *b, bool back, struct bl_carry *ret,
		  struct bl_err *err);
/* Notes it in the row, for the history. */
void bl_host_carry_note(const struct bl_carry *carry, struct bl_host_txn *row);

int bl_host_recover_locked(struct bl_host *h, struct bl_recover_result *ret,
			   struct bl_err *err);
int bl_host_rollback_locked(struct bl_host *h, const char *reason,
			    struct bl_apply_result *ret, struct bl_err *err);

void bl_host_describe(const struct bl_journal_txn *t,
		      struct bl_host_generation *ret);

/* Whether the slot of @live holds what was committed. 1 if so; 0 with the
 * reason; -errno. */
int bl_host_intact(struct bl_host *h, const struct bl_journal_txn *live,
		   char ret_problem[static BL_REASON_LEN], struct bl_err *err);

/* "name:tag name:tag …", as the journal keeps them. */
int bl_tags_text(const struct bl_kern_staged *staged, struct bl_buf *ret,
		 struct bl_err *err);

#endif
