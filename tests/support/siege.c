/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/siege.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/controller/controller.h"
#include "canary/ledger/protocol.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/text.h"
#include "tests/main.h"

#define HOUR_MS (3600 * INT64_C(1000))
#define TICK_MS 100

struct siege siege;

static char *store_url, *url;
static struct bl_store *look;
static struct bl_buf ledger; /* as it must stay */

/* The controller's process: says its port, then serves until it is killed. */
static void serve(int out, const struct bl_http_limits *limits)
{
	const struct bl_http_tls tls = { siege.server.pki,
					 siege.server.cert.data,
					 siege.server.key.data };
	struct sockaddr_storage address;
	struct bl_store *store = NULL;
	struct bl_http *http = NULL;
	const char *at;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bl_http_address("127.0.0.1:0", true, &address, NULL) < 0 ||
	    bl_store_open(store_url, &store, NULL) < 0 ||
	    bl_http_start_limited(&address, store, &tls, limits, &http, NULL) <
		    0)
		_exit(1);
	at = bl_http_listens(http);
	if (write(out, at, strlen(at)) < 0)
		_exit(1);
	close(out);
	for (;;) {
		bl_http_tick(http, NULL);
		bl_clock_sleep_ms(TICK_MS);
	}
}

static void start_server(const struct bl_http_limits *limits)
{
	char listens[64] = "";
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	siege.controller = fork();
	if (siege.controller == 0)
		serve(fds[1], limits);
	close(fds[1]);
	ck_assert_int_gt(read(fds[0], listens, sizeof(listens) - 1), 0);
	close(fds[0]);
	siege.port = (unsigned)strtoul(strrchr(listens, ':') + 1, NULL, 10);
	url = bl_path("https://%s", listens);
}

void siege_cert(const struct bl_pki *pki, const char *to, const char *name,
		int from_days, int until_days)
{
	int64_t now_ms = bl_clock_wall_ms();
	const struct bl_pki_subject subject = {
		.role = BL_ROLE_HOST,
		.name = name,
		.from_ms = now_ms + from_days * BL_PKI_DAY_MS,
		.until_ms = now_ms + until_days * BL_PKI_DAY_MS,
	};
	bl_autobuf struct bl_buf key = { 0 }, request = { 0 }, cert = { 0 };

	ck_assert_int_eq(bl_pki_key_make(&key, NULL), 0);
	ck_assert_int_eq(bl_pki_request_make(key.data, &request, NULL), 0);
	ck_assert_int_eq(bl_pki_issue(pki, request.data, request.len, &subject,
				      &cert, NULL),
			 0);
	ck_assert_int_eq(bl_pki_dir_write(to, "host",
					  bl_pki_cert(siege.server.pki),
					  cert.data, key.data, NULL),
			 0);
}

static char *make_host(const char *name)
{
	char *to = bl_path("%s/%s", siege.dir, name);

	siege_cert(siege.server.pki, to, name, -1, 9);
	return to;
}

int siege_call(const char *in, const char *who, const char *method,
	       const char *path, json_t *body)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	bl_autojson_doc struct bl_json_doc doc = { 0 };

	siege.err = (struct bl_err){ 0 };
	ck_assert_int_eq(bl_client_open(url, false, &c, NULL), 0);
	ck_assert_int_eq(bl_client_identity(c, in, who, NULL), 0);
	return bl_client_json(c, method, path, body, &doc, &siege.err);
}

static int poll_as(const char *in, const char *name, const char *session,
		   int64_t seq)
{
	bl_autofree char *path = bl_path("/v1/hosts/%s/poll", name);
	struct bl_poll poll = { .boot = "b", .seq = seq, .kernel = "6.1.0" };

	bl_text_copy(poll.session, sizeof(poll.session), session);
	return siege_call(in, "host", "POST", path, bl_poll_json(&poll));
}

int siege_poll(const char *session, int64_t seq)
{
	return poll_as(siege.web1, "web-1", session, seq);
}

bool siege_dial(struct raw *r, const char *in, const char *who)
{
	bl_autofree char *cert = bl_path("%s/%s.pem", in, who);
	bl_autofree char *key = bl_path("%s/%s.key", in, who);

	raw_dial(r, siege.port);
	return raw_shake(r, cert, key);
}

void siege_others_are_served(void)
{
	static int64_t seq;
	uint64_t end_ms = bl_clock_mono_ms() + RAW_PATIENCE_MS;

	while (poll_as(siege.web2, "web-2", "honest", ++seq) != 0)
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "an honest host is not served: %s",
			      siege.err.text);
}

unsigned siege_connections(void)
{
	bl_autofree char *path = bl_path("/proc/%d/fd", (int)siege.controller);
	bl_autoclosedir DIR *fds = opendir(path);
	unsigned sockets = 0;
	struct dirent *e;

	ck_assert_ptr_nonnull(fds);
	while ((e = readdir(fds))) {
		char to[64] = "";

		if (readlinkat(dirfd(fds), e->d_name, to, sizeof(to) - 1) > 0 &&
		    strncmp(to, "socket:", 7) == 0)
			sockets++;
	}
	ck_assert_uint_gt(sockets, 0);
	return sockets - 1; /* it listens on one */
}

