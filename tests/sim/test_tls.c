/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server with real TLS on the loopback: how a host gets its certificate,
 * what it may do with it, and what those are told whose certificate is missing,
 * over, or somebody else's.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "canary/agent/enroll_host.h"
#include "canary/controller/enroll.h"
#include "canary/controller/http.h"
#include "canary/ledger/ledger.h"
#include "canary/ledger/protocol.h"
#include "canary/wire/client.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/net/fetch.h"
#include "tests/main.h"
#include "tests/support/liar.h"
#include "tests/support/tls_fleet.h"

#define DAYS(n) ((n)*BL_PKI_DAY_MS)

START_TEST(host_enrolls_and_speaks_for_itself_only)
{
	ck_assert_msg(tls_operator_lists_hosts() == 0, "%s", tls.err.text);
	tls_enroll_as("web-1");
	ck_assert_msg(tls_poll_as(tls.host_dir, "web-1") == 0, "%s",
		      tls.err.text);
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-2"), -EPERM);
	tls_expect_words("is of host web-1: it cannot speak for web-2");
	/* Nor may it do what operators do, nor they what it does. */
	ck_assert_int_eq(tls_call_as(tls.host_dir, "host", "GET",
				     "/v1/rollouts", NULL),
			 -EPERM);
	tls_expect_words("is for an operator");
	ck_assert_int_eq(tls_call_as(tls.dir, "operator", "POST",
				     "/v1/hosts/web-1/poll", tls_poll_body()),
			 -EPERM);
	ck_assert_int_eq(tls_call_as(tls.host_dir, "host", "POST", "/v1/tokens",
				     json_pack("{s:s}", "host", "web-2")),
			 -EPERM);
}
END_TEST

START_TEST(token_counts_once)
{
	bl_autofree char *token = tls_make_token("web-1", bl_clock_wall_ms());

	ck_assert_int_eq(tls_enroll(token), 0);
	ck_assert_int_eq(tls_enroll(token), -EPERM);
	tls_expect_words("was used or never made");
	/* What the first one got is as it was. */
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), 0);
}
END_TEST

START_TEST(token_that_is_too_old_does_not_count)
{
	bl_autofree char *cert = bl_path("%s/host.pem", tls.host_dir);
	bl_autofree char *token = tls_make_token(
		"web-1",
		bl_clock_wall_ms() - (BL_TOKEN_VALID_S + 1) * INT64_C(1000));

	ck_assert_int_eq(tls_enroll(token), -EPERM);
	tls_expect_words("too old");
	ck_assert_int_ne(access(cert, F_OK), 0);
}
END_TEST

START_TEST(request_that_is_none_does_not_cost_the_token)
{
	bl_autofree char *token = tls_make_token("web-1", bl_clock_wall_ms());
	struct bl_token_parts parts;

	ck_assert_int_eq(bl_token_parse(token, &parts, NULL), 0);
	ck_assert_int_eq(tls_call_as(tls.dir, "nobody", "POST", "/v1/enroll",
				     json_pack("{s:s,s:s}", "secret",
					       parts.secret, "request",
					       "hello")),
			 -EINVAL);
	ck_assert_msg(tls_enroll(token) == 0, "%s", tls.err.text);
}
END_TEST

/* Whoever answers in the controller's place does not get to see the token. */
START_TEST(token_is_shown_to_its_own_controller_only)
{
	bl_autofree char *token = tls_make_token("web-1", bl_clock_wall_ms());
	bl_autofree char *other = strdup(token);
	char *last = &other[strlen(other) - 1];

	*last = *last == '0' ? '1' : '0';
	ck_assert_int_eq(tls_enroll(other), -EPERM);
	tls_expect_words("is not the controller that this token is from");
	ck_assert_msg(tls_enroll(token) == 0, "%s", tls.err.text);
}
END_TEST

static const char *const no_tokens[] = {
	"", "web-1", "a.b.c", "..", "web-1.0123456789abcdef0123456789abcdef.",
};

START_TEST(what_is_no_token_is_said)
{
	ck_assert_int_eq(tls_enroll(no_tokens[_i]), -EINVAL);
	tls_expect_words("no token");
}
END_TEST

START_TEST(without_a_certificate_nothing_is_told)
{
	ck_assert_int_eq(tls_call_as(tls.dir, "nobody", "GET", "/v1/hosts",
				     NULL),
			 -EACCES);
	tls_expect_words("no certificate was shown");
	ck_assert_ptr_nonnull(strstr(tls.err.hint, "belay host enroll"));
	ck_assert_int_eq(tls_call_as(tls.dir, "nobody", "POST",
				     "/v1/hosts/web-1/poll", tls_poll_body()),
			 -EACCES);
}
END_TEST

