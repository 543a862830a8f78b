/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/journal/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/host/journal/journal_db.h"
#include "loader/host/journal/journal_trial.h"

#define KEEP_TXNS 1000 /* closed transactions kept for the history */

#define TXN_COLUMNS                                                     \
	"t.id, t.kind, t.phase, t.digest, t.name, t.version,"           \
	" t.old_digest, t.strategy, t.slot, t.parent, t.attempt,"       \
	" t.boot_id, t.reason, t.tags, t.started_ms,"                   \
	" t.changed_ms, t.content, t.staged_ms, t.live_ms,"             \
	" t.committed_ms, t.ended_ms, t.maps, t.attribution, t.gap_us," \
	" t.gap_back_us"

int bl_journal_open(const char *path, struct bl_journal **ret,
		    struct bl_err *err)
{
	struct bl_journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j || !(j->path = strdup(path))) {
		free(j);
		return bl_err_errno(err, -ENOMEM, "journal %s", path);
	}
	r = bl_db_open(j, err);
	if (r) {
		bl_journal_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

void bl_journal_close(struct bl_journal *j)
{
	if (!j)
		return;
	sqlite3_close(j->db);
	free(j->path);
	free(j);
}

static void prune(struct bl_journal *j)
{
	/* The chain of parents is needed to roll back; a failure to forget is
	 * none. */
	static const char sql[] =
		"WITH RECURSIVE chain(id) AS ("
		" SELECT txn FROM live UNION"
		" SELECT t.parent FROM txn t JOIN chain c ON t.id = c.id)"
		"DELETE FROM txn WHERE phase IN ('done', 'rolled-back')"
		" AND id NOT IN (SELECT id FROM chain)"
		" AND id <= (SELECT max(id) FROM txn) - ?1";
	bl_autostmt sqlite3_stmt *stmt = NULL;

	if (!bl_db_prepare(j, &stmt, NULL, sql, "i", (int64_t)KEEP_TXNS))
		sqlite3_step(stmt);
	bl_db_run(j, "DELETE FROM trial WHERE txn < (SELECT min(id) FROM txn)",
		  NULL);
}

static int insert(struct bl_journal *j, const struct bl_journal_txn *txn,
		  uint64_t *ret_id, struct bl_err *err)
{
	static const char sql[] =
		"INSERT INTO txn (kind, phase, digest, name, version,"
		" old_digest, strategy, slot, parent, boot_id, reason,"
		" started_ms, changed_ms, content, maps) VALUES"
		" (?1, 'intent', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
		" ?11, ?12, ?13)";
	const struct bl_host_txn *row = &txn->row;
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r;

	r = bl_db_prepare(j, &stmt, err, sql, "ssssssiississ",
			  bl_txn_kind_name(txn->kind), row->digest, row->name,
			  row->version, row->old_digest, row->strategy,
			  (int64_t)row->slot, (int64_t)txn->parent,
			  row->boot_id, row->reason, row->started_ms,
			  row->content, row->maps);
	if (!r)
		r = bl_db_finish(j, stmt, "write the intent", err);
	if (!r)
		*ret_id = (uint64_t)sqlite3_last_insert_rowid(j->db);
	return r;
}

int bl_journal_begin(struct bl_journal *j, const struct bl_journal_txn *txn,
		     uint64_t *ret_id, struct bl_err *err)
{
	uint64_t id = 0;
	int r = bl_db_run(j, "BEGIN IMMEDIATE", err);

	if (r)
		return r;
	prune(j);
	r = bl_db_end(j, insert(j, txn, &id, err), err);
	if (!r)
		*ret_id = id;
	return r;
}

static int update(struct bl_journal *j, const struct bl_journal_step *s,
		  struct bl_err *err)
{
	/* NULL binds as NULL, which coalesce skips. */
	static const char sql[] =
		"UPDATE txn SET phase = ?2, changed_ms = ?3,"
		" reason = coalesce(?4, reason), tags = coalesce(?5, tags),"
		" boot_id = coalesce(?6, boot_id),"
		" strategy = coalesce(?8, strategy),"
		" attribution = coalesce(?9, attribution),"
		" attempt = CASE WHEN ?7 THEN 1 + (SELECT count(*) FROM txn o"
		"  WHERE o.digest = txn.digest AND o.attempt > 0) ELSE attempt"
		" END WHERE id = ?1";
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r;

	r = bl_db_prepare(j, &stmt, err, sql, "isisssiss", (int64_t)s->txn,
			  bl_phase_name(s->phase), s->at_ms, s->reason, s->tags,
			  s->boot_id, (int64_t)s->attempt, s->strategy,
			  s->attribution);
	return r ? r : bl_db_finish(j, stmt, "write the phase", err);
}

static int keep_times(struct bl_journal *j, const struct bl_journal_step *s,
		      struct bl_err *err)
{
	static const char sql[] =
		"UPDATE txn SET staged_ms = ?2, live_ms = ?3,"
		" committed_ms = ?4, ended_ms = ?5, gap_us = ?6,"
		" gap_back_us = ?7 WHERE id = ?1";
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r;

	if (!s->times)
		return 0;
	r = bl_db_prepare(j, &stmt, err, sql, "iiiiiii", (int64_t)s->txn,
			  s->times->staged_ms, s->times->live_ms,
			  s->times->committed_ms, s->times->ended_ms,
			  s->times->gap_us, s->times->gap_back_us);
	return r ? r : bl_db_finish(j, stmt, "write the times", err);
}

static int bury(struct bl_journal *j, const struct bl_journal_step *s,
		struct bl_err *err)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO tombstone (digest, reason, txn, at_ms)"
		" SELECT ?2, coalesce(?3, reason), id, ?4 FROM txn"
		" WHERE id = ?1";
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r;

	if (!s->tombstone)
		return 0;
	r = bl_db_prepare(j, &stmt, err, sql, "issi", (int64_t)s->txn,
			  s->tombstone, s->reason, s->at_ms);
	return r ? r : bl_db_finish(j, stmt, "write the tombstone", err);
}

