/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/api.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "canary/controller/api_poll.h"
#include "canary/controller/api_trust.h"
#include "canary/controller/api_watch.h"
#include "canary/controller/blobs.h"
#include "canary/controller/certificates.h"
#include "canary/controller/controller.h"
#include "canary/controller/enroll.h"
#include "canary/controller/revoke.h"
#include "loader/base/cleanup.h"
#include "loader/trust/metadata.h"

static const char type_json[] = "application/json";
static const char type_blob[] = "application/octet-stream";

/* One call: the request, and the part of its path that is a name. */
struct call {
	struct bl_store *store;
	const struct bl_request *request;
	int64_t now_ms;
	char name[BL_NAME_MAX + 1];
	bool store_away; /* nobody knows whether the certificate counts */
	struct bl_response *ret;
};

static void answer_json(struct call *c, unsigned status, json_t *value)
{
	bl_autofree char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	json_decref(value);
	if (!text || bl_buf_add(&c->ret->body, text, strlen(text)) < 0) {
		bl_buf_free(&c->ret->body);
		c->ret->status = 500;
		return;
	}
	c->ret->status = status;
	c->ret->content_type = type_json;
}

void bl_api_fail(unsigned status, const char *error, const char *hint,
		 struct bl_response *ret)
{
	struct call c = { .ret = ret };

	bl_buf_free(&ret->body);
	if (status == 503)
		ret->retry_s = BL_API_RETRY_S;
	answer_json(&c, status,
		    json_pack("{s:s,s:s}", "error", error, "hint", hint));
}

static unsigned status_of(int code)
{
	switch (code) {
	case -EINVAL:
	case -EBADMSG:
		return 400;
	case -ENOENT:
		return 404;
	case -EACCES:
		return 401;
	case -ESTALE:
	case -EEXIST:
		return 409;
	case -EPERM:
		return 403;
	case -ENOTSUP:
		return 409;
	case -EFBIG:
		return 413;
	case -ENOSPC:
		return 507;
	case -EAGAIN:
	case -EBUSY: /* the store, which another process holds */
	case -EHOSTUNREACH:
		return 503;
	default:
		return 500;
	}
}

void bl_api_error(int code, const struct bl_err *err, struct bl_response *ret)
{
	bl_api_fail(status_of(code), err->text, err->hint, ret);
}

static void answer_error(struct call *c, int code, const struct bl_err *err)
{
	bl_api_error(code, err, c->ret);
}

static void handle_poll(struct call *c)
{
	bl_api_poll(c->store, c->request, c->name, c->now_ms, c->ret);
}

static void handle_hosts(struct call *c)
{
	struct bl_err err = { 0 };
	json_t *value = NULL;
	int r = bl_fleet_hosts_json(c->store, c->now_ms, &value, &err);

	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_json(c, 200, value);
}

/* What was asked for of @blob: itself where it is shared, or a copy. */
static void answer_part(struct call *c, struct bl_blob *blob)
{
	struct bl_response *a = c->ret;
	struct bl_range part = { .total = blob->data.len };
	enum bl_range_ask ask = bl_range_asked(c->request->range, part.total,
					       &part.at, &part.len);

	a->parts = true;
	if (ask != BL_RANGE_WHOLE)
		bl_range_write(&part, a->range);
	if (ask == BL_RANGE_BEYOND) {
		bl_api_fail(416, "the bundle is no longer than that", "", a);
		return;
	}
	a->status = ask == BL_RANGE_PART ? 206 : 200;
	a->content_type = type_blob;
	if (c->request->blobs) {
		atomic_fetch_add(&blob->users, 1);
		a->blob = blob;
		a->blob_at = part.at;
		a->blob_len = part.len;
	} else if (bl_buf_add(&a->body, blob->data.data + part.at, part.len) <
		   0) {
		bl_api_fail(500, "out of memory", "", a);
	}
}

