/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/events on a real socket: what others do, another controller after the
 * first, slow readers, too many of them, the end. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "canary/controller/http.h"
#include "canary/controller/http_stream.h"
#include "canary/ledger/ledger.h"
#include "canary/wire/client.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"
#include "loader/net/fetch.h"
#include "tests/main.h"
#include "tests/support/event_reader.h"

/* The server: two controllers over one store. */
static char *dir;
static struct bl_store *stores[2], *own;
static struct bl_http *http[2];
static char *urls[2];

static void set_up(void)
{
	bl_autofree char *file = NULL;
	struct sockaddr_storage address;
	size_t i;

	unsetenv("BELAY_CONTROLLER");
	dir = bl_test_tmpdir();
	file = bl_path("sqlite:%s/fleet.db", dir);
	ck_assert_int_eq(bl_store_open(file, &own, NULL), 0);
	ck_assert_int_eq(bl_http_address("127.0.0.1:0", false, &address, NULL),
			 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(bl_store_open(file, &stores[i], NULL), 0);
		ck_assert_int_eq(bl_http_start(&address, stores[i], NULL,
					       &http[i], NULL),
				 0);
		urls[i] = bl_path("http://%s", bl_http_listens(http[i]));
	}
}

static void tear_down(void)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		bl_http_stop(http[i]);
		bl_store_close(stores[i]);
		free(urls[i]);
	}
	bl_store_close(own);
	bl_file_rmtree(dir, NULL);
	free(dir);
}

/* Rollout r1, which no decision is made about: it waits at a gate. */
static void write_rollout(unsigned exposed)
{
	struct bl_rollout r = { .state = BL_ROLLOUT_RUNNING,
				.exposed = exposed };
	bl_autochange struct bl_change c = { 0 };

	bl_plan_default(&r.plan);
	r.plan.waves[0].gate = true;
	bl_text_copy(r.id, sizeof(r.id), "r1");
	memset(r.digest, 'a', sizeof(r.digest) - 1);
	bl_text_copy(r.name, sizeof(r.name), "probe");
	bl_text_copy(r.version, sizeof(r.version), "1");
	bl_change_put(&c, json_integer(1), "fleet/last");
	bl_change_put(&c, bl_rollout_json(&r), "rollout/r1");
	ck_assert_int_eq(bl_change_write(&c, own, NULL), 0);
}

/* @count exposed hosts, eight in a transaction, with much to say each. */
static void write_hosts(unsigned count)
{
	unsigned i, k;

	for (i = 0; i < count; i += 8) {
		bl_autochange struct bl_change c = { 0 };

		for (k = i; k < i + 8; k++) {
			struct bl_exposure e = { .state = BL_EXPOSURE_FAILED };

			snprintf(e.host, sizeof(e.host), "host-%05u", k);
			memset(e.reason, 'x', sizeof(e.reason) - 1);
			bl_change_put(&c, bl_exposure_json(&e),
				      "exposure/r1/%s", e.host);
		}
		ck_assert_int_eq(bl_change_write(&c, own, NULL), 0);
	}
	write_rollout(count);
}

/* Reads until @events were seen; ticks when nothing comes for long enough that
 * what was sent is not taken for ten seconds of ticks. */
static void listen_for(struct bl_fetch_stream *stream, size_t at,
		       struct event_reader *r, struct bl_buf *text,
		       unsigned events)
{
	while (r->events < events) {
		struct bl_err err = { 0 };
		long status = 0;
		int n = bl_fetch_stream_read(stream, 500, &status, text, &err);

		ck_assert_msg(n >= 0, "%s", err.text);
		if (n) {
			ck_assert_int_eq(status, 200);
			event_reader_take(r, text);
		} else {
			ck_assert_int_eq(bl_http_tick(http[at], NULL), 0);
		}
	}
}

static struct bl_fetch_stream *watch(size_t at)
{
	BL_CLEANUP(bl_client_closep) struct bl_client *c = NULL;
	struct bl_fetch_stream *stream = NULL;

	ck_assert_int_eq(bl_client_open(urls[at], false, &c, NULL), 0);
	ck_assert_int_eq(bl_client_stream(c, "/v1/events", &stream, NULL), 0);
	return stream;
}

START_TEST(who_watches_is_told_what_others_do)
{
	struct bl_fetch_stream *stream;
	bl_autobuf struct bl_buf text = { 0 };
	struct event_reader r = { 0 };

	write_rollout(0);
	stream = watch(0);
	listen_for(stream, 0, &r, &text, 1);
	ck_assert_str_eq(event_text(r.rollout, "id"), "r1");
	/* Another controller, in the same store. */
	write_hosts(8);
	listen_for(stream, 0, &r, &text, 10);
	ck_assert_uint_eq(json_object_size(r.hosts), 8);
	bl_fetch_stream_close(stream);
	event_reader_free(&r);
}
END_TEST