static int make_live(struct bl_journal *j, uint64_t txn, struct bl_err *err)
{
	/* A digest that is live has been forced past its tombstone. */
	static const char *const sql[] = {
		"DELETE FROM live",
		"INSERT INTO live (only, txn) SELECT 1, id FROM txn"
		" WHERE id = ?1 AND digest <> ''",
		"DELETE FROM tombstone WHERE digest ="
		" (SELECT digest FROM txn WHERE id = ?1)",
	};
	int r = 0;

	for (size_t i = 0; !r && i < BL_ARRAY_SIZE(sql); i++) {
		bl_autostmt sqlite3_stmt *stmt = NULL;

		r = bl_db_prepare(j, &stmt, err, sql[i], i ? "i" : "",
				  (int64_t)txn);
		if (!r)
			r = bl_db_finish(j, stmt, "commit", err);
	}
	return r;
}

int bl_journal_write(struct bl_journal *j, const struct bl_journal_step *step,
		     struct bl_err *err)
{
	int r = bl_db_run(j, "BEGIN IMMEDIATE", err);

	if (r)
		return r;
	r = update(j, step, err);
	if (!r)
		r = keep_times(j, step, err);
	if (!r && step->commit)
		r = make_live(j, step->txn, err);
	if (!r)
		r = bury(j, step, err);
	return bl_db_end(j, r, err);
}

static void text(sqlite3_stmt *stmt, int column, char *ret, size_t size)
{
	const unsigned char *s = sqlite3_column_text(stmt, column);

	snprintf(ret, size, "%s", s ? (const char *)s : "");
}

#define TEXT(stmt, column, member) text(stmt, column, member, sizeof(member))

static int read_txn(struct bl_journal *j, sqlite3_stmt *stmt,
		    struct bl_journal_txn *ret, struct bl_err *err)
{
	struct bl_journal_txn t = { 0 };
	int kind, phase;

