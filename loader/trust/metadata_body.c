/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/metadata_body.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/trust/ed25519.h"

#define AT(at, ...) snprintf(at, sizeof(at), __VA_ARGS__)

int bl_meta_read(const struct bl_json_doc *doc, const json_t *obj,
		 const char *path, const struct bl_json_field *fields,
		 size_t count, void *target, struct bl_err *err)
{
	return bl_json_read_known(doc, obj, path, fields, count, target, err);
}

static bool is(const char *text, const char *what)
{
	return text && strcmp(text, what) == 0;
}

bool bl_meta_key_usable(const json_t *key)
{
	return is(bl_meta_string(key, "keytype"), "ed25519") &&
	       is(bl_meta_string(key, "scheme"), "ed25519");
}

/* --- keys and roles ------------------------------------------------------- */

static int check_key(const struct bl_json_doc *doc, const json_t *key,
		     const char *id, const char *at, struct bl_err *err)
{
	struct parts {
		const char *type, *scheme;
		json_t *val;
	};
	static const struct bl_json_field fields[] = {
		{ "keytype", BL_JSON_STRING, true, offsetof(struct parts, type),
		  1, 64 },
		{ "scheme", BL_JSON_STRING, true,
		  offsetof(struct parts, scheme), 1, 64 },
		{ "keyval", BL_JSON_OBJECT, true, offsetof(struct parts, val),
		  0, 0 },
	};
	static const struct bl_json_field public[] = {
		{ "public", BL_JSON_STRING, true, 0, 1, 8192 },
	};
	struct parts v;
	const char *text;
	char digest[BL_DIGEST_HEX];
	int r = bl_meta_read(doc, key, at, fields, BL_ARRAY_SIZE(fields), &v,
			     err);

	if (!r)
		r = bl_meta_read(doc, v.val, at, public, 1, &text, err);
	if (!r)
		r = bl_canon_digest(key, digest, err);
	if (!r && strcmp(digest, id) != 0)
		r = bl_json_fail(
			doc, at, err,
			"a key is called by the SHA-256 of it, and this one's is %s",
			digest);
	if (!r && bl_meta_key_usable(key) && !bl_digest_valid(text))
		r = bl_json_fail(doc, at, err,
				 "an ed25519 key has 64 digits of 0-9 and a-f");
	return r;
}

static int check_keys(const struct bl_json_doc *doc, const json_t *keys,
		      const char *at, struct bl_err *err)
{
	char in[BL_JSON_PATH_MAX];
	const char *id;
	json_t *key;
	int r = 0;

	if (json_object_size(keys) > BL_META_KEYS_MAX)
		return bl_json_fail(doc, at, err, "more than %d keys",
				    BL_META_KEYS_MAX);
	json_object_foreach ((json_t *)(uintptr_t)keys, id, key) {
		AT(in, "%s.%s", at, id);
		r = check_key(doc, key, id, in, err);
		if (r < 0)
			break;
	}
	return r;
}

/* The "keyids" and "threshold" of a role. */
static int check_role(const struct bl_json_doc *doc, const json_t *role,
		      const json_t *keys, const char *at, struct bl_err *err)
{
	struct parts {
		json_t *ids;
		int64_t threshold;
	};
	static const struct bl_json_field fields[] = {
		{ "keyids", BL_JSON_ARRAY, true, offsetof(struct parts, ids), 1,
		  BL_META_ROLE_KEYS_MAX },
		{ "threshold", BL_JSON_INT, true,
		  offsetof(struct parts, threshold), 1, BL_META_ROLE_KEYS_MAX },
	};
	struct parts v;
	char in[BL_JSON_PATH_MAX];
	int r = bl_meta_read(doc, role, at, fields, BL_ARRAY_SIZE(fields), &v,
			     err);

	for (size_t i = 0; !r && i < json_array_size(v.ids); i++) {
		const char *id = json_string_value(json_array_get(v.ids, i));

		AT(in, "%s.keyids[%zu]", at, i);
		if (!id || !json_object_get(keys, id))
			return bl_json_fail(doc, in, err,
					    "there is no key of that name");
		for (size_t k = 0; k < i; k++)
			if (json_equal(json_array_get(v.ids, i),
				       json_array_get(v.ids, k)))
				return bl_json_fail(doc, in, err,
						    "the key is named twice");
	}
	if (!r && v.threshold > (int64_t)json_array_size(v.ids))
		r = bl_json_fail(doc, at, err,
				 "%lld keys must sign, and it has only %zu",
				 (long long)v.threshold,
				 json_array_size(v.ids));
	return r;
}

