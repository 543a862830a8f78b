/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/sensor_ops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bpf/dns.h"
#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define COUNT_MAX 4096 /* what a pipe holds of them */
#define HEX	  16
#define PORT	  4242
#define ELSEWHERE 4253 /* not DNS */
#define FILE_MAX  (1u << 20)

const char *const sensor_outcome_names[] = { "filtered", "emitted",
					     "elsewhere" };

const char *const sensor_targets[BL_EVENT_KINDS][SENSOR_OUTCOMES] = {
	[BL_EVENT_EXEC] = { "/usr/local/sbin/bench-quiet",
			    "/usr/local/sbin/bench-named" },
	[BL_EVENT_OPEN] = { "/usr/lib/x86_64-linux-gnu/libquiet.so.1",
			    "/usr/lib/x86_64-linux-gnu/libnamed.so.1" },
	[BL_EVENT_CONNECT] = { "127.20.30.40", "127.20.30.41" },
	[BL_EVENT_DNS] = { "cdn.updates.bench-quiet.example",
			   "cdn.updates.bench-named.example",
			   "cdn.updates.bench-named.example" },
};

struct question {
	struct sockaddr_in to;
	int server; /* who hears it: unheard, an error would go back */
	size_t len;
	uint8_t msg[BL_DNS_MESSAGE_MAX];
};

static int sock = -1;
static struct sockaddr_in addresses[SENSOR_OUTCOMES];
static struct question questions[SENSOR_OUTCOMES];

/* --- one operation -------------------------------------------------------- */

