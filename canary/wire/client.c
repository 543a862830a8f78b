/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/wire/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

struct bl_client {
	struct bl_fetch *fetch;
	char *urls[BL_CLIENT_URLS_MAX]; /* without a slash at the end */
	size_t count, at;		/* the one that is asked next */
	bool https, anybody;
	char *dir;	       /* of the files; NULL: none was looked into */
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

static uint32_t draw(void)
{
	uint32_t n = 0;

	/* Without randomness all go the same way, which is only load. */
	return getrandom(&n, sizeof(n), 0) == sizeof(n) ? n : 0;
}

void bl_client_draw(struct bl_client *c)
{
	c->at = draw() % c->count;
}

void bl_client_next(struct bl_client *c)
{
	c->at = (c->at + 1) % c->count;
}

static int add_url(struct bl_client *c, char *url, bool plaintext,
		   struct bl_err *err)
{
	size_t len = strlen(url);
	bool https = false;
	int r = check_url(url, plaintext, &https, err);

	if (r < 0)
		return r;
	if (c->count == BL_CLIENT_URLS_MAX)
		return bl_err_set(err, -EINVAL, "more than %d controllers",
				  BL_CLIENT_URLS_MAX);
	while (len && url[len - 1] == '/')
		url[--len] = '\0';
	c->urls[c->count] = strdup(url);
	if (!c->urls[c->count])
		return bl_err_set(err, -ENOMEM, "out of memory");
	c->count++;
	c->https |= https;
	return 0;
}

static void shuffle(struct bl_client *c)
{
	size_t left;

	for (left = c->count; left > 1; left--) {
		size_t i = draw() % left;
		char *url = c->urls[i];

		c->urls[i] = c->urls[left - 1];
		c->urls[left - 1] = url;
	}
}

/* Commas are no part of a controller's URL, which has neither path nor user. */
static int add_urls(struct bl_client *c, const char *list, bool plaintext,
		    struct bl_err *err)
{
	bl_autofree char *copy = strdup(list);
	char *at = copy, *url;
	int r = copy ? 0 : bl_err_set(err, -ENOMEM, "out of memory");

	while (!r && (url = strsep(&at, ",")))
		r = add_url(c, url, plaintext, err);
	if (!r)
		shuffle(c);
	return r;
}

int bl_client_open(const char *url, bool plaintext, struct bl_client **ret,
		   struct bl_err *err)
{
	BL_CLEANUP(bl_client_closep)
	struct bl_client *c = calloc(1, sizeof(*c));
	const char *env = getenv("BELAY_CONTROLLER");
	int r;

	if (!c)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (!url)
		url = env && *env ? env : BL_CLIENT_URL;
	r = add_urls(c, url, plaintext, err);
	if (!r)
		r = bl_fetch_open(&c->fetch, err);
	if (!r)
		r = bl_client_identity(c, NULL, "operator", err);
	if (r < 0)
		return r;
	*ret = BL_TAKE(c);
	return 0;
}

void bl_client_close(struct bl_client *c)
{
	size_t i;

	if (!c)
		return;
	bl_fetch_close(c->fetch);
	free(c->dir);
	free(c->ca);
	free(c->cert);
	free(c->key);
	for (i = 0; i < c->count; i++)
		free(c->urls[i]);
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
	free(c->dir);
	c->dir = strdup(dir);
	if (!c->dir)
		return bl_err_set(err, -ENOMEM, "out of memory");
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
	return c->urls[c->at];
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
	case 416:
		return -ERANGE;
	case 429:
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
	bl_autojson json_t *obj = json_loadb(bl_buf_str(body), body->len,
					     JSON_REJECT_DUPLICATES, NULL);
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
	char others[48] = "";

	if (c->count > 1)
		snprintf(others, sizeof(others), ", the last of %zu", c->count);
	/* It knows that certificates are not what it failed by. */
	if (*why->hint) {
		bl_err_set(err, -ECONNREFUSED,
			   "no controller answers at %s%s: %s",
			   bl_client_url(c), others, why->text);
		bl_err_hint(err, "%s", why->hint);
		return -ECONNREFUSED;
	}
	if (code == -EACCES && !c->ca) {
		bl_err_set(err, -ECONNREFUSED,
			   "there is no ca.pem in %s to know %s by", c->dir,
			   bl_client_url(c));
		bl_err_hint(
			err,
			"'belay controller operator NAME' makes an operator's certificate and puts it beside; 'belay host enroll -' gets a host's");
		return -ECONNREFUSED;
	}
	if (code == -EACCES) {
		bl_err_set(err, -ECONNREFUSED,
			   "%s and this machine do not trust each other: %s",
			   bl_client_url(c), why->text);
		bl_err_hint(
			err,
			"is ca.pem in %s of that controller's fleet? 'belay host enroll -' fetches it",
			c->dir);
		return -ECONNREFUSED;
	}
	bl_err_set(err, -ECONNREFUSED, "no controller answers at %s%s: %s",
		   bl_client_url(c), others, why->text);
	if (!c->https) {
		bl_err_hint(
			err,
			"does it speak https:// there? is 'belay controller' running?");
		return -ECONNREFUSED;
	}
	bl_err_hint(
		err,
		"is 'belay controller' running? --controller or $BELAY_CONTROLLER say where");
	return -ECONNREFUSED;
}

static struct bl_fetch_tls tls_of(const struct bl_client *c)
{
	return (struct bl_fetch_tls){
		.ca = c->ca,
		.cert = c->cert && c->key ? c->cert : NULL,
		.key = c->key,
		.anybody = c->anybody,
	};
}

/* To one controller. */
static int ask_one(struct bl_client *c, const struct bl_client_request *q,
		   struct bl_fetch_head *ret_head, struct bl_buf *ret,
		   struct bl_err *err)
{
	bl_autofree char *url = bl_path("%s%s", bl_client_url(c), q->path);
	const struct bl_fetch_tls tls = tls_of(c);
	struct bl_fetch_request f = {
		.method = q->method,
		.url = url,
		.type = q->type,
		.body = q->body,
		.len = q->len,
		.connect_ms = q->timeout_ms,
		.timeout_ms = q->timeout_ms,
		.stall_ms = q->stall_ms,
		.answer_max = q->answer_max ? q->answer_max
					    : BL_CLIENT_ANSWER_MAX,
		.tls = &tls,
		.wake = q->wake,
		.stop = q->stop,
		.sink = q->sink,
		.ctx = q->ctx,
	};
	uint64_t connect_ms;

