/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/tuf.h"

#include <assert.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

int bl_tuf_from_dir(void *ctx, const char *name, size_t max_bytes,
		    struct bl_buf *ret, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s", (const char *)ctx, name);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_read_regular(path, max_bytes, ret, err);
}

int bl_tuf_open(const char *dir, struct bl_tuf *ret, struct bl_err *err)
{
	struct bl_tuf c = { .dir = strdup(dir) };
	int r;

	if (!c.dir)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_trust_state_load(dir, &c.state, err);
	if (r < 0) {
		free(c.dir);
		return r;
	}
	*ret = c;
	return 0;
}

void bl_tuf_close(struct bl_tuf *c)
{
	bl_trusted_free(&c->t);
	bl_trust_state_free(&c->state);
	free(c->dir);
	*c = (struct bl_tuf){ 0 };
}

/* The words of the attack as a hint, unless there is one already. */
static int explain(int r, struct bl_err *err)
{
	const char *words = bl_trust_fault_words(r);

	if (r < 0 && words && err && !err->hint[0])
		bl_err_hint(err, "%s", words);
	return r;
}

/* A fetcher that does not stop is not trusted to say so. */
static int fetch(const struct bl_tuf_fetcher *f, const char *name, size_t max,
		 struct bl_buf *ret, struct bl_err *err)
{
	int r = f->fetch(f->ctx, name, max, ret, err);

	if (!r && ret->len > max)
		r = bl_err_set(err, BL_TRUST_ENDLESS,
			       "%s: more than %zu bytes came", name, max);
	return r;
}

/* metadata/[VERSION.]ROLE.json; @version 0: without. */
static int fetch_metadata(const struct bl_tuf_fetcher *f, int64_t version,
			  const char *role, size_t max, struct bl_buf *ret,
			  struct bl_err *err)
{
	bl_autofree char *name = version ? bl_path("metadata/%lld.%s.json",
						   (long long)version, role)
					 : bl_path("metadata/%s.json", role);

	if (!name)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return fetch(f, name, max, ret, err);
}

/* --- roots: N+1, N+2, … until there is none (5.3) -------------------------- */

static bool root_is_newer(const struct bl_buf *text, int64_t version)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };

	return bl_meta_parse("", text->data, text->len, BL_META_ROOT, &m,
			     NULL) == 0 &&
	       m.version >= version;
}

/* F4: unless another process climbed higher meanwhile. */
static int save_root(struct bl_tuf *c, int64_t version, struct bl_buf *b,
		     struct bl_err *err)
{
	BL_CLEANUP(bl_trust_state_free) struct bl_trust_state now = { 0 };
	bl_autoclose int fd = -1;
	int r = bl_trust_state_lock(c->dir, &fd, err);

	if (!r)
		r = bl_trust_state_load(c->dir, &now, err);
	if (!r && !root_is_newer(&now.root, version))
		r = bl_trust_state_save_root(c->dir, b->data, b->len, err);
	if (r < 0)
		return r;
	bl_buf_free(&c->state.root);
	c->state.root = *b;
	*b = (struct bl_buf){ 0 };
	return 0;
}

static int next_root(struct bl_tuf *c, struct bl_trusted *t,
		     const struct bl_tuf_fetcher *f, bool *ret_more,
		     struct bl_err *err)
{
	bl_autobuf struct bl_buf b = { 0 };
	struct bl_err own = { 0 };
	int r = fetch_metadata(f, t->root.version + 1, "root", BL_META_ROOT_MAX,
			       &b, &own);

	*ret_more = r != -ENOENT;
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		if (err)
			*err = own;
		return r;
	}
	r = bl_trusted_root(t, b.data, b.len, err);
	if (!r)
		r = save_root(c, t->root.version, &b, err);
	return r;
}

static int update_root(struct bl_tuf *c, struct bl_trusted *t,
		       const struct bl_tuf_fetcher *f, struct bl_err *err)
{
	bool more = true;
	int r = 0;

	for (int i = 0; !r && more; i++) {
		if (i == BL_TUF_ROOTS_MAX)
			return bl_err_set(
				err, BL_TRUST_ENDLESS,
				"root.json: more than %d new versions",
				BL_TUF_ROOTS_MAX);
		r = next_root(c, t, f, &more, err);
	}
	return r;
}

