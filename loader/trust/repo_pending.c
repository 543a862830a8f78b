/* SPDX-License-Identifier: Apache-2.0 */
/* What waits in a repository until enough of those who hold its keys signed. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/canon.h"
#include "loader/trust/repo.h"
#include "loader/trust/repo_write.h"

/* The ones that are signed offline. */
static const struct {
	enum bl_repo_role role;
	enum bl_meta_kind kind;
	size_t max;
} waiting[] = {
	{ BL_REPO_ROOT, BL_META_ROOT, BL_META_ROOT_MAX },
	{ BL_REPO_TARGETS, BL_META_TARGETS, BL_META_TARGETS_MAX },
};

static char *path_of(const struct bl_repo *r, enum bl_repo_role role)
{
	return bl_path("%s/pending/%s.json", r->dir, bl_repo_role_name(role));
}

void bl_repo_pending_free(struct bl_repo_pending *p)
{
	bl_meta_free(&p->meta);
	*p = (struct bl_repo_pending){ 0 };
}

static int write_pending(const struct bl_repo *r, enum bl_repo_role role,
			 const char *text, struct bl_err *err)
{
	bl_autofree char *dir = bl_path("%s/pending", r->dir);
	bl_autofree char *path = path_of(r, role);
	int e;

	if (!dir || !path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	e = bl_file_mkdirs(dir, 0755, err);
	return e ? e : bl_file_write(path, text, strlen(text), 0644, err);
}

/* --- proposing ------------------------------------------------------------- */

static int must_be_free(const struct bl_repo *r, enum bl_repo_role role,
			struct bl_err *err)
{
	bl_autofree char *path = path_of(r, role);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (access(path, F_OK) < 0)
		return 0;
	bl_err_set(err, -EEXIST, "%s waits for signatures already", path);
	bl_err_hint(err, "belay trust sign %s --keys DIR, or --drop", r->dir);
	return -EEXIST;
}

/* By the keys that the role has, and those that it will have. */
static int propose(struct bl_repo *r, size_t i, struct bl_err *err)
{
	enum bl_repo_role role = waiting[i].role;
	BL_CLEANUP(bl_meta_free) struct bl_meta next = { 0 };
	const struct bl_meta *by[2] = { &r->tuf.t.root, NULL };
	bl_autofree char *text = NULL;
	int e;

	bl_repo_stamp(r->body[role], r->now_s, role);
	if (r->changed[BL_REPO_ROOT]) {
		e = bl_repo_read_body(r->body[BL_REPO_ROOT], BL_META_ROOT,
				      &next, err);
		if (e < 0)
			return e;
		by[1] = &next;
	}
	e = bl_keys_sign(r->keys, r->body[role], by, bl_repo_role_name(role),
			 &text, err);
	return e ? e : write_pending(r, role, text, err);
}

int bl_repo_propose(struct bl_repo *r, struct bl_err *err)
{
	int e = 0;

	if (r->changed[BL_REPO_FLEET])
		return bl_err_set(
			err, -ENOTSUP,
			"this changes what the fleet's key signs, too: that cannot wait for others");
	for (size_t i = 0; !e && i < BL_ARRAY_SIZE(waiting); i++)
		e = must_be_free(r, waiting[i].role, err);
	/* Nothing is signed by them yet, but others will name them. */
	if (!e)
		e = bl_keys_write(r->anchor, r->keys, err);
	for (size_t i = 0; !e && i < BL_ARRAY_SIZE(waiting); i++)
		if (r->changed[waiting[i].role])
			e = propose(r, i, err);
	return e;
}

/* --- signing --------------------------------------------------------------- */

static int check_pending(const struct bl_repo *r, const char *path,
			 struct bl_repo_pending *p, struct bl_err *err)
{
	const char *name = bl_repo_role_name(p->role);
	const struct bl_meta *now = p->role == BL_REPO_ROOT ? &r->tuf.t.root
							    : &r->tuf.t.targets;
	size_t keys;

	if (p->meta.version != now->version + 1) {
		bl_err_set(err,
			   p->meta.version <= now->version ? BL_TRUST_ROLLBACK
							   : BL_TRUST_GAP,
			   "%s: version %lld waits, and %lld is the next one",
			   path, (long long)p->meta.version,
			   (long long)now->version + 1);
		bl_err_hint(err, "belay trust sign %s --drop", r->dir);
		return p->meta.version <= now->version ? BL_TRUST_ROLLBACK
						       : BL_TRUST_GAP;
	}
	if (p->meta.expires_s <= r->now_s)
		return bl_err_set(err, BL_TRUST_EXPIRED, "%s: it has expired",
				  path);
	bl_meta_role(&r->tuf.t.root, name, &keys, &p->threshold);
	bl_meta_unsigned(&p->meta, &r->tuf.t.root, name, 0, &p->signed_by);
	if (!p->signed_by)
		return bl_err_set(
			err, BL_TRUST_SIGNATURE,
			"%s: no key of the role '%s' has signed it: whose words are these?",
			path, name);
	return 0;
}

int bl_repo_pending(const struct bl_repo *r, enum bl_repo_role role,
		    struct bl_repo_pending *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_repo_pending_free)
	struct bl_repo_pending p = { .role = role };
	bl_autofree char *path = path_of(r, role);
	bl_autobuf struct bl_buf b = { 0 };
	size_t i = role == BL_REPO_ROOT ? 0 : 1;
	int e;

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (waiting[i].role != role)
		return bl_err_set(err, -ENOENT, "nothing of it can wait");
	e = bl_file_read_regular(path, waiting[i].max, &b, err);
	if (!e)
		e = bl_meta_parse(path, bl_buf_str(&b), b.len, waiting[i].kind,
				  &p.meta, err);
	if (!e)
		e = check_pending(r, path, &p, err);
	if (!e && bl_digest(p.meta.text.data, p.meta.text.len, p.digest) < 0)
		e = bl_err_set(err, -EIO, "libsodium cannot start");
	if (e < 0)
		return e;
	*ret = p;
	p = (struct bl_repo_pending){ 0 };
	return 0;
}

