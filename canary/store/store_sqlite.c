/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in one SQLite file: WAL so that readers never wait, and
 * synchronous=FULL so that what a controller told a host was durable before.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "canary/store/store.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define APPLICATION_ID 0x626c666c /* "blfl": belay's fleet */
#define SCHEMA_VERSION 1
#define BUSY_MS	       5000

struct sqlite_store {
	struct bl_store head;
	sqlite3 *db;
	sqlite3_stmt *get, *list, *count, *put, *remove, *bump, *revision;
	char *path;
};

static const char schema[] =
	"CREATE TABLE kv(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL,"
	" revision INTEGER NOT NULL);"
	"CREATE TABLE head(revision INTEGER NOT NULL);"
	"INSERT INTO head VALUES(0);";

static int to_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

static int fail(struct sqlite_store *s, int code, const char *doing,
		struct bl_err *err)
{
	return bl_err_set(err, to_errno(code), "store %s: cannot %s: %s",
			  s->path, doing,
			  s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
}

static int run(struct sqlite_store *s, const char *sql, const char *doing,
	       struct bl_err *err)
{
	int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : fail(s, code, doing, err);
}

static int pragma_number(struct sqlite_store *s, const char *sql, int *ret,
			 struct bl_err *err)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return code == SQLITE_ROW ? 0 : fail(s, code, "read it", err);
}