START_TEST(certificate_that_has_expired_is_refused)
{
	int64_t now_ms = bl_clock_wall_ms();

	tls_write_cert(tls.server.pki, tls.host_dir, "web-1", now_ms - DAYS(30),
		       now_ms - DAYS(1));
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), -EACCES);
	tls_expect_words("the certificate of web-1 has expired");
	tls_write_cert(tls.server.pki, tls.host_dir, "web-1", now_ms + DAYS(1),
		       now_ms + DAYS(30));
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), -EACCES);
	tls_expect_words("not valid yet");
}
END_TEST

START_TEST(certificate_of_another_fleet_is_refused)
{
	BL_CLEANUP(bl_pki_freep) struct bl_pki *other = NULL;
	int64_t now_ms = bl_clock_wall_ms();

	ck_assert_int_eq(bl_pki_make(now_ms, &other, NULL), 0);
	tls_write_cert(other, tls.host_dir, "web-1", now_ms, now_ms + DAYS(30));
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-1"), -EACCES);
	tls_expect_words("not from this fleet's authority");
}
END_TEST

START_TEST(controller_of_another_fleet_is_not_believed)
{
	bl_autofree char *other = bl_path("%s/other", tls.dir);

	ck_assert_int_eq(bl_pki_dir_init(other, NULL, 0, "admin",
					 bl_clock_wall_ms(), NULL),
			 0);
	ck_assert_int_eq(tls_call_as(other, "operator", "GET", "/v1/hosts",
				     NULL),
			 -ECONNREFUSED);
	tls_expect_words("do not trust each other");
}
END_TEST

/* A host's certificate makes no controller, whatever the host is called. */
START_TEST(host_cannot_stand_in_for_the_controller)
{
	bl_autobuf struct bl_buf cert = { 0 }, key = { 0 };
	bl_autofree char *cert_path = bl_path("%s/host.pem", tls.host_dir);
	bl_autofree char *key_path = bl_path("%s/host.key", tls.host_dir);
	struct bl_http *fake;

	tls_enroll_as(_i ? "127.0.0.1" : "localhost");
	ck_assert_int_eq(bl_file_read(cert_path, BL_PKI_PEM_MAX, &cert, NULL),
			 0);
	ck_assert_int_eq(bl_file_read(key_path, BL_PKI_PEM_MAX, &key, NULL), 0);
	fake = tls_serve(tls.server.pki, cert.data, key.data);
	free(tls.url);
	tls.url = bl_path("https://%s:%s", _i ? "127.0.0.1" : "localhost",
			  strrchr(bl_http_listens(fake), ':') + 1);
	ck_assert_int_eq(tls_operator_lists_hosts(), -ECONNREFUSED);
	tls_expect_words("do not trust each other");
	bl_http_stop(fake);
}
END_TEST

static int64_t ends_ms(void)
{
	bl_autofree char *path = bl_path("%s/host.pem", tls.host_dir);
	bl_autobuf struct bl_buf cert = { 0 };
	int64_t from_ms, until_ms;

	ck_assert_int_eq(bl_file_read(path, BL_PKI_PEM_MAX, &cert, NULL), 0);
	ck_assert_int_eq(bl_pki_validity(cert.data, cert.len, &from_ms,
					 &until_ms, NULL),
			 0);
	return until_ms;
}

START_TEST(host_renews_its_certificate_in_time)
{
	int64_t now_ms = bl_clock_wall_ms(), before_ms;

	tls_write_cert(tls.server.pki, tls.host_dir, "web-1", now_ms - DAYS(10),
		       now_ms + DAYS(20));
	before_ms = ends_ms();
	ck_assert_msg(tls_renew(now_ms) == 0, "%s", tls.err.text);
	ck_assert_int_eq(ends_ms(), before_ms);
	tls_write_cert(tls.server.pki, tls.host_dir, "web-1", now_ms - DAYS(25),
		       now_ms + DAYS(5));
	before_ms = ends_ms();
	ck_assert_msg(tls_renew(now_ms) == 0, "%s", tls.err.text);
	ck_assert_int_gt(ends_ms(), before_ms + DAYS(300));
	ck_assert_msg(tls_poll_as(tls.host_dir, "web-1") == 0, "%s",
		      tls.err.text);
	ck_assert_int_eq(tls_poll_as(tls.host_dir, "web-2"), -EPERM);
}
END_TEST