static int read_root(struct bl_meta *m, struct bl_err *err)
{
	struct parts {
		json_t *keys, *roles;
		bool consistent;
	};
	static const struct bl_json_field fields[] = {
		{ "keys", BL_JSON_OBJECT, true, offsetof(struct parts, keys), 0,
		  0 },
		{ "roles", BL_JSON_OBJECT, true, offsetof(struct parts, roles),
		  0, 0 },
		{ "consistent_snapshot", BL_JSON_BOOL, false,
		  offsetof(struct parts, consistent), 0, 0 },
	};
	struct parts v = { .consistent = false };
	int r = bl_meta_read(&m->doc, m->body, "signed", fields,
			     BL_ARRAY_SIZE(fields), &v, err);

	if (!r)
		r = check_keys(&m->doc, v.keys, "signed.keys", err);
	if (!r && json_object_size(v.roles) != BL_META_ROLES)
		r = bl_json_fail(
			&m->doc, "signed.roles", err,
			"a root has the roles root, timestamp, snapshot and targets, and no others");
	for (int kind = 0; !r && kind < BL_META_ROLES; kind++) {
		const char *name = bl_meta_kind_name(kind);
		char at[64];

		AT(at, "signed.roles.%s", name);
		r = check_role(&m->doc, json_object_get(v.roles, name), v.keys,
			       at, err);
	}
	m->consistent = v.consistent;
	return r;
}

/* --- files ---------------------------------------------------------------- */

/* "hashes": of those that are there belay reads the SHA-256. */
static int check_hashes(const struct bl_json_doc *doc, const json_t *hashes,
			const char *at, struct bl_err *err)
{
	static const struct bl_json_field fields[] = {
		{ "sha256", BL_JSON_STRING, true, 0, 0, 0 },
	};
	const char *hex;
	int r = bl_meta_read(doc, hashes, at, fields, 1, &hex, err);

	if (!r && !bl_digest_valid(hex))
		r = bl_json_fail(doc, at, err,
				 "a SHA-256 has 64 digits of 0-9 and a-f");
	return r;
}

static int check_file(const struct bl_json_doc *doc, const json_t *file,
		      const char *at, struct bl_err *err)
{
	struct parts {
		int64_t version, length;
		json_t *hashes;
	};
	static const struct bl_json_field fields[] = {
		{ "version", BL_JSON_INT, true, offsetof(struct parts, version),
		  1, BL_META_VERSION_MAX },
		{ "length", BL_JSON_INT, false, offsetof(struct parts, length),
		  0, BL_META_LENGTH_MAX },
		{ "hashes", BL_JSON_OBJECT, false,
		  offsetof(struct parts, hashes), 0, 0 },
	};
	struct parts v = { .hashes = NULL };
	int r = bl_meta_read(doc, file, at, fields, BL_ARRAY_SIZE(fields), &v,
			     err);

	return !r && v.hashes ? check_hashes(doc, v.hashes, at, err) : r;
}

/* NAME.json of a role; a role's name becomes a file's. */
static bool file_name_valid(const char *name)
{
	const char *dot = strrchr(name, '.');

	return bl_name_valid(name) && dot && strcmp(dot, ".json") == 0;
}

static int read_files(struct bl_meta *m, size_t max, struct bl_err *err)
{
	static const struct bl_json_field fields[] = {
		{ "meta", BL_JSON_OBJECT, true, 0, 0, 0 },
	};
	char at[BL_JSON_PATH_MAX];
	const char *name;
	json_t *meta, *file;
	int r = bl_meta_read(&m->doc, m->body, "signed", fields, 1, &meta, err);

	if (!r && (!json_object_size(meta) || json_object_size(meta) > max))
		r = bl_json_fail(&m->doc, "signed.meta", err,
				 "%zu files, 1 to %zu were expected",
				 json_object_size(meta), max);
	if (r < 0)
		return r;
	json_object_foreach (meta, name, file) {
		AT(at, "signed.meta.%s", name);
		if (!file_name_valid(name)) {
			bl_json_fail(&m->doc, at, err,
				     "no name of a file of metadata");
			return BL_TRUST_NAME;
		}
		r = check_file(&m->doc, file, at, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_timestamp(struct bl_meta *m, struct bl_err *err)
{
	struct bl_meta_file f;
	int r = read_files(m, 1, err);

	if (!r && !bl_meta_file(m, "snapshot.json", &f))
		r = bl_json_fail(&m->doc, "signed.meta", err,
				 "a timestamp speaks of snapshot.json");
	return r;
}

static int read_snapshot(struct bl_meta *m, struct bl_err *err)
{
	struct bl_meta_file f;
	int r = read_files(m, BL_META_FILES_MAX, err);

	if (!r && !bl_meta_file(m, "targets.json", &f))
		r = bl_json_fail(&m->doc, "signed.meta", err,
				 "a snapshot speaks of targets.json");
	return r;
}

/* --- targets -------------------------------------------------------------- */

static int check_target(const struct bl_json_doc *doc, const json_t *target,
			const char *at, struct bl_err *err)
{
	struct parts {
		int64_t length;
		json_t *hashes, *custom;
	};
	static const struct bl_json_field fields[] = {
		{ "length", BL_JSON_INT, true, offsetof(struct parts, length),
		  0, BL_META_LENGTH_MAX },
		{ "hashes", BL_JSON_OBJECT, true,
		  offsetof(struct parts, hashes), 0, 0 },
		{ "custom", BL_JSON_OBJECT, false,
		  offsetof(struct parts, custom), 0, 0 },
	};
	struct parts v;
	int r = bl_meta_read(doc, target, at, fields, BL_ARRAY_SIZE(fields), &v,
			     err);

	return r ? r : check_hashes(doc, v.hashes, at, err);
}

/* A pattern is a path in which '*' and '?' stand for something. '[' of a shell
 * is not in the specification, and read as what it is it would match less than
 * its writer thinks. */
static bool pattern_valid(const char *pattern)
{
	return *pattern && strlen(pattern) <= BL_META_NAME_MAX &&
	       !strpbrk(pattern, "[]\\");
}

static bool prefix_valid(const char *prefix)
{
	size_t len = strlen(prefix);

	return len > 0 && len < BL_DIGEST_HEX &&
	       strspn(prefix, "0123456789abcdef") == len;
}

static int check_texts(const struct bl_json_doc *doc, const json_t *list,
		       bool (*valid)(const char *), const char *at,
		       struct bl_err *err)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || !valid(text))
			return bl_json_fail(
				doc, at, err,
				"element %zu is not one that belay reads", i);
	}
	return 0;
}

