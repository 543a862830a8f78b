/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that are taken back before they are over, over real TLS. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "canary/controller/enroll.h"
#include "canary/controller/polls.h"
#include "canary/ledger/fleet.h"
#include "canary/ledger/protocol.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "tests/main.h"
#include "tests/support/raw_client.h"
#include "tests/support/tls_fleet.h"

#define DAYS(n) ((n)*BL_PKI_DAY_MS)

static int take_back(const char *kind, const char *name, const char *as)
{
	bl_autofree char *path = bl_path("/v1/%s/%s/revoke", kind, name);

	return tls_call_as(as, "operator", "POST", path,
			   json_pack("{s:s}", "reason", "stolen laptop"));
}

START_TEST(certificate_that_was_taken_back_is_refused_at_once)
{
	bl_autofree char *thief = bl_path("%s/thief", tls.dir);
	bl_autofree char *mine = tls.host_dir;
	BL_CLEANUP(bl_client_closep) struct bl_client *open = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };

	/* Two certificates of the name, and a connection that is open. */
	tls_enroll_as("web-1");
	tls.host_dir = thief;
	tls_enroll_as("web-1");
	tls.host_dir = BL_TAKE(mine);
	ck_assert_int_eq(bl_client_open(tls.url, false, &open, NULL), 0);
	ck_assert_int_eq(bl_client_identity(open, thief, "host", NULL), 0);
	ck_assert_int_eq(bl_client_json(open, "POST", "/v1/hosts/web-1/poll",
					tls_poll_body(), &doc, NULL),
			 0);
	ck_assert_msg(take_back("hosts", "web-1", tls.dir) == 0, "%s",
		      tls.err.text);
	ck_assert_int_eq(bl_client_json(open, "POST", "/v1/hosts/web-1/poll",
					tls_poll_body(), &doc, NULL),
			 -EACCES);
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), -EACCES);
	tls_expect_words("host web-1 was taken back on ");
	tls_expect_words(" by admin: stolen laptop");
	ck_assert_ptr_nonnull(strstr(tls.err.hint, "belay host token web-1"));
	/* It gets no other by it, and nothing else that it could get. */
	ck_assert_int_eq(tls_call_as(thief, "host", "POST", "/v1/renew",
				     json_pack("{s:s}", "request", "x")),
			 -EACCES);
	ck_assert_int_eq(tls_call_as(thief, "host", "GET", "/v1/bundles/aaaa",
				     NULL),
			 -EACCES);
	/* Others are none the worse. */
	ck_assert_int_eq(tls_operator_lists_hosts(), 0);
	tls_enroll_as("web-2");
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-2"), 0);
}
END_TEST

START_TEST(host_that_enrolls_again_is_good_until_that_is_taken_back)
{
	bl_autofree char *old = bl_path("%s/old", tls.dir);
	bl_autofree char *unused = NULL;
	bl_autofree char *new = tls.host_dir;
	int64_t now_ms = bl_clock_wall_ms();
	unsigned i;

	tls.host_dir = old;
	tls_enroll_as("web-1");
	tls.host_dir = BL_TAKE(new);
	for (i = 0; i < 2; i++) {
		unused = tls_make_token("web-1", now_ms);
		ck_assert_int_eq(take_back("hosts", "web-1", tls.dir), 0);
		/* Nor does what was meant for it before help anybody. */
		ck_assert_int_eq(tls_enroll(unused), -EPERM);
		free(BL_TAKE(unused));
		tls_enroll_as("web-1");
		ck_assert_msg(tls_poll_as(tls.host_dir, "web-1") == 0, "%s",
			      tls.err.text);
		ck_assert_int_eq(tls_poll_as(old, "web-1"), -EACCES);
		/* What renews it is as good. */
		ck_assert_int_eq(tls_renew(now_ms + DAYS(364)), 0);
		ck_assert_msg(tls_poll_as(tls.host_dir, "web-1") == 0, "%s",
			      tls.err.text);
	}
	ck_assert_int_eq(take_back("hosts", "web-1", tls.dir), 0);
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), -EACCES);
}
END_TEST

