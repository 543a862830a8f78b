/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi.json against the table of paths, both ways. With BELAY_TEST_DUMP=DIR
 * the case "dump" writes real requests and answers of the API to
 * DIR/answers.ndjson, which test_openapi_schema.sh holds against the schemas.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/api.h"
#include "canary/controller/api_trust.h"
#include "canary/controller/openapi.h"
#include "canary/wire/pki.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/json.h"
#include "loader/base/text.h"
#include "loader/bundle/bundle.h"
#include "tests/main.h"
#include "tests/support/hostile.h"
#include "tests/support/sim_fleet.h"

#define PATH_MAX_LEN 160

static json_t *document;

static void open_document(void)
{
	json_error_t e;
	size_t len;
	const char *text = bl_openapi(&len);

	document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	ck_assert_msg(document, "line %d: %s", e.line, e.text);
}

static void close_document(void)
{
	json_decref(document);
}

/* "/v1/hosts/{name}/poll" and the row of it are both "/v1/hosts/{}/poll". */
static void plain_path(const char *path, char ret[static PATH_MAX_LEN])
{
	size_t n = 0;
	bool name = false;

	for (; *path && n + 1 < PATH_MAX_LEN; path++) {
		if (!name || *path == '}')
			ret[n++] = *path;
		name = *path == '{' || (name && *path != '}');
	}
	ret[n] = '\0';
}

static void route_path(const struct bl_api_route *r,
		       char ret[static PATH_MAX_LEN])
{
	snprintf(ret, PATH_MAX_LEN, "%s%s%s", r->before, r->after ? "{}" : "",
		 r->after ? r->after : "");
}

static const char *lower(const char *method, char ret[static 16])
{
	size_t i;

	for (i = 0; method[i] && i < 15; i++)
		ret[i] = (char)(method[i] | 0x20);
	ret[i] = '\0';
	return ret;
}

/* The operation that describes this row; NULL: none does. */
static json_t *find_operation(const struct bl_api_route *r)
{
	char wanted[PATH_MAX_LEN], path[PATH_MAX_LEN], method[16];
	const char *key;
	json_t *item;

	route_path(r, wanted);
	json_object_foreach (json_object_get(document, "paths"), key, item) {
		plain_path(key, path);
		if (strcmp(path, wanted) == 0)
			return json_object_get(item, lower(r->method, method));
	}
	return NULL;
}

/* The roles that `security` names: of each alternative one. */
static unsigned described_roles(const json_t *operation)
{
	static const struct {
		const char *name;
		enum bl_role role;
	} roles[] = { { "host", BL_ROLE_HOST },
		      { "operator", BL_ROLE_OPERATOR },
		      { "viewer", BL_ROLE_VIEWER } };
	const json_t *list = json_object_get(operation, "security"), *one;
	unsigned mask = 0;
	size_t i, k;

	ck_assert_msg(json_is_array(list), "no security");
	if (!json_array_size(list))
		return ~0u;
	json_array_foreach (list, i, one) {
		const char *role = json_string_value(
			json_array_get(json_object_get(one, "certificate"), 0));

		for (k = 0; role && k < BL_ARRAY_SIZE(roles); k++)
			if (strcmp(roles[k].name, role) == 0)
				mask |= 1u << roles[k].role;
	}
	return mask;
}

START_TEST(every_path_of_the_table_is_described)
{
	struct bl_api_route r;
	char path[PATH_MAX_LEN];
	size_t i;

	for (i = 0; bl_api_route(i, &r); i++) {
		const json_t *op = find_operation(&r), *body, *content;

		route_path(&r, path);
		ck_assert_msg(op, "openapi.json does not have %s %s", r.method,
			      path);
		ck_assert_msg(described_roles(op) == r.roles,
			      "%s %s: 'security' is not the roles of api.c",
			      r.method, path);
		body = json_object_get(op, "requestBody");
		ck_assert_msg(!body == !r.body_type, "%s %s: a body or none",
			      r.method, path);
		if (!r.body_type)
			continue;
		content = json_object_get(body, "content");
		ck_assert_msg(json_object_size(content) == 1 &&
				      json_object_get(content, r.body_type),
			      "%s %s: its body is %s", r.method, path,
			      r.body_type);
		ck_assert_msg(json_integer_value(
				      json_object_get(body, "x-bytes-max")) ==
				      (json_int_t)r.body_max,
			      "%s %s: x-bytes-max is not %zu", r.method, path,
			      r.body_max);
	}
	ck_assert_uint_gt(i, 0);
}
END_TEST

