/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/fresh.h"

#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

#define FORMAT 1
#define HOUR_S 3600

/* ------------------------------------------------------------------ deciding */

enum bl_meta_kind bl_fresh_first(const struct bl_fresh *f)
{
	enum bl_meta_kind first = BL_META_ROOT, kind;

	for (kind = 0; kind < BL_META_ROLES; kind++) {
		if (!f->role[kind].version)
			return BL_META_ROLES;
		if (f->role[kind].expires_s < f->role[first].expires_s)
			first = kind;
	}
	return first;
}

/* Until nothing is taken any more; 0 or less: it is so now. */
static int64_t left_ms(const struct bl_fresh *f, int64_t now_ms)
{
	enum bl_meta_kind first = bl_fresh_first(f);

	return first == BL_META_ROLES
		       ? 0
		       : f->role[first].expires_s * 1000 - now_ms;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Anything up to a window, so that a fleet whose repository was away does not
 * come back at one moment. */
static int64_t after_failure(const struct bl_fresh *f, int64_t left,
			     uint32_t random)
{
	int64_t window = BL_FRESH_RETRY_MS;

	for (int64_t i = 1; i < f->failures && window < BL_FRESH_RETRY_MAX_MS;
	     i++)
		window *= 2;
	window = smaller(window, BL_FRESH_RETRY_MAX_MS - BL_FRESH_MIN_MS);
	if (left > 0)
		window = smaller(window, left / 4);
	return BL_FRESH_MIN_MS + random % (window + 1);
}

int64_t bl_fresh_wait_ms(const struct bl_fresh *f, int64_t now_ms,
			 uint32_t random)
{
	int64_t left = left_ms(f, now_ms), ms;
	int64_t old = now_ms - f->refreshed_ms;

	if (f->failures)
		return after_failure(f, left, random);
	/* Also with a clock that was set back: what it says is no age then. */
	if (left <= 0 || !f->refreshed_ms || old < 0 || old >= BL_FRESH_DAY_MS)
		return 0;
	ms = smaller(left / 2, BL_FRESH_DAY_MS - old);
	ms -= random % (ms / 5 + 1);
	return ms < BL_FRESH_MIN_MS ? BL_FRESH_MIN_MS : ms;
}

/* What should have been renewed by then. The timestamp is renewed all the time,
 * so by how long this one lasts; the others by people with their keys. */
static int64_t soon_s(const struct bl_fresh *f, enum bl_meta_kind kind)
{
	static const int64_t by_people_s[BL_META_ROLES] = {
		[BL_META_ROOT] = 30 * 24 * HOUR_S,
		[BL_META_TIMESTAMP] = 12 * HOUR_S,
		[BL_META_SNAPSHOT] = 2 * 24 * HOUR_S,
		[BL_META_TARGETS] = 7 * 24 * HOUR_S,
	};

	if (kind != BL_META_TIMESTAMP || !f->since_ms)
		return by_people_s[kind];
	return (f->role[kind].expires_s - f->since_ms / 1000) / 4;
}

enum bl_fresh_state bl_fresh_state(const struct bl_fresh *f, int64_t now_ms,
				   enum bl_meta_kind *ret_role)
{
	enum bl_meta_kind first = bl_fresh_first(f), kind;

	*ret_role = first;
	if (first == BL_META_ROLES)
		return BL_FRESH_NEVER;
	if (f->role[first].expires_s <= now_ms / 1000)
		return BL_FRESH_EXPIRED;
	for (kind = 0; kind < BL_META_ROLES; kind++)
		if (f->role[kind].expires_s - now_ms / 1000 < soon_s(f, kind)) {
			*ret_role = kind;
			return BL_FRESH_SOON;
		}
	return BL_FRESH_GOOD;
}

const char *bl_fresh_state_name(enum bl_fresh_state state)
{
	static const char *const names[] = {
		[BL_FRESH_NEVER] = "never",
		[BL_FRESH_GOOD] = "good",
		[BL_FRESH_SOON] = "soon",
		[BL_FRESH_EXPIRED] = "expired",
	};

	return names[state];
}

/* ------------------------------------------------------------------ the note */

struct parts {
	int64_t format;
	const char *fault, *why, *hint;
	struct bl_fresh f;
};

#define NUMBER(key, member)                                                \
	{                                                                  \
		key, BL_JSON_INT, true, offsetof(struct parts, member), 0, \
			INT64_MAX                                          \
	}
#define ROLE(key, kind)                    \
	NUMBER(key, f.role[kind].version), \
		NUMBER(key "_expires", f.role[kind].expires_s)
#define TEXT(member, size)                                                     \
	{                                                                      \
#member, BL_JSON_STRING, true, offsetof(struct parts, member), \
			0, (size)-1                                            \
	}

static const struct bl_json_field fields[] = {
	{ "format", BL_JSON_INT, true, offsetof(struct parts, format), FORMAT,
	  FORMAT },
	ROLE("root", BL_META_ROOT),
	ROLE("timestamp", BL_META_TIMESTAMP),
	ROLE("snapshot", BL_META_SNAPSHOT),
	ROLE("targets", BL_META_TARGETS),
	NUMBER("since_ms", f.since_ms),
	NUMBER("refreshed_ms", f.refreshed_ms),
	NUMBER("failed_ms", f.failed_ms),
	NUMBER("next_ms", f.next_ms),
	NUMBER("failures", f.failures),
	TEXT(fault, BL_FRESH_FAULT_LEN),
	TEXT(why, BL_ERR_HINT_MAX),
	TEXT(hint, BL_ERR_HINT_MAX),
};

int bl_fresh_noted(const char *dir, struct bl_fresh *ret, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_FRESH_FILE, dir);
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct parts v = { .format = 0 };
	int r;

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_json_load(path, BL_FRESH_FILE_BYTES, &doc, err);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &v, err);
	if (r < 0)
		return r;
	bl_text_copy(v.f.fault, sizeof(v.f.fault), v.fault);
	bl_text_copy(v.f.why, sizeof(v.f.why), v.why);
	bl_text_copy(v.f.hint, sizeof(v.f.hint), v.hint);
	*ret = v.f;
	return 0;
}

