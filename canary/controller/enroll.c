/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/enroll.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "canary/controller/revoke.h"
#include "canary/ledger/fleet.h"
#include "canary/ledger/ledger.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

static int need_pki(const struct bl_request *q, struct bl_err *err)
{
	if (q->pki)
		return 0;
	bl_err_set(
		err, -ENOTSUP,
		"this controller speaks plain HTTP: it has no certificates to give");
	bl_err_hint(err, "'belay controller init', then 'belay controller' "
			 "without --plaintext");
	return -ENOTSUP;
}

/* What nobody can use any more goes, a transaction's worth at a time. */
static int drop_old(struct bl_store *store, const struct bl_store_list *list,
		    int64_t now_ms, size_t *ret_left, struct bl_err *err)
{
	bl_autochange struct bl_change c = { 0 };
	size_t i;
	int r;

	*ret_left = list->count;
	for (i = 0; i < list->count && c.put_count < BL_STORE_TXN_MAX; i++) {
		struct bl_token t;

		r = bl_token_read(&list->items[i], &t, err);
		if (r < 0)
			return r;
		if (t.until_ms >= now_ms)
			continue;
		bl_change_remove(&c, "%s", list->items[i].key);
		(*ret_left)--;
	}
	return bl_change_write(&c, store, err);
}

struct raw_token {
	const char *host;
	int64_t valid_s;
};

static const struct bl_json_field token_fields[] = {
	{ "host", BL_JSON_STRING, true, offsetof(struct raw_token, host), 1,
	  BL_NAME_MAX },
	{ "valid_s", BL_JSON_INT, false, offsetof(struct raw_token, valid_s), 1,
	  BL_TOKEN_VALID_MAX },
};

static int write_token(struct bl_store *store, const struct bl_token *t,
		       const char *secret, int64_t now_ms, struct bl_err *err)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	bl_autochange struct bl_change c = { 0 };
	char digest[BL_DIGEST_HEX];
	size_t left = 0;
	int r = bl_store_list(store, "token/", &list, err);

	if (!r)
		r = drop_old(store, &list, now_ms, &left, err);
	if (r < 0)
		return r;
	if (left >= BL_TOKENS_MAX)
		return bl_err_set(
			err, -ENOSPC,
			"%d tokens are waiting to be used, no more are made",
			BL_TOKENS_MAX);
	r = bl_digest(secret, strlen(secret), digest);
	if (r < 0)
		return bl_err_errno(err, r, "cannot make a digest");
	bl_change_expect(&c, 0, "token/%s", digest);
	bl_change_put(&c, bl_token_json(t), "token/%s", digest);
	return bl_change_write(&c, store, err);
}

int bl_enroll_token(struct bl_store *store, const struct bl_request *q,
		    int64_t now_ms, json_t **ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct raw_token raw = { .valid_s = BL_TOKEN_VALID_S };
	unsigned char random[(BL_TOKEN_SECRET - 1) / 2];
	char secret[BL_TOKEN_SECRET], fingerprint[BL_DIGEST_HEX];
	char text[BL_TOKEN_MAX];
	struct bl_token t = { 0 };
	size_t i;
	int r = need_pki(q, err);

	if (!r)
		r = bl_json_parse("request", q->body, q->len, &doc, err);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", token_fields,
				 BL_ARRAY_SIZE(token_fields), &raw, err);
	if (!r && !bl_name_valid(raw.host))
		r = bl_err_set(err, -EINVAL, "'%s' is no host's name",
			       raw.host);
	if (!r)
		r = bl_pki_fingerprint(bl_pki_cert(q->pki),
				       strlen(bl_pki_cert(q->pki)), fingerprint,
				       err);
	if (r < 0)
		return r;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return bl_err_errno(err, -errno, "cannot draw a secret");
	for (i = 0; i < sizeof(random); i++)
		snprintf(secret + 2 * i, 3, "%02x", random[i]);
	bl_text_copy(t.host, sizeof(t.host), raw.host);
	t.until_ms = now_ms + raw.valid_s * 1000;
	r = write_token(store, &t, secret, now_ms, err);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%s.%s.%s", t.host, secret, fingerprint);
	*ret = json_pack("{s:s,s:s,s:I}", "host", t.host, "token", text,
			 "until_ms", (json_int_t)t.until_ms);
	return 0;
}

