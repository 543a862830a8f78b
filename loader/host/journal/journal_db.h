/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct bl_journal, for the files journal*.c only: SQLite with
 * belay's errors, and the schema.
 *
 * A change of the schema is one more element of the list of steps in
 * journal_db.c; a journal of an older belay is brought up when it is opened.
 */
#ifndef BL_HOST_JOURNAL_DB_H
#define BL_HOST_JOURNAL_DB_H

#include <sqlite3.h>
#include <stdint.h>

#include "loader/host/journal/journal.h"

struct bl_journal {
	sqlite3 *db;
	char *path;
	int frozen; /* why it can only be read: -EROFS, -ENOSPC; 0 */
};

static inline void bl_db_finalize(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}
#define bl_autostmt __attribute__((cleanup(bl_db_finalize)))

/* What SQLite said of @rc, as an error. Never 0. */
int bl_db_fail(struct bl_journal *j, int rc, const char *what,
	       struct bl_err *err);

/* Prepares @sql and binds what follows by @types: i is int64_t, s is text. */
int bl_db_prepare(struct bl_journal *j, sqlite3_stmt **ret, struct bl_err *err,
		  const char *sql, const char *types, ...);

/* Runs to its end a statement that returns no row. */
int bl_db_finish(struct bl_journal *j, sqlite3_stmt *stmt, const char *what,
		 struct bl_err *err);

/* 1: there is a row, 0: no more. */
int bl_db_next(struct bl_journal *j, sqlite3_stmt *stmt, const char *what,
	       struct bl_err *err);

/* Statements without values and rows. */
int bl_db_run(struct bl_journal *j, const char *sql, struct bl_err *err);

/* Ends what "BEGIN" began: commits if @r is 0, undoes it otherwise. */
int bl_db_end(struct bl_journal *j, int r, struct bl_err *err);

/* The first column of the first row; *ret stays without one. */
int bl_db_number(struct bl_journal *j, const char *sql, int64_t *ret,
		 struct bl_err *err);

/*
 * Opens the file at j->path, makes an empty one a journal, brings an older one
 * up. -EBADMSG: it is none, or one of a newer belay. Where nothing can be
 * written it can be read all the same, if its last writer ended in order.
 */
int bl_db_open(struct bl_journal *j, struct bl_err *err);

#endif