static void start_rollout(size_t bundle_bytes)
{
	struct bl_bundle bundle = { 0 };
	struct bl_start s = { .digest = siege.digest, .override_reason = "" };
	bl_autofree char *bytes = calloc(1, bundle_bytes + 1);
	char id[BL_ROLLOUT_ID_LEN];

	ck_assert_ptr_nonnull(bytes);
	bl_plan_default(&s.plan);
	s.plan.trial_ms = s.plan.silence_ms = 10 * HOUR_MS;
	ck_assert_int_eq(bl_digest("v2", 2, siege.digest), 0);
	memcpy(bundle.digest, siege.digest, sizeof(siege.digest));
	bl_text_copy(bundle.manifest.name, sizeof(bundle.manifest.name),
		     "sensor");
	bl_text_copy(bundle.manifest.version, sizeof(bundle.manifest.version),
		     "2");
	ck_assert_int_eq(bl_buf_add(&bundle.raw, bytes, bundle_bytes + 1), 0);
	ck_assert_int_eq(bl_controller_store_bundle(look, &bundle,
						    bl_clock_wall_ms(), NULL),
			 0);
	bl_bundle_free(&bundle);
	ck_assert_int_eq(
		bl_controller_start(look, &s, bl_clock_wall_ms(), id, NULL), 0);
}

static void read_ledger(struct bl_buf *ret)
{
	static const char *const prefixes[] = {
		"rollout/", "exposure/", "decision/",  "host/",
		"bundle/",  "blob/",	 "tombstone/", "token/",
	};
	size_t i, k;

	bl_buf_free(ret);
	for (i = 0; i < BL_ARRAY_SIZE(prefixes); i++) {
		bl_autostore_list struct bl_store_list list = { 0 };

		ck_assert_int_eq(bl_store_list(look, prefixes[i], &list, NULL),
				 0);
		for (k = 0; k < list.count; k++) {
			const struct bl_store_item *item = &list.items[k];

			if (strcmp(item->key, "host/web-2") == 0)
				continue;
			bl_buf_printf(ret, "%s %lld\n", item->key,
				      (long long)item->revision);
			bl_buf_add(ret, item->value.data, item->value.len);
		}
	}
}

void siege_unchanged(const char *by)
{
	bl_autobuf struct bl_buf now = { 0 };

	read_ledger(&now);
	ck_assert_msg(now.len == ledger.len &&
			      memcmp(now.data, ledger.data, now.len) == 0,
		      "%s changed the ledger", by);
	ck_assert_msg(waitpid(siege.controller, NULL, WNOHANG) == 0,
		      "%s ended the controller", by);
}

/* Until @key is there: web-1 is heard, and exposed. */
static void expose(void)
{
	static const char key[] = "exposure/r1/web-1";
	uint64_t end_ms = bl_clock_mono_ms() + RAW_PATIENCE_MS;
	bl_autostore_item struct bl_store_item item = { 0 };
	int64_t seq;

	for (seq = 1; bl_store_get(look, key, &item, NULL) < 0; seq++) {
		siege_poll("first", seq);
		ck_assert_msg(bl_clock_mono_ms() < end_ms,
			      "web-1 is not exposed: %s", siege.err.text);
	}
	while (siege_poll("first", 50) == -ECONNREFUSED ||
	       siege_poll(SIEGE_SESSION, SIEGE_SEQ) == -ECONNREFUSED)
		ck_assert(bl_clock_mono_ms() < end_ms);
}

void siege_start(const struct bl_http_limits *limits, size_t bundle_bytes)
{
	unsetenv("BELAY_CONTROLLER");
	siege = (struct siege){ .dir = bl_test_tmpdir() };
	setenv("BELAY_TLS_DIR", siege.dir, 1);
	store_url = bl_path("sqlite:%s/fleet.db", siege.dir);
	ck_assert_int_eq(bl_pki_dir_init(siege.dir, NULL, 0, "admin",
					 bl_clock_wall_ms(), NULL),
			 0);
	ck_assert_int_eq(bl_pki_dir_load(siege.dir, &siege.server, NULL), 0);
	siege.web1 = make_host("web-1");
	siege.web2 = make_host("web-2");
	ck_assert_int_eq(bl_store_open(store_url, &look, NULL), 0);
	start_server(limits);
	start_rollout(bundle_bytes);
	expose();
	read_ledger(&ledger);
}

void siege_end(void)
{
	kill(siege.controller, SIGKILL);
	waitpid(siege.controller, NULL, 0);
	bl_store_close(look);
	bl_pki_server_free(&siege.server);
	bl_buf_free(&ledger);
	bl_file_rmtree(siege.dir, NULL);
	free(siege.dir);
	free(siege.web1);
	free(siege.web2);
	free(store_url);
	free(url);
}
