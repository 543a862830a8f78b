/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fleet_tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "tests/bench/fleet_load.h"

#define NAME	"host-00000"
#define KEEP_MS 20000 /* less than BL_HTTP_KEEP_S by far */

/* What belay prints. */
static int belay(const char *const *argv, struct bl_buf *ret,
		 struct bl_err *err)
{
	bl_autoproc struct bl_proc_result result = { 0 };
	int r = bl_proc_run(argv, NULL, &result, err);

	if (!r && result.status != 0)
		r = bl_err_set(err, -EIO, "belay %s ended with %d: %s", argv[1],
			       result.status, bl_buf_str(&result.out));
	if (!r && ret)
		r = bl_buf_add(ret, result.out.data, result.out.len);
	return r;
}

int fleet_tls_init(const char *dir, struct bl_err *err)
{
	const char *const argv[] = { BENCH_BELAY, "controller", "init",
				     "--tls-dir", dir,		NULL };

	return belay(argv, NULL, err);
}

static int enroll(const char *dir, const char *host_dir, const char *url,
		  struct bl_err *err)
{
	bl_autobuf struct bl_buf token = { 0 };
	const char *const make[] = {
		BENCH_BELAY, "host",	  "token", NAME, "--controller",
		url,	     "--tls-dir", dir,	   NULL
	};
	int r = belay(make, &token, err);
	char *end = r < 0 ? NULL : strpbrk(bl_buf_str(&token), "\r\n");
	const char *const take[] = {
		BENCH_BELAY,	    "host",	    "enroll",
		bl_buf_str(&token), "--controller", url,
		"--tls-dir",	    host_dir,	    NULL
	};

	if (r < 0)
		return r;
	if (end)
		*end = '\0';
	return belay(take, NULL, err);
}

/* A poll of connection @i, which is the next one of its host. */
static int say(struct fleet_tls *t, unsigned i, struct bl_err *err)
{
	struct raw *r = &t->clients[i];
	char body[512], text[1024], answer[1024];
	unsigned status = 0;
	int len, all;

	len = snprintf(body, sizeof(body),
		       "{\"v\":1,\"boot\":\"b\",\"session\":\"s\","
		       "\"seq\":%u,\"kernel\":\"6.1.0-44-cloud-amd64\","
		       "\"arch\":\"x86_64\",\"os\":\"Debian 12\","
		       "\"live\":\"\",\"events\":1,\"drops\":0}",
		       ++t->seq);
	all = snprintf(text, sizeof(text),
		       "POST /v1/hosts/" NAME "/poll HTTP/1.1\r\n"
		       "Host: 127.0.0.1\r\nContent-Type: application/json\r\n"
		       "If-None-Match: \"none-0\"\r\n"
		       "Content-Length: %d\r\n\r\n%s",
		       len, body);
	if (raw_send(r, text, (size_t)all))
		status = raw_status(r, answer, sizeof(answer));
	return status == 304
		       ? 0
		       : bl_err_set(err, -EIO, "connection %u was answered %u",
				    i, status);
}

static int connect_one(struct fleet_tls *t, const char *cert, const char *key,
		       unsigned port, struct bl_err *err)
{
	struct raw *r = &t->clients[t->count];
	int on = 1;

	raw_dial(r, port);
	/* As libcurl does: what the handshake ends with and the request are two
	 * small packets. */
	setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	t->count++;
	if (!raw_shake(r, cert, key))
		return bl_err_set(err, -EIO, "connection %u: no handshake",
				  t->count - 1);
	return say(t, t->count - 1, err);
}

/* Whoever says nothing for long is cut: those that are there poll again. */
static int keep(struct fleet_tls *t, uint64_t *kept_ms, struct bl_err *err)
{
	unsigned i;
	int r = 0;

	if (bl_clock_mono_ms() - *kept_ms < KEEP_MS)
		return 0;
	for (i = 0; !r && i < t->count; i++)
		r = say(t, i, err);
	*kept_ms = bl_clock_mono_ms();
	return r;
}

int fleet_tls_open(struct fleet_tls *t, const char *dir, unsigned port,
		   unsigned count, struct bl_err *err)
{
	bl_autofree char *url = bl_path("https://127.0.0.1:%u", port);
	bl_autofree char *host_dir = bl_path("%s/host", dir);
	bl_autofree char *cert = bl_path("%s/host.pem", host_dir);
	bl_autofree char *key = bl_path("%s/host.key", host_dir);
	uint64_t begun_us, kept_ms, took_us = 0;
	int r;

	*t = (struct fleet_tls){ .clients =
					 calloc(count, sizeof(*t->clients)) };
	if (!t->clients || !url || !cert || !key)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = enroll(dir, host_dir, url, err);
	kept_ms = bl_clock_mono_ms();
	while (!r && t->count < count) {
		begun_us = fleet_now_us();
		r = connect_one(t, cert, key, port, err);
		took_us += fleet_now_us() - begun_us;
		if (!r)
			r = keep(t, &kept_ms, err);
	}
	t->took_s = (double)took_us / 1e6;
	return r;
}

unsigned fleet_tls_ended(const struct fleet_tls *t)
{
	unsigned i, n = 0;

	for (i = 0; i < t->count; i++)
		n += raw_ended(&t->clients[i]);
	return n;
}

void fleet_tls_close(struct fleet_tls *t)
{
	while (t->count > 0)
		raw_close(&t->clients[--t->count]);
	free(t->clients);
}
