/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/journal/journal_trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/host/journal/journal_db.h"

static const char *const confirm_names[] = {
	[BL_CONFIRM_AUTO] = "auto",
	[BL_CONFIRM_MANUAL] = "manual",
	[BL_CONFIRM_REMOTE] = "remote",
};

const char *bl_confirm_name(enum bl_confirm confirm)
{
	return confirm_names[confirm];
}

int bl_confirm_by_name(const char *name)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(confirm_names); i++)
		if (!strcmp(confirm_names[i], name))
			return (int)i;
	return -1;
}

int bl_journal_trial_open(struct bl_journal *j,
			  const struct bl_journal_trial *trial,
			  struct bl_err *err)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO trial (txn, confirm, until_ms, watchdog)"
		" VALUES (?1, ?2, ?3, ?4)";
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err, sql, "isis", (int64_t)trial->txn,
			      bl_confirm_name(trial->confirm), trial->until_ms,
			      trial->watchdog);

	return r ? r : bl_db_finish(j, stmt, "write the trial", err);
}

int bl_journal_trial_get(struct bl_journal *j, uint64_t txn,
			 struct bl_journal_trial *ret, struct bl_err *err)
{
	static const char sql[] =
		"SELECT confirm, until_ms, confirmed_ms, closed_ms, watchdog"
		" FROM trial WHERE txn = ?1";
	struct bl_journal_trial t = { .txn = txn };
	bl_autostmt sqlite3_stmt *stmt = NULL;
	const char *confirm, *watchdog;
	int r, by_name;

	r = bl_db_prepare(j, &stmt, err, sql, "i", (int64_t)txn);
	if (!r)
		r = bl_db_next(j, stmt, "read the trial", err);
	if (r <= 0)
		return r;
	confirm = (const char *)sqlite3_column_text(stmt, 0);
	watchdog = (const char *)sqlite3_column_text(stmt, 4);
	by_name = confirm ? bl_confirm_by_name(confirm) : -1;
	if (by_name < 0)
		return bl_err_set(err, -EBADMSG,
				  "journal %s: trial %" PRIu64
				  " has an unknown confirmation '%s'",
				  j->path, txn, confirm ? confirm : "");
	t.confirm = (enum bl_confirm)by_name;
	t.until_ms = sqlite3_column_int64(stmt, 1);
	t.confirmed_ms = sqlite3_column_int64(stmt, 2);
	t.closed_ms = sqlite3_column_int64(stmt, 3);
	snprintf(t.watchdog, sizeof(t.watchdog), "%s",
		 watchdog ? watchdog : "");
	*ret = t;
	return 1;
}

/* Runs @sql with @txn and @now_ms; how many rows it changed. */
static int change(struct bl_journal *j, const char *sql, uint64_t txn,
		  int64_t now_ms, const char *what, struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err, sql, "ii", (int64_t)txn, now_ms);

	if (!r)
		r = bl_db_finish(j, stmt, what, err);
	return r ? r : sqlite3_changes(j->db);
}

int bl_journal_trial_confirm(struct bl_journal *j, uint64_t txn, int64_t now_ms,
			     struct bl_err *err)
{
	return change(j,
		      "UPDATE trial SET confirmed_ms = ?2 WHERE txn = ?1"
		      " AND confirm = 'manual' AND NOT confirmed_ms"
		      " AND NOT closed_ms AND EXISTS (SELECT 1 FROM txn"
		      "  WHERE id = ?1 AND phase = 'trial')",
		      txn, now_ms, "write the confirmation", err);
}

int bl_journal_trial_close(struct bl_journal *j, uint64_t txn, int64_t now_ms,
			   struct bl_err *err)
{
	return change(j,
		      "UPDATE trial SET closed_ms = ?2 WHERE txn = ?1"
		      " AND NOT confirmed_ms",
		      txn, now_ms, "close the trial", err);
}
