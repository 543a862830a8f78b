/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fleet_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/text.h"
#include "tests/bench/bench.h"

#define EVENTS	 256
#define WINDOW	 256
#define STRATA	 12
#define ANSWER_S 60 /* against a hang */
#define BODY_MAX 1536

uint64_t fleet_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

__attribute__((format(printf, 1, 2), noreturn)) static void end(const char *fmt,
								...)
{
	struct bl_err err = { 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.text, sizeof(err.text), fmt, ap);
	va_end(ap);
	bench_need(-EIO, &err);
	abort();
}

/* Just before its first poll: a stranger that says nothing is cut. */
static void connect_agent(struct fleet_load *l, unsigned i)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)l->port) };
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		end("agent %u cannot connect: %s", i, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		end("epoll: %s", strerror(errno));
	l->agents[i].fd = fd;
}

void fleet_load_open(struct fleet_load *l, unsigned port, unsigned count)
{
	unsigned i;

	*l = (struct fleet_load){ .count = count,
				  .port = port,
				  .window = WINDOW,
				  .fails = -1,
				  .epoll = epoll_create1(EPOLL_CLOEXEC),
				  .agents = calloc(count, sizeof(*l->agents)) };
	if (l->epoll < 0 || !l->agents)
		end("no memory for %u agents", count);
	for (i = 0; i < count; i++)
		l->agents[i].fd = -1;
}

void fleet_load_close(struct fleet_load *l)
{
	unsigned i;

	for (i = 0; i < l->count; i++)
		if (l->agents[i].fd >= 0)
			close(l->agents[i].fd);
	close(l->epoll);
	free(l->agents);
}

void fleet_load_rollout(struct fleet_load *l, const char *digest)
{
	unsigned i;

	bl_text_copy(l->live, sizeof(l->live), digest);
	l->exposed = l->back = 0;
	l->orders = l->reports = 0;
	l->last_order_us = l->failed_us = 0;
	l->fails = -1;
	for (i = 0; i < l->count; i++) {
		l->agents[i].order = BL_ORDER_NONE;
		l->agents[i].told = false;
		l->agents[i].rollout[0] = '\0';
	}
}

static const char *work_json(const struct fleet_agent *a, char *text,
			     size_t size)
{
	*text = '\0';
	if (a->order != BL_ORDER_NONE)
		snprintf(text, size,
			 ",\"work\":{\"rollout\":\"%s\",\"order\":\"%s\","
			 "\"state\":\"%s\",\"reason\":\"\"}",
			 a->rollout, bl_order_name(a->order),
			 bl_work_name(a->state));
	return text;
}

/* An agent says these; the version that it runs follows from its work. */
static void send_poll(struct fleet_load *l, unsigned i)
{
	struct fleet_agent *a = &l->agents[i];
	bool has_it = a->order == BL_ORDER_APPLY && a->state == BL_WORK_DONE;
	char work[256], body[BODY_MAX], text[BODY_MAX + 256];
	int len, all;

	if (a->fd < 0)
		connect_agent(l, i);
	a->seq++;
	len = snprintf(
		body, sizeof(body),
		"{\"v\":1,\"boot\":\"6a1cf6b0-7d0c-4f1c-9c6e-0e4b6c%06u\","
		"\"session\":\"%032u\",\"seq\":%lld,"
		"\"kernel\":\"6.1.0-%u-cloud-amd64\",\"arch\":\"x86_64\","
		"\"os\":\"Debian GNU/Linux 12 (bookworm)\",\"role\":\"web\","
		"\"labels\":[\"zone=eu-%u\"],\"live\":\"%s\","
		"\"events\":%lld,\"drops\":0,"
		"\"sample\":[\"exec /usr/bin/true\"]%s}",
		i, i, (long long)a->seq, 30 + i % STRATA, i % 3,
		has_it ? l->live : "", (long long)a->seq * 1000,
		work_json(a, work, sizeof(work)));
	all = snprintf(text, sizeof(text),
		       "POST /v1/hosts/host-%05u/poll HTTP/1.1\r\n"
		       "Host: 127.0.0.1\r\nAccept: */*\r\n"
		       "Content-Type: application/json\r\n"
		       "If-None-Match: \"none-0\"\r\n"
		       "Content-Length: %d\r\n\r\n%s",
		       i, len, body);
	a->busy = true;
	a->got = 0;
	if (send(a->fd, text, (size_t)all, MSG_NOSIGNAL) != all)
		end("agent %u cannot send: %s", i, strerror(errno));
}