static bool top_level(const char *role)
{
	for (int kind = 0; kind < BL_META_ROLES; kind++)
		if (is(role, bl_meta_kind_name(kind)))
			return true;
	return false;
}

static int check_delegation(const struct bl_json_doc *doc, const json_t *role,
			    const json_t *keys, const char *at,
			    struct bl_err *err)
{
	struct parts {
		const char *name;
		json_t *paths, *prefixes;
		bool terminating;
	};
	static const struct bl_json_field fields[] = {
		{ "name", BL_JSON_STRING, true, offsetof(struct parts, name), 1,
		  64 },
		{ "terminating", BL_JSON_BOOL, true,
		  offsetof(struct parts, terminating), 0, 0 },
		{ "paths", BL_JSON_ARRAY, false, offsetof(struct parts, paths),
		  0, BL_META_PATHS_MAX },
		{ "path_hash_prefixes", BL_JSON_ARRAY, false,
		  offsetof(struct parts, prefixes), 0, BL_META_PATHS_MAX },
	};
	struct parts v = { .paths = NULL };
	int r = bl_meta_read(doc, role, at, fields, BL_ARRAY_SIZE(fields), &v,
			     err);

	if (r < 0)
		return r;
	if (!bl_name_valid(v.name) || top_level(v.name)) {
		bl_json_fail(doc, at, err,
			     "'%s' is no name for a delegated role", v.name);
		return BL_TRUST_NAME;
	}
	if (!v.paths == !v.prefixes)
		return bl_json_fail(
			doc, at, err,
			"a delegation has either 'paths' or 'path_hash_prefixes'");
	r = check_texts(doc, v.paths, pattern_valid, at, err);
	if (!r)
		r = check_texts(doc, v.prefixes, prefix_valid, at, err);
	return r ? r : check_role(doc, role, keys, at, err);
}

static int check_delegations(const struct bl_json_doc *doc, const json_t *d,
			     struct bl_err *err)
{
	struct parts {
		json_t *keys, *roles;
	};
	static const struct bl_json_field fields[] = {
		{ "keys", BL_JSON_OBJECT, true, offsetof(struct parts, keys), 0,
		  0 },
		{ "roles", BL_JSON_ARRAY, true, offsetof(struct parts, roles),
		  0, BL_META_DELEGATIONS_MAX },
	};
	struct parts v;
	int r = bl_meta_read(doc, d, "signed.delegations", fields,
			     BL_ARRAY_SIZE(fields), &v, err);

	if (!r)
		r = check_keys(doc, v.keys, "signed.delegations.keys", err);
	for (size_t i = 0; !r && i < json_array_size(v.roles); i++) {
		const json_t *role = json_array_get(v.roles, i);
		char at[64];

		AT(at, "signed.delegations.roles[%zu]", i);
		r = check_delegation(doc, role, v.keys, at, err);
		for (size_t k = 0; !r && k < i; k++)
			if (is(bl_meta_string(role, "name"),
			       bl_meta_string(json_array_get(v.roles, k),
					      "name")))
				r = bl_json_fail(
					doc, at, err,
					"a role is delegated to twice");
	}
	return r;
}