static int dial(size_t at, int receive_bytes)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct timeval limit = { .tv_sec = 600 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
			   sizeof(receive_bytes));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port =
		htons((uint16_t)strtol(strrchr(urls[at], ':') + 1, NULL, 10));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void request(int fd, const char *more)
{
	bl_autofree char *text = bl_path("GET /v1/events HTTP/1.1\r\n"
					 "Host: 127.0.0.1\r\n%s\r\n",
					 more);

	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 (ssize_t)strlen(text));
}

/* Until @wanted came, or the end if that is NULL. */
static void receive(int fd, const char *wanted, struct bl_buf *ret)
{
	char piece[4096];
	ssize_t n;

	while (!wanted || !strstr(bl_buf_str(ret), wanted)) {
		n = recv(fd, piece, sizeof(piece), 0);
		ck_assert_msg(n >= 0 || errno == ECONNRESET, "nothing came");
		if (n <= 0)
			break;
		ck_assert_int_eq(bl_buf_add(ret, piece, (size_t)n), 0);
	}
	ck_assert(!wanted || strstr(bl_buf_str(ret), wanted));
}

START_TEST(another_controller_goes_on_where_the_first_one_died)
{
	bl_autobuf struct bl_buf answer = { 0 }, rest = { 0 };
	bl_autofree char *header = NULL;
	long long id = 0;
	const char *p;
	int fd;

	write_hosts(8);
	fd = dial(0, 0);
	request(fd, "");
	receive(fd, "event: rollout", &answer);
	receive(fd, "id: ", &answer);
	receive(fd, "\n\n\r\n", &answer);
	for (p = answer.data; (p = strstr(p, "\nid: ")); p++)
		id = strtoll(p + 5, NULL, 10);
	ck_assert_int_gt(id, 0);
	bl_http_stop(http[0]);
	http[0] = NULL;
	close(fd);
	write_rollout(9);
	header = bl_path("Last-Event-ID: %lld\r\n", id);
	fd = dial(1, 0);
	request(fd, header);
	receive(fd, "event: rollout", &rest);
	receive(fd, "\"exposed\":9", &rest);
	ck_assert_ptr_null(strstr(rest.data, "event: host"));
	close(fd);
}
END_TEST

/* Whose socket is full is waited for ten seconds of ticks. */
START_TEST(a_slow_reader_is_cut_and_holds_up_nobody)
{
	bl_autobuf struct bl_buf answer = { 0 };
	struct bl_fetch_stream *other = watch(0);
	bl_autobuf struct bl_buf text = { 0 };
	struct event_reader r = { 0 };
	unsigned i;
	int fd = dial(0, 4096);

	write_hosts(1000);
	request(fd, "");
	listen_for(other, 0, &r, &text, 1001);
	ck_assert_uint_eq(json_object_size(r.hosts), 1000);
	for (i = 0; i < 4 * BL_STREAM_SLOW_TICKS; i++)
		ck_assert_int_eq(bl_http_tick(http[0], NULL), 0);
	/* Less than all came, and not the end of a whole answer. */
	receive(fd, NULL, &answer);
	ck_assert_uint_lt(answer.len, 1000 * 256);
	ck_assert_ptr_null(strstr(bl_buf_str(&answer), "\r\n0\r\n\r\n"));
	close(fd);
	bl_fetch_stream_close(other);
	event_reader_free(&r);
}
END_TEST

/* As many ticks as it takes until a sign of life is due. */
static void tick_to_beat(void)
{
	unsigned i;

	for (i = 0; i < BL_STREAM_BEAT_TICKS; i++)
		ck_assert_int_eq(bl_http_tick(http[0], NULL), 0);
}

/* What is due has come, so that nobody is slow. */
static void hear(int fd, struct bl_buf *ret)
{
	char piece[256];
	ssize_t n = recv(fd, piece, sizeof(piece), 0);

	ck_assert_msg(n > 0, "a stream that is read was cut");
	ck_assert_int_eq(bl_buf_add(ret, piece, (size_t)n), 0);
}

static bool let_in(struct bl_buf *ret)
{
	int fd = dial(0, 0);
	bool in;

	request(fd, "");
	bl_buf_free(ret);
	receive(fd, "\"", ret);
	in = strstr(ret->data, " 200 ") != NULL;
	close(fd);
	return in;
}

