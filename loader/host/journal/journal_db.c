/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/journal/journal_db.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define APPLICATION_ID 0x424c4159 /* "BLAY" */
#define BUSY_MS	       5000
#define ROOM_BYTES     (128 * 1024) /* its log and the index of that */

/*
 * What makes version N + 1 of the schema of version N; 0 is an empty file.
 * phase and kind are text, so that a person with sqlite3 can read the journal
 * of a host that is down.
 */
static const char *const steps[] = {
	"CREATE TABLE txn ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" kind TEXT NOT NULL, phase TEXT NOT NULL, digest TEXT NOT NULL,"
	" name TEXT NOT NULL, version TEXT NOT NULL,"
	" old_digest TEXT NOT NULL, strategy TEXT NOT NULL,"
	" slot INTEGER NOT NULL, parent INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL DEFAULT 0, boot_id TEXT NOT NULL,"
	" reason TEXT NOT NULL,"
	" tags TEXT NOT NULL DEFAULT '', started_ms INTEGER NOT NULL,"
	" changed_ms INTEGER NOT NULL);"
	"CREATE TABLE live ("
	" only INTEGER PRIMARY KEY CHECK (only = 1),"
	" txn INTEGER NOT NULL REFERENCES txn (id));"
	"CREATE TABLE tombstone ("
	" digest TEXT PRIMARY KEY, reason TEXT NOT NULL,"
	" txn INTEGER NOT NULL, at_ms INTEGER NOT NULL);",

	"ALTER TABLE txn ADD COLUMN content TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE txn ADD COLUMN staged_ms INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE txn ADD COLUMN live_ms INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE txn ADD COLUMN committed_ms INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE txn ADD COLUMN ended_ms INTEGER NOT NULL DEFAULT -1;",

	"CREATE TABLE trial ("
	" txn INTEGER PRIMARY KEY, confirm TEXT NOT NULL,"
	" until_ms INTEGER NOT NULL,"
	" confirmed_ms INTEGER NOT NULL DEFAULT 0,"
	" closed_ms INTEGER NOT NULL DEFAULT 0, watchdog TEXT NOT NULL);",

	"ALTER TABLE txn ADD COLUMN maps TEXT NOT NULL DEFAULT '';",

	"ALTER TABLE txn ADD COLUMN attribution TEXT NOT NULL DEFAULT '';",

	"ALTER TABLE txn ADD COLUMN gap_us INTEGER NOT NULL DEFAULT -1;",

	"ALTER TABLE txn ADD COLUMN gap_back_us INTEGER NOT NULL DEFAULT -1;",
};

static int to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

int bl_db_fail(struct bl_journal *j, int rc, const char *what,
	       struct bl_err *err)
{
	if (j->frozen && (rc & 0xff) == SQLITE_READONLY)
		return bl_err_errno(err, j->frozen, "journal %s: %s", j->path,
				    what);
	return bl_err_set(err, to_errno(rc), "journal %s: %s: %s", j->path,
			  what, j->db ? sqlite3_errmsg(j->db) : "no memory");
}

static void thaw(struct bl_journal *j);

int bl_db_prepare(struct bl_journal *j, sqlite3_stmt **ret, struct bl_err *err,
		  const char *sql, const char *types, ...)
{
	va_list ap;
	int rc;

	thaw(j);
	rc = sqlite3_prepare_v2(j->db, sql, -1, ret, NULL);
	va_start(ap, types);
	for (int i = 0; !rc && types[i]; i++) {
		if (types[i] == 'i')
			rc = sqlite3_bind_int64(*ret, i + 1,
						va_arg(ap, int64_t));
		else
			rc = sqlite3_bind_text(*ret, i + 1,
					       va_arg(ap, const char *), -1,
					       SQLITE_TRANSIENT);
	}
	va_end(ap);
	return rc ? bl_db_fail(j, rc, "prepare", err) : 0;
}

int bl_db_finish(struct bl_journal *j, sqlite3_stmt *stmt, const char *what,
		 struct bl_err *err)
{
	int rc = sqlite3_step(stmt);

	return rc == SQLITE_DONE ? 0 : bl_db_fail(j, rc, what, err);
}

int bl_db_next(struct bl_journal *j, sqlite3_stmt *stmt, const char *what,
	       struct bl_err *err)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : bl_db_fail(j, rc, what, err);
}

int bl_db_run(struct bl_journal *j, const char *sql, struct bl_err *err)
{
	int rc;

	thaw(j);
	rc = sqlite3_exec(j->db, sql, NULL, NULL, NULL);
	return rc ? bl_db_fail(j, rc, "write", err) : 0;
}