/* It was let in, and was taken back before the new one was issued. */
START_TEST(renewal_that_overlaps_a_taking_back_is_of_no_use)
{
	static const struct bl_peer peer = { BL_ROLE_HOST, "web-1", "", 0 };
	bl_autobuf struct bl_buf key = { 0 }, request = { 0 };
	bl_autojson json_t *answer = NULL;
	bl_autofree char *body = NULL;
	struct bl_request q = { .peer = &peer, .pki = tls.server.pki };

	ck_assert_int_eq(bl_pki_key_make(&key, NULL), 0);
	ck_assert_int_eq(bl_pki_request_make(key.data, &request, NULL), 0);
	body = bl_json_dump(json_pack("{s:s}", "request", request.data));
	q.body = body;
	q.len = strlen(body);
	ck_assert_int_eq(take_back("hosts", "web-1", tls.dir), 0);
	ck_assert_int_eq(bl_enroll_renew(tls.store, &q, bl_clock_wall_ms(),
					 &answer, &tls.err),
			 0);
	ck_assert_int_eq(bl_pki_dir_write(tls.host_dir, "host",
					  bl_pki_cert(tls.server.pki),
					  json_string_value(json_object_get(
						  answer, "certificate")),
					  key.data, NULL),
			 0);
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), -EACCES);
	tls_expect_words("was taken back");
}
END_TEST

START_TEST(every_controller_of_the_store_refuses_it)
{
	struct bl_http *other;
	bl_autofree char *here = tls.url;

	tls_enroll_as("web-1");
	other = tls_serve(tls.server.pki, tls.server.cert.data,
			  tls.server.key.data);
	tls.url = bl_path("https://%s", bl_http_listens(other));
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), 0);
	free(tls.url);
	tls.url = strdup(here);
	ck_assert_int_eq(take_back("hosts", "web-1", tls.dir), 0);
	free(tls.url);
	tls.url = bl_path("https://%s", bl_http_listens(other));
	bl_clock_sleep_ms(2 * BL_POLLS_FRESH_MS);
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), -EACCES);
	bl_http_stop(other);
}
END_TEST

/* What another controller remembers counts no longer than it is said to. */
START_TEST(the_next_poll_is_refused_here_and_a_later_one_elsewhere)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *polls = NULL;
	BL_CLEANUP(bl_client_closep) struct bl_client *here = NULL;
	BL_CLEANUP(bl_client_closep) struct bl_client *admin = NULL;
	static const char path[] = "/v1/hosts/web-1/poll";
	bl_autojson_doc struct bl_json_doc one = { 0 }, two = { 0 },
					   three = { 0 }, four = { 0 };
	bl_autofree char *there = NULL;
	struct bl_http *other;

	tls_enroll_as("web-1");
	other = tls_serve(tls.server.pki, tls.server.cert.data,
			  tls.server.key.data);
	there = bl_path("https://%s", bl_http_listens(other));
	ck_assert_int_eq(bl_client_open(tls.url, false, &admin, NULL), 0);
	ck_assert_int_eq(bl_client_identity(admin, tls.dir, "operator", NULL),
			 0);
	ck_assert_int_eq(bl_client_open(there, false, &polls, NULL), 0);
	ck_assert_int_eq(bl_client_identity(polls, tls.host_dir, "host", NULL),
			 0);
	ck_assert_int_eq(bl_client_open(tls.url, false, &here, NULL), 0);
	ck_assert_int_eq(bl_client_identity(here, tls.host_dir, "host", NULL),
			 0);
	/* Connections are there, so that nothing takes long from here on. */
	ck_assert_int_eq(
		bl_client_json(admin, "GET", "/v1/hosts", NULL, &one, NULL), 0);
	ck_assert_int_eq(bl_client_json(polls, "POST", path, tls_poll_body(),
					&two, NULL),
			 0);
	ck_assert_int_eq(bl_client_json(here, "POST", path, tls_poll_body(),
					&four, NULL),
			 0);
	ck_assert_int_eq(bl_client_json(admin, "POST", "/v1/hosts/web-1/revoke",
					json_object(), &three, NULL),
			 0);
	ck_assert_int_eq(bl_client_json(here, "POST", path, tls_poll_body(),
					&four, NULL),
			 -EACCES);
	bl_clock_sleep_ms(2 * BL_POLLS_FRESH_MS);
	ck_assert_int_eq(bl_client_json(polls, "POST", path, tls_poll_body(),
					&two, NULL),
			 -EACCES);
	bl_http_stop(other);
}
END_TEST

static void dial_host(struct raw *r)
{
	bl_autofree char *cert = bl_path("%s/host.pem", tls.host_dir);
	bl_autofree char *key = bl_path("%s/host.key", tls.host_dir);

	raw_dial(r, (unsigned)strtoul(strrchr(tls.url, ':') + 1, NULL, 10));
	ck_assert(raw_shake(r, cert, key));
}