static void handle_get_bundle(struct call *c)
{
	BL_CLEANUP(bl_blobs_free) struct bl_blobs own = { 0 };
	struct bl_blobs *blobs = c->request->blobs;
	struct bl_blob *blob = NULL;
	struct bl_err err = { 0 };
	int r = bl_blobs_get(blobs ? blobs : &own, c->store, c->name, &blob,
			     &err);

	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_part(c, blob);
	bl_blob_put(blob);
}

static void handle_put_bundle(struct call *c)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	const struct bl_request *q = c->request;
	char digest[BL_DIGEST_HEX];
	struct bl_err err = { 0 };
	int r;

	if (!bl_digest_valid(c->name)) {
		r = bl_err_set(&err, -EINVAL, "'%s' is not a digest", c->name);
		answer_error(c, r, &err);
		return;
	}
	/* The digest first: only what was meant gets parsed. */
	r = bl_digest(q->body, q->len, digest);
	if (r < 0)
		bl_err_errno(&err, r, "cannot make a digest");
	else if (strcmp(digest, c->name) != 0)
		r = bl_err_set(&err, -EBADMSG,
			       "the bundle arrived damaged: its digest is %s",
			       digest);
	if (!r)
		r = bl_bundle_parse("bundle", q->body, q->len, &bundle, &err);
	if (!r)
		r = bl_controller_store_bundle(c->store, &bundle, c->now_ms,
					       &err);
	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_json(c, 200,
			    json_pack("{s:s,s:s,s:s}", "digest", c->name,
				      "name", bundle.manifest.name, "version",
				      bundle.manifest.version));
}

static void handle_rollouts(struct call *c)
{
	struct bl_err err = { 0 };
	json_t *value = NULL;
	int r = bl_fleet_rollouts_json(c->store, &value, &err);

	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_json(c, 200, value);
}

static void answer_rollout(struct call *c, unsigned status, const char *id)
{
	bl_autofleet struct bl_fleet f = { 0 };
	struct bl_err err = { 0 };
	int r = bl_fleet_load(c->store, id, c->now_ms, &f, &err);

	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_json(c, status, bl_fleet_json(&f));
}

struct raw_start {
	const char *digest, *override_reason;
	json_t *plan;
};

static const struct bl_json_field start_fields[] = {
	{ "digest", BL_JSON_STRING, true, offsetof(struct raw_start, digest), 1,
	  BL_DIGEST_HEX - 1 },
	{ "plan", BL_JSON_OBJECT, false, offsetof(struct raw_start, plan), 0,
	  0 },
	{ "override", BL_JSON_STRING, false,
	  offsetof(struct raw_start, override_reason), 0, BL_REASON_MAX - 1 },
};

static void handle_start(struct call *c)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct raw_start raw = { .override_reason = "" };
	const struct bl_request *q = c->request;
	char id[BL_ROLLOUT_ID_LEN];
	struct bl_start start;
	struct bl_err err = { 0 };
	int r = bl_json_parse("request", q->body, q->len, &doc, &err);

	bl_plan_default(&start.plan);
	if (!r)
		r = bl_json_read(&doc, doc.root, "", start_fields,
				 BL_ARRAY_SIZE(start_fields), &raw, &err);
	if (!r && raw.plan)
		r = bl_plan_read(&doc, raw.plan, "plan", &start.plan, &err);
	if (!r) {
		start.digest = raw.digest;
		start.override_reason = raw.override_reason;
		r = bl_controller_start(c->store, &start, c->now_ms, id, &err);
	}
	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_rollout(c, 201, id);
}

static void handle_rollout(struct call *c)
{
	answer_rollout(c, 200, c->name);
}

static void handle_decisions(struct call *c)
{
	struct bl_err err = { 0 };
	json_t *value = NULL;
	int r = bl_fleet_decisions_json(c->store, c->name, &value, &err);

	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_json(c, 200, value);
}

/* What an operator decides about a rollout, which is the last word of the path;
 * the answer is how it stands now. */
