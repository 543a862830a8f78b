/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the etcd client does when members do not do their part: two servers of
 * our own that answer, break off or say no, and count what they were asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "canary/store/etcd_client.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "tests/main.h"

#define MEMBERS	   2
#define TIMEOUT_MS 600000
#define REQUEST	   4096

enum habit {
	ANSWERS,
	BREAKS_OFF, /* reads the request and hangs up */
	TIMED_OUT,  /* no quorum */
	COMPACTED,
	FULL,
	STRANGER, /* no etcd */
	FOREIGN,  /* JSON, but not etcd's */
};

static const struct {
	const char *status, *body;
} says[] = {
	[ANSWERS] = { "200 OK", "{\"header\":{\"revision\":\"7\"},"
				"\"succeeded\":true}" },
	[TIMED_OUT] = { "503 Service Unavailable",
			"{\"error\":\"etcdserver: request timed out\","
			"\"code\":14}" },
	[COMPACTED] = { "400 Bad Request",
			"{\"error\":\"etcdserver: mvcc: required revision has "
			"been compacted\",\"code\":11}" },
	[FULL] = { "429 Too Many Requests",
		   "{\"error\":\"etcdserver: mvcc: database space exceeded\","
		   "\"code\":8}" },
	[STRANGER] = { "404 Not Found", "<html>" },
	[FOREIGN] = { "200 OK", "{\"hello\":\"world\"}" },
};

static struct member {
	int fd;
	unsigned port;
	pthread_t thread;
	atomic_int habit;
	atomic_uint connections, requests;
} members[MEMBERS];

static struct bl_etcd_client *client;
static struct bl_err err;

/* Reads one request whole; false at the end of the connection. */
static bool read_request(int fd)
{
	char text[REQUEST] = "";
	size_t len = 0;

	for (;;) {
		const char *end = strstr(text, "\r\n\r\n");
		const char *length = strstr(text, "Content-Length: ");
		ssize_t n;

		if (end && length &&
		    len >= (size_t)(end + 4 - text) +
				    strtoul(length + 16, NULL, 10))
			return true;
		n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		text[len] = '\0';
	}
}