int bl_db_end(struct bl_journal *j, int r, struct bl_err *err)
{
	if (!r)
		r = bl_db_run(j, "COMMIT", err);
	if (r)
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int bl_db_number(struct bl_journal *j, const char *sql, int64_t *ret,
		 struct bl_err *err)
{
	bl_autostmt sqlite3_stmt *stmt = NULL;
	int r = bl_db_prepare(j, &stmt, err, sql, "");

	if (!r)
		r = bl_db_next(j, stmt, "read", err);
	if (r > 0)
		*ret = sqlite3_column_int64(stmt, 0);
	return r < 0 ? r : 0;
}

static int version(struct bl_journal *j, int64_t *ret, struct bl_err *err)
{
	const int64_t known = BL_ARRAY_SIZE(steps);
	int64_t v = 0, id = 0;
	int r = bl_db_number(j, "PRAGMA user_version", &v, err);

	if (!r)
		r = bl_db_number(j, "PRAGMA application_id", &id, err);
	if (r)
		return r;
	if ((v || id) && (id != APPLICATION_ID || v < 1 || v > known))
		return bl_err_set(
			err, -EBADMSG,
			"journal %s: not a journal of this belay (version %" PRId64
			", known is %" PRId64 ")",
			j->path, v, known);
	*ret = v;
	return 0;
}

static int bring_up(struct bl_journal *j, struct bl_err *err)
{
	char sql[128];
	int64_t from;
	/* Again, alone now: two openers of a new file meet here. */
	int r = version(j, &from, err);

	snprintf(sql, sizeof(sql),
		 "PRAGMA application_id=%d; PRAGMA user_version=%zu;",
		 APPLICATION_ID, BL_ARRAY_SIZE(steps));
	while (!r && from < (int64_t)BL_ARRAY_SIZE(steps))
		r = bl_db_run(j, steps[from++], err);
	return r ? r : bl_db_run(j, sql, err);
}

static int set_up(struct bl_journal *j, struct bl_err *err)
{
	int64_t v = 0;
	int r;

	sqlite3_busy_timeout(j->db, BUSY_MS);
	r = bl_db_run(j, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
		      err);
	if (!r)
		r = version(j, &v, err);
	/* As it should be: who only reads does not wait for who writes. */
	if (r || v == (int64_t)BL_ARRAY_SIZE(steps))
		return r;
	r = bl_db_run(j, "BEGIN IMMEDIATE", err);
	return r ? r : bl_db_end(j, bring_up(j, err), err);
}

/* The path as SQLite takes it in a URI: all but plain characters by number. */
static char *frozen_uri(const char *path)
{
	bl_autobuf struct bl_buf uri = { 0 };
	int r = bl_buf_printf(&uri, "file:");

	for (const char *p = path; *p && !r; p++) {
		bool plain = isalnum((unsigned char)*p) || strchr("/._-", *p);

		r = bl_buf_printf(&uri, plain ? "%c" : "%%%02x",
				  (unsigned char)*p);
	}
	if (!r)
		r = bl_buf_printf(&uri, "?immutable=1");
	return r ? NULL : BL_TAKE(uri.data);
}

/* An unclean end leaves a part of it in a log beside. */
static bool all_in_one(const char *path)
{
	bl_autofree char *log = bl_path("%s-wal", path);
	struct stat st;

	return log && !stat(path, &st) && st.st_size &&
	       (stat(log, &st) || !st.st_size);
}

/*
 * Whether it can be written. A WAL has its index in a mapped file, and who
 * touches a page of that for which the disk has no block (an ext4 of 1 KiB
 * blocks) ends with SIGBUS: so room is asked for before.
 */
static int check_room(const char *path, struct bl_err *err)
{
	bl_autofree char *room = bl_path("%s-room", path);
	struct statvfs fs;
	int fd, r;

	if (!room)
		return bl_err_errno(err, -ENOMEM, "journal %s", path);
	if (!statvfs(path, &fs) && fs.f_flag & ST_RDONLY)
		return bl_err_errno(err, -EROFS, "journal %s", path);
	fd = open(room, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : -posix_fallocate(fd, 0, ROOM_BYTES);
	if (fd >= 0) {
		close(fd);
		unlink(room);
	}
	return r ? bl_err_errno(err, r, "journal %s: make room", path) : 0;
}

static int open_frozen(struct bl_journal *j, struct bl_err *err)
{
	bl_autofree char *uri = frozen_uri(j->path);
	int rc;

	if (!uri)
		return bl_err_errno(err, -ENOMEM, "journal %s", j->path);
	rc = sqlite3_open_v2(uri, &j->db,
			     SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	return rc ? bl_db_fail(j, rc, "open", err) : 0;
}

static int read_frozen(struct bl_journal *j, struct bl_err *err)
{
	int64_t v = 0;
	int r = open_frozen(j, err);

	if (!r)
		r = version(j, &v, err);
	if (!r && v < (int64_t)BL_ARRAY_SIZE(steps))
		r = bl_err_set(
			err, j->frozen,
			"journal %s: of an older belay, and it cannot be written to bring it up",
			j->path);
	return r;
}

int bl_db_open(struct bl_journal *j, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int rc, r = check_room(j->path, &why);

	if ((r == -EROFS || r == -ENOSPC) && all_in_one(j->path)) {
		j->frozen = r;
		return read_frozen(j, err);
	}
	if (r)
		return bl_err_set(err, r, "%s", why.text);
	/* SQLite makes files as the umask has it, and its log like the database. */
	bl_file_claim(j->path);
	rc = sqlite3_open_v2(j->path, &j->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	return rc ? bl_db_fail(j, rc, "open", err) : set_up(j, err);
}

/* Whoever lives long (an agent, a reader of events) goes on as soon as there is
 * room again, and sees what others have written since. */
static void thaw(struct bl_journal *j)
{
	struct bl_journal again = { .path = j->path };

	if (!j->frozen || sqlite3_next_stmt(j->db, NULL) ||
	    check_room(j->path, NULL))
		return;
	if (bl_db_open(&again, NULL)) {
		sqlite3_close(again.db);
		return;
	}
	sqlite3_close(j->db);
	j->db = again.db;
	j->frozen = again.frozen;
}
