/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tls_fleet.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "canary/agent/enroll_host.h"
#include "canary/controller/enroll.h"
#include "canary/ledger/protocol.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "tests/main.h"

struct tls_fleet tls;

struct bl_http *tls_serve(const struct bl_pki *pki, const char *cert,
			  const char *key)
{
	const struct bl_http_tls own = { pki, cert, key };
	struct sockaddr_storage address;
	struct bl_http *h = NULL;

	ck_assert_int_eq(bl_http_address("127.0.0.1:0", true, &address, NULL),
			 0);
	ck_assert_msg(bl_http_start(&address, tls.store, &own, &h, &tls.err) ==
			      0,
		      "%s", tls.err.text);
	return h;
}

void tls_set_up(void)
{
	unsetenv("BELAY_CONTROLLER");
	tls.dir = bl_test_tmpdir();
	tls.host_dir = bl_path("%s/host", tls.dir);
	setenv("BELAY_TLS_DIR", tls.dir, 1);
	ck_assert_msg(bl_pki_dir_init(tls.dir, NULL, 0, "admin",
				      bl_clock_wall_ms(), &tls.err) == 0,
		      "%s", tls.err.text);
	ck_assert_msg(bl_pki_dir_load(tls.dir, &tls.server, &tls.err) == 0,
		      "%s", tls.err.text);
	ck_assert_int_eq(bl_store_open("sqlite::memory:", &tls.store, NULL), 0);
	tls.http = tls_serve(tls.server.pki, tls.server.cert.data,
			     tls.server.key.data);
	tls.url = bl_path("https://%s", bl_http_listens(tls.http));
}

void tls_tear_down(void)
{
	bl_http_stop(tls.http);
	bl_store_close(tls.store);
	bl_pki_server_free(&tls.server);
	bl_file_rmtree(tls.dir, NULL);
	free(tls.dir);
	free(tls.host_dir);
	free(tls.url);
}

int tls_call_as(const char *in, const char *who, const char *method,
		const char *path, json_t *body)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };

	tls.err = (struct bl_err){ 0 };
	ck_assert_int_eq(bl_client_open(tls.url, false, &c, NULL), 0);
	ck_assert_int_eq(bl_client_identity(c, in, who, NULL), 0);
	return bl_client_json(c, method, path, body, &doc, &tls.err);
}

int tls_operator_lists_hosts(void)
{
	return tls_call_as(tls.dir, "operator", "GET", "/v1/hosts", NULL);
}

json_t *tls_poll_body(void)
{
	static int64_t seq;
	const struct bl_poll poll = {
		.boot = "b", .session = "s", .seq = ++seq, .kernel = "6.1.0"
	};

	return bl_poll_json(&poll);
}

int tls_poll_as(const char *in, const char *name)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", name);

	return tls_call_as(in, "host", "POST", path, tls_poll_body());
}

char *tls_make_token(const char *name, int64_t now_ms)
{
	bl_autojson json_t *answer = NULL;
	bl_autofree char *body = bl_path("{\"host\":\"%s\"}", name);
	const struct bl_request q = { .body = body,
				      .len = strlen(body),
				      .pki = tls.server.pki };

	ck_assert_msg(bl_enroll_token(tls.store, &q, now_ms, &answer,
				      &tls.err) == 0,
		      "%s", tls.err.text);
	return strdup(json_string_value(json_object_get(answer, "token")));
}

int tls_enroll(const char *token)
{
	char name[BL_NAME_MAX + 1];

	tls.err = (struct bl_err){ 0 };
	return bl_enroll_host(tls.url, tls.host_dir, token, name, &tls.err);
}

void tls_enroll_as(const char *name)
{
	bl_autofree char *token = tls_make_token(name, bl_clock_wall_ms());

	ck_assert_msg(tls_enroll(token) == 0, "%s", tls.err.text);
}

void tls_write_cert(const struct bl_pki *pki, const char *to, const char *name,
		    int64_t from_ms, int64_t until_ms)
{
	const struct bl_pki_subject subject = { .role = BL_ROLE_HOST,
						.name = name,
						.from_ms = from_ms,
						.until_ms = until_ms };
	bl_autobuf struct bl_buf key = { 0 }, request = { 0 }, cert = { 0 };

	ck_assert_int_eq(bl_pki_key_make(&key, NULL), 0);
	ck_assert_int_eq(bl_pki_request_make(key.data, &request, NULL), 0);
	ck_assert_int_eq(bl_pki_issue(pki, request.data, request.len, &subject,
				      &cert, NULL),
			 0);
	ck_assert_int_eq(bl_pki_dir_write(to, "host",
					  bl_pki_cert(tls.server.pki),
					  cert.data, key.data, NULL),
			 0);
}

void tls_expect_words(const char *words)
{
	ck_assert_msg(strstr(tls.err.text, words), "said: %s", tls.err.text);
}

int tls_renew(int64_t now_ms)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autobuf struct bl_buf given = { 0 };
	int r;

	ck_assert_int_eq(bl_client_open(tls.url, false, &c, NULL), 0);
	ck_assert_int_eq(bl_client_identity(c, tls.host_dir, "host", NULL), 0);
	r = bl_enroll_again(c, tls.host_dir, now_ms, &given, &tls.err);
	if (!r && given.len)
		r = bl_enroll_keep(tls.host_dir, given.data, &tls.err);
	return r;
}