/* The trial of a version that is good takes no time at all here, unless they are
 * told to linger. */
static void work_on(struct fleet_load *l, unsigned i)
{
	struct fleet_agent *a = &l->agents[i];

	if (a->order == BL_ORDER_NONE || a->told)
		return;
	if (l->lingers && a->order == BL_ORDER_APPLY)
		return;
	if (a->state == BL_WORK_GOING) {
		a->state = (int)i == l->fails ? BL_WORK_FAILED : BL_WORK_DONE;
		l->reports++;
		return;
	}
	a->told = true;
	l->reports++;
	if (a->state == BL_WORK_FAILED)
		l->failed_us = fleet_now_us();
	if (a->order == BL_ORDER_ROLLBACK)
		l->back++;
}

static void take_order(struct fleet_load *l, unsigned i, const char *body)
{
	struct fleet_agent *a = &l->agents[i];
	struct bl_order order;
	struct bl_err err = { 0 };

	bench_need(bl_order_parse(body, strlen(body), &order, &err), &err);
	if (order.kind == BL_ORDER_NONE || order.kind == a->order)
		return;
	a->order = order.kind;
	a->state = BL_WORK_GOING;
	a->told = false;
	memcpy(a->rollout, order.rollout, sizeof(a->rollout));
	l->orders++;
	if (order.kind == BL_ORDER_APPLY) {
		l->exposed++;
		l->last_order_us = fleet_now_us();
	} else {
		a->state = BL_WORK_DONE; /* going back takes no time */
	}
}

/* The answer's body once it is whole, "" for none; NULL before. */
static const char *whole_body(const struct fleet_agent *a, unsigned i)
{
	const char *body = strstr(a->answer, "\r\n\r\n"), *length;

	if (!body)
		return NULL;
	body += 4;
	if (strncmp(a->answer, "HTTP/1.1 304 ", 13) == 0)
		return "";
	length = strcasestr(a->answer, "content-length:");
	if (strncmp(a->answer, "HTTP/1.1 200 ", 13) != 0 || !length)
		end("agent %u was answered: %.300s", i, a->answer);
	return strlen(body) < strtoul(length + 15, NULL, 10) ? NULL : body;
}

static bool take_answer(struct fleet_load *l, unsigned i)
{
	struct fleet_agent *a = &l->agents[i];
	const char *body;

	a->answer[a->got] = '\0';
	body = whole_body(a, i);
	if (!body)
		return false;
	work_on(l, i);
	if (*body) {
		l->full++;
		take_order(l, i, body);
	} else {
		l->same++;
	}
	return true;
}

static void receive(struct fleet_load *l, unsigned i)
{
	struct fleet_agent *a = &l->agents[i];
	ssize_t n = recv(a->fd, a->answer + a->got,
			 sizeof(a->answer) - 1 - a->got, 0);

	if (n <= 0)
		end("agent %u lost its controller: %s", i,
		    n ? strerror(errno) : "it hung up");
	a->got += (size_t)n;
	if (take_answer(l, i))
		a->busy = false;
}

void fleet_load_run(struct fleet_load *l,
		    bool (*done)(const struct fleet_load *l, void *ctx),
		    void *ctx)
{
	struct epoll_event events[EVENTS];
	unsigned under_way = 0, next = 0;
	bool over = false;

	while (!over || under_way) {
		int i, n;

		for (; !over && under_way < l->window; under_way++) {
			while (l->agents[next].busy)
				next = (next + 1) % l->count;
			send_poll(l, next);
			next = (next + 1) % l->count;
		}
		n = epoll_wait(l->epoll, events, EVENTS, ANSWER_S * 1000);
		if (n <= 0)
			end("no answer within %d s", ANSWER_S);
		for (i = 0; i < n; i++) {
			receive(l, events[i].data.u32);
			under_way -= !l->agents[events[i].data.u32].busy;
		}
		over = over || done(l, ctx);
	}
}
