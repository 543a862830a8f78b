/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tuf.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/digest.h"
#include "loader/trust/canon.h"

#define EXPIRES "2027-02-01T00:00:00Z"

static int fetch(void *ctx, const char *name, size_t max_bytes,
		 struct bl_buf *ret, struct bl_err *err)
{
	const struct tuf *t = ctx;
	const char *text = tuf_get(t, name);

	if (!text)
		return bl_err_set(err, -ENOENT, "%s: there is none", name);
	if (strlen(text) > max_bytes && !t->endless)
		return bl_err_set(err, -EFBIG, "%s: too large", name);
	return bl_buf_add(ret, text, strlen(text));
}

json_t *tuf_key(const struct tuf *t, enum tuf_key k)
{
	return json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme",
			 "ed25519", "keyval", "public", t->key[k].public);
}

json_t *tuf_keyid(const struct tuf *t, enum tuf_key k)
{
	bl_autojson json_t *key = tuf_key(t, k);
	char id[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_canon_digest(key, id, NULL), 0);
	return json_string(id);
}

static void add_key(const struct tuf *t, json_t *keys, enum tuf_key k)
{
	bl_autojson json_t *id = tuf_keyid(t, k);

	json_object_set_new(keys, json_string_value(id), tuf_key(t, k));
}

static json_t *role(const struct tuf *t, int threshold, unsigned keys)
{
	json_t *ids = json_array();

	for (int k = 0; k < TUF_KEYS; k++)
		if (keys & TUF_KEY(k))
			json_array_append_new(ids, tuf_keyid(t, k));
	return json_pack("{s:o, s:i}", "keyids", ids, "threshold", threshold);
}

static json_t *body(const char *type)
{
	return json_pack("{s:s, s:s, s:i, s:s}", "_type", type, "spec_version",
			 "1.0.31", "version", 1, "expires", EXPIRES);
}

static json_t *root(const struct tuf *t)
{
	json_t *v = body("root"), *keys = json_object();

	for (int k = 0; k < TUF_FLEET; k++)
		add_key(t, keys, k);
	json_object_set_new(v, "consistent_snapshot", json_true());
	json_object_set_new(v, "keys", keys);
	json_object_set_new(v, "roles",
			    json_pack("{s:o, s:o, s:o, s:o}", "root",
				      role(t, 2, TUF_ROOT_KEYS), "targets",
				      role(t, 2, TUF_TARGETS_KEYS), "snapshot",
				      role(t, 1, TUF_KEY(TUF_SNAPSHOT)),
				      "timestamp",
				      role(t, 1, TUF_KEY(TUF_TIMESTAMP))));
	return v;
}

static json_t *target(const char *bytes)
{
	char hex[BL_DIGEST_HEX];

	ck_assert_int_eq(bl_digest(bytes, strlen(bytes), hex), 0);
	return json_pack("{s:i, s:{s:s}}", "length", (int)strlen(bytes),
			 "hashes", "sha256", hex);
}

static json_t *targets(const struct tuf *t)
{
	json_t *v = body("targets"), *keys = json_object();
	json_t *fleet = role(t, 1, TUF_KEY(TUF_FLEET));

	add_key(t, keys, TUF_FLEET);
	json_object_set_new(fleet, "name", json_string("fleet"));
	json_object_set_new(fleet, "terminating", json_true());
	json_object_set_new(fleet, "paths", json_pack("[s]", "fleet/*"));
	json_object_set_new(v, "targets",
			    json_pack("{s:o}", TUF_TARGET, target(TUF_BYTES)));
	json_object_set_new(v, "delegations",
			    json_pack("{s:o, s:[o]}", "keys", keys, "roles",
				      fleet));
	return v;
}

void tuf_open(struct tuf *t)
{
	char hex[BL_DIGEST_HEX];
	bl_autofree char *name = NULL;

	*t = (struct tuf){ .files = json_object(), .fetcher = { fetch, t } };
	for (int k = 0; k < TUF_KEYS; k++) {
		char seed[BL_ED25519_KEY_HEX];

		memset(seed, "123456789"[k], sizeof(seed) - 1);
		seed[sizeof(seed) - 1] = '\0';
		ck_assert_int_eq(bl_ed25519_of(seed, &t->key[k]), 0);
	}
	t->root = root(t);
	t->targets = targets(t);
	t->fleet = body("targets");
	json_object_set_new(t->fleet, "targets", json_object());
	t->snapshot = body("snapshot");
	t->timestamp = body("timestamp");
	bl_digest(TUF_BYTES, strlen(TUF_BYTES), hex);
	name = bl_path("targets/%s.%s", hex, TUF_TARGET);
	tuf_put(t, name, TUF_BYTES);
	tuf_write(t, t->root, "root", TUF_ROOT_KEYS);
	tuf_publish(t);
}