START_TEST(authority_is_made_once_and_its_keys_are_its_owners)
{
	static const char *const keys[] = { "ca.key", "controller.key",
					    "operator.key" };
	struct stat st;
	size_t i;

	ck_assert_int_eq(bl_pki_dir_init(tls.dir, NULL, 0, "admin",
					 bl_clock_wall_ms(), &tls.err),
			 -EEXIST);
	tls_expect_words(tls.dir);
	for (i = 0; i < BL_ARRAY_SIZE(keys); i++) {
		bl_autofree char *path = bl_path("%s/%s", tls.dir, keys[i]);

		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 0777, 0600);
	}
	/* And goes on after a restart: from its files. */
	bl_http_stop(tls.http);
	bl_pki_server_free(&tls.server);
	ck_assert_int_eq(bl_pki_dir_load(tls.dir, &tls.server, &tls.err), 0);
	tls.http = tls_serve(tls.server.pki, tls.server.cert.data,
			     tls.server.key.data);
	free(tls.url);
	tls.url = bl_path("https://%s", bl_http_listens(tls.http));
	ck_assert_msg(tls_operator_lists_hosts() == 0, "%s", tls.err.text);
}
END_TEST

START_TEST(second_operator_has_a_certificate_of_its_own)
{
	bl_autofree char *out = bl_path("%s/alice", tls.dir);
	bl_autofree char *ca_key = bl_path("%s/ca.key", out);

	ck_assert_int_eq(bl_pki_dir_operator(tls.dir, out, "alice",
					     bl_clock_wall_ms(), &tls.err),
			 0);
	ck_assert_msg(tls_call_as(out, "operator", "GET", "/v1/hosts", NULL) ==
			      0,
		      "%s", tls.err.text);
	ck_assert_int_ne(access(ca_key, F_OK), 0);
}
END_TEST

START_TEST(a_viewer_looks_changes_nothing_and_is_taken_back_by_name)
{
	bl_autofree char *out = bl_path("%s/prometheus", tls.dir);

	ck_assert_int_eq(bl_pki_dir_viewer(tls.dir, out, "prometheus",
					   bl_clock_wall_ms(), &tls.err),
			 0);
	ck_assert_msg(tls_call_as(out, "operator", "GET", "/v1/rollouts",
				  NULL) == 0,
		      "%s", tls.err.text);
	ck_assert_int_eq(tls_call_as(out, "operator", "POST",
				     "/v1/rollouts/r1/abort", json_object()),
			 -EPERM);
	tls_expect_words("prometheus is a viewer, and that is for an operator");
	ck_assert_int_eq(tls_call_as(out, "operator", "POST",
				     "/v1/hosts/web-1/poll", json_object()),
			 -EPERM);
	ck_assert_int_eq(tls_call_as(tls.dir, "operator", "POST",
				     "/v1/operators/prometheus/revoke",
				     json_object()),
			 0);
	ck_assert_int_eq(tls_call_as(out, "operator", "GET", "/v1/rollouts",
				     NULL),
			 -EACCES);
}
END_TEST

/* Reads until @wanted came, ticking whenever nothing does; the status. */
static long listen_for(struct bl_fetch_stream *stream, const char *wanted)
{
	bl_autobuf struct bl_buf text = { 0 };
	long status = 0;

	while (!strstr(bl_buf_str(&text), wanted)) {
		int r = bl_fetch_stream_read(stream, 500, &status, &text,
					     &tls.err);

		ck_assert_msg(r >= 0, "%s", tls.err.text);
		if (r == 0)
			ck_assert_int_eq(bl_http_tick(tls.http, NULL), 0);
	}
	return status;
}

static struct bl_fetch_stream *watch_as(const char *in, const char *who)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	struct bl_fetch_stream *stream = NULL;

	ck_assert_int_eq(bl_client_open(tls.url, false, &c, NULL), 0);
	ck_assert_int_eq(bl_client_identity(c, in, who, NULL), 0);
	ck_assert_int_eq(bl_client_stream(c, "/v1/events", &stream, NULL), 0);
	return stream;
}

static void write_rollout(void)
{
	struct bl_rollout r = { .state = BL_ROLLOUT_DONE, .id = "r1" };
	bl_autochange struct bl_change c = { 0 };

	bl_plan_default(&r.plan);
	bl_change_put(&c, json_integer(1), "fleet/last");
	bl_change_put(&c, bl_rollout_json(&r), "rollout/r1");
	ck_assert_int_eq(bl_change_write(&c, tls.store, NULL), 0);
}

START_TEST(an_operator_watches_and_a_host_does_not)
{
	struct bl_fetch_stream *stream = watch_as(tls.dir, "operator");

	ck_assert_int_eq(listen_for(stream, "\n\n"), 200);
	/* Comes through a connection that was suspended meanwhile. */
	write_rollout();
	listen_for(stream, "event: rollout");
	bl_fetch_stream_close(stream);
	tls_enroll_as("web-1");
	stream = watch_as(tls.host_dir, "host");
	ck_assert_int_eq(listen_for(stream, "that is for an operator"), 403);
	bl_fetch_stream_close(stream);
}
END_TEST