/* --- timestamp, snapshot, targets ----------------------------------------- */

static const json_t *kept(const struct bl_tuf *c, const char *role)
{
	return json_object_get(c->state.files, role);
}

static void seen(const struct bl_tuf *c, struct bl_trusted *t,
		 enum bl_meta_kind kind)
{
	const json_t *text = kept(c, bl_meta_kind_name(kind));

	if (text)
		bl_trusted_seen(t, kind, json_string_value(text),
				json_string_length(text));
}

static int update_timestamp(struct bl_trusted *t,
			    const struct bl_tuf_fetcher *f, struct bl_err *err)
{
	bl_autobuf struct bl_buf b = { 0 };
	int r = fetch_metadata(f, 0, "timestamp", BL_META_TIMESTAMP_MAX, &b,
			       err);

	return r ? r : bl_trusted_timestamp(t, b.data, b.len, err);
}

static int take(struct bl_trusted *t, const char *role,
		const struct bl_meta *by, const void *data, size_t len,
		struct bl_err *err)
{
	return strcmp(role, "snapshot") == 0
		       ? bl_trusted_snapshot(t, data, len, err)
		       : bl_trusted_targets(t, role, by, data, len, err);
}

/*
 * Snapshot, targets or a delegated role: what was kept, if it still is the one,
 * else what the repository has. Without a fetcher the first must do.
 */
static int update_role(const struct bl_tuf *c, struct bl_trusted *t,
		       const struct bl_tuf_fetcher *f, const char *role,
		       const struct bl_meta *by, struct bl_err *err)
{
	bl_autobuf struct bl_buf b = { 0 };
	const json_t *old = kept(c, role);
	struct bl_meta_file file;
	size_t max = strcmp(role, "snapshot") == 0 ? BL_META_SNAPSHOT_MAX
						   : BL_META_TARGETS_MAX;
	int r = bl_trusted_expect(t, role, &file, err);

	if (r < 0)
		return r;
	if (old) {
		r = take(t, role, by, json_string_value(old),
			 json_string_length(old), f ? NULL : err);
		if (!r || !f)
			return r;
	}
	if (!f)
		return bl_err_set(err, -ENOENT, "%s.json was not fetched yet",
				  role);
	if (file.length >= 0 && (size_t)file.length < max)
		max = (size_t)file.length;
	r = fetch_metadata(f, t->root.consistent ? file.version : 0, role, max,
			   &b, err);
	return r ? r : take(t, role, by, b.data, b.len, err);
}

static int keep(json_t *files, const char *role, const struct bl_meta *m)
{
	return json_object_set_new(files, role,
				   json_stringn(m->doc.text, m->doc.len));
}

/* Of the version that the snapshot speaks of. */
static bool is_current(const json_t *text, const struct bl_meta_file *file)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };

	return bl_meta_parse("", json_string_value(text),
			     json_string_length(text), BL_META_TARGETS, &m,
			     NULL) == 0 &&
	       m.version == file->version;
}

/* Delegated roles that were not asked for this time stay until they are
 * replaced; they are verified again before they are used. */
static int keep_old(json_t *files, const struct bl_tuf *c,
		    const struct bl_trusted *t)
{
	struct bl_meta_file file;
	const char *role;
	json_t *text;
	int r = 0;

	json_object_foreach (c->state.files, role, text) {
		bl_autofree char *name = bl_path("%s.json", role);

		if (!name)
			return -1;
		if (bl_meta_file(&t->snapshot, name, &file) &&
		    is_current(text, &file))
			r |= json_object_set(files, role, text);
	}
	return r;
}

/* F4. What a key of before wrote does not count (C4). */
static bool is_newer(const struct bl_trust_state *now,
		     const struct bl_trusted *t)
{
	const json_t *text = json_object_get(now->files, "timestamp");
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };

	return text &&
	       bl_meta_parse("", json_string_value(text),
			     json_string_length(text), BL_META_TIMESTAMP, &m,
			     NULL) == 0 &&
	       bl_meta_signed_by(&m, &t->root, "timestamp", NULL) == 0 &&
	       m.version > t->timestamp.version;
}