void tuf_close(struct tuf *t)
{
	json_decref(t->files);
	json_decref(t->root);
	json_decref(t->timestamp);
	json_decref(t->snapshot);
	json_decref(t->targets);
	json_decref(t->fleet);
}

json_int_t tuf_version(const json_t *v)
{
	return json_integer_value(json_object_get(v, "version"));
}

void tuf_bump(json_t *v)
{
	json_object_set_new(v, "version", json_integer(tuf_version(v) + 1));
}

char *tuf_sign(const struct tuf *t, const json_t *v, unsigned keys)
{
	bl_autobuf struct bl_buf text = { 0 }, all = { 0 };
	bl_autojson json_t *list = json_array(), *envelope = NULL;

	ck_assert_int_eq(bl_canon(v, &text, NULL), 0);
	for (int k = 0; k < TUF_KEYS; k++) {
		char sig[BL_ED25519_SIG_HEX];

		if (!(keys & TUF_KEY(k)))
			continue;
		ck_assert_int_eq(bl_ed25519_sign(&t->key[k], text.data,
						 text.len, sig),
				 0);
		json_array_append_new(list,
				      json_pack("{s:o, s:s}", "keyid",
						tuf_keyid(t, k), "sig", sig));
	}
	envelope = json_pack("{s:O, s:O}", "signatures", list, "signed", v);
	ck_assert_int_eq(bl_canon(envelope, &all, NULL), 0);
	return BL_TAKE(all.data);
}

const char *tuf_name(const json_t *v, const char *role_name)
{
	static char name[96];

	if (strcmp(role_name, "timestamp") == 0)
		return "metadata/timestamp.json";
	snprintf(name, sizeof(name), "metadata/%lld.%s.json",
		 (long long)tuf_version(v), role_name);
	return name;
}

void tuf_write(struct tuf *t, const json_t *v, const char *role_name,
	       unsigned keys)
{
	bl_autofree char *text = tuf_sign(t, v, keys);

	tuf_put(t, tuf_name(v, role_name), text);
}

/* What the role above says of a file that is written. */
static json_t *file(const struct tuf *t, const json_t *v, const char *role_name)
{
	const char *text = tuf_get(t, tuf_name(v, role_name));
	char hex[BL_DIGEST_HEX];

	if (t->loose)
		return json_pack("{s:I}", "version", tuf_version(v));
	bl_digest(text, strlen(text), hex);
	return json_pack("{s:I, s:i, s:{s:s}}", "version", tuf_version(v),
			 "length", (int)strlen(text), "hashes", "sha256", hex);
}

void tuf_state_snapshot(struct tuf *t)
{
	json_object_set_new(t->snapshot, "meta",
			    json_pack("{s:o, s:o}", "targets.json",
				      file(t, t->targets, "targets"),
				      "fleet.json",
				      file(t, t->fleet, "fleet")));
}

void tuf_state_timestamp(struct tuf *t)
{
	json_object_set_new(t->timestamp, "meta",
			    json_pack("{s:o}", "snapshot.json",
				      file(t, t->snapshot, "snapshot")));
}

void tuf_publish(struct tuf *t)
{
	tuf_write(t, t->targets, "targets", TUF_TARGETS_KEYS);
	tuf_write(t, t->fleet, "fleet", TUF_KEY(TUF_FLEET));
	tuf_state_snapshot(t);
	tuf_write(t, t->snapshot, "snapshot", TUF_KEY(TUF_SNAPSHOT));
	tuf_state_timestamp(t);
	tuf_write(t, t->timestamp, "timestamp", TUF_KEY(TUF_TIMESTAMP));
}

void tuf_next(struct tuf *t)
{
	tuf_bump(t->targets);
	tuf_bump(t->fleet);
	tuf_bump(t->snapshot);
	tuf_bump(t->timestamp);
	tuf_publish(t);
}

void tuf_put(struct tuf *t, const char *name, const char *text)
{
	ck_assert_int_eq(json_object_set_new(t->files, name, json_string(text)),
			 0);
}

const char *tuf_get(const struct tuf *t, const char *name)
{
	return json_string_value(json_object_get(t->files, name));
}