static void handle_act(struct call *c)
{
	static const struct bl_json_field fields[] = {
		{ "reason", BL_JSON_STRING, false, 0, 0, BL_REASON_MAX - 1 },
	};
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	const struct bl_request *q = c->request;
	const char *word = strrchr(q->path, '/') + 1;
	struct bl_act a = { BL_DECISION_PAUSE, q->peer ? q->peer->name : "",
			    "" };
	struct bl_err err = { 0 };
	int r = bl_json_parse("request", q->body, q->len, &doc, &err);

	for (; strcmp(bl_decision_name(a.kind), word) != 0; a.kind++)
		assert(a.kind < BL_DECISION_ABORT); /* the table's words */
	if (!r)
		r = bl_json_read(&doc, doc.root, "", fields,
				 BL_ARRAY_SIZE(fields), &a.reason, &err);
	if (!r)
		r = bl_controller_act(c->store, c->name, &a, c->now_ms, &err);
	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_rollout(c, 200, c->name);
}

static void handle_certificate(struct call *c)
{
	struct bl_err err = { 0 };
	json_t *value = NULL;
	unsigned status = 200;
	int r = bl_certificates_call(c->store, c->request, c->name, c->now_ms,
				     &status, &value, &err);

	if (r < 0)
		answer_error(c, r, &err);
	else
		answer_json(c, status, value);
}

static void handle_events(struct call *c)
{
	bl_watch_events(c->store, c->request, c->ret);
}

static void handle_metrics(struct call *c)
{
	bl_watch_metrics(c->store_away ? NULL : c->store, c->request, c->now_ms,
			 c->ret);
}

static void handle_trust(struct call *c)
{
	bl_api_trust_file(c->request, c->ret);
}

static void handle_openapi(struct call *c)
{
	bl_watch_openapi(c->ret);
}

#define HOST	  (1u << BL_ROLE_HOST)
#define OPERATOR  (1u << BL_ROLE_OPERATOR)
#define LOOKING	  (OPERATOR | 1u << BL_ROLE_VIEWER)
#define EVERYBODY (~0u)

static const struct route {
	const char *method;
	const char *before, *after; /* of the name; after NULL: no name */
	const char *body_type;	    /* NULL: no body */
	size_t body_max;
	void (*handle)(struct call *c);
	unsigned roles; /* beside BL_ROLE_LOCAL, which may do anything */
} routes[] = {
	{ "POST", "/v1/hosts/", "/poll", type_json, BL_POLL_BYTES_MAX,
	  handle_poll, HOST },
	{ "GET", "/v1/hosts", NULL, NULL, 0, handle_hosts, LOOKING },
	{ "GET", "/v1/bundles/", "", NULL, 0, handle_get_bundle,
	  HOST | OPERATOR },
	{ "PUT", "/v1/bundles/", "", type_blob, BL_BUNDLE_MAX,
	  handle_put_bundle, OPERATOR },
	{ "GET", "/v1/rollouts", NULL, NULL, 0, handle_rollouts, LOOKING },
	{ "POST", "/v1/rollouts", NULL, type_json, BL_API_BODY_MAX,
	  handle_start, OPERATOR },
	{ "POST", "/v1/rollouts/", "/abort", type_json, BL_API_BODY_MAX,
	  handle_act, OPERATOR },
	{ "POST", "/v1/rollouts/", "/approve", type_json, BL_API_BODY_MAX,
	  handle_act, OPERATOR },
	{ "POST", "/v1/rollouts/", "/pause", type_json, BL_API_BODY_MAX,
	  handle_act, OPERATOR },
	{ "POST", "/v1/rollouts/", "/resume", type_json, BL_API_BODY_MAX,
	  handle_act, OPERATOR },
	{ "GET", "/v1/rollouts/", "/decisions", NULL, 0, handle_decisions,
	  LOOKING },
	{ "GET", "/v1/rollouts/", "", NULL, 0, handle_rollout, LOOKING },
	{ "GET", "/v1/ca", NULL, NULL, 0, handle_certificate, EVERYBODY },
	{ "POST", "/v1/tokens", NULL, type_json, BL_API_BODY_MAX,
	  handle_certificate, OPERATOR },
	{ "POST", "/v1/enroll", NULL, type_json, BL_ENROLL_BYTES_MAX,
	  handle_certificate, EVERYBODY },
	{ "POST", "/v1/renew", NULL, type_json, BL_ENROLL_BYTES_MAX,
	  handle_certificate, HOST | OPERATOR },
	{ "GET", "/v1/events", NULL, NULL, 0, handle_events, LOOKING },
	{ "GET", "/v1/revoked", NULL, NULL, 0, handle_certificate, LOOKING },
	{ "POST", "/v1/hosts/", "/revoke", type_json, BL_API_BODY_MAX,
	  handle_certificate, OPERATOR },
	{ "POST", "/v1/operators/", "/revoke", type_json, BL_API_BODY_MAX,
	  handle_certificate, OPERATOR },
	{ "GET", "/metrics", NULL, NULL, 0, handle_metrics, LOOKING },
	{ "GET", "/v1/trust/metadata/", "", NULL, 0, handle_trust,
	  HOST | OPERATOR },
	{ "GET", "/v1/trust/targets/", "", NULL, 0, handle_trust,
	  HOST | OPERATOR },
	{ "GET", "/v1/openapi.json", NULL, NULL, 0, handle_openapi, EVERYBODY },
};

