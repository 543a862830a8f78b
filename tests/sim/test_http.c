/* SPDX-License-Identifier: Apache-2.0 */
/* The server on a real socket: addresses, slow and greedy clients, and the
 * client's view of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "canary/controller/controller.h"
#include "canary/controller/http.h"
#include "canary/ledger/fleet.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "tests/main.h"

static struct bl_store *store, *elsewhere; /* another controller's handle */
static char *dir;
static struct bl_http *http;
static struct sockaddr_storage address;
static char *url;
static struct bl_client *client;
static struct bl_err err;

static void set_up(void)
{
	bl_autofree char *at = NULL;

	unsetenv("BELAY_CONTROLLER");
	dir = bl_test_tmpdir();
	at = bl_path("sqlite:%s/fleet.db", dir);
	ck_assert_int_eq(bl_store_open(at, &store, NULL), 0);
	ck_assert_int_eq(bl_store_open(at, &elsewhere, NULL), 0);
	ck_assert_int_eq(bl_http_address("127.0.0.1:0", false, &address, NULL),
			 0);
	ck_assert_int_eq(bl_http_start(&address, store, NULL, &http, NULL), 0);
	url = bl_path("http://%s", bl_http_listens(http));
	ck_assert_int_eq(bl_client_open(url, false, &client, &err), 0);
}

static void tear_down(void)
{
	bl_client_close(client);
	bl_http_stop(http);
	bl_store_close(store);
	bl_store_close(elsewhere);
	bl_file_rmtree(dir, NULL);
	free(dir);
	free(url);
}

static const struct {
	const char *text;
	int r;
} addresses[] = {
	{ "127.0.0.1:7443", 0 },     { "127.9.9.9:1", 0 },
	{ "[::1]:7443", 0 },	     { "localhost:80", 0 },
	{ "0.0.0.0:7443", -EPERM },  { "192.168.1.1:7443", -EPERM },
	{ "[::]:7443", -EPERM },     { "127.0.0.1", -EINVAL },
	{ "127.0.0.1:", -EINVAL },   { "127.0.0.1:70000", -EINVAL },
	{ "127.0.0.1:-1", -EINVAL }, { "example.org:80", -EINVAL },
	{ ":80", -EINVAL },	     { "", -EINVAL },
};

START_TEST(listens_on_the_loopback_only)
{
	ck_assert_int_eq(bl_http_address(addresses[_i].text, false, &address,
					 &err),
			 addresses[_i].r);
}
END_TEST

static const struct {
	const char *url;
	bool plaintext;
	int r;
} urls[] = {
	{ "http://127.0.0.1:1", false, 0 },
	{ "http://localhost:1/", false, 0 },
	{ "http://[::1]:1", false, 0 },
	{ "https://fleet.example", false, 0 },
	{ "http://10.0.2.100:7443", false, -EPERM },
	{ "http://127.0.0.1.example:7443", false, -EPERM },
	{ "http://10.0.2.100:7443", true, 0 },
	{ "ftp://127.0.0.1", true, -EINVAL },
	{ "http://127.0.0.1/path", true, -EINVAL },
	{ "127.0.0.1:7443", true, -EINVAL },
	{ "", true, -EINVAL },
};

START_TEST(speaks_plain_http_to_this_machine_only)
{
	struct bl_client *c = NULL;

	ck_assert_int_eq(bl_client_open(urls[_i].url, urls[_i].plaintext, &c,
					&err),
			 urls[_i].r);
	bl_client_close(c);
}
END_TEST

static int dial(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)strtol(strrchr(url, ':') + 1, NULL, 10));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static void expect_status(int fd, const char *status)
{
	char answer[1024] = "";
	ssize_t n = recv(fd, answer, sizeof(answer) - 1, 0);

	ck_assert_msg(n > 0 && strstr(answer, status), "got: %s", answer);
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 (ssize_t)strlen(text));
}

static void call(const char *method, const char *path, int r)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	json_t *body = strcmp(method, "GET") ? json_object() : NULL;

	ck_assert_int_eq(bl_client_json(client, method, path, body, &doc, &err),
			 r);
}