	if (!url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	connect_ms = c->count > 1 ? BL_CLIENT_CONNECT_MS : BL_CLIENT_TIMEOUT_MS;
	if (f.connect_ms > connect_ms)
		f.connect_ms = connect_ms;
	memcpy(f.headers, q->headers, sizeof(f.headers));
	return bl_fetch_call(c->fetch, &f, ret_head, ret, err);
}

/* That it is another controller's turn, and what the caller is told. */
static int fail_call(struct bl_client *c, int code, const struct bl_err *why,
		     struct bl_err *err)
{
	switch (code) {
	case -ECONNREFUSED:
	case -EREMOTEIO:
	case -EACCES:
		fail_connection(c, code, why, err);
		bl_client_next(c);
		return -ECONNREFUSED;
	/* More than was asked for, or something else. */
	case -EFBIG:
	case -EBADMSG:
		bl_client_next(c);
		/* fall through */
	default:
		if (err)
			*err = *why;
		return code;
	}
}

int bl_client_ask(struct bl_client *c, const struct bl_client_request *q,
		  struct bl_fetch_head *ret_head, struct bl_buf *ret,
		  struct bl_err *err)
{
	bl_autobuf struct bl_buf answer = { 0 };
	struct bl_fetch_head head = { 0 };
	struct bl_err why = { 0 };
	size_t i;
	int r;

	for (i = 1;; i++) {
		r = ask_one(c, q, &head, &answer, &why);
		if ((r != -ECONNREFUSED && r != -EACCES) || i >= c->count)
			break;
		bl_client_next(c);
	}
	if (r < 0)
		return fail_call(c, r, &why, err);
	*ret_head = head;
	if (head.status != 304 && (head.status < 200 || head.status > 299)) {
		/* Whatever it says may be its own trouble: its clock, its store,
		 * or that it is no controller at all. */
		bl_client_next(c);
		return fail_status(head.status, &answer, err);
	}
	bl_buf_free(ret);
	*ret = answer;
	answer = (struct bl_buf){ 0 };
	return 0;
}

int bl_client_call(struct bl_client *c, const char *method, const char *path,
		   const char *type, const void *body, size_t len,
		   uint64_t timeout_ms, struct bl_buf *ret, struct bl_err *err)
{
	const struct bl_client_request q = {
		.method = method,
		.path = path,
		.type = type,
		.body = body,
		.len = len,
		.timeout_ms = timeout_ms,
	};
	struct bl_fetch_head head;

	return bl_client_ask(c, &q, &head, ret, err);
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
	if (r < 0)
		return bl_err_wrap(err, r, "controller %s", bl_client_url(c));
	/* It goes to a terminal, most of it. */
	r = bl_json_clean(ret->root);
	return r < 0 ? bl_err_set(err, r, "out of memory") : 0;
}

int bl_client_stream(struct bl_client *c, const char *path,
		     struct bl_fetch_stream **ret, struct bl_err *err)
{
	bl_autofree char *url = bl_path("%s%s", bl_client_url(c), path);
	const struct bl_fetch_tls tls = tls_of(c);
	const struct bl_fetch_request q = {
		.method = "GET",
		.url = url,
		.connect_ms = BL_CLIENT_TIMEOUT_MS,
		.answer_max = BL_CLIENT_ANSWER_MAX,
		.tls = &tls,
	};

	if (!url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_fetch_stream_open(&q, ret, err);
}