static void serve(struct member *m, int fd)
{
	bl_autofree char *answer = NULL;

	while (read_request(fd)) {
		enum habit habit = (enum habit)m->habit;

		m->requests++;
		if (habit == BREAKS_OFF)
			return;
		free(answer);
		answer = bl_path("HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
				 says[habit].status, strlen(says[habit].body),
				 says[habit].body);
		if (send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
			return;
	}
}

static void *listener(void *ctx)
{
	struct member *m = ctx;
	int fd;

	while ((fd = accept(m->fd, NULL, NULL)) >= 0) {
		m->connections++;
		serve(m, fd);
		close(fd);
	}
	return NULL;
}

static void start(struct member *m)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	m->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(m->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(getsockname(m->fd, (struct sockaddr *)&a, &len), 0);
	ck_assert_int_eq(listen(m->fd, 16), 0);
	m->port = ntohs(a.sin_port);
	ck_assert_int_eq(pthread_create(&m->thread, NULL, listener, m), 0);
}

static void set_up(void)
{
	bl_autofree char *urls = NULL;
	size_t i;

	for (i = 0; i < MEMBERS; i++)
		start(&members[i]);
	urls = bl_path("http://127.0.0.1:%u,http://127.0.0.1:%u",
		       members[0].port, members[1].port);
	ck_assert_int_eq(
		bl_etcd_client_open(
			&(struct bl_etcd_client_opts){
				.urls = urls, .timeout_ms = TIMEOUT_MS },
			&client, &err),
		0);
}

static void tear_down(void)
{
	size_t i;

	bl_etcd_client_close(client);
	for (i = 0; i < MEMBERS; i++) {
		shutdown(members[i].fd, SHUT_RDWR);
		pthread_join(members[i].thread, NULL);
		close(members[i].fd);
	}
}

static int call(enum bl_etcd_call kind)
{
	BL_CLEANUP(bl_etcd_answer_free) struct bl_etcd_answer a = { 0 };
	int r;

	err = (struct bl_err){ 0 };
	r = bl_etcd_client_call(client, kind, "kv/txn", json_object(), &a,
				&err);
	if (!r)
		ck_assert_int_eq(a.revision, 7);
	return r;
}

static unsigned requests(void)
{
	return members[0].requests + members[1].requests;
}

/* libcurl sends again by itself on a kept connection; then a second one would
 * see what the first one did, and call itself the loser. */
START_TEST(write_that_may_have_arrived_is_not_sent_again)
{
	ck_assert_int_eq(call(BL_ETCD_READ), 0); /* the connection is kept */
	ck_assert_uint_eq(members[0].connections, 1);
	members[0].habit = BREAKS_OFF;
	ck_assert_int_eq(call(BL_ETCD_WRITE), -EHOSTUNREACH);
	ck_assert_uint_eq(requests(), 2);
	/* The next one goes to the other. */
	ck_assert_int_eq(call(BL_ETCD_WRITE), 0);
	ck_assert_uint_eq(members[1].requests, 1);
}
END_TEST

START_TEST(write_that_etcd_did_not_decide_is_not_sent_again)
{
	members[0].habit = TIMED_OUT;
	ck_assert_int_eq(call(BL_ETCD_WRITE), -EHOSTUNREACH);
	ck_assert_ptr_nonnull(strstr(err.text, "request timed out"));
	ck_assert_uint_eq(requests(), 1);
}
END_TEST

static const enum bl_etcd_call again[] = { BL_ETCD_READ, BL_ETCD_WRITE_AGAIN };
static const enum habit no_answer[] = { BREAKS_OFF, TIMED_OUT };

START_TEST(others_are_asked_for_what_may_be_asked_twice)
{
	members[0].habit = no_answer[_i / 2];
	ck_assert_int_eq(call(again[_i % 2]), 0);
	ck_assert_uint_eq(members[1].requests, 1);
	/* And asked first from then on. */
	ck_assert_int_eq(call(BL_ETCD_WRITE), 0);
	ck_assert_uint_eq(members[1].requests, 2);
}
END_TEST

/* A controller that lost its etcd has time for its clients. */
START_TEST(when_nobody_answers_the_next_call_fails_at_once)
{
	uint64_t start_ms = bl_clock_mono_ms(), rounds;
	int i;

	members[0].habit = members[1].habit = TIMED_OUT;
	ck_assert_int_eq(call(BL_ETCD_READ), -EHOSTUNREACH);
	for (i = 0; i < 200; i++) {
		ck_assert_int_eq(call(BL_ETCD_READ), -EHOSTUNREACH);
		ck_assert_ptr_nonnull(strstr(err.text, "request timed out"));
	}
	/* A round asks both, and one again; then it rests. */
	rounds = 1 + (bl_clock_mono_ms() - start_ms) / BL_ETCD_REST_MS;
	ck_assert_uint_le(requests(), rounds * (MEMBERS + 1));
	members[0].habit = members[1].habit = ANSWERS;
	while (call(BL_ETCD_READ) < 0)
		bl_clock_sleep_ms(20);
}
END_TEST

static const struct {
	enum habit habit;
	int r;
	const char *words;
} answers[] = {
	{ COMPACTED, -ESTALE, "compacted" },
	{ FULL, -ENOSPC, "space exceeded" },
	{ STRANGER, -EPROTO, "is no etcd" },
	{ FOREIGN, -EBADMSG, "not one that etcd gives" },
};

START_TEST(refusals_are_told_apart_and_say_who)
{
	bl_autofree char *who =
		bl_path("etcd http://127.0.0.1:%u", members[0].port);

	members[0].habit = answers[_i].habit;
	ck_assert_int_eq(call(BL_ETCD_READ), answers[_i].r);
	ck_assert_ptr_nonnull(strstr(err.text, answers[_i].words));
	ck_assert_ptr_nonnull(strstr(err.text, who));
	/* Another member would say the same. */
	ck_assert_uint_eq(members[1].requests, 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("etcd_client");
	TCase *t = tcase_create("members");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, write_that_may_have_arrived_is_not_sent_again);
	tcase_add_test(t, write_that_etcd_did_not_decide_is_not_sent_again);
	tcase_add_loop_test(t, others_are_asked_for_what_may_be_asked_twice, 0,
			    4);
	tcase_add_test(t, when_nobody_answers_the_next_call_fails_at_once);
	tcase_add_loop_test(t, refusals_are_told_apart_and_say_who, 0,
			    (int)BL_ARRAY_SIZE(answers));
	suite_add_tcase(suite, t);
	return suite;
}