static int make_schema(struct sqlite_store *s, struct bl_err *err)
{
	char sql[512];
	int id = 0, version = 0, tables = 0, r;

	/* IMMEDIATE: two controllers that start at once make it once. */
	r = run(s, "BEGIN IMMEDIATE", "open it", err);
	if (r < 0)
		return r;
	r = pragma_number(s, "PRAGMA application_id", &id, err);
	if (!r)
		r = pragma_number(s, "PRAGMA user_version", &version, err);
	if (!r)
		r = pragma_number(s, "SELECT count(*) FROM sqlite_schema",
				  &tables, err);
	if (!r && !id && !tables) {
		snprintf(sql, sizeof(sql),
			 "PRAGMA application_id=%d;PRAGMA user_version=%d;%s",
			 APPLICATION_ID, SCHEMA_VERSION, schema);
		r = run(s, sql, "make its tables", err);
	} else if (!r && id != APPLICATION_ID) {
		r = bl_err_set(err, -EBADMSG,
			       "%s is a database, but not a fleet's", s->path);
	} else if (!r && version != SCHEMA_VERSION) {
		r = bl_err_set(
			err, -EBADMSG,
			"%s has layout %d, this belay (%s) knows layout %d",
			s->path, version, BL_VERSION, SCHEMA_VERSION);
	}
	if (!r)
		r = run(s, "COMMIT", "open it", err);
	if (r < 0)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

static int prepare(struct sqlite_store *s, struct bl_err *err)
{
	const struct {
		sqlite3_stmt **st;
		const char *sql;
	} all[] = {
		{ &s->get, "SELECT key,value,revision FROM kv WHERE key=?1" },
		{ &s->list, "SELECT key,value,revision FROM kv WHERE key>=?1 "
			    "AND key<?2 AND revision>?3 ORDER BY key" },
		{ &s->count, "SELECT count(*) FROM kv WHERE key>=?1 "
			     "AND key<?2" },
		{ &s->put, "INSERT INTO kv VALUES(?1,?2,?3) ON CONFLICT(key) "
			   "DO UPDATE SET value=?2,revision=?3" },
		{ &s->remove, "DELETE FROM kv WHERE key=?1" },
		{ &s->bump, "UPDATE head SET revision=revision+1 "
			    "RETURNING revision" },
		{ &s->revision, "SELECT revision FROM head" },
	};
	size_t i;
	int code;

	for (i = 0; i < BL_ARRAY_SIZE(all); i++) {
		code = sqlite3_prepare_v3(s->db, all[i].sql, -1,
					  SQLITE_PREPARE_PERSISTENT, all[i].st,
					  NULL);
		if (code != SQLITE_OK)
			return fail(s, code, "read it", err);
	}
	return 0;
}

static void done(sqlite3_stmt *const *st)
{
	sqlite3_reset(*st);
	sqlite3_clear_bindings(*st);
}
#define AUTODONE __attribute__((cleanup(done))) sqlite3_stmt *

static int take_row(sqlite3_stmt *st, struct bl_store_item *ret)
{
	BL_CLEANUP(bl_store_item_free) struct bl_store_item item = { 0 };
	const void *data = sqlite3_column_blob(st, 1);
	int len = sqlite3_column_bytes(st, 1);

	item.key = strdup((const char *)sqlite3_column_text(st, 0));
	if (!item.key ||
	    bl_buf_add(&item.value, len ? data : "", (size_t)len) < 0)
		return -ENOMEM;
	item.revision = sqlite3_column_int64(st, 2);
	*ret = item;
	item = (struct bl_store_item){ 0 };
	return 0;
}

static int sqlite_get(struct bl_store *head, const char *key,
		      struct bl_store_item *ret, struct bl_err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)head;
	AUTODONE st = s->get;
	int code;

	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	if (code == SQLITE_DONE)
		return bl_err_set(err, -ENOENT, "the store has no %s", key);
	if (code != SQLITE_ROW)
		return fail(s, code, "read from it", err);
	if (take_row(st, ret) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* From @prefix to the first key behind all that begin with it; prefixes are
 * ASCII and end in '/', so the last byte has a successor. */
static void bind_prefix(sqlite3_stmt *st, const char *prefix,
			char end[static BL_STORE_KEY_MAX + 1])
{
	size_t len = strlen(prefix);

	memcpy(end, prefix, len + 1);
	end[len - 1]++;
	sqlite3_bind_text(st, 1, prefix, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, end, -1, SQLITE_STATIC);
}

static int sqlite_count(struct bl_store *head, const char *prefix, size_t *ret,
			struct bl_err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)head;
	char end[BL_STORE_KEY_MAX + 1];
	AUTODONE st = s->count;
	int code;

	bind_prefix(st, prefix, end);
	code = sqlite3_step(st);
	if (code != SQLITE_ROW)
		return fail(s, code, "read from it", err);
	*ret = (size_t)sqlite3_column_int64(st, 0);
	return 0;
}

static int sqlite_list(struct bl_store *head, const char *prefix, int64_t since,
		       struct bl_store_list *ret, struct bl_err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)head;
	BL_CLEANUP(bl_store_list_free) struct bl_store_list list = { 0 };
	char end[BL_STORE_KEY_MAX + 1];
	AUTODONE st = s->list;
	size_t room = 0;
	int code;

	bind_prefix(st, prefix, end);
	sqlite3_bind_int64(st, 3, since);
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		if (list.count == room) {
			struct bl_store_item *items;

			room = room ? room * 2 : 16;
			items = reallocarray(list.items, room, sizeof(*items));
			if (!items)
				return bl_err_set(err, -ENOMEM,
						  "out of memory");
			list.items = items;
		}
		list.items[list.count] = (struct bl_store_item){ 0 };
		if (take_row(st, &list.items[list.count]) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
		list.count++;
	}
	if (code != SQLITE_DONE)
		return fail(s, code, "read from it", err);
	*ret = list;
	list = (struct bl_store_list){ 0 };
	return 0;
}

static int compare(struct sqlite_store *s, const struct bl_store_compare *c,
		   struct bl_err *err)
{
	AUTODONE st = s->get;
	int64_t revision = 0;
	int code;

	sqlite3_bind_text(st, 1, c->key, -1, SQLITE_STATIC);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		revision = sqlite3_column_int64(st, 2);
	else if (code != SQLITE_DONE)
		return fail(s, code, "read from it", err);
	if (revision != c->revision)
		return bl_err_set(err, -EAGAIN,
				  "%s was changed by somebody else", c->key);
	return 0;
}

static int bump(struct sqlite_store *s, int64_t *ret, struct bl_err *err)
{
	AUTODONE st = s->bump;
	int code = sqlite3_step(st);

	if (code != SQLITE_ROW)
		return fail(s, code, "write to it", err);
	*ret = sqlite3_column_int64(st, 0);
	code = sqlite3_step(st);
	return code == SQLITE_DONE ? 0 : fail(s, code, "write to it", err);
}