int bl_enroll_ca(struct bl_store *store, const struct bl_request *q,
		 int64_t now_ms, json_t **ret, struct bl_err *err)
{
	int r = need_pki(q, err);

	(void)store;
	(void)now_ms;
	if (!r)
		*ret = json_pack("{s:s}", "ca", bl_pki_cert(q->pki));
	return r;
}

/* The token that goes with @secret is used up by this; the generation is that
 * of the name before. */
static int use_token(struct bl_store *store, const char *secret, int64_t now_ms,
		     struct bl_token *ret, unsigned *ret_generation,
		     struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	bl_autochange struct bl_change c = { 0 };
	char digest[BL_DIGEST_HEX];
	struct bl_token t = { 0 };
	struct bl_err e = { 0 };
	int r = bl_digest(secret, strlen(secret), digest);

	if (r < 0)
		return bl_err_errno(err, r, "cannot make a digest");
	r = bl_fleet_get(store, &item, err, "token/", digest);
	if (!r && item.revision)
		r = bl_token_read(&item, &t, err);
	if (r < 0)
		return r;
	if (!item.revision || now_ms > t.until_ms) {
		bl_err_set(err, -EPERM,
			   item.revision ? "this token is too old"
					 : "this token was used or never made");
		bl_err_hint(err, "'belay host token NAME' makes a new one");
		return -EPERM;
	}
	r = bl_revoke_generation(store, BL_ROLE_HOST, t.host, ret_generation,
				 err);
	if (r < 0)
		return r;
	bl_change_expect(&c, item.revision, "token/%s", digest);
	bl_change_remove(&c, "token/%s", digest);
	r = bl_change_write(&c, store, &e);
	if (r == -EAGAIN)
		return bl_err_set(err, -EPERM,
				  "this token was used at the same moment");
	if (r < 0 && err)
		*err = e;
	if (!r)
		*ret = t;
	return r;
}

static int issue(const struct bl_request *q, enum bl_role role,
		 const char *name, unsigned generation, const char *request,
		 int64_t now_ms, json_t **ret, struct bl_err *err)
{
	const struct bl_pki_subject subject = {
		.role = role,
		.name = name,
		.from_ms = now_ms,
		.until_ms = now_ms + BL_PKI_CLIENT_DAYS * BL_PKI_DAY_MS,
		.generation = generation,
	};
	bl_autobuf struct bl_buf cert = { 0 };
	int r = bl_pki_issue(q->pki, request, strlen(request), &subject, &cert,
			     err);

	if (!r)
		*ret = json_pack("{s:s,s:s,s:s}", "name", name, "certificate",
				 cert.data, "ca", bl_pki_cert(q->pki));
	return r;
}

struct raw_enroll {
	const char *secret, *request;
};

int bl_enroll_redeem(struct bl_store *store, const struct bl_request *q,
		     int64_t now_ms, json_t **ret, struct bl_err *err)
{
	static const struct bl_json_field fields[] = {
		{ "secret", BL_JSON_STRING, true,
		  offsetof(struct raw_enroll, secret), BL_TOKEN_SECRET - 1,
		  BL_TOKEN_SECRET - 1 },
		{ "request", BL_JSON_STRING, true,
		  offsetof(struct raw_enroll, request), 1, BL_PKI_PEM_MAX },
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct raw_enroll raw = { 0 };
	struct bl_token t;
	json_t *tried = NULL;
	unsigned generation = 0;
	int r = need_pki(q, err);

	if (!r)
		r = bl_json_parse("request", q->body, q->len, &doc, err);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &raw, err);
	/* A request that is none must not cost the token. */
	if (!r)
		r = issue(q, BL_ROLE_HOST, "nobody", 0, raw.request, now_ms,
			  &tried, err);
	json_decref(tried);
	if (!r)
		r = use_token(store, raw.secret, now_ms, &t, &generation, err);
	if (!r)
		r = issue(q, BL_ROLE_HOST, t.host, generation, raw.request,
			  now_ms, ret, err);
	return r;
}

int bl_enroll_renew(struct bl_store *store, const struct bl_request *q,
		    int64_t now_ms, json_t **ret, struct bl_err *err)
{
	static const struct bl_json_field fields[] = {
		{ "request", BL_JSON_STRING, true, 0, 1, BL_PKI_PEM_MAX },
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const char *request = "";
	int r = need_pki(q, err);

	(void)store;
	if (!r)
		r = bl_json_parse("request", q->body, q->len, &doc, err);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &request, err);
	if (!r)
		r = issue(q, q->peer->role, q->peer->name, q->peer->generation,
			  request, now_ms, ret, err);
	return r;
}
