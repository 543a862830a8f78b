/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/keys.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/trust/canon.h"

void bl_keys_wipe(struct bl_keys *keys)
{
	bl_ed25519_wipe_bytes(keys, sizeof(*keys));
}

json_t *bl_key_public(const struct bl_key *key)
{
	return json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme",
			 "ed25519", "keyval", "public", key->pair.public);
}

static int name_key(struct bl_key *key, struct bl_err *err)
{
	bl_autojson json_t *public = bl_key_public(key);

	if (!public)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_canon_digest(public, key->id, err);
}

static int add(struct bl_keys *ring, const struct bl_key *key,
	       struct bl_err *err)
{
	for (size_t i = 0; i < ring->count; i++)
		if (strcmp(ring->key[i].id, key->id) == 0)
			return 0;
	if (ring->count == BL_KEYS_MAX)
		return bl_err_set(err, -E2BIG, "more than %d keys",
				  BL_KEYS_MAX);
	ring->key[ring->count++] = *key;
	return 0;
}

static int read_key(const struct bl_json_doc *doc, struct bl_key *ret,
		    struct bl_err *err)
{
	struct parts {
		const char *role, *type, *scheme, *private, *public;
		json_t *val;
	};
	static const struct bl_json_field fields[] = {
		{ "role", BL_JSON_STRING, true, offsetof(struct parts, role), 1,
		  BL_KEYS_ROLE_LEN - 1 },
		{ "keytype", BL_JSON_STRING, true, offsetof(struct parts, type),
		  0, 0 },
		{ "scheme", BL_JSON_STRING, true,
		  offsetof(struct parts, scheme), 0, 0 },
		{ "keyval", BL_JSON_OBJECT, true, offsetof(struct parts, val),
		  0, 0 },
	};
	static const struct bl_json_field values[] = {
		{ "private", BL_JSON_STRING, true,
		  offsetof(struct parts, private), 0, 0 },
		{ "public", BL_JSON_STRING, true,
		  offsetof(struct parts, public), 0, 0 },
	};
	struct parts v;
	int r = bl_json_read(doc, doc->root, "", fields, BL_ARRAY_SIZE(fields),
			     &v, err);

	if (!r)
		r = bl_json_read(doc, v.val, "keyval", values,
				 BL_ARRAY_SIZE(values), &v, err);
	if (r < 0)
		return r;
	if (strcmp(v.type, "ed25519") != 0 || strcmp(v.scheme, "ed25519") != 0)
		return bl_json_fail(doc, "keytype", err,
				    "only ed25519 keys sign here");
	r = bl_ed25519_of(v.private, &ret->pair);
	bl_ed25519_wipe_bytes((char *)(uintptr_t)v.private, strlen(v.private));
	if (r < 0 || strcmp(ret->pair.public, v.public) != 0)
		return bl_json_fail(
			doc, "keyval", err,
			"this is not the private key of that public one");
	snprintf(ret->role, sizeof(ret->role), "%s", v.role);
	return name_key(ret, err);
}

/* What is wrong with a text is told by quoting it: of this one nothing. */
static int understand(const char *path, const struct bl_buf *text,
		      struct bl_json_doc *doc, struct bl_key *ret,
		      struct bl_err *err)
{
	int r = bl_json_parse(path, bl_buf_str(text), text->len, doc, NULL);

	if (!r)
		r = read_key(doc, ret, NULL);
	if (!r)
		return 0;
	if (r == -ENOMEM)
		return bl_err_set(err, r, "out of memory");
	bl_err_set(
		err, r,
		"%s: this is no private key with its public one, as belay trust writes them",
		path);
	bl_err_hint(err, "what is in it is not shown; get it from where you "
			 "keep another copy");
	return r;
}

/* Each copy of the secret is wiped: here the text, in read_key what the parser
 * made of it. */
static int load_key(const char *path, struct bl_keys *ring, struct bl_err *err)
{
	bl_autobuf struct bl_buf b = { 0 };
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_key key = { 0 };
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return bl_err_errno(err, -errno, "cannot stat %s", path);
	if (st.st_uid != geteuid() && geteuid() != 0)
		return bl_err_set(err, -EPERM, "%s: this key is another user's",
				  path);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		bl_err_set(err, -EPERM,
			   "%s: others than its owner can read this key", path);
		bl_err_hint(err, "chmod 600 %s, and think about who did", path);
		return -EPERM;
	}
	r = bl_file_read_regular(path, BL_KEYS_FILE_MAX, &b, err);
	if (!r)
		r = understand(path, &b, &doc, &key, err);
	if (!r)
		r = add(ring, &key, err);
	bl_ed25519_wipe_bytes(b.data, b.len);
	bl_ed25519_wipe_bytes(doc.text, doc.len);
	bl_ed25519_wipe_bytes(&key, sizeof(key));
	return r;
}