static int op_open(const char *path, uint64_t *ret_ticks)
{
	uint64_t start = __rdtsc();
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*ret_ticks = __rdtsc() - start;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Of a datagram socket: no packet leaves. */
static int op_connect(enum sensor_outcome outcome, uint64_t *ret_ticks)
{
	const struct sockaddr_in *to = &addresses[outcome];
	uint64_t start = __rdtsc();
	int r = connect(sock, (const struct sockaddr *)to, sizeof(*to));

	*ret_ticks = __rdtsc() - start;
	return r ? -errno : 0;
}

/* Up to where the datagram lies in its reader's queue. */
static int op_dns(enum sensor_outcome outcome, uint64_t *ret_ticks)
{
	const struct question *q = &questions[outcome];
	uint8_t heard[BL_DNS_MESSAGE_MAX];
	uint64_t start = __rdtsc();
	ssize_t n = sendto(sock, q->msg, q->len, 0,
			   (const struct sockaddr *)&q->to, sizeof(q->to));

	*ret_ticks = __rdtsc() - start;
	if (n < 0)
		return -errno;
	n = recv(q->server, heard, sizeof(heard), MSG_DONTWAIT);
	return n == (ssize_t)q->len ? 0 : -EIO;
}

/* @count of them, one after the other in one process: guest_exec.c. */
static int run_execs(const char *path, unsigned count, uint64_t *ret_ticks)
{
	size_t size = ((size_t)count + 1) * sizeof(*ret_ticks);
	char left[HEX + 1], start[HEX + 1];
	char *argv[] = { (char *)path, left, start, NULL };
	bl_autofree uint64_t *took = malloc(size);
	posix_spawn_file_actions_t actions;
	int ends[2], status = 1, r;
	ssize_t n;
	pid_t pid;

	if (!took || pipe(ends))
		return -ENOMEM;
	snprintf(left, sizeof(left), "%0*x", HEX, count);
	snprintf(start, sizeof(start), "%0*x", HEX, 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	r = -posix_spawn(&pid, path, &actions, NULL, argv, &argv[3]);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (!r && waitpid(pid, &status, 0) != pid)
		r = -errno;
	n = read(ends[0], took, size);
	close(ends[0]);
	if (!r && (status || n != (ssize_t)size))
		r = -EIO;
	/* The first was ours, and is not timed. */
	if (!r)
		memcpy(ret_ticks, took + 1, size - sizeof(*took));
	return r;
}

int sensor_ops_execs(const char *program, unsigned count)
{
	uint64_t ticks[COUNT_MAX];

	return count > COUNT_MAX ? -EINVAL : run_execs(program, count, ticks);
}

static int run(enum bl_event_kind kind, enum sensor_outcome outcome,
	       unsigned count, uint64_t *ret_ticks)
{
	const char *target = sensor_targets[kind][outcome];
	int r = 0;

	if (kind == BL_EVENT_EXEC)
		return run_execs(target, count, ret_ticks);
	for (unsigned i = 0; !r && i < count; i++) {
		if (kind == BL_EVENT_OPEN)
			r = op_open(target, &ret_ticks[i]);
		else if (kind == BL_EVENT_CONNECT)
			r = op_connect(outcome, &ret_ticks[i]);
		else
			r = op_dns(outcome, &ret_ticks[i]);
	}
	return r;
}

int sensor_ops_once(enum bl_event_kind kind, enum sensor_outcome outcome)
{
	uint64_t ticks[2];

	return run(kind, outcome, 1, ticks);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

double sensor_ops_ticks(enum bl_event_kind kind, enum sensor_outcome outcome,
			unsigned count)
{
	static uint64_t ticks[COUNT_MAX];
	int r;

	if (!count || count > COUNT_MAX)
		return -EINVAL;
	r = run(kind, outcome, count, ticks);
	if (r)
		return r;
	qsort(ticks, count, sizeof(*ticks), by_value);
	return (double)ticks[count / 4];
}

/* --- what they need ------------------------------------------------------- */

static int put(const char *path, const char *data, size_t len, mode_t mode)
{
	bl_autofree char *folder =
		bl_path("%.*s", (int)(strrchr(path, '/') - path), path);
	int r = folder ? bl_file_mkdirs(folder, 0755, NULL) : -ENOMEM;

	return r ? r : bl_file_write(path, data, len, mode, NULL);
}

/* A question for the address of @name, as RFC 1035 (4.1) has it. */
static size_t write_question(uint8_t *msg, const char *name)
{
	static const uint8_t head[] = {
		0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0
	};
	static const uint8_t tail[] = { 0, 0, 1, 0, 1 };
	uint8_t *at = msg + sizeof(head);

	memcpy(msg, head, sizeof(head));
	while (*name) {
		size_t label = strcspn(name, ".");

		*at++ = (uint8_t)label;
		memcpy(at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	memcpy(at, tail, sizeof(tail));
	return (size_t)(at + sizeof(tail) - msg);
}

static int listen_on(const struct sockaddr_in *at, int *ret)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)at, sizeof(*at)))
		return -errno;
	*ret = fd;
	return 0;
}

static int prepare_dns(void)
{
	int dns = -1, other = -1, r;
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(BL_DNS_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	r = listen_on(&at, &dns);
	for (int i = 0; i < SENSOR_OUTCOMES; i++)
		questions[i] = (struct question){ .to = at, .server = dns };
	at.sin_port = htons(ELSEWHERE);
	if (!r)
		r = listen_on(&at, &other);
	questions[SENSOR_ELSEWHERE].to = at;
	questions[SENSOR_ELSEWHERE].server = other;
	for (int i = 0; i < SENSOR_OUTCOMES; i++)
		questions[i].len = write_question(
			questions[i].msg, sensor_targets[BL_EVENT_DNS][i]);
	return r;
}

int sensor_ops_prepare(const char *program)
{
	bl_autobuf struct bl_buf bytes = { 0 };
	int r = bl_file_read(program, FILE_MAX, &bytes, NULL);

	for (int i = 0; !r && i < SENSOR_ELSEWHERE; i++) {
		r = put(sensor_targets[BL_EVENT_EXEC][i], bytes.data, bytes.len,
			0755);
		if (!r)
			r = put(sensor_targets[BL_EVENT_OPEN][i], "", 0, 0644);
		addresses[i] = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htons(PORT),
		};
		inet_pton(AF_INET, sensor_targets[BL_EVENT_CONNECT][i],
			  &addresses[i].sin_addr);
	}
	if (r)
		return r;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return sock < 0 ? -errno : prepare_dns();
}
