/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of a host: transactions, which generation is live, tombstones.
 *
 * One SQLite file, WAL, synchronous=FULL: when a function that writes returns
 * 0, the write survives a power cut. Each call is one SQLite transaction: all
 * of it happened or nothing. If one that writes fails, ask again
 * (bl_journal_open_txn) before believing that nothing happened.
 *
 * Writers hold the host's lock (lock.h), but for a confirmation
 * (journal_trial.h); readers need none.
 */
#ifndef BL_HOST_JOURNAL_H
#define BL_HOST_JOURNAL_H

#include "loader/base/buf.h"
#include "loader/host/host.h"
#include "loader/host/txn.h"

struct bl_journal;

/* A transaction as the host works with it; row is what others may see. */
struct bl_journal_txn {
	struct bl_host_txn row;
	enum bl_txn_kind kind;
	enum bl_phase phase;
	uint64_t parent;  /* committed before it: where rollback leads; 0 */
	const char *tags; /* only for writing: all tags, any length */
};

int bl_journal_open(const char *path, struct bl_journal **ret,
		    struct bl_err *err);
void bl_journal_close(struct bl_journal *j); /* NULL is fine */

/* Writes the intent: row (but id, phase, attempt, changed_ms), kind, parent.
 * *ret_id is the new transaction's number, 1 and up. */
int bl_journal_begin(struct bl_journal *j, const struct bl_journal_txn *txn,
		     uint64_t *ret_id, struct bl_err *err);

/* What one write changes. Zero members change nothing. */
struct bl_journal_step {
	uint64_t txn;
	enum bl_phase phase;
	int64_t at_ms;
	const char *reason;
	const char *tags;
	const char *strategy;
	const char *boot_id;   /* set together with attempt */
	bool attempt;	       /* counts one more trial of the digest */
	const char *tombstone; /* a digest; the reason is @reason's or, if that
				* is NULL, the one the transaction has */
	bool commit; /* the transaction becomes the live one, or, if its
		      * digest is "", nothing is live */
	const struct bl_host_times *times;
	const char *attribution;
};
int bl_journal_write(struct bl_journal *j, const struct bl_journal_step *step,
		     struct bl_err *err);

/* All: 1 with *ret, 0 if there is none, -errno. */
int bl_journal_open_txn(struct bl_journal *j, struct bl_journal_txn *ret,
			struct bl_err *err);
int bl_journal_live(struct bl_journal *j, struct bl_journal_txn *ret,
		    struct bl_err *err);
int bl_journal_last(struct bl_journal *j, struct bl_journal_txn *ret,
		    struct bl_err *err);
int bl_journal_get(struct bl_journal *j, uint64_t id,
		   struct bl_journal_txn *ret, struct bl_err *err);
int bl_journal_tombstone(struct bl_journal *j, const char *digest,
			 struct bl_host_tombstone *ret, struct bl_err *err);

/* Adds all tags of a transaction to *ret ("name:tag name:tag"). */
int bl_journal_tags(struct bl_journal *j, uint64_t id, struct bl_buf *ret,
		    struct bl_err *err);

/*
 * Rollbacks and restores in a row that came to nothing, up to now: in how many
 * boots, and how many in the boot @boot_id since @since_ms (wall clock). Also
 * those that were done and whose boot then crashed in what they had loaded.
 * Apart from these, the ones that nobody is to blame for ("cut").
 */
struct bl_journal_failures {
	unsigned boots, recent, cut;
};
int bl_journal_failures(struct bl_journal *j, const char *boot_id,
			int64_t since_ms, struct bl_journal_failures *ret,
			struct bl_err *err);

/* Writes down that the host went down by what @txn had made live; and @reason,
 * unless it is NULL. */
int bl_journal_attribute(struct bl_journal *j, uint64_t txn,
			 const char *attribution, const char *reason,
			 struct bl_err *err);

int bl_journal_history(struct bl_journal *j, size_t limit,
		       struct bl_host_history *ret, struct bl_err *err);

#endif
