/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/registry.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/net/range.h"
#include "tests/main.h"
#include "tests/support/liar.h"

#define DRIP_MS 20

static bool say(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

void registry_say(struct bl_buf *out, const char *status, const char *headers,
		  const void *body, size_t len, size_t count)
{
	ck_assert_int_eq(bl_buf_printf(out,
				       "HTTP/1.1 %s\r\nConnection: close\r\n%s"
				       "Content-Length: %zu\r\n\r\n",
				       status, headers, len),
			 0);
	ck_assert_int_eq(bl_buf_add(out, body, count < len ? count : len), 0);
}

const char *registry_header(const char *request, const char *name,
			    char ret[static 256])
{
	bl_autofree char *key = NULL;
	const char *at;

	ck_assert_int_gt(asprintf(&key, "\r\n%s: ", name), 0);
	at = strstr(request, key);
	if (at)
		at += strlen(key);
	snprintf(ret, 256, "%.*s", at ? (int)strcspn(at, "\r") : 0,
		 at ? at : "");
	return ret;
}

void registry_give(struct bl_buf *out, const char *request, const void *body,
		   size_t len, size_t count)
{
	char value[256], text[BL_RANGE_LEN], headers[128];
	struct bl_range part = { .total = len };

	registry_header(request, "Range", value);
	if (bl_range_asked(*value ? value : NULL, len, &part.at, &part.len) !=
	    BL_RANGE_PART) {
		registry_say(out, "200 OK", "", body, len, count);
		return;
	}
	bl_range_write(&part, text);
	snprintf(headers, sizeof(headers), "Content-Range: %s\r\n", text);
	registry_say(out, "206 Partial Content", headers,
		     (const char *)body + part.at, part.len, count);
}

/* Zeros, until whoever asked is gone. */
static void go_on(int fd, bool drips)
{
	static const char zeros[64 << 10];

	while (say(fd, zeros, drips ? 1 : sizeof(zeros)))
		if (drips)
			bl_clock_sleep_ms(DRIP_MS);
}

static void answer(struct registry *g, int fd, const char *request)
{
	bl_autobuf struct bl_buf out = { 0 };
	enum registry_then then;

	ck_assert_uint_lt(g->count, REGISTRY_REQUESTS);
	snprintf(g->asked[g->count++], REGISTRY_REQUEST_LEN, "%s", request);
	then = g->answer(g, request, &out);
	say(fd, bl_buf_str(&out), out.len);
	switch (then) {
	case REGISTRY_ENDLESS:
	case REGISTRY_DRIPS:
		go_on(fd, then == REGISTRY_DRIPS);
		return;
	case REGISTRY_HANGS:
		g->hung[g->hung_count++] = dup(fd);
		sem_post(&g->hangs);
		return;
	default:
		/* All that was said arrives, and then the end. */
		shutdown(fd, SHUT_WR);
		while (recv(fd, (char[64]){ 0 }, 64, 0) > 0)
			;
	}
}

static void *serve(void *ctx)
{
	struct registry *g = ctx;

	sem_post(&g->serves);
	for (;;) {
		bl_autoclose int fd = accept(g->listens, NULL, NULL);
		char request[REGISTRY_REQUEST_LEN] = "";
		size_t len = 0;
		ssize_t n;

		if (fd < 0)
			return NULL;
		do {
			n = recv(fd, request + len, sizeof(request) - 1 - len,
				 0);
			len += n > 0 ? (size_t)n : 0;
			/* Whoever speaks TLS is told at once that it is not. */
		} while (n > 0 && *request == 'G' &&
			 !strstr(request, "\r\n\r\n"));
		if (strstr(request, "\r\n\r\n"))
			answer(g, fd, request);
	}
}

void registry_start(struct registry *g, registry_answer *how, void *ctx)
{
	*g = (struct registry){ .answer = how, .ctx = ctx };
	g->listens = liar_listen(g->url);
	g->host = strstr(g->url, "127");
	ck_assert_int_eq(sem_init(&g->serves, 0, 0), 0);
	ck_assert_int_eq(sem_init(&g->hangs, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&g->thread, NULL, serve, g), 0);
	/* As liar_start: who forks must not do so while a thread begins. */
	while (sem_wait(&g->serves) < 0)
		continue;
}

void registry_stop(struct registry *g)
{
	shutdown(g->listens, SHUT_RDWR);
	pthread_join(g->thread, NULL);
	close(g->listens);
	sem_destroy(&g->serves);
	sem_destroy(&g->hangs);
	for (unsigned i = 0; i < g->hung_count; i++)
		close(g->hung[i]);
}
