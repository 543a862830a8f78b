/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/metadata.h"

#include <assert.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"
#include "loader/trust/ed25519.h"
#include "loader/trust/metadata_body.h"

static const char *const names[BL_META_KINDS] = {
	[BL_META_ROOT] = "root",	 [BL_META_TIMESTAMP] = "timestamp",
	[BL_META_SNAPSHOT] = "snapshot", [BL_META_TARGETS] = "targets",
	[BL_META_ORDER] = "order",
};

const char *bl_meta_kind_name(enum bl_meta_kind kind)
{
	return names[kind];
}

void bl_meta_free(struct bl_meta *m)
{
	bl_json_doc_free(&m->doc);
	bl_buf_free(&m->text);
	*m = (struct bl_meta){ 0 };
}

bool bl_meta_path_valid(const char *path)
{
	char part[BL_META_NAME_MAX + 1];
	size_t len = strlen(path);

	if (!len || len > BL_META_NAME_MAX)
		return false;
	for (;;) {
		size_t n = strcspn(path, "/");

		memcpy(part, path, n);
		part[n] = '\0';
		if (!bl_name_valid(part))
			return false;
		if (!path[n])
			return true;
		path += n + 1;
	}
}

bool bl_meta_pattern_matches(const char *pattern, const char *path)
{
	const char *star = NULL, *from = NULL;

	while (*path) {
		if (*pattern == '*') {
			star = pattern++;
			from = path;
		} else if (*pattern == *path ||
			   (*pattern == '?' && *path != '/')) {
			pattern++;
			path++;
		} else if (star && *from != '/') {
			pattern = star + 1;
			path = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* Signatures are outside of what is signed: anybody may have written them. */
static int check_signatures(const struct bl_json_doc *doc, const json_t *list,
			    struct bl_err *err)
{
	struct parts {
		const char *keyid, *sig;
	};
	static const struct bl_json_field fields[] = {
		{ "keyid", BL_JSON_STRING, true, offsetof(struct parts, keyid),
		  1, 128 },
		{ "sig", BL_JSON_STRING, true, offsetof(struct parts, sig), 0,
		  4096 },
	};
	struct parts v;
	size_t i;
	json_t *one;
	int r = 0;

	json_array_foreach (list, i, one) {
		char at[48];

		snprintf(at, sizeof(at), "signatures[%zu]", i);
		r = bl_meta_read(doc, one, at, fields, BL_ARRAY_SIZE(fields),
				 &v, err);
		if (r < 0)
			break;
	}
	return r;
}

int bl_meta_parse(const char *name, const void *data, size_t len,
		  enum bl_meta_kind kind, struct bl_meta *ret,
		  struct bl_err *err)
{
	struct parts {
		json_t *body, *signatures;
	};
	static const struct bl_json_field fields[] = {
		{ "signed", BL_JSON_OBJECT, true, offsetof(struct parts, body),
		  0, 0 },
		{ "signatures", BL_JSON_ARRAY, true,
		  offsetof(struct parts, signatures), 0,
		  BL_META_SIGNATURES_MAX },
	};
	BL_CLEANUP(bl_meta_free) struct bl_meta m = { .kind = kind };
	struct parts v = { NULL, NULL };
	int r = bl_json_parse(name, data, len, &m.doc, err);

	if (!r)
		r = bl_meta_read(&m.doc, m.doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &v, err);
	if (!r)
		r = check_signatures(&m.doc, v.signatures, err);
	m.body = v.body;
	if (!r)
		r = bl_meta_read_body(&m, err);
	if (!r) {
		r = bl_canon(m.body, &m.text, err);
		if (r < 0)
			bl_err_wrap(err, r, "%s", name);
	}
	if (r < 0)
		return r;
	*ret = m;
	m = (struct bl_meta){ 0 };
	return 0;
}

/* The role's object of "keyids" and "threshold", and the keys it names. */
static const json_t *role_of(const struct bl_meta *by, const char *role,
			     const json_t **ret_keys)
{
	const json_t *in = by->body, *one;
	size_t i;

	if (by->kind == BL_META_ROOT) {
		*ret_keys = json_object_get(in, "keys");
		return json_object_get(json_object_get(in, "roles"), role);
	}
	assert(by->kind == BL_META_TARGETS);
	in = json_object_get(in, "delegations");
	*ret_keys = json_object_get(in, "keys");
	json_array_foreach (json_object_get(in, "roles"), i, one)
		if (strcmp(bl_meta_string(one, "name"), role) == 0)
			return one;
	return NULL;
}

bool bl_meta_role(const struct bl_meta *by, const char *role, size_t *ret_keys,
		  size_t *ret_threshold)
{
	const json_t *keys, *r = role_of(by, role, &keys);

	if (!r)
		return false;
	*ret_keys = json_array_size(json_object_get(r, "keyids"));
	*ret_threshold =
		(size_t)json_integer_value(json_object_get(r, "threshold"));
	return true;
}

bool bl_meta_role_has(const struct bl_meta *by, const char *role,
		      const char *keyid)
{
	const json_t *keys, *one, *r = role_of(by, role, &keys);
	size_t i;

	json_array_foreach (json_object_get(r, "keyids"), i, one)
		if (strcmp(json_string_value(one), keyid) == 0)
			return true;
	return false;
}

/* The public key behind a keyid if it signed; NULL if it did not, or is of a
 * kind that belay does not know, which the specification says to pass over. */
static const char *signer(const struct bl_meta *m, const json_t *key,
			  const char *keyid)
{
	const char *public =
		bl_meta_string(json_object_get(key, "keyval"), "public");
	const json_t *one;
	size_t i;

	if (!bl_meta_key_usable(key))
		return NULL;
	json_array_foreach (json_object_get(m->doc.root, "signatures"), i, one)
		if (strcmp(bl_meta_string(one, "keyid"), keyid) == 0 &&
		    bl_ed25519_good(public, bl_meta_string(one, "sig"),
				    m->text.data, m->text.len))
			return public;
	return NULL;
}

const char *bl_meta_unsigned(const struct bl_meta *m, const struct bl_meta *by,
			     const char *role, size_t i, size_t *ret_signed)
{
	const json_t *keys, *one, *r = role_of(by, role, &keys);
	const char *found = NULL;
	size_t k, count = 0, others = 0;

	json_array_foreach (json_object_get(r, "keyids"), k, one) {
		const char *id = json_string_value(one);

		if (signer(m, json_object_get(keys, id), id))
			count++;
		else if (others++ == i)
			found = id;
	}
	if (ret_signed)
		*ret_signed = count;
	return found;
}

int bl_meta_signed_by(const struct bl_meta *m, const struct bl_meta *by,
		      const char *role, struct bl_err *err)
{
	const char *seen[BL_META_ROLE_KEYS_MAX];
	const json_t *keys, *one, *r = role_of(by, role, &keys);
	long long needed = json_integer_value(json_object_get(r, "threshold"));
	size_t i, k, count = 0;

	if (!r)
		return bl_err_set(err, BL_TRUST_SIGNATURE,
				  "%s: nobody names keys for the role '%s'",
				  m->doc.name, role);
	json_array_foreach (json_object_get(r, "keyids"), i, one) {
		const char *id = json_string_value(one);
		const char *who = signer(m, json_object_get(keys, id), id);

		for (k = 0; who && k < count; k++)
			if (strcmp(seen[k], who) == 0)
				who = NULL;
		if (who)
			seen[count++] = who;
	}
	if ((long long)count >= needed)
		return 0;
	return bl_err_set(
		err, BL_TRUST_SIGNATURE,
		"%s: signed by %zu of the keys of the role '%s', and %lld must",
		m->doc.name, count, role, needed);
}

bool bl_meta_file(const struct bl_meta *m, const char *name,
		  struct bl_meta_file *ret)
{
	const json_t *f =
		json_object_get(json_object_get(m->body, "meta"), name);
	const json_t *length = json_object_get(f, "length");

	if (!f)
		return false;
	ret->version = json_integer_value(json_object_get(f, "version"));
	ret->length = length ? json_integer_value(length) : -1;
	ret->sha256 = bl_meta_string(json_object_get(f, "hashes"), "sha256");
	return true;
}

bool bl_meta_target(const struct bl_meta *m, const char *path,
		    struct bl_meta_target *ret)
{
	const json_t *all = json_object_get(m->body, "targets");
	const json_t *t = json_object_get(all, path);

	if (!t)
		return false;
	ret->path = json_object_iter_key(
		json_object_iter_at((json_t *)(uintptr_t)all, path));
	ret->length = json_integer_value(json_object_get(t, "length"));
	ret->sha256 = bl_meta_string(json_object_get(t, "hashes"), "sha256");
	ret->custom = json_object_get(t, "custom");
	return true;
}

static const json_t *delegation(const struct bl_meta *m, size_t i)
{
	return json_array_get(
		json_object_get(json_object_get(m->body, "delegations"),
				"roles"),
		i);
}

const char *bl_meta_delegation(const struct bl_meta *m, size_t i,
			       bool *ret_terminating)
{
	const json_t *d = delegation(m, i);

	if (!d)
		return NULL;
	*ret_terminating = json_is_true(json_object_get(d, "terminating"));
	return bl_meta_string(d, "name");
}

bool bl_meta_delegates(const struct bl_meta *m, size_t i, const char *path)
{
	const json_t *d = delegation(m, i), *one;
	const char *prefix;
	char hex[BL_DIGEST_HEX];
	size_t k;

	json_array_foreach (json_object_get(d, "paths"), k, one)
		if (bl_meta_pattern_matches(json_string_value(one), path))
			return true;
	if (bl_digest(path, strlen(path), hex) < 0)
		return false;
	json_array_foreach (json_object_get(d, "path_hash_prefixes"), k, one) {
		prefix = json_string_value(one);
		if (strncmp(hex, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}