	t.row.id = (uint64_t)sqlite3_column_int64(stmt, 0);
	TEXT(stmt, 1, t.row.kind);
	TEXT(stmt, 2, t.row.phase);
	TEXT(stmt, 3, t.row.digest);
	TEXT(stmt, 4, t.row.name);
	TEXT(stmt, 5, t.row.version);
	TEXT(stmt, 6, t.row.old_digest);
	TEXT(stmt, 7, t.row.strategy);
	t.row.slot = sqlite3_column_int(stmt, 8) ? BL_SLOT_B : BL_SLOT_A;
	t.parent = (uint64_t)sqlite3_column_int64(stmt, 9);
	t.row.attempt = (unsigned)sqlite3_column_int(stmt, 10);
	TEXT(stmt, 11, t.row.boot_id);
	TEXT(stmt, 12, t.row.reason);
	TEXT(stmt, 13, t.row.tags);
	t.row.started_ms = sqlite3_column_int64(stmt, 14);
	t.row.changed_ms = sqlite3_column_int64(stmt, 15);
	TEXT(stmt, 16, t.row.content);
	t.row.times = (struct bl_host_times){
		.staged_ms = sqlite3_column_int64(stmt, 17),
		.live_ms = sqlite3_column_int64(stmt, 18),
		.committed_ms = sqlite3_column_int64(stmt, 19),
		.ended_ms = sqlite3_column_int64(stmt, 20),
		.gap_us = sqlite3_column_int64(stmt, 23),
		.gap_back_us = sqlite3_column_int64(stmt, 24),
	};
	TEXT(stmt, 21, t.row.maps);
	TEXT(stmt, 22, t.row.attribution);
	kind = bl_txn_kind_by_name(t.row.kind);
	phase = bl_phase_by_name(t.row.phase);
	if (kind < 0 || phase < 0)
		return bl_err_set(err, -EBADMSG,
				  "journal %s: transaction %" PRIu64
				  " has an unknown kind '%s' or phase '%s'",
				  j->path, t.row.id, t.row.kind, t.row.phase);
	t.kind = (enum bl_txn_kind)kind;
	t.phase = (enum bl_phase)phase;
	*ret = t;
	return 0;
}

/* The first row of @stmt, a query for transactions. */
static int one_txn(struct bl_journal *j, sqlite3_stmt *stmt,
		   struct bl_journal_txn *ret, struct bl_err *err)
{
	int r = bl_db_next(j, stmt, "read", err);

	if (r <= 0)
		return r;
	r = read_txn(j, stmt, ret, err);
	return r ? r : 1;
}

/* The same of "SELECT …" that goes on with @rest, which asks for no value. */
static int first_txn(struct bl_journal *j, const char *rest,
		     struct bl_journal_txn *ret, struct bl_err *err)
{
	bl_autofree char *sql =
		bl_path("SELECT " TXN_COLUMNS " FROM txn t %s", rest);
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = sql ? bl_db_prepare(j, &stmt, err, sql, "")
		    : bl_err_errno(err, -ENOMEM, "journal");

	return r ? r : one_txn(j, stmt, ret, err);
}

int bl_journal_open_txn(struct bl_journal *j, struct bl_journal_txn *ret,
			struct bl_err *err)
{
	return first_txn(j,
			 "WHERE t.phase NOT IN ('done', 'rolled-back')"
			 " ORDER BY t.id DESC",
			 ret, err);
}

int bl_journal_live(struct bl_journal *j, struct bl_journal_txn *ret,
		    struct bl_err *err)
{
	return first_txn(j, "JOIN live l ON t.id = l.txn", ret, err);
}

int bl_journal_last(struct bl_journal *j, struct bl_journal_txn *ret,
		    struct bl_err *err)
{
	return first_txn(j, "ORDER BY t.id DESC LIMIT 1", ret, err);
}

int bl_journal_get(struct bl_journal *j, uint64_t id,
		   struct bl_journal_txn *ret, struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err,
			      "SELECT " TXN_COLUMNS
			      " FROM txn t WHERE t.id = ?1",
			      "i", (int64_t)id);

	return r ? r : one_txn(j, stmt, ret, err);
}

int bl_journal_tags(struct bl_journal *j, uint64_t id, struct bl_buf *ret,
		    struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err,
			      "SELECT tags FROM txn WHERE id = ?1", "i",
			      (int64_t)id);
	const char *tags;

	if (!r)
		r = bl_db_next(j, stmt, "read", err);
	if (r <= 0)
		return r;
	tags = (const char *)sqlite3_column_text(stmt, 0);
	r = bl_buf_printf(ret, "%s", tags ? tags : "");
	return r ? bl_err_errno(err, r, "journal %s", j->path) : 0;
}

static void read_tombstone(sqlite3_stmt *stmt, struct bl_host_tombstone *ret)
{
	TEXT(stmt, 0, ret->digest);
	TEXT(stmt, 1, ret->reason);
	ret->txn = (uint64_t)sqlite3_column_int64(stmt, 2);
	ret->at_ms = sqlite3_column_int64(stmt, 3);
}

int bl_journal_tombstone(struct bl_journal *j, const char *digest,
			 struct bl_host_tombstone *ret, struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err,
			      "SELECT digest, reason, txn, at_ms FROM tombstone"
			      " WHERE digest = ?1",
			      "s", digest);

	if (!r)
		r = bl_db_next(j, stmt, "read", err);
	if (r > 0)
		read_tombstone(stmt, ret);
	return r;
}