static bool is_method(const char *key)
{
	return strcmp(key, "parameters") != 0 && strcmp(key, "summary") != 0 &&
	       strcmp(key, "description") != 0;
}

START_TEST(nothing_is_described_that_is_not_served)
{
	char path[PATH_MAX_LEN], plain[PATH_MAX_LEN], method[16];
	const char *key, *verb;
	json_t *item, *op;

	json_object_foreach (json_object_get(document, "paths"), key, item) {
		plain_path(key, plain);
		json_object_foreach (item, verb, op) {
			struct bl_api_route r;
			bool found = false;
			size_t i;

			for (i = 0; !found && bl_api_route(i, &r); i++) {
				route_path(&r, path);
				found = strcmp(path, plain) == 0 &&
					strcmp(lower(r.method, method), verb) ==
						0;
			}
			ck_assert_msg(found || !is_method(verb),
				      "api.c does not have %s %s", verb, key);
		}
	}
}
END_TEST

/* The fleet that real answers come from. */
static struct sim s;
static struct bl_pki *pki;
static FILE *out;

static const struct bl_peer admin = { BL_ROLE_OPERATOR, "admin", "", 0 };
static const struct bl_peer web = { BL_ROLE_HOST, "web-1", "", 0 };
static const struct bl_peer nobody = { BL_ROLE_NOBODY, "", "", 0 };

static bool is_json(const char *type)
{
	return type && strcmp(type, "application/json") == 0;
}

static void record(const struct bl_request *q, const struct bl_response *a)
{
	json_t *line = json_pack("{s:s,s:s,s:i,s:s}", "method", q->method,
				 "path", q->path, "status", (int)a->status,
				 "type",
				 a->content_type ? a->content_type : "");
	json_t *headers = json_array();

	if (q->len && is_json(q->content_type))
		json_object_set_new(line, "request",
				    json_loadb(q->body, q->len, 0, NULL));
	if (is_json(a->content_type))
		json_object_set_new(line, "answer",
				    json_loadb(a->body.data, a->body.len, 0,
					       NULL));
	/* As http_answer.c makes them of it. */
	if (*a->etag)
		json_array_append_new(headers, json_string("ETag"));
	if (a->parts)
		json_array_append_new(headers, json_string("Accept-Ranges"));
	if (*a->range)
		json_array_append_new(headers, json_string("Content-Range"));
	if (a->retry_s)
		json_array_append_new(headers, json_string("Retry-After"));
	json_object_set_new(line, "headers", headers);
	if (a->streams)
		json_object_set_new(line, "text",
				    json_stringn(a->body.data, a->body.len));
	if (out) {
		json_dumpf(line, out, JSON_COMPACT);
		fputc('\n', out);
	}
	json_decref(line);
}

/* Headers of the next request. */
static const char *if_none_match, *range;
static const struct bl_api_trust *repository; /* is served */

/* One request that ends with @status; its answer to @ret, if that is asked. */
static void ask(const struct bl_peer *peer, const char *method,
		const char *path, const struct bl_buf *body, unsigned status,
		json_t **ret)
{
	const struct bl_request q = {
		.method = method,
		.path = path,
		.content_type = strcmp(method, "PUT") == 0
					? "application/octet-stream"
					: "application/json",
		.body = body ? body->data : "",
		.len = body ? body->len : 0,
		.peer = peer,
		.pki = pki,
		.if_none_match = if_none_match,
		.range = range,
		.trust = repository,
	};
	struct bl_response a;

	bl_api_handle(s.store, &q, s.now_ms, &a);
	ck_assert_msg(a.status == status, "%s %s: %u: %s", method, path,
		      a.status, bl_buf_str(&a.body));
	record(&q, &a);
	if (ret)
		*ret = json_loadb(a.body.data, a.body.len, 0, NULL);
	bl_buf_free(&a.body);
}

