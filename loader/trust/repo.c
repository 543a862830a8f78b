/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/repo.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/canon.h"
#include "loader/trust/fleet.h"
#include "loader/trust/repo_write.h"

static const struct {
	const char *name;
	int days;
} roles[BL_REPO_ROLES] = {
	[BL_REPO_TARGETS] = { "targets", BL_REPO_TARGETS_DAYS },
	[BL_REPO_FLEET] = { BL_FLEET_ROLE, BL_REPO_FLEET_DAYS },
	[BL_REPO_SNAPSHOT] = { "snapshot", BL_REPO_SNAPSHOT_DAYS },
	[BL_REPO_TIMESTAMP] = { "timestamp", BL_REPO_TIMESTAMP_DAYS },
	[BL_REPO_ROOT] = { "root", BL_REPO_ROOT_DAYS },
};

const char *bl_repo_role_name(enum bl_repo_role role)
{
	return roles[role].name;
}

int bl_repo_role_parse(const char *name, enum bl_repo_role *ret)
{
	for (int i = 0; i < BL_REPO_ROLES; i++) {
		if (strcmp(roles[i].name, name) != 0)
			continue;
		*ret = (enum bl_repo_role)i;
		return 0;
	}
	return -EINVAL;
}

void bl_repo_close(struct bl_repo *r)
{
	for (int i = 0; i < BL_REPO_ROLES; i++) {
		json_decref(r->body[i]);
		free(r->cosigned[i]);
	}
	bl_tuf_close(&r->tuf);
	free(r->dir);
	free(r->anchor);
	*r = (struct bl_repo){ 0 };
}

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

/* --- bodies --------------------------------------------------------------- */

void bl_repo_stamp(json_t *body, int64_t now_s, enum bl_repo_role role)
{
	time_t until = (time_t)(now_s + roles[role].days * 86400LL);
	json_int_t version =
		json_integer_value(json_object_get(body, "version"));
	char text[32];
	struct tm t;

	gmtime_r(&until, &t);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &t);
	json_object_set_new(body, "version", json_integer(version + 1));
	json_object_set_new(body, "expires", json_string(text));
}

/* Version 0: the first stamp makes it 1. */
static json_t *new_body(enum bl_repo_role role)
{
	return json_pack("{s:s, s:s, s:i}", "_type",
			 role == BL_REPO_FLEET ? "targets" : roles[role].name,
			 "spec_version", "1.0.31", "version", 0);
}

/* Keys of the ring from @first on, as a role that needs @threshold of them;
 * the keys themselves go into @keys. */
static json_t *new_role(const struct bl_keys *ring, size_t first,
			unsigned threshold, json_t *keys)
{
	json_t *ids = json_array();

	for (size_t i = first; i < ring->count; i++) {
		json_array_append_new(ids, json_string(ring->key[i].id));
		json_object_set_new(keys, ring->key[i].id,
				    bl_key_public(&ring->key[i]));
	}
	return json_pack("{s:o, s:I}", "keyids", ids, "threshold",
			 (json_int_t)threshold);
}

static int make_keys(struct bl_keys *ring, enum bl_repo_role role, size_t count,
		     struct bl_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < count; i++)
		r = bl_keys_make(roles[role].name, ring, err);
	return r;
}

/* --- a new one ------------------------------------------------------------ */

struct counts {
	size_t keys;
	unsigned threshold;
};

/* The bodies of the root and of targets with new keys for every role. */
static int fill(struct bl_repo *r, const struct counts counts[BL_REPO_ROLES],
		struct bl_err *err)
{
	json_t *keys = json_object(), *all = json_object();
	json_t *fleet_keys = json_object();
	json_t *fleet = NULL;
	int i, e = 0;

