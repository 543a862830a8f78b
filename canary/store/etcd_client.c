/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/store/etcd_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"

struct member {
	char *url; /* without a slash at the end */
	struct bl_fetch *fetch;
};

struct bl_etcd_client {
	struct member members[BL_ETCD_MEMBERS_MAX];
	size_t count, current; /* who answered last */
	uint64_t timeout_ms;
	struct bl_fetch_tls tls;
	uint64_t rest_until_ms;
	struct bl_err why; /* it rests */
};

/* Takes @url. */
static int add_member(struct bl_etcd_client *c, char *url, struct bl_err *err)
{
	bl_autofree char *mine = url;
	struct bl_fetch_url u;
	size_t len;
	int r;

	if (!mine)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (c->count == BL_ETCD_MEMBERS_MAX)
		return bl_err_set(err, -EINVAL, "more than %d URLs of one etcd",
				  BL_ETCD_MEMBERS_MAX);
	if (bl_fetch_url_read(mine, &u) < 0 || !u.bare) {
		bl_err_set(err, -EINVAL, "'%s' is not the URL of an etcd",
			   mine);
		bl_err_hint(
			err,
			"for example etcd:http://127.0.0.1:2379 or etcd:https://a:2379,https://b:2379");
		return -EINVAL;
	}
	if (!u.https && !u.loopback) {
		bl_err_set(
			err, -EPERM,
			"plain HTTP to %s: anyone on the way could write the fleet's ledger",
			u.host);
		bl_err_hint(
			err,
			"use https:// ($BELAY_ETCD_CA, $BELAY_ETCD_CERT, $BELAY_ETCD_KEY: files in PEM)");
		return -EPERM;
	}
	r = bl_fetch_open(&c->members[c->count].fetch, err);
	if (r < 0)
		return r;
	len = strlen(mine);
	while (len && mine[len - 1] == '/')
		mine[--len] = '\0';
	c->members[c->count++].url = BL_TAKE(mine);
	return 0;
}

int bl_etcd_client_open(const struct bl_etcd_client_opts *opts,
			struct bl_etcd_client **ret, struct bl_err *err)
{
	struct bl_etcd_client *c = calloc(1, sizeof(*c));
	const char *at = opts->urls;
	int r = 0;

	if (!c)
		return bl_err_set(err, -ENOMEM, "out of memory");
	c->timeout_ms = opts->timeout_ms;
	c->tls = opts->tls;
	for (;;) {
		size_t len = strcspn(at, ",");

		r = add_member(c, strndup(at, len), err);
		if (r < 0 || !at[len])
			break;
		at += len + 1;
	}
	if (r < 0) {
		bl_etcd_client_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void bl_etcd_client_close(struct bl_etcd_client *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->count; i++) {
		bl_fetch_close(c->members[i].fetch);
		free(c->members[i].url);
	}
	free(c);
}

/* Asks one member. -ECONNREFUSED: it has not heard of it. */
static int ask(struct bl_etcd_client *c, struct member *m, const char *path,
	       const char *text, struct bl_etcd_answer *ret, struct bl_err *err)
{
	bl_autofree char *url = bl_path("%s/v3/%s", m->url, path);
	const struct bl_fetch_request q = {
		.method = "POST",
		.url = url,
		.body = text,
		.len = strlen(text),
		.connect_ms = c->timeout_ms < BL_ETCD_CONNECT_MS
				      ? c->timeout_ms
				      : BL_ETCD_CONNECT_MS,
		.timeout_ms = c->timeout_ms,
		.answer_max = BL_ETCD_ANSWER_MAX,
		.tls = &c->tls,
	};
	bl_autobuf struct bl_buf answer = { 0 };
	struct bl_fetch_head head;
	int r;

	if (!url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_fetch_call(m->fetch, &q, &head, &answer, err);
	if (!r && (head.status < 200 || head.status > 299))
		r = bl_etcd_failure_read(head.status, bl_buf_str(&answer),
					 answer.len, err);
	else if (!r)
		r = bl_etcd_answer_read(bl_buf_str(&answer), answer.len, ret,
					err);
	if (r == -EREMOTEIO)
		r = -EHOSTUNREACH;
	return r < 0 ? bl_err_wrap(err, r, "etcd %s", m->url) : 0;
}

int bl_etcd_client_call(struct bl_etcd_client *c, enum bl_etcd_call kind,
			const char *path, json_t *body,
			struct bl_etcd_answer *ret, struct bl_err *err)
{
	bl_autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct bl_err e = { 0 };
	/* A kept connection may have broken since: once more for that. */
	size_t i, tries = c->count + (kind != BL_ETCD_WRITE);
	int r = -EHOSTUNREACH;

	json_decref(body);
	if (!text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (bl_clock_mono_ms() < c->rest_until_ms) {
		if (err)
			*err = c->why;
		return r;
	}
	for (i = 0; i < tries; i++) {
		r = ask(c, &c->members[c->current], path, text, ret, &e);
		if (r != -EHOSTUNREACH && r != -ECONNREFUSED)
			break;
		c->current = (c->current + 1) % c->count;
		if (r == -EHOSTUNREACH && kind == BL_ETCD_WRITE)
			break;
	}
	if (r == -ECONNREFUSED)
		r = -EHOSTUNREACH;
	if (i == tries) {
		c->rest_until_ms = bl_clock_mono_ms() + BL_ETCD_REST_MS;
		e.code = r;
		c->why = e;
	}
	if (r < 0 && err)
		*err = e;
	return r;
}