static int read_targets(struct bl_meta *m, struct bl_err *err)
{
	struct parts {
		json_t *targets, *delegations;
	};
	static const struct bl_json_field fields[] = {
		{ "targets", BL_JSON_OBJECT, true,
		  offsetof(struct parts, targets), 0, 0 },
		{ "delegations", BL_JSON_OBJECT, false,
		  offsetof(struct parts, delegations), 0, 0 },
	};
	struct parts v = { .delegations = NULL };
	char at[BL_JSON_PATH_MAX];
	const char *path;
	json_t *target;
	int r = bl_meta_read(&m->doc, m->body, "signed", fields,
			     BL_ARRAY_SIZE(fields), &v, err);

	if (!r && json_object_size(v.targets) > BL_META_TARGETS_COUNT)
		r = bl_json_fail(&m->doc, "signed.targets", err,
				 "more than %d targets", BL_META_TARGETS_COUNT);
	if (r < 0)
		return r;
	json_object_foreach (v.targets, path, target) {
		AT(at, "signed.targets.%s", path);
		if (!bl_meta_path_valid(path)) {
			bl_json_fail(
				&m->doc, at, err,
				"a target's name must stay below its folder");
			return BL_TRUST_NAME;
		}
		r = check_target(&m->doc, target, at, err);
		if (r < 0)
			return r;
	}
	return v.delegations ? check_delegations(&m->doc, v.delegations, err)
			     : 0;
}

/* --- what all have -------------------------------------------------------- */

/* "2026-11-26T05:00:00Z", and no other way to write it. */
static bool read_time(const char *text, int64_t *ret_s)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
	struct tm t = { 0 }, back;
	char again[sizeof(form)];
	time_t s;

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9'
				   : text[i] != form[i])
			return false;
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ", &t.tm_year, &t.tm_mon,
		   &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec) != 6)
		return false;
	t.tm_year -= 1900;
	t.tm_mon--;
	s = timegm(&t);
	/* A 31st of February comes back as another day. */
	if (!gmtime_r(&s, &back) ||
	    !strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &back) ||
	    strcmp(again, text) != 0)
		return false;
	*ret_s = s;
	return true;
}

/* "1.0.31": the first number decides (section 4.3 of the specification). */
static bool spec_valid(const char *text, bool *ret_known)
{
	size_t digits = strspn(text, "0123456789");

	*ret_known = digits == 1 && *text == '1';
	return digits && text[digits] == '.' &&
	       strspn(text, "0123456789.") == strlen(text);
}

int bl_meta_read_body(struct bl_meta *m, struct bl_err *err)
{
	static int (*const readers[])(struct bl_meta *, struct bl_err *) = {
		[BL_META_ROOT] = read_root,
		[BL_META_TIMESTAMP] = read_timestamp,
		[BL_META_SNAPSHOT] = read_snapshot,
		[BL_META_TARGETS] = read_targets,
		[BL_META_ORDER] = bl_meta_read_order,
	};
	struct parts {
		const char *type, *spec, *expires;
		int64_t version;
	};
	static const struct bl_json_field fields[] = {
		{ "_type", BL_JSON_STRING, true, offsetof(struct parts, type),
		  1, 64 },
		{ "spec_version", BL_JSON_STRING, true,
		  offsetof(struct parts, spec), 1, 32 },
		{ "expires", BL_JSON_STRING, true,
		  offsetof(struct parts, expires), 1, 32 },
		{ "version", BL_JSON_INT, true, offsetof(struct parts, version),
		  1, BL_META_VERSION_MAX },
	};
	struct parts v;
	bool known;
	int r = bl_meta_read(&m->doc, m->body, "signed", fields,
			     BL_ARRAY_SIZE(fields), &v, err);

	if (r < 0)
		return r;
	if (!is(v.type, bl_meta_kind_name(m->kind))) {
		bl_json_fail(&m->doc, "signed._type", err,
			     "'%s' was expected, this is '%s'",
			     bl_meta_kind_name(m->kind), v.type);
		return BL_TRUST_KIND;
	}
	if (!spec_valid(v.spec, &known))
		return bl_json_fail(&m->doc, "signed.spec_version", err,
				    "'%s' is no version", v.spec);
	if (!known) {
		bl_json_fail(&m->doc, "signed.spec_version", err,
			     "version %s is not one that this belay reads",
			     v.spec);
		return BL_TRUST_SPEC;
	}
	if (!read_time(v.expires, &m->expires_s))
		return bl_json_fail(
			&m->doc, "signed.expires", err,
			"'%s' is not a time like 2026-11-26T05:00:00Z",
			v.expires);
	m->version = v.version;
	return readers[m->kind](m, err);
}