	json_object_set_new(r->body[BL_REPO_TARGETS], "targets", json_object());
	json_object_set_new(r->body[BL_REPO_ROOT], "keys", keys);
	json_object_set_new(r->body[BL_REPO_ROOT], "roles", all);
	json_object_set_new(r->body[BL_REPO_ROOT], "consistent_snapshot",
			    json_true());
	for (i = 0; !e && i < BL_REPO_ROLES; i++) {
		size_t first = r->keys->count;
		json_t *role;

		if (!r->body[i])
			continue;
		e = make_keys(r->keys, (enum bl_repo_role)i, counts[i].keys,
			      err);
		if (e < 0)
			break;
		role = new_role(r->keys, first, counts[i].threshold,
				i == BL_REPO_FLEET ? fleet_keys : keys);
		if (i == BL_REPO_FLEET)
			fleet = role;
		else
			json_object_set_new(all, roles[i].name, role);
	}
	if (!fleet) {
		json_decref(fleet_keys);
		return e;
	}
	json_object_set_new(fleet, "name", json_string(BL_FLEET_ROLE));
	json_object_set_new(fleet, "terminating", json_true());
	json_object_set_new(fleet, "paths",
			    json_pack("[s]", BL_FLEET_PREFIX "*"));
	json_object_set_new(r->body[BL_REPO_TARGETS], "delegations",
			    json_pack("{s:o, s:[o]}", "keys", fleet_keys,
				      "roles", fleet));
	json_object_set_new(r->body[BL_REPO_FLEET], "targets", json_object());
	return e;
}

static int must_be_new(const char *dir, const char *what, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s", dir, what);

	if (!path)
		return no_memory(err);
	if (access(path, F_OK) < 0)
		return 0;
	return bl_err_set(err, -EEXIST, "%s is there already: nothing was made",
			  path);
}

static int make_folders(const char *dir, const char *keys_dir,
			struct bl_err *err)
{
	bl_autofree char *metadata = bl_path("%s/metadata", dir);
	bl_autofree char *targets = bl_path("%s/targets", dir);
	int r;

	if (!metadata || !targets)
		return no_memory(err);
	r = bl_file_mkdirs(keys_dir, 0700, err);
	if (!r)
		r = bl_file_mkdirs(metadata, 0755, err);
	return r ? r : bl_file_mkdirs(targets, 0755, err);
}

int bl_repo_init(const char *dir, const char *keys_dir,
		 const struct bl_repo_shape *shape, int64_t now_s,
		 struct bl_err *err)
{
	const struct counts counts[BL_REPO_ROLES] = {
		[BL_REPO_ROOT] = { shape->root_keys, shape->root_threshold },
		[BL_REPO_TARGETS] = { shape->release_keys,
				      shape->release_threshold },
		[BL_REPO_SNAPSHOT] = { 1, 1 },
		[BL_REPO_TIMESTAMP] = { 1, 1 },
		[BL_REPO_FLEET] = { 1, 1 },
	};
	BL_CLEANUP(bl_keys_wipe) struct bl_keys keys = { .count = 0 };
	BL_CLEANUP(bl_repo_close)
	struct bl_repo r = { .dir = strdup(dir),
			     .anchor = strdup(keys_dir),
			     .keys = &keys,
			     .now_s = now_s };
	int e;

	if (!r.dir || !r.anchor)
		return no_memory(err);
	e = must_be_new(dir, "metadata/1.root.json", err);
	if (!e)
		e = must_be_new(keys_dir, BL_TRUST_ROOT_FILE, err);
	if (!e)
		e = make_folders(dir, keys_dir, err);
	for (int i = 0; i < BL_REPO_ROLES; i++) {
		if (i == BL_REPO_FLEET && shape->no_fleet)
			continue;
		r.body[i] = new_body((enum bl_repo_role)i);
		r.changed[i] = true;
	}
	if (!e)
		e = fill(&r, counts, err);
	return e ? e : bl_repo_write(&r, err);
}

/* --- one that is there ----------------------------------------------------- */

static json_t *copy(const struct bl_meta *m)
{
	return m && m->body ? json_deep_copy(m->body) : NULL;
}

/* Bodies of what the client has just taken. */
static int read_bodies(struct bl_repo *r, struct bl_err *err)
{
	const struct bl_trusted *t = &r->tuf.t;
	const struct bl_meta *const metas[BL_REPO_ROLES] = {
		[BL_REPO_ROOT] = &t->root,
		[BL_REPO_TIMESTAMP] = &t->timestamp,
		[BL_REPO_SNAPSHOT] = &t->snapshot,
		[BL_REPO_TARGETS] = &t->targets,
		[BL_REPO_FLEET] =
			bl_trusted_role(t, &t->targets, BL_FLEET_ROLE),
	};

	for (int i = 0; i < BL_REPO_ROLES; i++) {
		json_decref(r->body[i]);
		r->body[i] = copy(metas[i]);
		r->changed[i] = false;
		if (!r->body[i] && metas[i])
			return no_memory(err);
	}
	return 0;
}

