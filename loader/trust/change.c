/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/change.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/trust/canon.h"
#include "loader/trust/fleet.h"

#define KEY_LEN 80 /* of a member's name, as far as it is shown */

struct change {
	json_t *out;
	bool failed; /* a line is missing: out of memory */
};

/* json_object_foreach takes no const object. */
static json_t *loose(const json_t *v)
{
	return (json_t *)(uintptr_t)v;
}

/* json_equal finds two that are not there different. */
static bool same(const json_t *a, const json_t *b)
{
	return a == b || json_equal(a, b);
}

static void add(struct change *c, const char *list, json_t *line)
{
	if (json_array_append_new(json_object_get(c->out, list), line) < 0)
		c->failed = true;
}

static size_t lines(const struct change *c)
{
	const json_t *list;
	const char *key;
	size_t n = 0;

	json_object_foreach (c->out, key, list)
		n += json_array_size(list);
	return n;
}

/* Names of both; their values are @is's where it has them. */
static json_t *names_of(struct change *c, const json_t *was, const json_t *is)
{
	json_t *all = json_object();

	if ((json_is_object(was) && json_object_update(all, loose(was)) < 0) ||
	    (json_is_object(is) && json_object_update(all, loose(is)) < 0))
		c->failed = true;
	return all;
}

/* A member may have any name: it must not hide the lines above it from who is to
 * sign, nor look like two of them. */
static void show_key(char ret[static KEY_LEN], const char *key)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	bl_autojson json_t *v = NULL;
	bl_autofree char *quoted = NULL;

	if (!*key || key[strspn(key, plain)]) {
		v = json_string(key);
		quoted = json_dumps(v, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		key = quoted ? quoted : "?";
	}
	bl_text_copy(ret, KEY_LEN, key);
}

static void add_other(struct change *c, const char *above, const char *role,
		      const char *key)
{
	char shown[KEY_LEN];

	show_key(shown, key);
	add(c, "other",
	    json_sprintf("%s%s%s%s%s", above, *above ? "." : "", role,
			 *role ? "." : "", shown));
}

/* --- targets --------------------------------------------------------------- */

/* What a target says that has a place of its own. */
struct known {
	const json_t *digest, *length, *serial;
};

static const json_t *if_is(const json_t *v, json_type type)
{
	return v && json_typeof(v) == type ? v : NULL;
}

static int64_t serial_of(const json_t *t)
{
	const struct bl_meta_target m = {
		.custom = json_object_get(t, "custom"),
	};

	return bl_fleet_serial(&m);
}

static struct known known_of(const json_t *t)
{
	const json_t *hashes = json_object_get(t, "hashes");
	const json_t *custom = json_object_get(t, "custom");
	const json_t *belay = json_object_get(custom, "belay");

	return (struct known){
		.digest = if_is(json_object_get(hashes, "sha256"), JSON_STRING),
		.length = if_is(json_object_get(t, "length"), JSON_INTEGER),
		.serial = serial_of(t) ? json_object_get(belay, "serial")
				       : NULL,
	};
}

static bool is_known(const struct known *k, const json_t *v)
{
	return !v || v == k->digest || v == k->length || v == k->serial;
}

/* NULL: out of memory, or it is not there. */
static json_t *value_text(struct change *c, const json_t *v)
{
	bl_autofree char *text = NULL;
	char shown[BL_CHANGE_VALUE_MAX + 1], digest[BL_DIGEST_HEX];

	if (!v)
		return NULL;
	text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS |
				     JSON_ENSURE_ASCII);
	if (text && strlen(text) <= BL_CHANGE_VALUE_MAX) {
		bl_text_copy(shown, sizeof(shown), text);
		return json_string(shown);
	}
	if (text && !bl_canon_digest(v, digest, NULL))
		return json_sprintf("sha256:%s", digest);
	c->failed = true;
	return NULL;
}

static bool object_or_none(const json_t *v)
{
	return !v || json_is_object(v);
}