int bl_journal_failures(struct bl_journal *j, const char *boot_id,
			int64_t since_ms, struct bl_journal_failures *ret,
			struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	/* In a row: since somebody applied something, or a boot went well. */
	int r = bl_db_prepare(
		j, &stmt, err,
		"WITH bad AS (SELECT boot_id, started_ms, attribution FROM txn"
		" WHERE kind <> 'apply' AND phase IN ('rolled-back', 'done')"
		" AND id > coalesce((SELECT max(id) FROM txn WHERE"
		" kind = 'apply' OR phase = 'done'"
		" AND attribution <> 'convicted'), 0))"
		" SELECT (SELECT count(DISTINCT boot_id) FROM bad WHERE"
		" attribution <> 'cut'), (SELECT count(*) FROM bad WHERE"
		" attribution <> 'cut' AND boot_id = ?1 AND started_ms > ?2),"
		" (SELECT count(*) FROM bad WHERE attribution = 'cut')",
		"si", boot_id, since_ms);

	if (!r)
		r = bl_db_next(j, stmt, "read", err);
	if (r > 0)
		*ret = (struct bl_journal_failures){
			.boots = (unsigned)sqlite3_column_int(stmt, 0),
			.recent = (unsigned)sqlite3_column_int(stmt, 1),
			.cut = (unsigned)sqlite3_column_int(stmt, 2)
		};
	return r < 0 ? r : 0;
}

int bl_journal_attribute(struct bl_journal *j, uint64_t txn,
			 const char *attribution, const char *reason,
			 struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err,
			      "UPDATE txn SET attribution = ?2,"
			      " reason = coalesce(?3, reason) WHERE id = ?1",
			      "iss", (int64_t)txn, attribution, reason);

	return r ? r : bl_db_finish(j, stmt, "write the attribution", err);
}

/* Makes room for one more element of @size bytes; doubles. */
static void *grow(void *array, size_t count, size_t size)
{
	if (count && (count & (count - 1)))
		return array;
	return reallocarray(array, count ? 2 * count : 1, size);
}

/* Of its trial, if it had one. */
static int read_terms(struct bl_journal *j, struct bl_host_txn *txn,
		      struct bl_err *err)
{
	struct bl_journal_trial t;
	int r = bl_journal_trial_get(j, txn->id, &t, err);

	if (r <= 0)
		return r;
	snprintf(txn->confirm, sizeof(txn->confirm), "%s",
		 bl_confirm_name(t.confirm));
	memcpy(txn->watchdog, t.watchdog, sizeof(txn->watchdog));
	txn->confirmed_ms = t.confirmed_ms;
	return 0;
}

static int read_txns(struct bl_journal *j, size_t limit,
		     struct bl_host_history *ret, struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err,
			      "SELECT " TXN_COLUMNS
			      " FROM txn t ORDER BY t.id DESC LIMIT ?1",
			      "i", limit ? (int64_t)limit : INT64_C(-1));

	while (!r && (r = bl_db_next(j, stmt, "read", err)) > 0) {
		struct bl_journal_txn t;
		struct bl_host_txn *more;

		r = read_txn(j, stmt, &t, err);
		if (r)
			return r;
		more = grow(ret->txns, ret->count, sizeof(*more));
		if (!more)
			return bl_err_errno(err, -ENOMEM, "history");
		ret->txns = more;
		r = read_terms(j, &t.row, err);
		ret->txns[ret->count++] = t.row;
	}
	return r;
}

static int read_tombstones(struct bl_journal *j, struct bl_host_history *ret,
			   struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err,
			      "SELECT digest, reason, txn, at_ms FROM tombstone"
			      " ORDER BY txn DESC, digest",
			      "");

	while (!r && (r = bl_db_next(j, stmt, "read", err)) > 0) {
		struct bl_host_tombstone *more;

		more = grow(ret->tombstones, ret->tombstone_count,
			    sizeof(*more));
		if (!more)
			return bl_err_errno(err, -ENOMEM, "history");
		ret->tombstones = more;
		read_tombstone(stmt, &more[ret->tombstone_count++]);
		r = 0;
	}
	return r;
}

int bl_journal_history(struct bl_journal *j, size_t limit,
		       struct bl_host_history *ret, struct bl_err *err)
{
	struct bl_host_history h = { 0 };
	int r = read_txns(j, limit, &h, err);

	if (!r)
		r = read_tombstones(j, &h, err);
	if (r) {
		bl_host_history_free(&h);
		return r;
	}
	*ret = h;
	return 0;
}