int bl_repo_verify(struct bl_repo *r, struct bl_err *err)
{
	const struct bl_tuf_fetcher f = { bl_tuf_from_dir, r->dir };
	const struct bl_meta *fleet;
	size_t keys, threshold;
	int e;

	bl_tuf_close(&r->tuf);
	e = bl_tuf_open(r->anchor, &r->tuf, err);
	if (!e)
		e = bl_tuf_refresh(&r->tuf, &f, 0, err);
	if (!e &&
	    bl_meta_role(&r->tuf.t.targets, BL_FLEET_ROLE, &keys, &threshold))
		e = bl_tuf_role(&r->tuf, &f, BL_FLEET_ROLE, &fleet, err);
	return e ? e : read_bodies(r, err);
}

int bl_repo_open(const char *dir, const char *anchor, struct bl_keys *keys,
		 int64_t now_s, struct bl_repo *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_repo_close)
	struct bl_repo r = { .dir = strdup(dir),
			     .anchor = strdup(anchor),
			     .keys = keys,
			     .now_s = now_s };
	int e;

	if (!r.dir || !r.anchor)
		return no_memory(err);
	e = bl_repo_verify(&r, err);
	if (e < 0)
		return bl_err_wrap(err, e, "%s", dir);
	*ret = r;
	r = (struct bl_repo){ 0 };
	return 0;
}

/* --- changes -------------------------------------------------------------- */

int bl_repo_must_have(const struct bl_repo *r, enum bl_repo_role role,
		      struct bl_err *err)
{
	return r->body[role]
		       ? 0
		       : bl_err_set(err, -ENOENT,
				    "%s: this repository has no role '%s'",
				    r->dir, roles[role].name);
}

static json_t *list_of(struct bl_repo *r, enum bl_repo_role role)
{
	return json_object_get(r->body[role], "targets");
}

/* Its assignment has the hash of what is listed now: with other bytes under the
 * name A1 of fleet.h would refuse the whole file, on every host. Who releases
 * seldom has the fleet's key, and to move hosts is not his to do. */
static int must_not_be_assigned(struct bl_repo *r, const char *name,
				const char *hex, struct bl_err *err)
{
	bl_autofree char *path = bl_path(BL_FLEET_PREFIX "%s", name);
	const json_t *entry;
	const char *old;

	if (!path)
		return no_memory(err);
	entry = json_object_get(list_of(r, BL_REPO_FLEET), path);
	old = json_string_value(
		json_object_get(json_object_get(entry, "hashes"), "sha256"));
	if (!old || strcmp(old, hex) == 0)
		return 0;
	bl_err_set(
		err, BL_TRUST_ASSIGNED,
		"%s: hosts are assigned what has this name now, and these are other bytes",
		name);
	bl_err_hint(
		err,
		"sign them under a name of their own, or let nobody run it first: belay trust assign %s %s --keys DIR",
		r->dir, name);
	return BL_TRUST_ASSIGNED;
}

int bl_repo_add(struct bl_repo *r, const char *name, const void *data,
		size_t len, struct bl_err *err)
{
	json_int_t serial = json_integer_value(json_object_get(
				    r->body[BL_REPO_TARGETS], "version")) +
			    1;
	bl_autofree char *path = NULL;
	char hex[BL_DIGEST_HEX];
	int e;

	if (!bl_name_valid(name))
		return bl_err_set(
			err, BL_TRUST_NAME,
			"'%s' is no name for a target (letters, digits and ._+-)",
			name);
	if (bl_digest(data, len, hex) < 0)
		return bl_err_set(err, -EIO, "libsodium cannot start");
	e = must_not_be_assigned(r, name, hex, err);
	if (e < 0)
		return e;
	path = bl_path("%s/targets/%s.%s", r->dir, hex, name);
	if (!path)
		return no_memory(err);
	e = bl_file_write(path, data, len, 0644, err);
	if (e < 0)
		return e;
	if (json_object_set_new(list_of(r, BL_REPO_TARGETS), name,
				json_pack("{s:I, s:{s:s}, s:{s:{s:I}}}",
					  "length", (json_int_t)len, "hashes",
					  "sha256", hex, "custom", "belay",
					  "serial", serial)) < 0)
		return no_memory(err);
	r->changed[BL_REPO_TARGETS] = true;
	return 0;
}

/* Takes an assignment back; whether there was one. */
static bool unassign(struct bl_repo *r, const char *name)
{
	bl_autofree char *path = bl_path(BL_FLEET_PREFIX "%s", name);

	return path && json_object_del(list_of(r, BL_REPO_FLEET), path) == 0;
}

