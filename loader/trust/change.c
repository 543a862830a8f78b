/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/change.h"

#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/base/text.h"

#define KEY_LEN 80 /* of a member, as far as it is shown */

/* json_object_foreach takes no const object. */
static json_t *loose(const json_t *v)
{
	return (json_t *)(uintptr_t)v;
}

static json_t *list_of(json_t *ret, const char *name)
{
	return json_object_get(ret, name);
}

/* --- targets --------------------------------------------------------------- */

static json_t *target(const char *name, const json_t *t)
{
	const json_t *hash =
		json_object_get(json_object_get(t, "hashes"), "sha256");

	return json_pack("{s:s, s:s*, s:O*}", "name", name, "digest",
			 json_string_value(hash), "size_bytes",
			 json_object_get(t, "length"));
}

static void compare_targets(const json_t *was, const json_t *is, json_t *ret)
{
	const char *name;
	json_t *v;

	json_object_foreach (loose(is), name, v) {
		const json_t *old = json_object_get(was, name);

		if (!old || !json_equal(v, old))
			json_array_append_new(list_of(ret, old ? "replaces"
							       : "adds"),
					      target(name, v));
	}
	json_object_foreach (loose(was), name, v)
		if (!json_object_get(is, name))
			json_array_append_new(list_of(ret, "removes"),
					      json_string(name));
}

/* --- roles ----------------------------------------------------------------- */

static bool has(const json_t *list, const json_t *value)
{
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v)
		if (json_equal(v, value))
			return true;
	return false;
}

/* Key IDs of @list that @than has not. */
static void more_keys(const char *role, const json_t *list, const json_t *than,
		      json_t *ret)
{
	const json_t *id;
	size_t i;

	json_array_foreach (list, i, id)
		if (!has(than, id))
			json_array_append_new(ret,
					      json_pack("{s:s, s:O}", "role",
							role, "key", id));
}

/* @key may be a member that nobody knows, by any name: it must not hide the lines
 * above it from who is to sign. */
static void add_other(json_t *ret, const char *above, const char *role,
		      const char *key)
{
	char shown[KEY_LEN];

	bl_text_copy(shown, sizeof(shown), key);
	json_array_append_new(list_of(ret, "other"),
			      json_sprintf("%s%s%s%s%s", above,
					   *above ? "." : "", role,
					   *role ? "." : "", shown));
}

/* What differs in two objects but for these keys of them. */
static void compare_rest(const json_t *was, const json_t *is,
			 const char *const *but, const char *above,
			 const char *role, json_t *ret)
{
	bl_autojson json_t *all = json_object();
	const char *key;
	json_t *v;

	json_object_update(all, loose(was));
	json_object_update(all, loose(is));
	json_object_foreach (all, key, v) {
		size_t i = 0;

		while (but[i] && strcmp(but[i], key) != 0)
			i++;
		if (!but[i] && !json_equal(json_object_get(was, key),
					   json_object_get(is, key)))
			add_other(ret, above, role, key);
	}
}

static void compare_role(const char *above, const char *role, const json_t *was,
			 const json_t *is, json_t *ret)
{
	static const char *const shown[] = { "keyids", "threshold", NULL };
	const json_t *old_keys = json_object_get(was, "keyids");
	const json_t *keys = json_object_get(is, "keyids");
	json_int_t old = json_integer_value(json_object_get(was, "threshold"));
	json_int_t now = json_integer_value(json_object_get(is, "threshold"));

	more_keys(role, keys, old_keys, list_of(ret, "keys_added"));
	more_keys(role, old_keys, keys, list_of(ret, "keys_removed"));
	if (old != now)
		json_array_append_new(list_of(ret, "thresholds"),
				      json_pack("{s:s, s:I, s:I}", "role", role,
						"was", old, "is", now));
	compare_rest(was, is, shown, above, role, ret);
}

/* @was and @is: objects of roles by name. */
static void compare_roles(const char *above, const json_t *was,
			  const json_t *is, json_t *ret)
{
	const char *name;
	json_t *v;

	json_object_foreach (loose(is), name, v)
		compare_role(above, name, json_object_get(was, name), v, ret);
	json_object_foreach (loose(was), name, v)
		if (!json_object_get(is, name))
			compare_role(above, name, v, NULL, ret);
}

/* Delegations have their roles in a list, in the order in which they are asked. */
static json_t *by_name(const json_t *list, json_t *ret_order)
{
	json_t *all = json_object(), *role;
	size_t i;

	json_array_foreach (list, i, role) {
		json_t *name = json_object_get(role, "name");

		json_array_append(ret_order, name);
		json_object_set(all, json_string_value(name), role);
	}
	return all;
}

static void compare_delegations(const json_t *was, const json_t *is,
				json_t *ret)
{
	static const char *const shown[] = { "roles", "keys", NULL };
	bl_autojson json_t *old_order = json_array();
	bl_autojson json_t *now_order = json_array();
	bl_autojson json_t *old =
		by_name(json_object_get(was, "roles"), old_order);
	bl_autojson json_t *now =
		by_name(json_object_get(is, "roles"), now_order);

	if (!json_equal(old_order, now_order))
		add_other(ret, "delegations", "", "order");
	compare_roles("delegations", old, now, ret);
	compare_rest(was, is, shown, "delegations", "", ret);
}

/* --- all ------------------------------------------------------------------- */

/* A key ID is the digest of its key (metadata.h, T2): which keys there are is
 * told by the roles. */
static const char *const told[] = { "version", "expires", "targets",
				    "roles",   "keys",	  "delegations",
				    NULL };

json_t *bl_trust_change(const json_t *was, const json_t *is)
{
	json_t *ret = json_pack("{s:[], s:[], s:[], s:[], s:[], s:[], s:[]}",
				"adds", "replaces", "removes", "keys_added",
				"keys_removed", "thresholds", "other");

	if (!ret)
		return NULL;
	compare_targets(json_object_get(was, "targets"),
			json_object_get(is, "targets"), ret);
	compare_roles("", json_object_get(was, "roles"),
		      json_object_get(is, "roles"), ret);
	compare_delegations(json_object_get(was, "delegations"),
			    json_object_get(is, "delegations"), ret);
	compare_rest(was, is, told, "", "", ret);
	return ret;
}