bool bl_api_route(size_t i, struct bl_api_route *ret)
{
	const struct route *r = &routes[i];

	if (i >= BL_ARRAY_SIZE(routes))
		return false;
	*ret = (struct bl_api_route){ r->method,    r->before,	 r->after,
				      r->body_type, r->body_max, r->roles };
	return true;
}

/* Whether @path is of this route; the name in it goes to @ret_name. That of a
 * repository's file is longer, and read of the path. */
static bool path_fits(const struct route *route, const char *path,
		      char ret_name[static BL_NAME_MAX + 1])
{
	size_t before = strlen(route->before), len = strlen(path), after;

	ret_name[0] = '\0';
	if (!route->after)
		return strcmp(path, route->before) == 0;
	after = strlen(route->after);
	if (len <= before + after || memcmp(path, route->before, before) != 0 ||
	    strcmp(path + len - after, route->after) != 0)
		return false;
	if (route->handle == handle_trust)
		return len - before <= BL_META_NAME_MAX;
	if (len - before - after > BL_NAME_MAX)
		return false;
	memcpy(ret_name, path + before, len - before - after);
	ret_name[len - before - after] = '\0';
	return bl_name_valid(ret_name);
}

static const struct route *find_route(const char *method, const char *path,
				      char ret_name[static BL_NAME_MAX + 1],
				      bool *ret_path_known)
{
	size_t i;

	*ret_path_known = false;
	for (i = 0; i < BL_ARRAY_SIZE(routes); i++) {
		if (!path_fits(&routes[i], path, ret_name))
			continue;
		*ret_path_known = true;
		if (strcmp(routes[i].method, method) == 0)
			return &routes[i];
	}
	return NULL;
}

static const char *role_name(enum bl_role role)
{
	return role == BL_ROLE_HOST	? "a host"
	       : role == BL_ROLE_VIEWER ? "a viewer"
					: "an operator";
}

static bool allows(const struct route *route, const struct bl_peer *peer,
		   struct bl_response *ret)
{
	char text[2 * BL_PEER_WHY_MAX];

	if (!peer || peer->role == BL_ROLE_LOCAL ||
	    route->roles & (1u << peer->role))
		return true;
	if (peer->role == BL_ROLE_NOBODY) {
		bl_api_fail(
			401,
			*peer->why ? peer->why : "no certificate was shown",
			"'belay host enroll -' gets a host's, 'belay controller operator NAME' an operator's",
			ret);
		return false;
	}
	snprintf(text, sizeof(text), "%s is %s, and that is for %s", peer->name,
		 role_name(peer->role),
		 role_name(route->roles & OPERATOR ? BL_ROLE_OPERATOR
						   : BL_ROLE_HOST));
	bl_api_fail(403, text, "", ret);
	return false;
}

