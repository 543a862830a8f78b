/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/repo_write.h"

#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/canon.h"
#include "loader/trust/fleet.h"

/* Texts that are signed and not written yet; NULL: that role is unchanged. */
struct signing {
	struct bl_meta root, targets; /* as they will be */
	char *text[BL_REPO_ROLES];
};

static void signing_free(struct signing *s)
{
	bl_meta_free(&s->root);
	bl_meta_free(&s->targets);
	for (int i = 0; i < BL_REPO_ROLES; i++)
		free(s->text[i]);
}

static json_int_t version_of(const json_t *body)
{
	return json_integer_value(json_object_get(body, "version"));
}

/* A body that nobody signed yet, to ask it for its roles. */
int bl_repo_read_body(const json_t *body, enum bl_meta_kind kind,
		      struct bl_meta *ret, struct bl_err *err)
{
	bl_autojson json_t *all =
		json_pack("{s:[], s:O}", "signatures", "signed", body);
	bl_autobuf struct bl_buf text = { 0 };
	int r;

	if (!all)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_canon(all, &text, err);
	return r ? r
		 : bl_meta_parse(bl_meta_kind_name(kind), text.data, text.len,
				 kind, ret, err);
}

static int check_signed(const char *text, enum bl_repo_role role,
			enum bl_meta_kind kind, const struct bl_meta *by,
			struct bl_err *err)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { 0 };
	const char *name = bl_repo_role_name(role);
	int r = bl_meta_parse(name, text, strlen(text), kind, &m, err);

	if (!r)
		r = bl_meta_signed_by(&m, by, name, err);
	if (r == BL_TRUST_SIGNATURE)
		bl_err_hint(
			err,
			"name the folders with the other keys as well: --keys DIR --keys DIR; or --propose, and let their holders sign; nothing was written");
	return r;
}

static enum bl_meta_kind kind_of(enum bl_repo_role role)
{
	static const enum bl_meta_kind kinds[BL_REPO_ROLES] = {
		[BL_REPO_TARGETS] = BL_META_TARGETS,
		[BL_REPO_FLEET] = BL_META_TARGETS,
		[BL_REPO_SNAPSHOT] = BL_META_SNAPSHOT,
		[BL_REPO_TIMESTAMP] = BL_META_TIMESTAMP,
		[BL_REPO_ROOT] = BL_META_ROOT,
	};

	return kinds[role];
}

/*
 * By the keys that the role will have, and by those that it has (R3). A root
 * must be signed by enough of both; for the others the old ones are a courtesy
 * to clients between two files, and may be lost.
 */
static int sign(struct bl_repo *r, struct signing *s, enum bl_repo_role role,
		struct bl_err *err)
{
	const struct bl_trusted *t = &r->tuf.t;
	const struct bl_meta *by[2] = { &s->root,
					t->root.body ? &t->root : NULL };
	int e;

	if (role == BL_REPO_FLEET) {
		by[0] = &s->targets;
		by[1] = t->targets.body ? &t->targets : NULL;
	}
	if (r->cosigned[role]) {
		s->text[role] = strdup(r->cosigned[role]);
		e = s->text[role] ? 0
				  : bl_err_set(err, -ENOMEM, "out of memory");
	} else {
		e = bl_keys_sign(r->keys, r->body[role], by,
				 bl_repo_role_name(role), &s->text[role], err);
	}
	if (!e)
		e = check_signed(s->text[role], role, kind_of(role), by[0],
				 err);
	if (!e && role == BL_REPO_ROOT && by[1])
		e = check_signed(s->text[role], role, BL_META_ROOT, by[1], err);
	return e;
}