START_TEST(too_many_who_watch_are_told_to_come_later)
{
	bl_autobuf struct bl_buf answer = { 0 };
	int fds[BL_STREAMS_MAX];
	size_t i;

	write_rollout(0);
	for (i = 0; i < BL_STREAMS_MAX; i++) {
		fds[i] = dial(0, 0);
		request(fds[i], "");
		receive(fds[i], "event: rollout", &answer);
		receive(fds[i], "\n\n\r\n", &answer);
		bl_buf_free(&answer);
	}
	ck_assert(!let_in(&answer));
	ck_assert_ptr_nonnull(strstr(answer.data, " 503 "));
	ck_assert_ptr_nonnull(strstr(answer.data, "Retry-After: 10"));
	/* One goes, which is noticed when it is spoken to. */
	close(fds[0]);
	do {
		tick_to_beat();
		for (i = 1; i < BL_STREAMS_MAX; i++)
			hear(fds[i], &answer);
	} while (!let_in(&answer));
	for (i = 1; i < BL_STREAMS_MAX; i++)
		close(fds[i]);
}
END_TEST

START_TEST(a_stream_shows_that_it_lives_and_ends_in_time)
{
	bl_autobuf struct bl_buf answer = { 0 };
	unsigned beats = 0;
	int fd = dial(0, 0);

	write_rollout(0);
	request(fd, "");
	receive(fd, "event: rollout", &answer);
	receive(fd, "\n\n\r\n", &answer);
	while (!strstr(answer.data, "\r\n0\r\n\r\n")) {
		tick_to_beat();
		hear(fd, &answer);
		beats++;
	}
	ck_assert_uint_ge(beats,
			  BL_STREAM_LIFE_TICKS / BL_STREAM_BEAT_TICKS - 1);
	close(fd);
}
END_TEST

START_TEST(a_controller_that_ends_ends_its_streams)
{
	bl_autobuf struct bl_buf answer = { 0 };
	int fd = dial(0, 0), fresh = dial(0, 0);

	write_rollout(0);
	request(fd, "");
	request(fresh, "");
	receive(fd, "event: rollout", &answer);
	bl_http_stop(http[0]);
	http[0] = NULL;
	receive(fd, NULL, &answer);
	close(fd);
	close(fresh);
}
END_TEST

/* How often the first controller looked what is new. */
static _Atomic unsigned readings;
static const struct bl_store_ops *real_ops;

static int counted_revision(struct bl_store *store, int64_t *ret,
			    struct bl_err *err)
{
	readings++;
	return real_ops->revision(store, ret, err);
}

static unsigned readings_of_a_tick(void)
{
	unsigned before = readings;

	ck_assert_int_eq(bl_http_tick(http[0], NULL), 0);
	return readings - before;
}

START_TEST(who_is_behind_costs_others_no_more_than_one_who_is)
{
	bl_autobuf struct bl_buf answer = { 0 };
	struct bl_store_ops counting;
	int fds[BL_STREAMS_MAX];
	unsigned none, i, n;

	write_rollout(0);
	real_ops = stores[0]->ops;
	counting = *real_ops;
	counting.revision = counted_revision;
	stores[0]->ops = &counting;
	none = readings_of_a_tick();
	/* Each has seen something else. */
	for (i = 0; i < BL_STREAMS_MAX; i++) {
		fds[i] = dial(0, 0);
		request(fds[i], "");
		receive(fds[i], "event: rollout", &answer);
		receive(fds[i], "\n\n\r\n", &answer);
		bl_buf_free(&answer);
		write_rollout(i);
	}
	write_rollout(1000);
	for (i = 0; i < BL_STREAMS_MAX / BL_STREAM_READINGS; i++) {
		n = readings_of_a_tick();
		ck_assert_uint_gt(n, none);
		ck_assert_uint_le(n, none + BL_STREAM_READINGS);
	}
	/* All had their turn. */
	for (i = 0; i < BL_STREAMS_MAX; i++) {
		receive(fds[i], "\"exposed\":1000", &answer);
		bl_buf_free(&answer);
		close(fds[i]);
	}
	bl_http_stop(http[0]);
	http[0] = NULL;
	stores[0]->ops = real_ops;
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("event_streams");
	TCase *t = tcase_create("server");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, who_watches_is_told_what_others_do);
	tcase_add_test(t, another_controller_goes_on_where_the_first_one_died);
	tcase_add_test(t, a_slow_reader_is_cut_and_holds_up_nobody);
	tcase_add_test(t, too_many_who_watch_are_told_to_come_later);
	tcase_add_test(t, a_stream_shows_that_it_lives_and_ends_in_time);
	tcase_add_test(t, a_controller_that_ends_ends_its_streams);
	tcase_add_test(t, who_is_behind_costs_others_no_more_than_one_who_is);
	suite_add_tcase(suite, t);
	return suite;
}