START_TEST(slow_clients_hold_up_nobody)
{
	int fds[50];
	uint64_t start_ms;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		if (i % 2)
			say(fds[i], "POST /v1/rollouts HTTP/1.1\r\n"
				    "Host: 127.0.0.1\r\n"
				    "Content-Length: 100\r\n\r\n{");
	}
	start_ms = bl_clock_mono_ms();
	call("GET", "/v1/hosts", 0);
	ck_assert_int_eq(bl_http_tick(http, &err), 0);
	ck_assert_uint_lt(bl_clock_mono_ms() - start_ms, 10000);
	for (i = 0; i < BL_ARRAY_SIZE(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(greedy_clients_are_cut_short)
{
	int fd = dial();

	/* Refused by its header, before a byte of it is kept. */
	say(fd, "POST /v1/rollouts HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		"Content-Length: 99999999999\r\n\r\n");
	expect_status(fd, " 413 ");
	close(fd);
	/* Nor is there anything to send to a path that takes nothing. */
	fd = dial();
	say(fd, "GET /v1/hosts HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		"Content-Length: 5\r\n\r\n");
	expect_status(fd, " 413 ");
	close(fd);
}
END_TEST

START_TEST(names_of_web_pages_are_refused)
{
	int fd = dial();

	say(fd, "GET /v1/hosts HTTP/1.1\r\nHost: evil.example:7443\r\n\r\n");
	expect_status(fd, " 403 ");
	close(fd);
	fd = dial();
	say(fd, "GET /v1/hosts HTTP/1.1\r\nHost: 10.0.2.100:7443\r\n\r\n");
	expect_status(fd, " 200 ");
	close(fd);
}
END_TEST

START_TEST(failures_arrive_with_their_words)
{
	call("GET", "/v1/rollouts/r7", -ENOENT);
	ck_assert_str_eq(err.text, "there is no rollout r7");
	ck_assert_ptr_nonnull(strstr(err.hint, "rollout list"));
	call("POST", "/v1/rollouts", -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "'digest' is missing"));
	bl_http_stop(http);
	http = NULL;
	call("GET", "/v1/hosts", -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(err.text, "no controller answers"));
}
END_TEST

/* A poll that can have been answered before, and be kept. */
static void say_poll_of(int fd, const char *host, unsigned seq,
			const char *header)
{
	bl_autobuf struct bl_buf text = { 0 }, body = { 0 };

	ck_assert_int_eq(bl_buf_printf(&body,
				       "{\"v\":1,\"boot\":\"b\","
				       "\"session\":\"s\",\"seq\":%u,"
				       "\"kernel\":\"\",\"arch\":\"\","
				       "\"os\":\"\",\"live\":\"\","
				       "\"events\":0,\"drops\":0}",
				       seq),
			 0);
	ck_assert_int_eq(bl_buf_printf(&text,
				       "POST /v1/hosts/%s/poll HTTP/1.1\r\n"
				       "Host: 127.0.0.1\r\n"
				       "Content-Type: application/json\r\n"
				       "Content-Length: %zu\r\n%s\r\n%s",
				       host, body.len, header, body.data),
			 0);
	say(fd, text.data);
}

static void say_poll(int fd, unsigned seq, const char *header)
{
	say_poll_of(fd, "web-1", seq, header);
}

/* What was sent before has been read by the second answer. */
static void let_read(void)
{
	call("GET", "/v1/hosts", 0);
	call("GET", "/v1/hosts", 0);
}

START_TEST(poll_is_kept_until_something_goes_on)
{
	static const char known[] = "If-None-Match: \"none-0\"\r\n";
	static const char kept[] = "If-None-Match: \"none-0\"\r\n"
				   "Prefer: wait=30\r\n";
	static const char brief[] = "If-None-Match: \"none-0\"\r\n"
				    "Prefer: respond-async, wait=1\r\n";
	const struct bl_store_put puts[] = { { "fleet/active", "\"r1\"", 4 } };
	struct pollfd wait = { .events = POLLIN };
	int fd = dial();

	say_poll(fd, 1, kept);
	expect_status(fd,
		      " 304 "); /* it is new: that is written, and answered */
	say_poll(fd, 2, known);
	expect_status(fd, " 304 ");
	say_poll(fd, 3, brief);
	expect_status(fd, " 304 "); /* its time is over */
	say_poll(fd, 4, kept);
	wait.fd = fd;
	ck_assert_int_eq(poll(&wait, 1, 300), 0);
	/* Anything: what it is the next poll tells, here that it cannot be
	 * read. */
	ck_assert_int_eq(bl_store_txn(elsewhere, NULL, 0, puts, 1, &err), 0);
	expect_status(fd, " 200 ");
	say_poll(fd, 5, kept);
	expect_status(fd, " 404 ");
	close(fd);
	/* One that is kept when the controller ends is answered, too. */
	fd = dial();
	say_poll(fd, 6, kept);
	bl_http_stop(http);
	http = NULL;
	close(fd);
}
END_TEST

static void start_rollout(char id[static BL_ROLLOUT_ID_LEN])
{
	bl_autofree struct bl_bundle *bundle = calloc(1, sizeof(*bundle));
	struct bl_start start = { .override_reason = "" };

	ck_assert_ptr_nonnull(bundle);
	memset(bundle->digest, 'a', BL_DIGEST_HEX - 1);
	strcpy(bundle->manifest.name, "x");
	strcpy(bundle->manifest.version, "1");
	ck_assert_int_eq(bl_buf_add(&bundle->raw, "x", 1), 0);
	ck_assert_int_eq(bl_controller_store_bundle(elsewhere, bundle,
						    bl_clock_wall_ms(), &err),
			 0);
	bl_buf_free(&bundle->raw);
	start.digest = bundle->digest;
	bl_plan_default(&start.plan);
	ck_assert_int_eq(bl_controller_start(elsewhere, &start,
					     bl_clock_wall_ms(), id, &err),
			 0);
	ck_assert_int_eq(bl_http_tick(http, &err), 0);
}

static unsigned exposed(const char *id)
{
	struct bl_rollout rollout;
	int64_t revision;

	ck_assert_int_eq(
		bl_fleet_rollout(elsewhere, id, &rollout, &revision, &err), 0);
	return rollout.exposed;
}

/* Nobody watches the connection of a poll that is kept. */
START_TEST(I6_host_that_left_its_poll_behind_is_not_exposed)
{
	static const char kept[] = "If-None-Match: \"none-0\"\r\n"
				   "Prefer: wait=30\r\n";
	int gone = dial(), there = dial();
	char id[BL_ROLLOUT_ID_LEN];

	say_poll_of(there, "web-2", 1, kept);
	expect_status(there, " 304 ");
	say_poll_of(gone, "web-1", 1, kept);
	expect_status(gone, " 304 ");
	say_poll_of(there, "web-2", 2, kept);
	say_poll_of(gone, "web-1", 2, kept);
	let_read();
	close(gone);
	start_rollout(id);
	expect_status(there, "\"order\": \"none\"");
	ck_assert_uint_eq(exposed(id), 0);
	/* Who is there gets it by its next poll. */
	say_poll_of(there, "web-2", 3, kept);
	expect_status(there, "\"order\": \"apply\"");
	ck_assert_uint_eq(exposed(id), 1);
	close(there);
}
END_TEST

struct busy {
	char host[16];
	int fd; /* from before the end begins: then nobody gets in */
};

/* Polls, each with something new to be written, until nobody answers. */
static void *poll_busily(void *arg)
{
	const char *host = ((const struct busy *)arg)->host;
	int fd = ((const struct busy *)arg)->fd;
	char answer[4096];
	unsigned seq = 0;

	do {
		bl_autobuf struct bl_buf text = { 0 }, body = { 0 };

		seq++;
		if (bl_buf_printf(&body,
				  "{\"v\":1,\"boot\":\"b\",\"session\":\"s\","
				  "\"seq\":%u,\"kernel\":\"%u\",\"arch\":\"\","
				  "\"os\":\"\",\"live\":\"\",\"events\":0,"
				  "\"drops\":0}",
				  seq, seq) < 0 ||
		    bl_buf_printf(&text,
				  "POST /v1/hosts/%s/poll HTTP/1.1\r\n"
				  "Host: 127.0.0.1\r\n"
				  "Content-Type: application/json\r\n"
				  "Content-Length: %zu\r\n\r\n%s",
				  host, body.len, body.data) < 0 ||
		    send(fd, text.data, text.len, MSG_NOSIGNAL) < 0)
			break;
	} while (recv(fd, answer, sizeof(answer), 0) > 0);
	close(fd);
	return NULL;
}

/* libmicrohttpd aborts where a connection is suspended when it is stopped. */
START_TEST(controller_that_is_asked_by_many_ends_in_order)
{
	static struct busy many[16];
	pthread_t threads[BL_ARRAY_SIZE(many)];
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(many); i++) {
		snprintf(many[i].host, sizeof(many[i].host), "web-%zu", i);
		many[i].fd = dial();
		ck_assert_int_eq(pthread_create(&threads[i], NULL, poll_busily,
						&many[i]),
				 0);
	}
	for (i = 0; i <= (size_t)_i; i++)
		call("GET", "/v1/hosts", 0);
	bl_http_stop(http);
	http = NULL;
	for (i = 0; i < BL_ARRAY_SIZE(many); i++)
		pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(one_controller_per_port)
{
	struct bl_http *second = NULL;

	ck_assert_int_eq(bl_http_address(strrchr(url, '/') + 1, false, &address,
					 NULL),
			 0);
	ck_assert_int_eq(bl_http_start(&address, store, NULL, &second, &err),
			 -EADDRINUSE);
}
END_TEST

/* Stores a bundle of so many bytes, all @byte; the request that fetches it. */
static char *store_bundle(char byte, size_t bytes)
{
	struct bl_bundle bundle = { 0 };
	bl_autofree char *data = malloc(bytes);

	ck_assert_ptr_nonnull(data);
	memset(data, byte, bytes);
	ck_assert_int_eq(bl_digest(data, bytes, bundle.digest), 0);
	bl_text_copy(bundle.manifest.name, sizeof(bundle.manifest.name), "s");
	bl_text_copy(bundle.manifest.version, sizeof(bundle.manifest.version),
		     "1");
	ck_assert_int_eq(bl_buf_add(&bundle.raw, data, bytes), 0);
	ck_assert_int_eq(
		bl_controller_store_bundle(elsewhere, &bundle, 1, NULL), 0);
	bl_buf_free(&bundle.raw);
	return bl_path("GET /v1/bundles/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
		       bundle.digest);
}

/* What sockets do not hold stays with the server until it is read. */
#define FETCH_BYTES (16u << 20)

START_TEST(bundles_that_nobody_takes_have_a_limit_together)
{
	static const struct bl_http_limits limits = { .answers = FETCH_BYTES *
								 3 / 2 };
	bl_autofree char *one = store_bundle('a', FETCH_BYTES);
	bl_autofree char *other = store_bundle('b', FETCH_BYTES);
	uint64_t end_ms = bl_clock_mono_ms() + 50000;
	int slow[3], fd;
	char answer[16];
	size_t i;

	bl_http_stop(http);
	ck_assert_int_eq(bl_http_start_limited(&address, store, NULL, &limits,
					       &http, &err),
			 0);
	free(url);
	url = bl_path("http://%s", bl_http_listens(http));
	/* However many fetch it, it is one. */
	for (i = 0; i < BL_ARRAY_SIZE(slow); i++) {
		slow[i] = dial();
		say(slow[i], one);
		expect_status(slow[i], " 200 ");
	}
	fd = dial();
	say(fd, other);
	expect_status(fd, " 503 ");
	close(fd);
	for (i = 0; i < BL_ARRAY_SIZE(slow); i++)
		close(slow[i]);
	/* They are gone when the server has seen that. */
	for (;;) {
		ssize_t n;

		fd = dial();
		say(fd, other);
		n = recv(fd, answer, sizeof(answer) - 1, 0);
		close(fd);
		ck_assert_int_gt(n, 0);
		answer[n] = '\0';
		if (strstr(answer, " 200"))
			break;
		ck_assert_uint_lt(bl_clock_mono_ms(), end_ms);
	}
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("http");
	TCase *t = tcase_create("http");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, listens_on_the_loopback_only, 0,
			    (int)BL_ARRAY_SIZE(addresses));
	tcase_add_loop_test(t, speaks_plain_http_to_this_machine_only, 0,
			    (int)BL_ARRAY_SIZE(urls));
	tcase_add_test(t, slow_clients_hold_up_nobody);
	tcase_add_test(t, greedy_clients_are_cut_short);
	tcase_add_test(t, names_of_web_pages_are_refused);
	tcase_add_test(t, failures_arrive_with_their_words);
	tcase_add_test(t, poll_is_kept_until_something_goes_on);
	tcase_add_test(t, I6_host_that_left_its_poll_behind_is_not_exposed);
	tcase_add_loop_test(t, controller_that_is_asked_by_many_ends_in_order,
			    0, 25);
	tcase_add_test(t, one_controller_per_port);
	tcase_add_test(t, bundles_that_nobody_takes_have_a_limit_together);
	suite_add_tcase(s, t);
	return s;
}
