/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/enroll_host.h"

#include <errno.h>
#include <string.h>

#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"

/* What an answer says of certificates; borrowed from it. */
struct given {
	const char *name, *certificate, *ca;
};

static const struct bl_json_field given_fields[] = {
	{ "name", BL_JSON_STRING, false, offsetof(struct given, name), 1,
	  BL_NAME_MAX },
	{ "certificate", BL_JSON_STRING, false,
	  offsetof(struct given, certificate), 1, BL_PKI_PEM_MAX },
	{ "ca", BL_JSON_STRING, false, offsetof(struct given, ca), 1,
	  BL_PKI_PEM_MAX },
};

static int ask(struct bl_client *c, const char *method, const char *path,
	       json_t *body, struct bl_json_doc *doc, struct given *ret,
	       struct bl_err *err)
{
	bool posted = body;
	int r = bl_client_json(c, method, path, body, doc, err);

	if (!r)
		r = bl_json_read(doc, doc->root, "", given_fields,
				 BL_ARRAY_SIZE(given_fields), ret, err);
	if (!r && (!ret->ca || (posted && !ret->certificate)))
		r = bl_err_set(err, -EPROTO,
			       "the controller gave no certificate");
	return r;
}

/* The authority's certificate, into @dir, if it is the one that is meant. */
static int fetch_ca(struct bl_client *c, const char *dir,
		    const struct bl_token_parts *t, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autofree char *path = bl_path("%s/ca.pem", dir);
	char fingerprint[BL_DIGEST_HEX];
	struct given g = { 0 };
	int r;

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	bl_client_trust_anybody(c);
	r = ask(c, "GET", "/v1/ca", NULL, &doc, &g, err);
	if (!r)
		r = bl_pki_fingerprint(g.ca, strlen(g.ca), fingerprint, err);
	if (r)
		return r;
	if (strcmp(fingerprint, t->fingerprint) != 0) {
		bl_err_set(
			err, -EPERM,
			"%s is not the controller that this token is from: its authority is %.16s…, not %.16s…",
			bl_client_url(c), fingerprint, t->fingerprint);
		bl_err_hint(err, "somebody may be in between; the token was "
				 "not shown to it");
		return -EPERM;
	}
	r = bl_file_mkdirs(dir, 0700, err);
	return r < 0 ? r : bl_file_write(path, g.ca, strlen(g.ca), 0644, err);
}

static int redeem(struct bl_client *c, const char *dir,
		  const struct bl_token_parts *t, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autobuf struct bl_buf key = { 0 };
	bl_autobuf struct bl_buf request = { 0 };
	struct given g = { 0 };
	int r = bl_pki_key_make(&key, err);

	if (!r)
		r = bl_pki_request_make(key.data, &request, err);
	if (!r)
		r = ask(c, "POST", "/v1/enroll",
			json_pack("{s:s,s:s}", "secret", t->secret, "request",
				  request.data),
			&doc, &g, err);
	if (!r)
		r = bl_pki_dir_write(dir, "host", g.ca, g.certificate, key.data,
				     err);
	return r;
}

int bl_enroll_host(const char *url, const char *dir, const char *token,
		   char ret_name[static BL_NAME_MAX + 1], struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autofree char *room = bl_path("%s/enrolling", dir);
	struct bl_token_parts t;
	int r = bl_token_parse(token, &t, err);

	if (r < 0)
		return r;
	if (!room)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_client_open(url, false, &c, err);
	if (!r && strncmp(bl_client_url(c), "https:", 6) != 0) {
		bl_err_set(err, -EINVAL, "%s: certificates come by https://",
			   bl_client_url(c));
		r = -EINVAL;
	}
	if (!r)
		r = fetch_ca(c, room, &t, err);
	/* From here on whoever answers must have a certificate of it. */
	if (!r)
		r = bl_client_identity(c, room, "host", err);
	if (!r)
		r = redeem(c, dir, &t, err);
	bl_file_rmtree(room, NULL);
	if (!r)
		memcpy(ret_name, t.name, sizeof(t.name));
	return r;
}

int bl_enroll_again(struct bl_client *c, const char *dir, int64_t now_ms,
		    struct bl_buf *ret, struct bl_err *err)
{
	bl_autofree char *cert_path = bl_path("%s/host.pem", dir);
	bl_autofree char *key_path = bl_path("%s/host.key", dir);
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autobuf struct bl_buf cert = { 0 };
	bl_autobuf struct bl_buf key = { 0 };
	bl_autobuf struct bl_buf request = { 0 };
	int64_t from_ms, until_ms;
	struct given g = { 0 };
	int r;

	if (!cert_path || !key_path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (strncmp(bl_client_url(c), "https:", 6) != 0)
		return 0;
	r = bl_file_read(cert_path, BL_PKI_PEM_MAX, &cert, NULL);
	if (r == -ENOENT)
		return 0;
	r = bl_pki_validity(bl_buf_str(&cert), cert.len, &from_ms, &until_ms,
			    err);
	if (r < 0)
		return bl_err_wrap(err, r, "%s", cert_path);
	if (now_ms < from_ms + (until_ms - from_ms) / 3 * 2)
		return 0;
	r = bl_file_read(key_path, BL_PKI_PEM_MAX, &key, err);
	/* The key stays: two files cannot be replaced at once. */
	if (!r)
		r = bl_pki_request_make(bl_buf_str(&key), &request, err);
	if (!r)
		r = ask(c, "POST", "/v1/renew",
			json_pack("{s:s}", "request", request.data), &doc, &g,
			err);
	if (!r && bl_buf_add(ret, g.certificate, strlen(g.certificate)) < 0)
		r = bl_err_set(err, -ENOMEM, "out of memory");
	return r;
}

int bl_enroll_keep(const char *dir, const char *certificate, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/host.pem", dir);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(path, certificate, strlen(certificate), 0644, err);
}