static void ask_json(const struct bl_peer *peer, const char *method,
		     const char *path, json_t *body, unsigned status,
		     json_t **ret)
{
	bl_autofree char *text = body ? json_dumps(body, 0) : NULL;
	struct bl_buf buf = { .data = text, .len = text ? strlen(text) : 0 };

	json_decref(body);
	ask(peer, method, path, text ? &buf : NULL, status, ret);
}

static void look_at_rollout(const char *id)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/rollouts/%s", id);
	ask_json(&admin, "GET", path, NULL, 200, NULL);
	snprintf(path, sizeof(path), "/v1/rollouts/%s/decisions", id);
	ask_json(&admin, "GET", path, NULL, 200, NULL);
	ask_json(&admin, "GET", "/v1/rollouts", NULL, 200, NULL);
	ask_json(&admin, "GET", "/v1/hosts", NULL, 200, NULL);
	ask_json(&admin, "GET", "/v1/events", NULL, 200, NULL);
}

static void poll_as_web(int64_t seq, unsigned status)
{
	struct bl_poll p = { .seq = seq, .label_count = 1, .sample_count = 1 };

	bl_text_copy(p.boot, sizeof(p.boot), "boot");
	bl_text_copy(p.session, sizeof(p.session), "one");
	bl_text_copy(p.kernel, sizeof(p.kernel), "6.1.0-44-cloud-amd64");
	bl_text_copy(p.arch, sizeof(p.arch), "x86_64");
	bl_text_copy(p.os, sizeof(p.os), "Debian 12");
	bl_text_copy(p.role, sizeof(p.role), "web");
	bl_text_copy(p.labels[0], sizeof(p.labels[0]), "zone=eu");
	bl_text_copy(p.sample[0], sizeof(p.sample[0]), "exec uid 0 sh[1] /x");
	p.metrics.known = (1u << BL_GUARD_METRICS) - 1;
	if (seq > 1) {
		p.work.order = BL_ORDER_APPLY;
		p.work.state = BL_WORK_GOING;
		bl_text_copy(p.work.rollout, sizeof(p.work.rollout), s.id);
	}
	ask_json(&web, "POST", "/v1/hosts/web-1/poll", bl_poll_json(&p), status,
		 NULL);
}

/* What it is told it knows already. */
static void idle_poll(void)
{
	struct bl_order none = { .kind = BL_ORDER_NONE };
	char etag[BL_ETAG_LEN];

	bl_order_etag(&none, etag);
	if_none_match = etag;
	poll_as_web(10, 304);
	if_none_match = NULL;
}

/* Rollouts in every state, with hosts in many. */
static void rollouts(void)
{
	char path[128];

	s.plan.waves[0].soak_ms = 0;
	sim_rollout(&s, "v1", SIM_GOOD);
	look_at_rollout(s.id);
	sim_run_ms(&s, 3000);
	look_at_rollout(s.id);
	ck_assert_int_eq(sim_run_over(&s, 600000), BL_ROLLOUT_DONE);
	look_at_rollout(s.id);
	sim_rollout(&s, "v2", SIM_FAILS);
	sim_run_ms(&s, 4000);
	ck_assert_int_eq(sim_run_over(&s, 600000), BL_ROLLOUT_STOPPED);
	look_at_rollout(s.id);
	sim_rollout(&s, "v3", SIM_KILLS_LATE);
	s.memory = 1e6;
	sim_run_over(&s, 600000);
	look_at_rollout(s.id);
	s.plan.waves[1].gate = true;
	sim_rollout(&s, "v4", SIM_GOOD);
	snprintf(path, sizeof(path), "/v1/rollouts/%s/approve", s.id);
	ask_json(&admin, "POST", path, json_object(), 200, NULL);
	snprintf(path, sizeof(path), "/v1/rollouts/%s/pause", s.id);
	ask_json(&admin, "POST", path, json_pack("{s:s}", "reason", "wait"),
		 200, NULL);
	look_at_rollout(s.id);
	snprintf(path, sizeof(path), "/v1/rollouts/%s/resume", s.id);
	ask_json(&admin, "POST", path, json_object(), 200, NULL);
	poll_as_web(1, 200);
	poll_as_web(2, 200);
	poll_as_web(2, 409);
	look_at_rollout(s.id);
	snprintf(path, sizeof(path), "/v1/rollouts/%s/abort", s.id);
	ask_json(&admin, "POST", path, json_pack("{s:s}", "reason", "enough"),
		 200, NULL);
	look_at_rollout(s.id);
	sim_run_over(&s, 600000);
	idle_poll();
}

