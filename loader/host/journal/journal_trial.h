/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terms of a trial in the journal: who confirms it, until when, what guards
 * the host meanwhile. One row for each transaction that came to its trial.
 *
 * `belay confirm` writes here while another process has the host's lock. So
 * that both believe the same, a confirmation and its end exclude each other:
 * whichever SQLite takes first stands, and the other is told.
 */
#ifndef BL_HOST_JOURNAL_TRIAL_H
#define BL_HOST_JOURNAL_TRIAL_H

#include "loader/host/journal/journal.h"

struct bl_journal_trial {
	uint64_t txn;
	enum bl_confirm confirm;
	int64_t until_ms;     /* wall clock, for people; 0: confirms itself */
	int64_t confirmed_ms; /* 0: not */
	int64_t closed_ms;    /* 0: its time is not up */
	char watchdog[BL_WATCHDOG_LEN];
};

/* When the trial begins. */
int bl_journal_trial_open(struct bl_journal *j,
			  const struct bl_journal_trial *trial,
			  struct bl_err *err);

/* 1 with *ret, 0 if the transaction has had no trial, -errno. */
int bl_journal_trial_get(struct bl_journal *j, uint64_t txn,
			 struct bl_journal_trial *ret, struct bl_err *err);

/* Confirms a trial that waits for it. 1: done. 0: it does not wait; ask
 * bl_journal_trial_get. Needs no lock. */
int bl_journal_trial_confirm(struct bl_journal *j, uint64_t txn, int64_t now_ms,
			     struct bl_err *err);

/* Its time is up. 1: closed, no confirmation can come. 0: one came. */
int bl_journal_trial_close(struct bl_journal *j, uint64_t txn, int64_t now_ms,
			   struct bl_err *err);

#endif
