/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a faulty module does to a host that has nothing to protect it: loads it,
 * gives it content, and does for some seconds what a host does.
 *
 *	fault_probe KO CONTENT.json SECONDS [unload]
 *
 * Says each step on a line of its own, so that the last one tells how far it
 * came: "loaded", "content", then "unusable: why" each time that the host is,
 * then "result …", and "unloaded" when asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/selftest.h"
#include "loader/bundle/content.h"
#include "loader/kern/kmod/kmod.h"
#include "loader/kern/kmod/kmod_ring.h"

#define TIMED_OPENS 200
#define PAUSE_MS    20

static struct {
	uint64_t read, leaking; /* events; those with bytes that are not ours */
	uint64_t rounds, unusable;
} saw;

static int step(const char *what, int r, const struct bl_err *err)
{
	printf("%s%s%s\n", what, r ? ": " : "", r ? err->text : "");
	fflush(stdout);
	return r;
}

/* Of an IPv4 address only four bytes are anything. */
static int look(void *ctx, const struct bl_event *e, size_t len)
{
	static const uint8_t none[12];

	(void)ctx;
	(void)len;
	saw.read++;
	if (e->kind == BL_EVENT_CONNECT && e->addr.family == AF_INET &&
	    memcmp(e->addr.addr + 4, none, sizeof(none)) != 0)
		saw.leaking++;
	return 0;
}

static int content(const char *path, struct bl_err *err)
{
	bl_autobuf struct bl_buf json = { 0 };
	bl_autobuf struct bl_buf bin = { 0 };
	int r = bl_file_read(path, BL_CONTENT_JSON_MAX, &json, err);

	if (!r)
		r = bl_content_compile(path, json.data, json.len, &bin, NULL,
				       err);
	if (!r)
		r = bl_kmod_content(bin.data, bin.len, err);
	return r;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* To somewhere else than here, which content ignores; sends nothing. */
static void connect_away(void)
{
	const struct sockaddr_in away = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(0xc0000201), /* 192.0.2.1 */
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)connect(fd, (const struct sockaddr *)&away, sizeof(away));
	close(fd);
}

/* The time that an open takes: the fastest of some. */
static uint64_t ns_per_open(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < TIMED_OPENS; i++) {
		uint64_t start = now_ns();
		int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
		uint64_t took = now_ns() - start;

		if (fd < 0)
			return 0;
		close(fd);
		if (took < best)
			best = took;
	}
	return best;
}

static void live(unsigned seconds)
{
	struct bl_kmod_reader *reader
		__attribute__((cleanup(bl_kmod_reader_closep))) = NULL;
	uint64_t end = now_ns() + seconds * UINT64_C(1000000000);
	struct bl_err err = { 0 };
	struct bl_stats stats = { 0 };

	step("reader", bl_kmod_reader_open(&reader, &err), &err);
	do {
		bool said = saw.unusable;

		saw.rounds++;
		if (bl_selftest(NULL, &err)) {
			saw.unusable++;
			if (!said)
				step("unusable", 1, &err);
		}
		connect_away();
		if (reader)
			bl_kmod_reader_events(reader, 0, look, NULL, &err);
		bl_clock_sleep_ms(PAUSE_MS);
	} while (now_ns() < end);
	bl_kmod_stats(&stats, &err);
	printf("result rounds=%" PRIu64 " unusable=%" PRIu64 " seen=%" PRIu64
	       " emitted=%" PRIu64 " dropped=%" PRIu64 " torn=%" PRIu64
	       " denied=%" PRIu64 " read=%" PRIu64 " leaking=%" PRIu64
	       " ns_per_open=%" PRIu64 "\n",
	       saw.rounds, saw.unusable, (uint64_t)stats.seen,
	       (uint64_t)stats.emitted, (uint64_t)stats.dropped,
	       (uint64_t)stats.torn, (uint64_t)stats.denied, saw.read,
	       saw.leaking, ns_per_open());
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct bl_err err = { 0 };

	if (argc < 4) {
		fprintf(stderr, "usage: fault_probe KO CONTENT SECONDS "
				"[unload]\n");
		return 64;
	}
	printf("healthy: %" PRIu64 " ns per open\n", ns_per_open());
	if (step("loaded", bl_kmod_load(argv[1], "deny=1", &err), &err))
		return 3;
	if (step("content", content(argv[2], &err), &err))
		return 3;
	live((unsigned)atoi(argv[3]));
	if (argc > 4) {
		if (step("unloaded", bl_kmod_unload(&err), &err))
			return 3;
		step("usable", bl_selftest(NULL, &err), &err);
	}
	return saw.unusable ? 1 : 0;
}