static void bundles_and_a_start(void)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle b = { 0 };
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *manifest = bl_path("%s/manifest.json", dir);
	static const char plan[] =
		"{\"waves\":[{\"names\":[\"web-*\"],\"soak_s\":50},"
		"{\"per_stratum\":1},{\"hosts\":3,\"gate\":true},"
		"{\"percent\":100}],\"soak_s\":60,\"cap\":5,"
		"\"strata\":[\"kernel\",\"label:zone\"],"
		"\"p0_percent\":0.1,\"ladder_percent\":[20,5],"
		"\"guards\":{\"memory\":20,\"events_fewer\":30},"
		"\"freeze\":[\"Fri 16:00 - Mon 06:00\"],"
		"\"leave_out\":[\"db-*\"]}";
	struct bl_err err = { 0 };
	char path[128];

	hostile_write_inputs(dir);
	ck_assert_msg(bl_bundle_build(manifest, &b, &err) == 0, "%s", err.text);
	bl_file_rmtree(dir, NULL);
	snprintf(path, sizeof(path), "/v1/bundles/%s", b.digest);
	ask(&admin, "PUT", path, &b.raw, 200, NULL);
	ask(&web, "GET", path, NULL, 200, NULL);
	range = "bytes=10-19";
	ask(&web, "GET", path, NULL, 206, NULL);
	range = "bytes=99999999-";
	ask(&web, "GET", path, NULL, 416, NULL);
	range = NULL;
	ask_json(&admin, "POST", "/v1/rollouts",
		 json_pack("{s:s,s:o,s:s}", "digest", b.digest, "plan",
			   json_loads(plan, 0, NULL), "override", "a test"),
		 201, NULL);
	ask_json(&admin, "POST", "/v1/rollouts",
		 json_pack("{s:s}", "digest", b.digest), 409, NULL);
}

/* Not described, for it is not there. */
static void refuse(const char *path)
{
	const struct bl_request q = {
		.method = "GET", .path = path, .peer = &web, .trust = repository
	};
	struct bl_response a;

	bl_api_handle(s.store, &q, s.now_ms, &a);
	ck_assert_msg(a.status == 404, "%s: %u", path, a.status);
	bl_buf_free(&a.body);
}

/* A repository of two files. */
static void trust(void)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *folder = bl_path("%s/metadata", dir);
	bl_autofree char *file = bl_path("%s/timestamp.json", folder);
	bl_autofree char *targets = bl_path("%s/targets", dir);
	bl_autofree char *target = bl_path("%s/00.sensor", targets);
	const struct bl_api_trust served = { .repo = dir };
	static const char at[] = "/v1/trust/metadata/timestamp.json";
	char etag[BL_ETAG_LEN];

	ck_assert_int_eq(bl_file_mkdirs(folder, 0700, NULL), 0);
	ck_assert_int_eq(bl_file_write(file, "{}", 2, 0600, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(targets, 0700, NULL), 0);
	ck_assert_int_eq(bl_file_write(target, "{}", 2, 0600, NULL), 0);
	ask(&web, "GET", at, NULL, 404, NULL);
	repository = &served;
	ask(&web, "GET", at, NULL, 200, NULL);
	/* The first 28 digits of the SHA-256 of it. */
	snprintf(etag, sizeof(etag), "\"44136fa355b3678a1146ad16f7e8\"");
	if_none_match = etag;
	ask(&admin, "GET", at, NULL, 304, NULL);
	if_none_match = NULL;
	ask(&web, "GET", "/v1/trust/metadata/2.root.json", NULL, 404, NULL);
	ask(&web, "GET", "/v1/trust/targets/00.sensor", NULL, 200, NULL);
	refuse("/v1/trust/keys/root.key");
	refuse("/v1/trust/metadata/../../x");
	refuse("/v1/trust/metadata/..");
	refuse("/v1/trust/metadata//etc/passwd");
	ask(&nobody, "GET", at, NULL, 401, NULL);
	repository = NULL;
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
}

