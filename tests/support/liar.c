/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/liar.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "tests/main.h"

static void say(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

static void say_head(int fd, const char *status, const char *header, size_t len)
{
	bl_autofree char *head =
		bl_path("HTTP/1.1 %s\r\nConnection: close\r\n%s%s"
			"Content-Length: %zu\r\n\r\n",
			status, header, *header ? "\r\n" : "", len);

	say(fd, head, strlen(head));
}

/* What comes behind "Range: ", "" if nothing does. */
static void range_of(const char *request, char ret[static BL_RANGE_LEN])
{
	const char *at = strstr(request, "Range: ");

	snprintf(ret, BL_RANGE_LEN, "%.*s", at ? (int)strcspn(at + 7, "\r") : 0,
		 at ? at + 7 : "");
}

static void give(const struct liar *l, int fd, enum lie lie,
		 const char *request)
{
	char range[BL_RANGE_LEN], text[BL_RANGE_LEN], header[128] = "";
	struct bl_range part = { 0, l->size, l->size };
	enum bl_range_ask ask;

	range_of(request, range);
	ask = bl_range_asked(range, l->size, &part.at, &part.len);
	if (lie == DEAF || lie == OTHER_PART)
		part = (struct bl_range){ 0, l->size, l->size };
	if (lie == DEAF)
		ask = BL_RANGE_WHOLE;
	bl_range_write(&part, text);
	if (ask != BL_RANGE_WHOLE)
		snprintf(header, sizeof(header), "Content-Range: %s", text);
	say_head(fd,
		 ask == BL_RANGE_WHOLE	? "200 OK"
		 : ask == BL_RANGE_PART ? "206 Partial Content"
					: "416 Range Not Satisfiable",
		 header, part.len);
	if (lie == DAMAGED) {
		say(fd, "!", 1);
		part.at++;
		part.len--;
	}
	say(fd, l->blob + part.at,
	    (lie == CUT || lie == STALL) && part.len > l->cut_at ? l->cut_at
								 : part.len);
}

/* It stays open, and nothing more is said. */
static void hang(struct liar *l, int fd)
{
	uint64_t one = 1;

	if (l->hang_count < LIAR_REQUESTS)
		l->hangs[l->hang_count++] = dup(fd);
	ck_assert_int_eq(write(l->hung, &one, sizeof(one)), 8);
}

/* Whether all of it went out. */
static bool pour(int fd, const char *data, size_t len)
{
	return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void answer(struct liar *l, int fd, enum lie lie, const char *request)
{
	static const char busy[] = "{\"error\":\"not now\",\"hint\":\"\"}";

	static const char *const status[] = {
		[BUSY] = "503 Service Unavailable",
		[CROWDED] = "429 Too Many Requests",
		[BROKEN] = "500 Internal Server Error",
		[GATEWAY] = "502 Bad Gateway",
		[STRANGER] = "401 Unauthorized",
		[NOWHERE] = "404 Not Found",
		[CONFUSED] = "400 Bad Request",
		[WEB] = "200 OK",
	};

	switch (lie) {
	case BUSY:
	case CROWDED:
	case BROKEN:
	case GATEWAY:
	case STRANGER:
	case NOWHERE:
	case CONFUSED:
	case WEB:
		say_head(fd, status[lie], l->header, sizeof(busy) - 1);
		say(fd, busy, sizeof(busy) - 1);
		return;
	case HUGE:
		say_head(fd, "200 OK", "", (size_t)BL_BUNDLE_MAX + 1);
		say(fd, "x", 1);
		return;
	case LONG:
		say_head(fd, "200 OK", "", 20000);
		say(fd, l->blob, 20000);
		return;
	case HANG:
		say(fd, "HTTP/1.1 200 OK\r\nContent-", 25);
		hang(l, fd);
		return;
	case STALL:
		give(l, fd, lie, request);
		hang(l, fd);
		return;
	case ENDLESS:
		say(fd, "HTTP/1.0 200 OK\r\n\r\n", 19);
		while (pour(fd, l->blob, l->size))
			;
		return;
	case ELSEWHERE:
		say_head(fd, "302 Found", "Location: /else", 0);
		return;
	default:
		give(l, fd, lie, request);
	}
}

static void answer_poll(struct liar *l, int fd, const char *request)
{
	bool known = strstr(request, "If-None-Match: \"liar\"");
	enum lie lie = HONEST;

	pthread_mutex_lock(&l->lock);
	snprintf(l->polled, sizeof(l->polled), "%s", request);
	if (l->poll_lies) {
		l->poll_lies--;
		lie = l->poll_lie;
	} else {
		l->polls++;
		l->known += known;
	}
	pthread_mutex_unlock(&l->lock);
	if (lie != HONEST) {
		answer(l, fd, lie, request);
		return;
	}
	if (known) {
		say_head(fd, "304 Not Modified", "ETag: \"liar\"", 0);
		return;
	}
	say_head(fd, "200 OK",
		 strstr(l->order, "\"none\"") ? "ETag: \"liar\"" : "",
		 strlen(l->order));
	say(fd, l->order, strlen(l->order));
}

/* A head, and as much of a body as it announces. */
static bool is_whole(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *length = strstr(request, "Content-Length: ");

	if (!end)
		return false;
	return !length || length > end ||
	       strlen(end + 4) >= strtoul(length + 16, NULL, 10);
}

/* Whoever comes when the script is over gets what its last one got. */
static unsigned place_of(unsigned request)
{
	return request < LIAR_REQUESTS ? request : LIAR_REQUESTS - 1;
}

/* One connection for each request, one at a time. */
static void *serve(void *ctx)
{
	struct liar *l = ctx;

	sem_post(&l->serves);
	for (;;) {
		bl_autoclose int fd = accept(l->listens, NULL, NULL);
		char request[LIAR_POLL_LEN] = "";
		bool hangs = false;
		size_t len = 0;
		ssize_t n;

		if (fd < 0)
			return NULL;
		do {
			n = recv(fd, request + len, sizeof(request) - 1 - len,
				 0);
			len += n > 0 ? (size_t)n : 0;
		} while (n > 0 && !is_whole(request));
		if (l->order && strncmp(request, "POST ", 5) == 0) {
			answer_poll(l, fd, request);
		} else if (is_whole(request)) {
			unsigned at = place_of(l->count);
			enum lie lie = l->script[at];

			snprintf(l->asked[at], LIAR_REQUEST_LEN, "%.*s",
				 LIAR_REQUEST_LEN - 1, request);
			l->count++;
			answer(l, fd, lie, request);
			hangs = lie == HANG || lie == STALL;
		}
		/* All that was said arrives, and then the end. */
		if (!hangs)
			shutdown(fd, SHUT_WR);
		while (!hangs && recv(fd, (char[64]){ 0 }, 64, 0) > 0)
			;
	}
}

void liar_lies_to_polls(struct liar *l, enum lie lie, unsigned count)
{
	pthread_mutex_lock(&l->lock);
	l->poll_lie = lie;
	l->poll_lies = count;
	pthread_mutex_unlock(&l->lock);
}

void liar_polled_again(struct liar *l)
{
	unsigned before, left, now;

	pthread_mutex_lock(&l->lock);
	before = l->polls;
	pthread_mutex_unlock(&l->lock);
	do {
		bl_clock_sleep_ms(10);
		pthread_mutex_lock(&l->lock);
		left = l->poll_lies;
		now = l->polls;
		pthread_mutex_unlock(&l->lock);
	} while (left || now == before);
}

void liar_polled(struct liar *l, const char *text)
{
	bool there;

	do {
		bl_clock_sleep_ms(10);
		pthread_mutex_lock(&l->lock);
		there = strstr(l->polled, text);
		pthread_mutex_unlock(&l->lock);
	} while (!there);
}

void liar_polled_times(struct liar *l, unsigned count)
{
	unsigned now;

	do {
		bl_clock_sleep_ms(10);
		pthread_mutex_lock(&l->lock);
		now = l->polls;
		pthread_mutex_unlock(&l->lock);
	} while (now < count);
}

int liar_listen(char ret_url[static 64])
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(ret_url, 64, "http://127.0.0.1:%u", ntohs(a.sin_port));
	return fd;
}

void liar_range(const struct liar *l, unsigned request,
		char ret[static BL_RANGE_LEN])
{
	ck_assert_uint_gt(l->count, request);
	range_of(l->asked[place_of(request)], ret);
}

void liar_start(struct liar *l, const char *blob, size_t size)
{
	*l = (struct liar){ .header = "",
			    .blob = blob,
			    .size = size,
			    .cut_at = LIAR_CUT_AT,
			    .lock = PTHREAD_MUTEX_INITIALIZER,
			    .hung = eventfd(0, EFD_CLOEXEC) };
	l->listens = liar_listen(l->url);
	ck_assert_int_eq(sem_init(&l->serves, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&l->thread, NULL, serve, l), 0);
	/* Who forks while a thread begins may inherit a lock that it held, of
	 * the allocator under sanitizers, and nobody to release it. */
	while (sem_wait(&l->serves) < 0)
		continue;
}

void liar_stop(struct liar *l)
{
	unsigned i;

	shutdown(l->listens, SHUT_RDWR);
	pthread_join(l->thread, NULL);
	close(l->listens);
	close(l->hung);
	sem_destroy(&l->serves);
	for (i = 0; i < l->hang_count; i++)
		close(l->hangs[i]);
}