/* What the role above states of a file that was signed just now. */
static int state(json_t *body, const char *file, json_int_t version,
		 const char *text, struct bl_err *err)
{
	json_t *meta = json_object_get(body, "meta");
	char hex[BL_DIGEST_HEX];

	if (!meta) {
		meta = json_object();
		json_object_set_new(body, "meta", meta);
	}
	if (bl_digest(text, strlen(text), hex) < 0)
		return bl_err_set(err, -EIO, "libsodium cannot start");
	if (json_object_set_new(meta, file,
				json_pack("{s:I, s:I, s:{s:s}}", "version",
					  version, "length",
					  (json_int_t)strlen(text), "hashes",
					  "sha256", hex)) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* A change goes up: whoever states a file that changed changes, too. */
static void spread(bool changed[BL_REPO_ROLES])
{
	changed[BL_REPO_SNAPSHOT] |= changed[BL_REPO_TARGETS] ||
				     changed[BL_REPO_FLEET];
	changed[BL_REPO_TIMESTAMP] |= changed[BL_REPO_SNAPSHOT];
}

/* A1 of fleet.h, of what is to be signed. One that is broken already must not
 * keep anybody from mending it. */
static int check_fleet(const struct bl_repo *r, const struct signing *s,
		       struct bl_err *err)
{
	BL_CLEANUP(bl_meta_free) struct bl_meta fleet = { 0 };
	const struct bl_trusted *t = &r->tuf.t;
	const struct bl_meta *old =
		bl_trusted_role(t, &t->targets, BL_FLEET_ROLE);
	int e;

	if (!r->body[BL_REPO_FLEET])
		return 0;
	if (old && bl_fleet_check(&t->targets, old, NULL) < 0)
		return 0;
	e = bl_repo_read_body(r->body[BL_REPO_FLEET], BL_META_TARGETS, &fleet,
			      err);
	return e ? e : bl_fleet_check(&s->targets, &fleet, err);
}

static int sign_all(struct bl_repo *r, struct signing *s, struct bl_err *err)
{
	static const struct {
		enum bl_repo_role role, above;
		const char *file;
	} steps[] = {
		{ BL_REPO_TARGETS, BL_REPO_SNAPSHOT, "targets.json" },
		{ BL_REPO_FLEET, BL_REPO_SNAPSHOT, BL_FLEET_ROLE ".json" },
		{ BL_REPO_SNAPSHOT, BL_REPO_TIMESTAMP, "snapshot.json" },
		{ BL_REPO_TIMESTAMP, BL_REPO_ROLES, NULL },
		{ BL_REPO_ROOT, BL_REPO_ROLES, NULL },
	};
	int e = bl_repo_read_body(r->body[BL_REPO_ROOT], BL_META_ROOT, &s->root,
				  err);

	if (!e)
		e = bl_repo_read_body(r->body[BL_REPO_TARGETS], BL_META_TARGETS,
				      &s->targets, err);
	if (!e)
		e = check_fleet(r, s, err);
	for (size_t i = 0; !e && i < BL_ARRAY_SIZE(steps); i++) {
		enum bl_repo_role role = steps[i].role;

		if (!r->changed[role])
			continue;
		e = sign(r, s, role, err);
		if (!e && steps[i].file)
			e = state(r->body[steps[i].above], steps[i].file,
				  version_of(r->body[role]), s->text[role],
				  err);
	}
	return e;
}

static int write_one(const struct bl_repo *r, enum bl_repo_role role,
		     const char *text, struct bl_err *err)
{
	bl_autofree char *path =
		role == BL_REPO_TIMESTAMP
			? bl_path("%s/metadata/timestamp.json", r->dir)
			: bl_path("%s/metadata/%lld.%s.json", r->dir,
				  (long long)version_of(r->body[role]),
				  bl_repo_role_name(role));

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(path, text, strlen(text), 0644, err);
}

/* R2: in the order of enum bl_repo_role. A repository that has no root yet is
 * nobody's before its first one, which is what its keys' folder trusts. */
static int write_all(struct bl_repo *r, const struct signing *s,
		     struct bl_err *err)
{
	const char *root = s->text[BL_REPO_ROOT];
	int e = 0;

	for (int i = 0; !e && i < BL_REPO_ROLES; i++)
		if (s->text[i])
			e = write_one(r, (enum bl_repo_role)i, s->text[i], err);
	if (!e && !r->tuf.dir)
		e = bl_trust_state_save_root(r->anchor, root, strlen(root),
					     err);
	return e;
}

int bl_repo_write(struct bl_repo *r, struct bl_err *err)
{
	BL_CLEANUP(signing_free) struct signing s = { 0 };
	int e;

	spread(r->changed);
	if (r->changed[BL_REPO_FLEET] &&
	    bl_repo_must_have(r, BL_REPO_FLEET, err) < 0)
		return -ENOENT;
	for (int i = 0; i < BL_REPO_ROLES; i++)
		if (r->changed[i] && !r->cosigned[i])
			bl_repo_stamp(r->body[i], r->now_s,
				      (enum bl_repo_role)i);
	e = sign_all(r, &s, err);
	/* Before what only they can continue, after what can be refused. */
	if (!e)
		e = bl_keys_write(r->anchor, r->keys, err);
	if (!e)
		e = write_all(r, &s, err);
	if (e < 0)
		return e;
	e = bl_repo_verify(r, err);
	if (e < 0)
		bl_err_wrap(err, e, "what was written is not taken by clients");
	return e;
}
