/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A controller that serves a repository: what is large goes out by its descriptor,
 * unread before and never twice in memory; who has it gets no byte of it again.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "canary/controller/api_trust.h"
#include "canary/controller/http.h"
#include "canary/controller/http_answer.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "loader/net/fetch.h"
#include "loader/trust/mirror.h"
#include "tests/main.h"

/* What sockets do not hold stays with the server until it is read. */
#define LARGE	    (16u << 20)
#define PATIENCE_MS 50000 /* only against a hang */

static struct bl_store *store;
static struct bl_http *http;
static struct bl_api_trust trust;
static char *dir, *file, *bytes;
static struct bl_err err;

static void put(size_t len)
{
	ck_assert_int_eq(bl_file_write(file, bytes, len, 0644, &err), 0);
}

static void set_up(void)
{
	const struct bl_http_limits limits = { .trust = &trust };
	bl_autofree char *at = NULL, *targets = NULL;
	struct sockaddr_storage address;

	dir = bl_test_tmpdir();
	at = bl_path("sqlite:%s/fleet.db", dir);
	targets = bl_path("%s/targets", dir);
	file = bl_path("%s/00.sensor", targets);
	trust.repo = dir;
	bytes = malloc(LARGE);
	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = (char)('a' + i / 7 % 26);
	ck_assert_int_eq(bl_file_mkdirs(targets, 0755, &err), 0);
	put(LARGE);
	ck_assert_int_eq(bl_store_open(at, &store, &err), 0);
	ck_assert_int_eq(bl_http_address("127.0.0.1:0", false, &address, NULL),
			 0);
	ck_assert_int_eq(bl_http_start_limited(&address, store, NULL, &limits,
					       &http, &err),
			 0);
}

static void tear_down(void)
{
	bl_http_stop(http);
	bl_store_close(store);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
	free(file);
	free(bytes);
}

/* One request; its status, and what came of the body. */
static long ask(const char *header, struct bl_fetch_head *ret_head,
		struct bl_buf *ret)
{
	bl_autofree char *url = bl_path("http://%s/v1/trust/targets/00.sensor",
					bl_http_listens(http));
	BL_CLEANUP(bl_fetch_closep) struct bl_fetch *f = NULL;
	const struct bl_fetch_request q = { .method = "GET",
					    .url = url,
					    .headers = { header },
					    .connect_ms = PATIENCE_MS,
					    .timeout_ms = PATIENCE_MS,
					    .answer_max = LARGE };

	ck_assert_int_eq(bl_fetch_open(&f, &err), 0);
	ck_assert_msg(bl_fetch_call(f, &q, ret_head, ret, &err) == 0, "%s",
		      err.text);
	return ret_head->status;
}

START_TEST(a_large_target_comes_whole)
{
	bl_autofree char *url =
		bl_path("http://%s/v1/trust", bl_http_listens(http));
	const struct bl_mirror_opts opts = { .url = url };
	BL_CLEANUP(bl_mirror_closep) struct bl_mirror *m = NULL;
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_mirror_open(&opts, &m, &err), 0);
	ck_assert_msg(bl_mirror_fetch(m, "targets/00.sensor", LARGE, &b,
				      &err) == 0,
		      "%s", err.text);
	ck_assert_uint_eq(b.len, LARGE);
	ck_assert_mem_eq(b.data, bytes, LARGE);
}
END_TEST

/* Of every size: small ones are read for it, large ones are not. */
START_TEST(who_has_it_gets_nothing_and_who_has_another_gets_it)
{
	static const size_t sizes[] = { 1, BL_HTTP_ANSWER_LARGE - 1,
					BL_HTTP_ANSWER_LARGE, LARGE };
	struct bl_fetch_head head = { 0 };
	bl_autofree char *known = NULL;
	bl_autobuf struct bl_buf b = { 0 }, none = { 0 }, other = { 0 };

	put(sizes[_i]);
	ck_assert_int_eq(ask(NULL, &head, &b), 200);
	ck_assert_uint_eq(b.len, sizes[_i]);
	ck_assert_str_ne(head.etag, "");
	known = bl_path("If-None-Match: %s", head.etag);
	ck_assert_int_eq(ask(known, &head, &none), 304);
	ck_assert_uint_eq(none.len, 0);
	/* Another one, as long. */
	bytes[sizes[_i] - 1] ^= 1;
	put(sizes[_i]);
	ck_assert_int_eq(ask(known, &head, &other), 200);
	ck_assert_mem_eq(other.data, bytes, sizes[_i]);
}
END_TEST