/* What was taken this time, with or without the roles of before. */
static int gather(const struct bl_tuf *c, const struct bl_trusted *t, bool old,
		  json_t **ret, struct bl_err *err)
{
	bl_autojson json_t *files = json_object();
	int r = (old ? keep_old(files, c, t) : 0) |
		keep(files, "timestamp", &t->timestamp) |
		keep(files, "snapshot", &t->snapshot) |
		keep(files, "targets", &t->targets);

	for (size_t i = 0; i < t->delegated_count; i++)
		r |= keep(files, t->delegated[i].name, &t->delegated[i].meta);
	if (r < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	*ret = json_incref(files);
	return 0;
}

static int write_files(const struct bl_tuf *c, const struct bl_trusted *t,
		       const json_t *files, struct bl_err *err)
{
	BL_CLEANUP(bl_trust_state_free) struct bl_trust_state now = { 0 };
	bl_autoclose int fd = -1;
	int r = bl_trust_state_lock(c->dir, &fd, err);

	if (!r)
		r = bl_trust_state_load(c->dir, &now, err);
	if (!r && !is_newer(&now, t))
		r = bl_trust_state_save(c->dir, files, err);
	return r;
}

/* F2. Nothing is written when nothing is new. Where all of it would be too much,
 * roles of before make way: they can be fetched again, and whoever writes large
 * ones must not keep a host from its next update. */
static int save(struct bl_tuf *c, struct bl_trusted *t, struct bl_err *err)
{
	bl_autojson json_t *files = NULL, *fewer = NULL;
	struct bl_err why = { 0 };
	int r = gather(c, t, true, &files, err);

	if (r < 0 || json_equal(files, c->state.files))
		return r;
	r = write_files(c, t, files, &why);
	if (r == BL_TRUST_ENDLESS) {
		r = gather(c, t, false, &fewer, err);
		if (!r)
			r = write_files(c, t, fewer, err);
	} else if (r < 0 && err) {
		*err = why;
	}
	if (r < 0)
		return r;
	json_decref(c->state.files);
	c->state.files = json_incref(fewer ? fewer : files);
	return 0;
}

/* What another process may have put there since. */
static int reload(struct bl_tuf *c, struct bl_err *err)
{
	struct bl_trust_state now = { 0 };
	int r = bl_trust_state_load(c->dir, &now, err);

	if (r < 0)
		return r;
	bl_trust_state_free(&c->state);
	c->state = now;
	return 0;
}

int bl_tuf_refresh(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		   int64_t now_s, struct bl_err *err)
{
	BL_CLEANUP(bl_trusted_free) struct bl_trusted t = { .now_s = now_s };
	int r;

	bl_trusted_free(&c->t);
	r = reload(c, err);
	if (r < 0)
		return r;
	r = bl_trusted_root(&t, c->state.root.data, c->state.root.len, err);
	if (r < 0)
		bl_err_wrap(err, r, "%s", c->dir);
	if (!r)
		r = update_root(c, &t, f, err);
	if (!r) {
		seen(c, &t, BL_META_TIMESTAMP);
		seen(c, &t, BL_META_SNAPSHOT);
		r = update_timestamp(&t, f, err);
	}
	if (!r)
		r = update_role(c, &t, f, "snapshot", NULL, err);
	if (!r)
		r = update_role(c, &t, f, "targets", NULL, err);
	if (!r)
		r = save(c, &t, err);
	if (r < 0)
		return explain(r, err);
	c->t = t;
	t = (struct bl_trusted){ 0 };
	return 0;
}

int bl_tuf_offline(struct bl_tuf *c, int64_t now_s, struct bl_err *err)
{
	BL_CLEANUP(bl_trusted_free) struct bl_trusted t = { .now_s = now_s };
	const json_t *text = kept(c, "timestamp");
	int r;

	bl_trusted_free(&c->t);
	if (!text) {
		bl_err_set(err, -ENOENT, "%s: no repository was asked yet",
			   c->dir);
		bl_err_hint(err, "belay trust status %s --repo REPO", c->dir);
		return -ENOENT;
	}
	r = bl_trusted_root(&t, c->state.root.data, c->state.root.len, err);
	if (!r)
		r = bl_trusted_timestamp(&t, json_string_value(text),
					 json_string_length(text), err);
	if (!r)
		r = update_role(c, &t, NULL, "snapshot", NULL, err);
	if (!r)
		r = update_role(c, &t, NULL, "targets", NULL, err);
	if (r < 0)
		return explain(bl_err_wrap(err, r, "%s", c->dir), err);
	c->t = t;
	t = (struct bl_trusted){ 0 };
	return 0;
}

/* --- delegated roles ------------------------------------------------------ */

static int load_role(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		     const char *role, const struct bl_meta *by,
		     const struct bl_meta **ret, struct bl_err *err)
{
	int r = 0;

	if (!bl_trusted_role(&c->t, by, role)) {
		r = update_role(c, &c->t, f, role, by, err);
		if (!r && f)
			r = save(c, &c->t, err);
	}
	if (!r)
		*ret = bl_trusted_role(&c->t, by, role);
	return r;
}

int bl_tuf_role(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		const char *role, const struct bl_meta **ret,
		struct bl_err *err)
{
	assert(c->t.targets.body);
	return explain(load_role(c, f, role, &c->t.targets, ret, err), err);
}

/* Roles that are still to be asked: a stack, the next one on top. */
struct walk {
	struct {
		const char *role;
		const struct bl_meta *by; /* NULL: the root */
	} next[BL_TUF_VISIT_MAX * BL_META_DELEGATIONS_MAX];
	size_t count;
	const char *visited[BL_TUF_VISIT_MAX];
	size_t visits;
};

/* The roles that @m lets speak of @path, the first on top; one that terminates
 * is the last that is asked at all. */
static void push(struct walk *w, const struct bl_meta *m, const char *path)
{
	const char *roles[BL_META_DELEGATIONS_MAX];
	size_t count = 0;
	bool last = false;

	for (size_t i = 0; !last; i++) {
		const char *role = bl_meta_delegation(m, i, &last);

		if (!role)
			break;
		if (bl_meta_delegates(m, i, path))
			roles[count++] = role;
		else
			last = false;
	}
	if (last)
		w->count = 0;
	while (count) {
		assert(w->count < BL_ARRAY_SIZE(w->next));
		w->next[w->count].role = roles[--count];
		w->next[w->count++].by = m;
	}
}

static bool was_visited(const struct walk *w, const char *role)
{
	for (size_t i = 0; i < w->visits; i++)
		if (strcmp(w->visited[i], role) == 0)
			return true;
	return false;
}

static int search(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		  const char *path, struct bl_meta_target *ret,
		  const char **ret_role, struct bl_err *err)
{
	struct walk w = { .count = 1 };

	w.next[0].role = "targets";
	while (w.count && w.visits < BL_TUF_VISIT_MAX) {
		const char *role = w.next[--w.count].role;
		const struct bl_meta *m = NULL;
		int r;

		if (was_visited(&w, role))
			continue;
		r = load_role(c, f, role, w.next[w.count].by, &m, err);
		if (r < 0)
			return r;
		w.visited[w.visits++] = role;
		if (bl_meta_target(m, path, ret)) {
			if (ret_role)
				*ret_role = role;
			return 0;
		}
		push(&w, m, path);
	}
	return bl_err_set(err, BL_TRUST_UNLISTED,
			  "%s: not in this repository's signed targets", path);
}

int bl_tuf_find(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		const char *path, struct bl_meta_target *ret,
		const char **ret_role, struct bl_err *err)
{
	int r;

	assert(c->t.targets.body);
	if (!bl_meta_path_valid(path))
		r = bl_err_set(err, BL_TRUST_NAME,
			       "'%s' is no name of a target", path);
	else
		r = search(c, f, path, ret, ret_role, err);
	return explain(r, err);
}

int bl_tuf_fetch(struct bl_tuf *c, const struct bl_tuf_fetcher *f,
		 const struct bl_meta_target *target, struct bl_buf *ret,
		 struct bl_err *err)
{
	bl_autobuf struct bl_buf b = { 0 };
	const char *slash = strrchr(target->path, '/');
	int dir = slash ? (int)(slash + 1 - target->path) : 0;
	bl_autofree char *name = c->t.root.consistent
					 ? bl_path("targets/%.*s%s.%s", dir,
						   target->path, target->sha256,
						   target->path + dir)
					 : bl_path("targets/%s", target->path);
	int r;

	if (!name)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = fetch(f, name, (size_t)target->length, &b, err);
	if (!r)
		r = bl_trusted_package(target, b.data, b.len, err);
	if (!r)
		r = bl_buf_add(ret, bl_buf_str(&b), b.len);
	return explain(r, err);
}