int bl_keys_load(const char *dir, struct bl_keys *ring, struct bl_err *err)
{
	bl_autoclosedir DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return bl_err_errno(err, -errno, "cannot open folder %s", dir);
	while (!r && (e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');
		bl_autofree char *path = NULL;

		if (!dot || strcmp(dot, ".key") != 0)
			continue;
		path = bl_path("%s/%s", dir, e->d_name);
		r = path ? load_key(path, ring, err)
			 : bl_err_set(err, -ENOMEM, "out of memory");
	}
	return r;
}

int bl_keys_load_one(const char *path, const char *role, struct bl_keys *ring,
		     struct bl_err *err)
{
	const struct bl_key *key;
	int r = load_key(path, ring, err);

	if (r < 0)
		return r;
	key = &ring->key[ring->count - 1];
	if (strcmp(key->role, role) == 0)
		return 0;
	bl_err_set(err, -EPERM, "%s: a key of the role '%s' has no place here",
		   path, key->role);
	bl_err_hint(err, "that of the role '%s' was meant", role);
	return -EPERM;
}

int bl_keys_make(const char *role, struct bl_keys *ring, struct bl_err *err)
{
	struct bl_key key = { .unwritten = true };
	int r = bl_ed25519_make(&key.pair);

	assert(strlen(role) < sizeof(key.role));
	if (r < 0)
		return bl_err_set(err, r, "libsodium cannot start");
	memcpy(key.role, role, strlen(role));
	r = name_key(&key, err);
	if (!r)
		r = add(ring, &key, err);
	bl_ed25519_wipe_bytes(&key, sizeof(key));
	return r;
}

static int write_key(const char *dir, const struct bl_key *key,
		     struct bl_err *err)
{
	bl_autofree char *path =
		bl_path("%s/%s-%.8s.key", dir, key->role, key->id);
	bl_autofree char *text = bl_path(
		"{\n  \"role\": \"%s\",\n  \"keytype\": \"ed25519\",\n  \"scheme\": \"ed25519\",\n  \"keyval\": {\n    \"private\": \"%s\",\n    \"public\": \"%s\"\n  }\n}\n",
		key->role, key->pair.secret, key->pair.public);
	int r = path && text
			? bl_file_write(path, text, strlen(text), 0600, err)
			: bl_err_set(err, -ENOMEM, "out of memory");

	bl_ed25519_wipe_bytes(text, text ? strlen(text) : 0);
	return r;
}

int bl_keys_write(const char *dir, struct bl_keys *ring, struct bl_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < ring->count; i++) {
		if (!ring->key[i].unwritten)
			continue;
		r = write_key(dir, &ring->key[i], err);
		ring->key[i].unwritten = r < 0;
	}
	return r;
}

static bool named(const struct bl_meta *const by[2], const char *role,
		  const char *id)
{
	return (by[0] && bl_meta_role_has(by[0], role, id)) ||
	       (by[1] && bl_meta_role_has(by[1], role, id));
}

int bl_keys_sign(const struct bl_keys *ring, const json_t *body,
		 const struct bl_meta *const by[2], const char *role,
		 char **ret, struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 }, all = { 0 };
	bl_autojson json_t *list = json_array(), *envelope = NULL;
	char sig[BL_ED25519_SIG_HEX];
	int r = bl_canon(body, &text, err);

	for (size_t i = 0; !r && i < ring->count; i++) {
		const struct bl_key *key = &ring->key[i];

		if (!named(by, role, key->id))
			continue;
		r = bl_ed25519_sign(&key->pair, text.data, text.len, sig);
		if (r < 0)
			return bl_err_set(err, r, "%s: cannot sign", role);
		json_array_append_new(list, json_pack("{s:s, s:s}", "keyid",
						      key->id, "sig", sig));
	}
	if (r < 0)
		return r;
	envelope = json_pack("{s:O, s:O}", "signatures", list, "signed", body);
	if (!envelope)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_canon(envelope, &all, err);
	if (!r)
		*ret = BL_TAKE(all.data);
	return r;
}