START_TEST(what_is_too_large_or_no_file_is_not_served)
{
	struct bl_fetch_head head = { 0 };
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(truncate(file, (off_t)BL_BUNDLE_MAX + 1), 0);
	ck_assert_int_eq(ask(NULL, &head, &b), 500);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(symlink("/etc/passwd", file), 0);
	ck_assert_int_eq(ask(NULL, &head, &b), 500);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(ask(NULL, &head, &b), 404);
}
END_TEST

/* A client that has asked and takes nothing. */
static int slow_one(void)
{
	static const char request[] =
		"GET /v1/trust/targets/00.sensor HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct timeval limit = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)strtol(
		strrchr(bl_http_listens(http), ':') + 1, NULL, 10));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ck_assert_int_eq(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL),
			 sizeof(request) - 1);
	return fd;
}

static long status_of(int fd)
{
	char answer[16] = "";
	ssize_t n = recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL);

	ck_assert_int_eq(n, sizeof(answer) - 1);
	return strtol(answer + strlen("HTTP/1.1 "), NULL, 10);
}

START_TEST(files_that_nobody_takes_leave_others_their_descriptors)
{
	uint64_t end_ms = bl_clock_mono_ms() + PATIENCE_MS;
	int slow[BL_HTTP_ANSWER_FILES], fd;
	bl_autofree char *known = NULL;
	struct bl_fetch_head head = { 0 };
	bl_autobuf struct bl_buf b = { 0 };
	long status;

	ck_assert_int_eq(ask(NULL, &head, &b), 200);
	known = bl_path("If-None-Match: %s", head.etag);
	for (size_t i = 0; i < BL_ARRAY_SIZE(slow); i++) {
		slow[i] = slow_one();
		ck_assert_int_eq(status_of(slow[i]), 200);
	}
	fd = slow_one();
	ck_assert_int_eq(status_of(fd), 503);
	close(fd);
	/* Who needs none of them is served. */
	bl_buf_free(&b);
	ck_assert_int_eq(ask(known, &head, &b), 304);
	for (size_t i = 0; i < BL_ARRAY_SIZE(slow); i++)
		close(slow[i]);
	/* They are gone when the server has seen that. */
	do {
		ck_assert_uint_lt(bl_clock_mono_ms(), end_ms);
		fd = slow_one();
		status = status_of(fd);
		close(fd);
	} while (status != 200);
}
END_TEST

/* Somebody wrote over it: it is cut, and no other bytes are made up. */
START_TEST(a_file_that_becomes_shorter_ends_early)
{
	static char piece[1 << 16];
	int fd = slow_one();
	size_t came = 0;
	ssize_t n;

	ck_assert_int_eq(status_of(fd), 200);
	ck_assert_int_eq(truncate(file, 0), 0);
	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		came += (size_t)n;
	ck_assert_uint_lt(came, LARGE);
	close(fd);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("trust served");
	TCase *tc = tcase_create("served");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_large_target_comes_whole);
	tcase_add_loop_test(
		tc, who_has_it_gets_nothing_and_who_has_another_gets_it, 0, 4);
	tcase_add_test(tc, what_is_too_large_or_no_file_is_not_served);
	tcase_add_test(tc,
		       files_that_nobody_takes_leave_others_their_descriptors);
	tcase_add_test(tc, a_file_that_becomes_shorter_ends_early);
	suite_add_tcase(suite, tc);
	return suite;
}