/* @list with the signatures of @more that are not in it. */
static void merge(json_t *list, const json_t *more)
{
	const json_t *one, *other;
	size_t i, k;

	json_array_foreach (more, i, one) {
		bool there = false;

		json_array_foreach (list, k, other)
			there |= json_equal(json_object_get(one, "keyid"),
					    json_object_get(other, "keyid"));
		if (!there)
			json_array_append(list, (json_t *)(uintptr_t)one);
	}
}

/* The file with ours beside the others' signatures. */
static int add_ours(const struct bl_repo *r, const struct bl_repo_pending *p,
		    char **ret, struct bl_err *err)
{
	const struct bl_meta *by[2] = { &r->tuf.t.root, p->role == BL_REPO_ROOT
								? &p->meta
								: NULL };
	bl_autojson json_t *ours = NULL, *all = NULL;
	bl_autofree char *text = NULL;
	bl_autobuf struct bl_buf out = { 0 };
	json_t *list;
	int e = bl_keys_sign(r->keys, p->meta.body, by,
			     bl_repo_role_name(p->role), &text, err);

	if (e < 0)
		return e;
	ours = json_loads(text, 0, NULL);
	list = json_deep_copy(json_object_get(ours, "signatures"));
	merge(list, json_object_get(p->meta.doc.root, "signatures"));
	all = json_pack("{s:o, s:O}", "signatures", list, "signed",
			p->meta.body);
	if (!all)
		return bl_err_set(err, -ENOMEM, "out of memory");
	e = bl_canon(all, &out, err);
	if (!e)
		*ret = BL_TAKE(out.data);
	return e;
}

/* Who could still sign, as their files are called. */
static int wait_for(const struct bl_repo *r, const struct bl_repo_pending *p,
		    struct bl_err *err)
{
	const char *name = bl_repo_role_name(p->role), *id;
	char who[BL_ERR_TEXT_MAX / 2] = "";
	size_t at = 0;

	for (size_t i = 0;
	     (id = bl_meta_unsigned(&p->meta, &r->tuf.t.root, name, i, NULL));
	     i++) {
		int n = snprintf(who + at, sizeof(who) - at, "%s%s-%.8s",
				 i ? ", " : "", name, id);

		if (n < 0 || at + (size_t)n >= sizeof(who))
			break;
		at += (size_t)n;
	}
	bl_err_set(
		err, 0,
		"version %lld of %s is signed by %zu of %zu; missing: %zu of %s",
		(long long)p->meta.version, name, p->signed_by, p->threshold,
		p->threshold - p->signed_by, who);
	return 0;
}

/* What waits is what was to be signed: each, and nothing else. */
static int check_expected(const struct bl_repo *r,
			  const struct bl_repo_pending *p,
			  const char *const *digests, size_t count,
			  struct bl_err *err)
{
	size_t i, k, found = 0;

	for (i = 0; i < BL_ARRAY_SIZE(waiting); i++) {
		if (!p[i].meta.body)
			continue;
		for (k = 0; k < count; k++)
			if (strcmp(digests[k], p[i].digest) == 0)
				break;
		if (k == count)
			break;
		found++;
	}
	if (i == BL_ARRAY_SIZE(waiting) && found == count)
		return 0;
	if (i == BL_ARRAY_SIZE(waiting))
		bl_err_set(err, BL_TRUST_UNEXPECTED,
			   "%s: %zu of the %zu that are expected wait%s there",
			   r->dir, found, count, found == 1 ? "s" : "");
	else
		bl_err_set(
			err, BL_TRUST_UNEXPECTED,
			"%s: version %lld of %s waits there with digest %s, which is not the one expected",
			r->dir, (long long)p[i].meta.version,
			bl_repo_role_name(p[i].role), p[i].digest);
	bl_err_hint(
		err,
		"nothing was signed; belay trust sign %s --trust DIR shows what waits: ask who proposed it",
		r->dir);
	return BL_TRUST_UNEXPECTED;
}