/* As deep as JSON may be (json.h). @k: of the target that was, and is. */
static void compare_members(struct change *c, const struct known k[static 2],
			    const json_t *was, const json_t *is,
			    const char *path, json_t *list)
{
	bl_autojson json_t *all = NULL;
	const char *key;
	json_t *v;

	if (same(was, is) || (is_known(&k[0], was) && is_known(&k[1], is)))
		return;
	if (!object_or_none(was) || !object_or_none(is) ||
	    !(json_object_size(was) + json_object_size(is))) {
		v = json_pack("{s:s, s:o*, s:o*}", "path", path, "was",
			      value_text(c, was), "is", value_text(c, is));
		if (json_array_append_new(list, v) < 0)
			c->failed = true;
		return;
	}
	all = names_of(c, was, is);
	json_object_foreach (all, key, v) {
		char shown[KEY_LEN];
		bl_autofree char *in = NULL;

		show_key(shown, key);
		in = bl_path("%s%s%s", path, *path ? "." : "", shown);
		if (in)
			compare_members(c, k, json_object_get(was, key),
					json_object_get(is, key), in, list);
		else
			c->failed = true;
	}
}

static json_t *known_json(const json_t *t, const struct known *k)
{
	return json_pack("{s:O*, s:O*, s:I}", "digest", loose(k->digest),
			 "size_bytes", loose(k->length), "serial",
			 (json_int_t)serial_of(t));
}

/* @was: NULL, it is new. */
static void compare_target(struct change *c, const char *name,
			   const json_t *was, const json_t *is)
{
	const struct known k[2] = { known_of(was), known_of(is) };
	json_t *line = known_json(is, &k[1]);
	json_t *members = json_array();

	compare_members(c, k, was, is, "", members);
	if (json_object_set_new(line, "name", json_string(name)) < 0 ||
	    json_object_set_new(line, "members", members) < 0 ||
	    (was &&
	     json_object_set_new(line, "was", known_json(was, &k[0])) < 0))
		c->failed = true;
	add(c, was ? "replaces" : "adds", line);
}

static void compare_targets(struct change *c, const json_t *was,
			    const json_t *is)
{
	const char *name;
	json_t *v;

	json_object_foreach (loose(is), name, v) {
		const json_t *old = json_object_get(was, name);

		if (!old || !same(v, old))
			compare_target(c, name, old, v);
	}
	json_object_foreach (loose(was), name, v)
		if (!json_object_get(is, name))
			add(c, "removes", json_string(name));
}

/* --- roles ----------------------------------------------------------------- */

static bool has(const json_t *list, const char *id)
{
	const char *s;
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v) {
		s = json_string_value(v);
		if (s && strcmp(s, id) == 0)
			return true;
	}
	return false;
}

/* Key IDs of @ids that @than has not: so many. */
static size_t more_keys(struct change *c, const char *list, const char *role,
			const json_t *ids, const json_t *than)
{
	const json_t *v;
	size_t i, n = 0;

	json_array_foreach (ids, i, v) {
		const char *id = json_string_value(v);

		if (!id || has(than, id))
			continue;
		add(c, list, json_pack("{s:s, s:s}", "role", role, "key", id));
		n++;
	}
	return n;
}

/* What differs in two objects but for these keys of them. */
static void compare_rest(struct change *c, const json_t *was, const json_t *is,
			 const char *const *but, const char *above,
			 const char *role)
{
	bl_autojson json_t *all = names_of(c, was, is);
	const char *key;
	json_t *v;

	json_object_foreach (all, key, v) {
		size_t i = 0;

		while (but[i] && strcmp(but[i], key) != 0)
			i++;
		if (!but[i] &&
		    !same(json_object_get(was, key), json_object_get(is, key)))
			add_other(c, above, role, key);
	}
}

static void compare_role(struct change *c, const char *above, const char *role,
			 const json_t *was, const json_t *is)
{
	static const char *const shown[] = { "keyids", "threshold", NULL };
	const json_t *old_keys = json_object_get(was, "keyids");
	const json_t *keys = json_object_get(is, "keyids");
	json_int_t old = json_integer_value(json_object_get(was, "threshold"));
	json_int_t now = json_integer_value(json_object_get(is, "threshold"));
	size_t n = more_keys(c, "keys_added", role, keys, old_keys);

	n += more_keys(c, "keys_removed", role, old_keys, keys);
	if (!n && !same(old_keys, keys)) /* their order */
		add_other(c, above, role, "keyids");
	if (old != now)
		add(c, "thresholds",
		    json_pack("{s:s, s:I, s:I}", "role", role, "was", old, "is",
			      now));
	compare_rest(c, was, is, shown, above, role);
}