START_TEST(plain_http_gets_nowhere)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autofree char *plain =
		bl_path("http://%s", bl_http_listens(tls.http));
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct sockaddr_storage address;

	ck_assert_int_eq(bl_client_open(plain, false, &c, NULL), 0);
	ck_assert_int_lt(
		bl_client_json(c, "GET", "/v1/hosts", NULL, &doc, &tls.err), 0);
	/* With TLS the network may call, without it may not. */
	ck_assert_int_eq(bl_http_address("0.0.0.0:1", true, &address, NULL), 0);
	ck_assert_int_eq(bl_http_address("0.0.0.0:1", false, &address,
					 &tls.err),
			 -EPERM);
	ck_assert_ptr_nonnull(strstr(tls.err.hint, "controller init"));
}
END_TEST

/* A listener that takes one connection, and ends it before TLS began. */
enum end { RESET, CLOSED, PLAIN, ALERT };

struct ending {
	int listens;
	enum end end;
};

static void *end_one(void *ctx)
{
	static const char alert[] = { 21, 3, 3, 0, 2, 2, 48 }; /* unknown CA */
	static const char plain[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	const struct linger now = { .l_onoff = 1 };
	const struct ending *e = ctx;
	bl_autoclose int fd = accept(e->listens, NULL, NULL);

	recv(fd, (char[1]){ 0 }, 1, 0); /* it has begun */
	if (e->end == PLAIN)
		send(fd, plain, sizeof(plain) - 1, 0);
	else if (e->end == ALERT)
		send(fd, alert, sizeof(alert), 0);
	if (e->end == RESET) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		return NULL;
	}
	/* What it said arrives: nothing that was sent is left unread. */
	shutdown(fd, SHUT_WR);
	while (recv(fd, (char[512]){ 0 }, 512, 0) > 0)
		;
	return NULL;
}

START_TEST(connection_that_is_cut_is_no_distrust)
{
	static const char *const words[] = {
		[RESET] = "was cut before TLS began",
		[CLOSED] = "was cut before TLS began",
		[PLAIN] = "does not speak TLS",
		[ALERT] = "do not trust each other",
	};
	static const char *const hints[] = {
		[RESET] = "no room for more",
		[CLOSED] = "no room for more",
		[PLAIN] = "http://",
		[ALERT] = "of that controller's fleet",
	};
	struct ending e = { .end = (enum end)_i };
	char http[64];
	pthread_t thread;

	e.listens = liar_listen(http);
	free(tls.url);
	tls.url = bl_path("https%s", http + strlen("http"));
	ck_assert_int_eq(pthread_create(&thread, NULL, end_one, &e), 0);
	ck_assert_int_eq(tls_operator_lists_hosts(), -ECONNREFUSED);
	pthread_join(thread, NULL);
	close(e.listens);
	tls_expect_words(words[_i]);
	ck_assert_msg(strstr(tls.err.hint, hints[_i]), "hint: %s",
		      tls.err.hint);
	/* The folder that was looked into, not another one. */
	if (_i == ALERT)
		ck_assert_ptr_nonnull(strstr(tls.err.hint, tls.dir));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("tls");
	TCase *t = tcase_create("tls");

	tcase_add_checked_fixture(t, tls_set_up, tls_tear_down);
	tcase_add_test(t, host_enrolls_and_speaks_for_itself_only);
	tcase_add_test(t, token_counts_once);
	tcase_add_test(t, token_that_is_too_old_does_not_count);
	tcase_add_test(t, request_that_is_none_does_not_cost_the_token);
	tcase_add_test(t, token_is_shown_to_its_own_controller_only);
	tcase_add_loop_test(t, what_is_no_token_is_said, 0,
			    (int)BL_ARRAY_SIZE(no_tokens));
	tcase_add_test(t, without_a_certificate_nothing_is_told);
	tcase_add_test(t, certificate_that_has_expired_is_refused);
	tcase_add_test(t, certificate_of_another_fleet_is_refused);
	tcase_add_test(t, controller_of_another_fleet_is_not_believed);
	tcase_add_loop_test(t, host_cannot_stand_in_for_the_controller, 0, 2);
	tcase_add_test(t, host_renews_its_certificate_in_time);
	tcase_add_test(t, authority_is_made_once_and_its_keys_are_its_owners);
	tcase_add_test(t, second_operator_has_a_certificate_of_its_own);
	tcase_add_test(
		t, a_viewer_looks_changes_nothing_and_is_taken_back_by_name);
	tcase_add_test(t, an_operator_watches_and_a_host_does_not);
	tcase_add_test(t, plain_http_gets_nowhere);
	tcase_add_loop_test(t, connection_that_is_cut_is_no_distrust, 0,
			    ALERT + 1);
	suite_add_tcase(suite, t);
	return suite;
}