/* 1: enough have signed. @one is read anew with our signature. */
static int cosign_one(struct bl_repo *r, const struct bl_repo_pending *one,
		      struct bl_err *err)
{
	BL_CLEANUP(bl_repo_pending_free) struct bl_repo_pending p = { 0 };
	enum bl_repo_role role = one->role;
	int e = add_ours(r, one, &r->cosigned[role], err);

	if (!e)
		e = write_pending(r, role, r->cosigned[role], err);
	if (!e)
		e = bl_repo_pending(r, role, &p, err);
	if (!e && strcmp(p.digest, one->digest) != 0)
		e = bl_err_set(
			err, BL_TRUST_UNEXPECTED,
			"%s: somebody else writes there: it is another one now",
			r->dir);
	if (e < 0)
		return e;
	json_decref(r->body[role]);
	r->body[role] = json_deep_copy(p.meta.body);
	r->changed[role] = true;
	return p.signed_by >= p.threshold ? 1 : wait_for(r, &p, err);
}

int bl_repo_drop(struct bl_repo *r, struct bl_err *err)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(waiting); i++) {
		bl_autofree char *path = path_of(r, waiting[i].role);

		if (!path)
			return bl_err_set(err, -ENOMEM, "out of memory");
		if (unlink(path) < 0 && errno != ENOENT)
			return bl_err_errno(err, -errno, "cannot remove %s",
					    path);
	}
	return 0;
}

/* Whose keys a root that waits replaces signs with the new ones. */
static void mark_replaced(struct bl_repo *r)
{
	static const enum bl_repo_role online[] = { BL_REPO_SNAPSHOT,
						    BL_REPO_TIMESTAMP };
	const json_t *now = json_object_get(r->tuf.t.root.body, "roles");
	const json_t *next = json_object_get(r->body[BL_REPO_ROOT], "roles");

	for (size_t i = 0; i < BL_ARRAY_SIZE(online); i++) {
		const char *name = bl_repo_role_name(online[i]);

		r->changed[online[i]] |=
			!json_equal(json_object_get(now, name),
				    json_object_get(next, name));
	}
}

/* All that waits, before anything is signed. */
static int read_all(const struct bl_repo *r,
		    struct bl_repo_pending ret[BL_REPO_WAITING_MAX],
		    struct bl_err *err)
{
	bool any = false;

	for (size_t i = 0; i < BL_ARRAY_SIZE(waiting); i++) {
		struct bl_err why = { 0 };
		int e = bl_repo_pending(r, waiting[i].role, &ret[i], &why);

		if (e < 0 && e != -ENOENT) {
			if (err)
				*err = why;
			return e;
		}
		any |= !e;
	}
	return any ? 0
		   : bl_err_set(err, -ENOENT, "%s: nothing waits there",
				r->dir);
}

/* 1: enough have signed all of it. */
static int cosign_all(struct bl_repo *r,
		      const struct bl_repo_pending p[BL_REPO_WAITING_MAX],
		      struct bl_err *err)
{
	int e, enough = 1;

	for (size_t i = 0; i < BL_ARRAY_SIZE(waiting); i++) {
		if (!p[i].meta.body)
			continue;
		e = cosign_one(r, &p[i], err);
		if (e < 0)
			return e;
		enough &= e;
	}
	return enough;
}

static void free_all(struct bl_repo_pending (*p)[BL_REPO_WAITING_MAX])
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(waiting); i++)
		bl_repo_pending_free(&(*p)[i]);
}

int bl_repo_cosign(struct bl_repo *r, const char *const *digests, size_t count,
		   struct bl_err *err)
{
	BL_CLEANUP(free_all)
	struct bl_repo_pending p[BL_REPO_WAITING_MAX] = { 0 };
	int e = read_all(r, p, err);

	static_assert(BL_ARRAY_SIZE(waiting) == BL_REPO_WAITING_MAX, "each");
	if (!e)
		e = check_expected(r, p, digests, count, err);
	if (e < 0)
		return e;
	e = cosign_all(r, p, err);
	if (e != 1)
		return e;
	mark_replaced(r);
	e = bl_repo_publish(r, err);
	if (e == BL_TRUST_SIGNATURE)
		bl_err_hint(
			err,
			"enough have signed; who holds the keys of snapshot and timestamp publishes it by the same command");
	if (!e)
		e = bl_repo_drop(r, err);
	return e < 0 ? e : 1;
}