/* @was and @is: objects of roles by name. */
static void compare_roles(struct change *c, const char *above,
			  const json_t *was, const json_t *is)
{
	bl_autojson json_t *all = names_of(c, was, is);
	const char *name;
	json_t *v;

	json_object_foreach (all, name, v) {
		const json_t *old = json_object_get(was, name);
		const json_t *now = json_object_get(is, name);
		size_t before = lines(c);

		if (same(old, now))
			continue;
		compare_role(c, above, name, old, now);
		if (before == lines(c)) /* nothing of what roles have */
			add_other(c, above, "", name);
	}
}

/* Whether any of these roles has that key. */
static bool names(const json_t *roles, const char *id)
{
	const char *name;
	json_t *role;

	json_object_foreach (loose(roles), name, role)
		if (has(json_object_get(role, "keyids"), id))
			return true;
	return false;
}

/* A key ID is the digest of its key (metadata.h, T2): one that comes or goes with
 * a role has a line there. Others may be listed, too. */
static void compare_keys(struct change *c, const char *above, const json_t *was,
			 const json_t *is, const json_t *old_roles,
			 const json_t *roles)
{
	bl_autojson json_t *all = names_of(c, was, is);
	const char *id;
	json_t *v;

	json_object_foreach (all, id, v) {
		const json_t *old = json_object_get(was, id);
		const json_t *now = json_object_get(is, id);
		bool told = !old != !now && names(old_roles, id) == !!old &&
			    names(roles, id) == !!now;

		if (!told && !same(old, now))
			add_other(c, above, "keys", id);
	}
}

/* Delegations have their roles in a list, in the order in which they are asked. */
static json_t *by_name(struct change *c, const json_t *list, json_t *ret_order)
{
	json_t *all = json_object(), *role;
	size_t i;

	json_array_foreach (list, i, role) {
		json_t *name = json_object_get(role, "name");

		if (json_is_string(name) &&
		    (json_array_append(ret_order, name) < 0 ||
		     json_object_set(all, json_string_value(name), role) < 0))
			c->failed = true;
	}
	return all;
}

static void compare_delegations(struct change *c, const json_t *was,
				const json_t *is)
{
	static const char *const shown[] = { "roles", "keys", NULL };
	bl_autojson json_t *old_order = json_array();
	bl_autojson json_t *now_order = json_array();
	bl_autojson json_t *old =
		by_name(c, json_object_get(was, "roles"), old_order);
	bl_autojson json_t *now =
		by_name(c, json_object_get(is, "roles"), now_order);

	if (!same(old_order, now_order))
		add_other(c, "delegations", "", "order");
	compare_roles(c, "delegations", old, now);
	compare_keys(c, "delegations", json_object_get(was, "keys"),
		     json_object_get(is, "keys"), old, now);
	compare_rest(c, was, is, shown, "delegations", "");
}

/* --- all ------------------------------------------------------------------- */

static void compare_root(struct change *c, const json_t *was, const json_t *is)
{
	static const char *const told[] = { "version", "expires", "roles",
					    "keys", NULL };
	const json_t *old = json_object_get(was, "roles");
	const json_t *now = json_object_get(is, "roles");

	compare_roles(c, "", old, now);
	compare_keys(c, "", json_object_get(was, "keys"),
		     json_object_get(is, "keys"), old, now);
	compare_rest(c, was, is, told, "", "");
}

static void compare_release(struct change *c, const json_t *was,
			    const json_t *is)
{
	static const char *const told[] = { "version", "expires", "targets",
					    "delegations", NULL };
	const json_t *old = json_object_get(was, "delegations");
	const json_t *now = json_object_get(is, "delegations");
	size_t before;

	compare_targets(c, json_object_get(was, "targets"),
			json_object_get(is, "targets"));
	before = lines(c);
	compare_delegations(c, old, now);
	/* None, and some that delegate nothing. */
	if (before == lines(c) && !same(old, now))
		add_other(c, "", "", "delegations");
	compare_rest(c, was, is, told, "", "");
}

json_t *bl_trust_change(enum bl_meta_kind kind, const json_t *was,
			const json_t *is)
{
	bl_autojson json_t *out =
		json_pack("{s:[], s:[], s:[], s:[], s:[], s:[], s:[]}", "adds",
			  "replaces", "removes", "keys_added", "keys_removed",
			  "thresholds", "other");
	struct change c = { .out = out };

	assert(kind == BL_META_ROOT || kind == BL_META_TARGETS);
	if (!out)
		return NULL;
	if (kind == BL_META_ROOT)
		compare_root(&c, was, is);
	else
		compare_release(&c, was, is);
	return c.failed ? NULL : BL_TAKE(out);
}