int bl_repo_withdraw(struct bl_repo *r, const char *name, struct bl_err *err)
{
	if (json_object_del(list_of(r, BL_REPO_TARGETS), name) < 0)
		return bl_err_set(err, BL_TRUST_UNLISTED,
				  "%s: the release role does not list it",
				  name);
	r->changed[BL_REPO_TARGETS] = true;
	/* Else A1 of fleet.h would refuse the whole file. */
	if (unassign(r, name))
		r->changed[BL_REPO_FLEET] = true;
	return 0;
}

int bl_repo_assign(struct bl_repo *r, const char *name,
		   const char *const *hosts, size_t count, struct bl_err *err)
{
	const json_t *listed =
		json_object_get(list_of(r, BL_REPO_TARGETS), name);
	bl_autofree char *path = bl_path(BL_FLEET_PREFIX "%s", name);
	json_t *names, *entry;

	if (!path)
		return no_memory(err);
	if (bl_repo_must_have(r, BL_REPO_FLEET, err) < 0)
		return -ENOENT;
	if (!listed)
		return bl_err_set(err, BL_TRUST_UNLISTED,
				  "%s: the release role does not list it",
				  name);
	r->changed[BL_REPO_FLEET] = true;
	if (!count) {
		unassign(r, name);
		return 0;
	}
	names = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(names, json_string(hosts[i]));
	entry = json_pack("{s:O, s:O, s:{s:{s:o}}}", "length",
			  json_object_get(listed, "length"), "hashes",
			  json_object_get(listed, "hashes"), "custom", "belay",
			  "hosts", names);
	return json_object_set_new(list_of(r, BL_REPO_FLEET), path, entry) < 0
		       ? no_memory(err)
		       : 0;
}

void bl_repo_renew(struct bl_repo *r, enum bl_repo_role role)
{
	r->changed[role] = true;
}

/* The objects of the keys and of a role, in the root or in the delegations. */
static json_t *find_role(struct bl_repo *r, enum bl_repo_role role,
			 json_t **ret_keys)
{
	json_t *d = json_object_get(r->body[BL_REPO_TARGETS], "delegations");
	json_t *one;
	size_t i;

	if (role != BL_REPO_FLEET) {
		*ret_keys = json_object_get(r->body[BL_REPO_ROOT], "keys");
		return json_object_get(json_object_get(r->body[BL_REPO_ROOT],
						       "roles"),
				       roles[role].name);
	}
	*ret_keys = json_object_get(d, "keys");
	json_array_foreach (json_object_get(d, "roles"), i, one)
		if (strcmp(json_string_value(json_object_get(one, "name")),
			   BL_FLEET_ROLE) == 0)
			return one;
	return NULL;
}

/* Keys that no role of the root names any more. */
static void drop_unnamed(json_t *keys, const json_t *in_roles)
{
	bl_autojson json_t *named = json_object();
	const char *name;
	json_t *role, *id;
	void *next;
	size_t i;

	json_object_foreach ((json_t *)(uintptr_t)in_roles, name, role)
		json_array_foreach (json_object_get(role, "keyids"), i, id)
			json_object_set_new(named, json_string_value(id),
					    json_true());
	json_object_foreach_safe(keys, next, name,
				 id) if (!json_object_get(named, name))
		json_object_del(keys, name);
}

int bl_repo_rotate(struct bl_repo *r, enum bl_repo_role role,
		   struct bl_err *err)
{
	json_t *keys, *of = find_role(r, role, &keys), *all;
	size_t first = r->keys->count;
	bl_autojson json_t *new = NULL;
	int e;

	if (!of)
		return bl_repo_must_have(r, role, err);
	e = make_keys(r->keys, role,
		      json_array_size(json_object_get(of, "keyids")), err);
	if (e < 0)
		return e;
	new = new_role(r->keys, first, 0, keys);
	json_object_set(of, "keyids", json_object_get(new, "keyids"));
	all = role == BL_REPO_FLEET
		      ? json_pack("{s:O}", BL_FLEET_ROLE, of)
		      : json_incref(json_object_get(r->body[BL_REPO_ROOT],
						    "roles"));
	drop_unnamed(keys, all);
	json_decref(all);
	r->changed[role] = true;
	r->changed[role == BL_REPO_FLEET ? BL_REPO_TARGETS : BL_REPO_ROOT] =
		true;
	return 0;
}

int bl_repo_publish(struct bl_repo *r, struct bl_err *err)
{
	return bl_repo_write(r, err);
}