/* Whether the certificate was not taken back: asked every time, of the store that
 * all controllers share. */
static bool counts(struct call *c, const struct route *route)
{
	const struct bl_peer *peer = c->request->peer;
	struct bl_err err = { 0 };
	int r;

	if (!peer || route->roles == EVERYBODY)
		return true;
	/* Thousands a second: the store is asked for all of them at once, when
	 * they are taken. */
	if (c->request->later && route->handle == handle_poll)
		return true;
	r = bl_revoke_check(c->store, peer, &err);
	/* That it is away is what is asked for there; of the fleet nothing is
	 * told then. */
	if (r < 0 && r != -EACCES && route->handle == handle_metrics) {
		c->store_away = true;
		return true;
	}
	if (r < 0)
		answer_error(c, r, &err);
	return r == 0;
}

/* For who counts, whatever the answer will be. */
static void note(const struct route *route, struct bl_response *ret)
{
	ret->route = route ? (size_t)(route - routes) + 1 : 0;
	ret->poll = route && route->handle == handle_poll;
}

bool bl_api_allows(const char *method, const char *path,
		   const struct bl_peer *peer, struct bl_response *ret)
{
	char name[BL_NAME_MAX + 1];
	bool known;
	const struct route *route = find_route(method, path, name, &known);

	note(route, ret);
	return !route || allows(route, peer, ret);
}

bool bl_api_counts(struct bl_store *store, const struct bl_request *request,
		   int64_t now_ms, struct bl_response *ret)
{
	struct call c = {
		.store = store, .request = request, .now_ms = now_ms, .ret = ret
	};
	bool known;
	const struct route *route =
		find_route(request->method, request->path, c.name, &known);

	note(route, ret);
	return !route || counts(&c, route);
}

size_t bl_api_body_max(const char *method, const char *path)
{
	char name[BL_NAME_MAX + 1];
	bool known;
	const struct route *route = find_route(method, path, name, &known);

	return route ? route->body_max : 0;
}

/* "application/json; charset=utf-8" is application/json. */
static bool type_fits(const char *given, const char *wanted)
{
	size_t len = strlen(wanted);

	return given && strncasecmp(given, wanted, len) == 0 &&
	       (!given[len] || given[len] == ';' || given[len] == ' ');
}

static void handle(struct call *c, const struct route *route)
{
	struct bl_polls *polls = c->request->polls;

	route->handle(c);
	/* An operator's word is not to wait until rollouts are read again. */
	if (polls && route->handle != handle_poll &&
	    strcmp(route->method, "GET") != 0)
		bl_polls_forget_rollouts(polls);
}

void bl_api_handle(struct bl_store *store, const struct bl_request *request,
		   int64_t now_ms, struct bl_response *ret)
{
	struct call c = {
		.store = store, .request = request, .now_ms = now_ms, .ret = ret
	};
	const struct route *route;
	bool known;

	*ret = (struct bl_response){ 0 };
	route = find_route(request->method, request->path, c.name, &known);
	note(route, ret);
	if (!route)
		bl_api_fail(known ? 405 : 404,
			    known ? "the method does not fit this path"
				  : "there is no such path",
			    "", ret);
	else if (!allows(route, request->peer, ret) || !counts(&c, route))
		return;
	else if (request->len > route->body_max)
		bl_api_fail(413, "the body is too large", "", ret);
	else if (route->body_type &&
		 !type_fits(request->content_type, route->body_type))
		bl_api_fail(415, "the Content-Type does not fit this path",
			    route->body_type, ret);
	else
		handle(&c, route);
	if (ret->status == 500 && !ret->body.len)
		ret->content_type = type_json;
}