static void certificates(void)
{
	bl_autobuf struct bl_buf key = { 0 }, request = { 0 };
	bl_autojson json_t *token = NULL;
	const char *text;
	char secret[33] = "";

	ck_assert_int_eq(bl_pki_key_make(&key, NULL), 0);
	ck_assert_int_eq(bl_pki_request_make(key.data, &request, NULL), 0);
	ask_json(&nobody, "GET", "/v1/ca", NULL, 200, NULL);
	ask_json(&admin, "POST", "/v1/tokens",
		 json_pack("{s:s,s:i}", "host", "web-1", "valid_s", 60), 201,
		 &token);
	text = json_string_value(json_object_get(token, "token"));
	ck_assert_int_eq(sscanf(text, "%*[^.].%32[0-9a-f].", secret), 1);
	ask_json(&nobody, "POST", "/v1/enroll",
		 json_pack("{s:s,s:s}", "secret", secret, "request",
			   request.data),
		 201, NULL);
	ask_json(&nobody, "POST", "/v1/enroll",
		 json_pack("{s:s,s:s}", "secret", secret, "request",
			   request.data),
		 403, NULL);
	ask_json(&web, "POST", "/v1/renew",
		 json_pack("{s:s}", "request", request.data), 201, NULL);
	ask_json(&admin, "POST", "/v1/hosts/web-1/revoke",
		 json_pack("{s:s}", "reason", "stolen"), 200, NULL);
	ask_json(&admin, "POST", "/v1/operators/bob/revoke", json_object(), 200,
		 NULL);
	ask_json(&admin, "POST", "/v1/operators/admin/revoke", json_object(),
		 400, NULL);
	ask_json(&admin, "GET", "/v1/revoked", NULL, 200, NULL);
	ask_json(&web, "POST", "/v1/renew",
		 json_pack("{s:s}", "request", request.data), 401, NULL);
}

START_TEST(real_answers_for_others_to_look_at)
{
	const char *dir = getenv("BELAY_TEST_DUMP");
	bl_autofree char *path = bl_path("%s/answers.ndjson", dir ? dir : "");

	if (dir)
		ck_assert_ptr_nonnull(out = fopen(path, "we"));
	sim_start(&s, 7, 6);
	ck_assert_int_eq(bl_pki_make(bl_clock_wall_ms(), &pki, NULL), 0);
	rollouts();
	bundles_and_a_start();
	trust();
	certificates();
	ask_json(&nobody, "GET", "/v1/openapi.json", NULL, 200, NULL);
	ask_json(&admin, "GET", "/metrics", NULL, 200, NULL);
	ask_json(&nobody, "GET", "/v1/hosts", NULL, 401, NULL);
	ask_json(&web, "GET", "/v1/hosts", NULL, 403, NULL);
	ask_json(&admin, "GET", "/v1/rollouts/r99", NULL, 404, NULL);
	ask_json(&admin, "POST", "/v1/rollouts", json_object(), 400, NULL);
	bl_pki_free(pki);
	sim_end(&s);
	if (out)
		ck_assert_int_eq(fclose(out), 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("openapi");
	TCase *t = tcase_create("table"), *d = tcase_create("dump");

	tcase_add_checked_fixture(t, open_document, close_document);
	tcase_add_test(t, every_path_of_the_table_is_described);
	tcase_add_test(t, nothing_is_described_that_is_not_served);
	suite_add_tcase(suite, t);
	tcase_add_test(d, real_answers_for_others_to_look_at);
	suite_add_tcase(suite, d);
	return suite;
}