/* An answer that is known, and that may take half a minute. */
static void say_poll(struct raw *r, const char *header)
{
	bl_autofree char *body = bl_json_dump(tls_poll_body());
	bl_autofree char *text =
		bl_path("POST /v1/hosts/web-1/poll HTTP/1.1\r\n"
			"Host: x\r\nContent-Type: application/json\r\n"
			"If-None-Match: \"none-0\"\r\n%s"
			"Content-Length: %zu\r\n\r\n%s",
			header, strlen(body), body);

	ck_assert(raw_send(r, text, strlen(text)));
}

START_TEST(a_poll_that_is_kept_is_refused_too)
{
	char answer[4096];
	struct raw r;

	tls_enroll_as("web-1");
	dial_host(&r);
	say_poll(&r, "");
	ck_assert_uint_eq(raw_status(&r, answer, sizeof(answer)), 304);
	say_poll(&r, "Prefer: wait=30\r\n");
	ck_assert_int_eq(take_back("hosts", "web-1", tls.dir), 0);
	ck_assert_uint_eq(raw_status(&r, answer, sizeof(answer)), 401);
	raw_close(&r);
}
END_TEST

START_TEST(operator_is_taken_back_by_another_one_only)
{
	bl_autofree char *alice = bl_path("%s/alice", tls.dir);

	ck_assert_int_eq(bl_pki_dir_operator(tls.dir, alice, "alice",
					     bl_clock_wall_ms(), &tls.err),
			 0);
	ck_assert_int_eq(take_back("operators", "alice", alice), -EINVAL);
	tls_expect_words("is the one that asks");
	ck_assert_int_eq(take_back("operators", "alice", tls.dir), 0);
	ck_assert_int_eq(tls_call_as(alice, "operator", "GET", "/v1/hosts",
				     NULL),
			 -EACCES);
	tls_expect_words("operator alice was taken back");
	/* A host of that name is somebody else. */
	tls_enroll_as("alice");
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "alice"), 0);
	ck_assert_int_eq(take_back("hosts", "alice", tls.host_dir), -EACCES);
	ck_assert_int_eq(tls_operator_lists_hosts(), 0);
}
END_TEST

/* Until something comes, or it ends; ticks when nothing does. */
static int watch(struct bl_fetch_stream *stream, struct bl_buf *ret)
{
	int r = 0;
	long status;

	while (!r) {
		ck_assert_int_eq(bl_http_tick(tls.http, NULL), 0);
		r = bl_fetch_stream_read(stream, 100, &status, ret, NULL);
	}
	return r;
}

static struct bl_fetch_stream *begin_watching(const char *as)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	struct bl_fetch_stream *stream = NULL;
	bl_autobuf struct bl_buf text = { 0 };

	ck_assert_int_eq(bl_client_open(tls.url, false, &c, NULL), 0);
	ck_assert_int_eq(bl_client_identity(c, as, "operator", NULL), 0);
	ck_assert_int_eq(bl_client_stream(c, "/v1/events", &stream, NULL), 0);
	ck_assert_int_eq(watch(stream, &text), 1);
	return stream;
}

/* Nothing else ends a stream within so few ticks. */
START_TEST(who_watches_and_is_taken_back_sees_no_more)
{
	bl_autofree char *alice = bl_path("%s/alice", tls.dir);
	struct bl_fetch_stream *hers, *other;
	bl_autobuf struct bl_buf text = { 0 };
	long status;
	int r;

	ck_assert_int_eq(bl_pki_dir_operator(tls.dir, alice, "alice",
					     bl_clock_wall_ms(), &tls.err),
			 0);
	hers = begin_watching(alice);
	other = begin_watching(tls.dir);
	ck_assert_int_eq(take_back("operators", "alice", tls.dir), 0);
	ck_assert_int_eq(bl_http_tick(tls.http, NULL), 0);
	do /* signs of life of before, and rounds in which nothing came */
		r = bl_fetch_stream_read(hers, 1000, &status, &text, NULL);
	while (r >= 0);
	ck_assert_int_lt(r, 0);
	ck_assert_ptr_null(strstr(bl_buf_str(&text), "event"));
	/* The other one goes on: a sign of life comes. */
	ck_assert_int_eq(watch(other, &text), 1);
	bl_fetch_stream_close(hers);
	bl_fetch_stream_close(other);
}
END_TEST

