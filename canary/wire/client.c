/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/wire/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "canary/wire/fetch.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

struct bl_client {
	struct bl_fetch *fetch;
	char *url; /* without a slash at the end */
	bool https, anybody;
	char *ca, *cert, *key; /* files; NULL: none */
};

static int check_url(const char *url, bool plaintext, bool *ret_https,
		     struct bl_err *err)
{
	struct bl_fetch_url u;

	if (bl_fetch_url_read(url, &u) < 0 || !u.bare) {
		bl_err_set(err, -EINVAL, "'%s' is not a controller's URL", url);
		bl_err_hint(err, "for example %s", BL_CLIENT_URL);
		return -EINVAL;
	}
	if (!u.https && !u.loopback && !plaintext) {
		bl_err_set(
			err, -EPERM,
			"plain HTTP to %s: anyone on the way could say what this host loads",
			u.host);
		bl_err_hint(
			err,
			"use https://, or --plaintext on a network that is yours alone (a lab)");
		return -EPERM;
	}
	*ret_https = u.https;
	return 0;
}

int bl_client_open(const char *url, bool plaintext, struct bl_client **ret,
		   struct bl_err *err)
{
	const char *env = getenv("BELAY_CONTROLLER");
	struct bl_client *c;
	bool https = false;
	size_t len;
	int r;

	if (!url)
		url = env && *env ? env : BL_CLIENT_URL;
	r = check_url(url, plaintext, &https, err);
	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (c)
		c->url = strdup(url);
	if (!c || !c->url)
		r = bl_err_set(err, -ENOMEM, "out of memory");
	else
		r = bl_fetch_open(&c->fetch, err);
	if (!r) {
		c->https = https;
		r = bl_client_identity(c, NULL, "operator", err);
	}
	if (r < 0) {
		bl_client_close(c);
		return r;
	}
	len = strlen(c->url);
	while (len && c->url[len - 1] == '/')
		c->url[--len] = '\0';
	*ret = c;
	return 0;
}

void bl_client_close(struct bl_client *c)
{
	if (!c)
		return;
	bl_fetch_close(c->fetch);
	free(c->ca);
	free(c->cert);
	free(c->key);
	free(c->url);
	free(c);
}

/* A file that is not there is not used. */
static int find_file(const char *dir, const char *who, const char *suffix,
		     char **ret, struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s%s", dir, who, suffix);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	free(*ret);
	*ret = access(path, F_OK) == 0 ? BL_TAKE(path) : NULL;
	return 0;
}

int bl_client_identity(struct bl_client *c, const char *dir, const char *who,
		       struct bl_err *err)
{
	int r = 0;

	c->anybody = false;
	if (!c->https)
		return 0;
	dir = bl_pki_dir(dir);
	r = find_file(dir, "ca", ".pem", &c->ca, err);
	if (!r)
		r = find_file(dir, who, ".pem", &c->cert, err);
	if (!r)
		r = find_file(dir, who, ".key", &c->key, err);
	return r;
}

void bl_client_trust_anybody(struct bl_client *c)
{
	c->anybody = true;
}

const char *bl_client_url(const struct bl_client *c)
{
	return c->url;
}

static int errno_of(long status)
{
	switch (status) {
	case 400:
	case 415:
		return -EINVAL;
	case 401:
		return -EACCES;
	case 403:
		return -EPERM;
	case 404:
		return -ENOENT;
	case 409:
		return -EBUSY;
	case 413:
		return -EFBIG;
	case 503:
		return -EAGAIN;
	case 507:
		return -ENOSPC;
	default:
		return -EPROTO;
	}
}

/* What the controller says is a stranger's text until it is cleaned. */
static int fail_status(long status, const struct bl_buf *body,
		       struct bl_err *err)
{
	char text[BL_ERR_TEXT_MAX / 2], hint[BL_ERR_HINT_MAX];
	bl_autojson json_t *obj =
		json_loadb(bl_buf_str(body), body->len, 0, NULL);
	const char *error = json_string_value(json_object_get(obj, "error"));

	if (!error) {
		bl_err_set(err, errno_of(status),
			   "the controller answered %ld without saying why",
			   status);
		bl_err_hint(err, "is it a belay controller? --controller or "
				 "$BELAY_CONTROLLER say where");
		return errno_of(status);
	}
	bl_text_copy(text, sizeof(text), error);
	bl_text_copy(hint, sizeof(hint),
		     json_string_value(json_object_get(obj, "hint")));
	bl_err_set(err, errno_of(status), "%s", text);
	if (*hint)
		bl_err_hint(err, "%s", hint);
	return errno_of(status);
}

static int fail_connection(struct bl_client *c, int code,
			   const struct bl_err *why, struct bl_err *err)
{
	if (code == -EINTR || code == -ENOMEM)
		return bl_err_set(err, code, "%s", why->text);
	if (code == -EACCES) {
		bl_err_set(err, -ECONNREFUSED,
			   "%s and this machine do not trust each other: %s",
			   c->url, why->text);
		bl_err_hint(
			err,
			"is ca.pem in %s of that controller's fleet? 'belay host enroll TOKEN' fetches it",
			bl_pki_dir(NULL));
		return -ECONNREFUSED;
	}
	bl_err_set(err, -ECONNREFUSED, "no controller answers at %s: %s",
		   c->url, why->text);
	bl_err_hint(
		err,
		"is 'belay controller' running? --controller or $BELAY_CONTROLLER say where");
	return -ECONNREFUSED;
}

int bl_client_call(struct bl_client *c, const char *method, const char *path,
		   const char *type, const void *body, size_t len,
		   uint64_t timeout_ms, struct bl_buf *ret, struct bl_err *err)
{
	bl_autofree char *url = bl_path("%s%s", c->url, path);
	const struct bl_fetch_tls tls = {
		.ca = c->ca,
		.cert = c->cert && c->key ? c->cert : NULL,
		.key = c->key,
		.anybody = c->anybody,
	};
	const struct bl_fetch_request q = {
		.method = method,
		.url = url,
		.type = type,
		.body = body,
		.len = len,
		.connect_ms = timeout_ms,
		.timeout_ms = timeout_ms,
		.answer_max = BL_CLIENT_ANSWER_MAX,
		.tls = &tls,
	};
	bl_autobuf struct bl_buf answer = { 0 };
	struct bl_err why = { 0 };
	long status = 0;
	int r;

	if (!url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_fetch_call(c->fetch, &q, &status, &answer, &why);
	if (r < 0)
		return fail_connection(c, r, &why, err);
	if (status < 200 || status > 299)
		return fail_status(status, &answer, err);
	bl_buf_free(ret);
	*ret = answer;
	answer = (struct bl_buf){ 0 };
	return 0;
}

int bl_client_json(struct bl_client *c, const char *method, const char *path,
		   json_t *body, struct bl_json_doc *ret, struct bl_err *err)
{
	bl_autofree char *text = NULL;
	bl_autobuf struct bl_buf answer = { 0 };
	int r;

	if (body) {
		text = json_dumps(body, JSON_COMPACT);
		json_decref(body);
		if (!text)
			return bl_err_set(err, -ENOMEM, "out of memory");
	}
	r = bl_client_call(c, method, path, NULL, text, text ? strlen(text) : 0,
			   BL_CLIENT_TIMEOUT_MS, &answer, err);
	if (r < 0)
		return r;
	r = bl_json_parse("answer", bl_buf_str(&answer), answer.len, ret, err);
	return r < 0 ? bl_err_wrap(err, r, "controller %s", c->url) : 0;
}