/* As the table above reads it. */
static json_t *to_json(const struct bl_fresh *f)
{
	const struct parts v = { FORMAT, f->fault, f->why, f->hint, *f };
	json_t *all = json_object();

	for (size_t i = 0; i < BL_ARRAY_SIZE(fields); i++) {
		const char *at = (const char *)&v + fields[i].offset;
		const char *text;
		int64_t number;

		if (fields[i].type == BL_JSON_STRING) {
			memcpy(&text, at, sizeof(text));
			json_object_set_new(all, fields[i].key,
					    json_string(text));
		} else {
			memcpy(&number, at, sizeof(number));
			json_object_set_new(all, fields[i].key,
					    json_integer(number));
		}
	}
	return all;
}

static int write_note(const char *dir, const struct bl_fresh *f,
		      struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/" BL_FRESH_FILE, dir);
	json_t *all = to_json(f);
	bl_autofree char *text = all ? bl_json_dump(all) : NULL;

	if (!path || !text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(path, text, strlen(text), 0644, err);
}

/* ---------------------------------------------------------------- the folder */

static void take_role(struct bl_fresh *f, const struct bl_meta *m)
{
	if (!m->body)
		return;
	f->role[m->kind].version = m->version;
	f->role[m->kind].expires_s = m->expires_s > 0 ? m->expires_s : 0;
}

static void take_roles(struct bl_fresh *f, const struct bl_trusted *t)
{
	memset(f->role, 0, sizeof(f->role));
	take_role(f, &t->root);
	take_role(f, &t->timestamp);
	take_role(f, &t->snapshot);
	take_role(f, &t->targets);
}

/* What is kept, expired or not. Roots may have been climbed alone, and then it
 * may be that nothing else counts any more. */
static int take_kept(struct bl_fresh *f, struct bl_tuf *c, struct bl_err *err)
{
	BL_CLEANUP(bl_trusted_free) struct bl_trusted t = { 0 };
	int r = bl_trusted_root(&t, c->state.root.data, c->state.root.len, err);

	if (r < 0)
		return bl_err_wrap(err, r, "%s", c->dir);
	r = bl_tuf_offline(c, 0, NULL);
	take_roles(f, r < 0 ? &t : &c->t);
	bl_trusted_free(&c->t);
	return 0;
}

int bl_fresh_read(const char *dir, struct bl_fresh *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_tuf_close) struct bl_tuf c = { 0 };
	struct bl_fresh f = { 0 };
	int r = bl_tuf_open(dir, &c, err);
	struct bl_err why = { 0 };

	if (r < 0)
		return r;
	r = bl_fresh_noted(dir, &f, &why);
	if (r < 0 && r != -ENOENT)
		return bl_err_set(err, r, "%s", why.text);
	r = take_kept(&f, &c, err);
	if (!r)
		*ret = f;
	return r;
}

static void note_result(struct bl_fresh *f, int r, const struct bl_err *why,
			int64_t now_ms)
{
	const char *fault = r < 0 ? bl_trust_fault_name(r) : NULL;

	f->failures = r < 0 ? f->failures + 1 : 0;
	f->failed_ms = r < 0 ? now_ms : 0;
	if (!r)
		f->refreshed_ms = now_ms;
	bl_text_copy(f->fault, sizeof(f->fault), fault);
	bl_text_copy(f->why, sizeof(f->why), r < 0 ? why->text : "");
	bl_text_copy(f->hint, sizeof(f->hint), r < 0 ? why->hint : "");
}

int bl_fresh_refresh(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		     int64_t now_ms, const uint32_t *random,
		     struct bl_fresh *ret, struct bl_err *err)
{
	struct bl_err why = { 0 }, e = { 0 };
	struct bl_fresh now = { 0 };
	int64_t was;
	int r, noted = 0;

	/* One that is damaged is replaced. */
	bl_fresh_noted(c->dir, &now, NULL);
	was = now.role[BL_META_TIMESTAMP].version;
	r = bl_tuf_refresh(c, f, now_ms / 1000, &why);
	if (r == -ECANCELED) {
		if (err)
			*err = why;
		return r;
	}
	if (!r)
		take_roles(&now, &c->t);
	else
		noted = take_kept(&now, c, &e);
	if (now.role[BL_META_TIMESTAMP].version != was)
		now.since_ms = now_ms;
	note_result(&now, r, &why, now_ms);
	if (random)
		now.next_ms = now_ms + bl_fresh_wait_ms(&now, now_ms, *random);
	if (!noted)
		noted = write_note(c->dir, &now, &e);
	/* Who only looks need not own the folder. */
	if (!random)
		noted = 0;
	if (ret)
		*ret = now;
	if (err && (r < 0 || noted < 0))
		*err = r < 0 ? why : e;
	return r < 0 ? r : noted;
}