static void start_rollout(char id[static BL_ROLLOUT_ID_LEN])
{
	bl_autofree struct bl_bundle *bundle = calloc(1, sizeof(*bundle));
	struct bl_start start = { .override_reason = "" };
	int64_t now_ms = bl_clock_wall_ms();

	ck_assert_ptr_nonnull(bundle);
	memset(bundle->digest, 'a', BL_DIGEST_HEX - 1);
	strcpy(bundle->manifest.name, "sensor");
	strcpy(bundle->manifest.version, "2");
	ck_assert_int_eq(bl_buf_add(&bundle->raw, "v2", 2), 0);
	ck_assert_int_eq(
		bl_controller_store_bundle(tls.store, bundle, now_ms, NULL), 0);
	bl_buf_free(&bundle->raw);
	start.digest = bundle->digest;
	bl_plan_default(&start.plan);
	ck_assert_int_eq(
		bl_controller_start(tls.store, &start, now_ms, id, NULL), 0);
}

static unsigned exposed(const char *id)
{
	struct bl_rollout rollout;
	int64_t revision;

	ck_assert_int_eq(
		bl_fleet_rollout(tls.store, id, &rollout, &revision, NULL), 0);
	return rollout.exposed;
}

/* The controller of the fixture, but with a store of which others, such as the
 * test itself, have handles of their own. */
static struct bl_store *serve_from_a_file(void)
{
	bl_autofree char *at = bl_path("sqlite:%s/fleet.db", tls.dir);
	struct bl_store *own = NULL;

	bl_http_stop(tls.http);
	bl_store_close(tls.store);
	ck_assert_int_eq(bl_store_open(at, &tls.store, NULL), 0);
	tls.http = tls_serve(tls.server.pki, tls.server.cert.data,
			     tls.server.key.data);
	free(tls.url);
	tls.url = bl_path("https://%s", bl_http_listens(tls.http));
	own = tls.store;
	ck_assert_int_eq(bl_store_open(at, &tls.store, NULL), 0);
	return own;
}

static void say_kept_poll(struct raw *r)
{
	bl_autofree char *body = bl_json_dump(tls_poll_body());
	bl_autofree char *text =
		bl_path("POST /v1/hosts/web-1/poll HTTP/1.1\r\n"
			"Host: x\r\n"
			"Content-Type: application/json\r\n"
			"Content-Length: %zu\r\n"
			"If-None-Match: \"none-0\"\r\n"
			"Prefer: wait=30\r\n\r\n%s",
			strlen(body), body);

	ck_assert(raw_send(r, text, strlen(text)));
}

/* It came before its certificate was taken back. */
START_TEST(poll_that_is_kept_gets_nothing_by_a_certificate_taken_back)
{
	struct bl_store *own = serve_from_a_file();
	bl_autofree char *cert = bl_path("%s/host.pem", tls.host_dir);
	bl_autofree char *key = bl_path("%s/host.key", tls.host_dir);
	char id[BL_ROLLOUT_ID_LEN], answer[4096];
	struct raw r;

	tls_enroll_as("web-1");
	raw_dial(&r, (unsigned)strtoul(strrchr(tls.url, ':') + 1, NULL, 10));
	ck_assert(raw_shake(&r, cert, key));
	say_kept_poll(&r);
	ck_assert_uint_eq(raw_status(&r, answer, sizeof(answer)), 304);
	say_kept_poll(&r);
	/* It has been read by the second answer. */
	ck_assert_int_eq(tls_operator_lists_hosts(), 0);
	ck_assert_int_eq(take_back("hosts", "web-1", tls.dir), 0);
	start_rollout(id);
	ck_assert_int_eq(bl_http_tick(tls.http, &tls.err), 0);
	ck_assert_uint_eq(raw_status(&r, answer, sizeof(answer)), 401);
	ck_assert_uint_eq(exposed(id), 0);
	raw_close(&r);
	bl_http_stop(tls.http);
	tls.http = NULL;
	bl_store_close(own);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("revoke");
	TCase *t = tcase_create("revoke");

	tcase_add_checked_fixture(t, tls_set_up, tls_tear_down);
	tcase_add_test(t, certificate_that_was_taken_back_is_refused_at_once);
	tcase_add_test(
		t, host_that_enrolls_again_is_good_until_that_is_taken_back);
	tcase_add_test(t, renewal_that_overlaps_a_taking_back_is_of_no_use);
	tcase_add_test(t, every_controller_of_the_store_refuses_it);
	tcase_add_test(t,
		       the_next_poll_is_refused_here_and_a_later_one_elsewhere);
	tcase_add_test(t, a_poll_that_is_kept_is_refused_too);
	tcase_add_test(t, operator_is_taken_back_by_another_one_only);
	tcase_add_test(t, who_watches_and_is_taken_back_sees_no_more);
	tcase_add_test(
		t, poll_that_is_kept_gets_nothing_by_a_certificate_taken_back);
	suite_add_tcase(suite, t);
	return suite;
}