static int put(struct sqlite_store *s, const struct bl_store_put *p,
	       int64_t revision, struct bl_err *err)
{
	AUTODONE st = p->data ? s->put : s->remove;
	int code;

	sqlite3_bind_text(st, 1, p->key, -1, SQLITE_STATIC);
	if (p->data) {
		sqlite3_bind_blob64(st, 2, p->len ? p->data : "", p->len,
				    SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, revision);
	}
	code = sqlite3_step(st);
	return code == SQLITE_DONE ? 0 : fail(s, code, "write to it", err);
}

static int sqlite_txn(struct bl_store *head,
		      const struct bl_store_compare *compares,
		      size_t compare_count, const struct bl_store_put *puts,
		      size_t put_count, int64_t *ret_revision,
		      struct bl_err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)head;
	int64_t revision = 0;
	size_t i;
	bool writes = put_count > 0;
	/* Who only compares waits for nobody who writes. */
	int r = writes ? run(s, "BEGIN IMMEDIATE", "write to it", err)
		       : run(s, "BEGIN", "read from it", err);

	if (r < 0)
		return r;
	for (i = 0; !r && i < compare_count; i++)
		r = compare(s, &compares[i], err);
	if (!r && writes)
		r = bump(s, &revision, err);
	for (i = 0; !r && i < put_count; i++)
		r = put(s, &puts[i], revision, err);
	if (!r)
		r = run(s, "COMMIT", "write to it", err);
	if (r < 0)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	else if (writes)
		*ret_revision = revision;
	return r;
}

static int sqlite_revision(struct bl_store *head, int64_t *ret,
			   struct bl_err *err)
{
	struct sqlite_store *s = (struct sqlite_store *)head;
	AUTODONE st = s->revision;
	int code = sqlite3_step(st);

	if (code != SQLITE_ROW)
		return fail(s, code, "read from it", err);
	*ret = sqlite3_column_int64(st, 0);
	return 0;
}

static void sqlite_close(struct bl_store *head)
{
	struct sqlite_store *s = (struct sqlite_store *)head;

	sqlite3_finalize(s->get);
	sqlite3_finalize(s->list);
	sqlite3_finalize(s->count);
	sqlite3_finalize(s->put);
	sqlite3_finalize(s->remove);
	sqlite3_finalize(s->bump);
	sqlite3_finalize(s->revision);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}

static const struct bl_store_ops sqlite_ops = {
	.get = sqlite_get,
	.list = sqlite_list,
	.count = sqlite_count,
	.txn = sqlite_txn,
	.revision = sqlite_revision,
	.close = sqlite_close,
};

static int set_up(struct sqlite_store *s, struct bl_err *err)
{
	int r, code;

	/* SQLite makes files as the umask has it, and its log like the database;
	 * that name is of none. */
	if (strcmp(s->path, ":memory:") != 0)
		bl_file_claim(s->path);
	code = sqlite3_open_v2(s->path, &s->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
			       NULL);

	if (code != SQLITE_OK) {
		fail(s, code, "open it", err);
		bl_err_hint(err,
			    "does its folder exist, and may you write there?");
		return to_errno(code);
	}
	sqlite3_busy_timeout(s->db, BUSY_MS);
	r = run(s, "PRAGMA journal_mode=WAL", "open it", err);
	if (!r)
		r = run(s, "PRAGMA synchronous=FULL", "open it", err);
	if (!r)
		r = make_schema(s, err);
	if (!r)
		r = prepare(s, err);
	return r;
}

int bl_store_sqlite_open(const char *path, struct bl_store **ret,
			 struct bl_err *err)
{
	struct sqlite_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return bl_err_set(err, -ENOMEM, "out of memory");
	s->head.ops = &sqlite_ops;
	s->path = strdup(path);
	r = s->path ? set_up(s, err)
		    : bl_err_set(err, -ENOMEM, "out of memory");
	if (r < 0) {
		sqlite_close(&s->head);
		return r;
	}
	*ret = &s->head;
	return 0;
}
