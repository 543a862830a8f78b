/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates a host whose sensor is a kernel module, back and forth, while a thread
 * connects at a steady pace (tally.h: each connect carries its number, no packet
 * leaves). Of each number the events are counted. Those without one must be of
 * the exchanges: of each, one row of numbers without a break, and no number has
 * two events.
 *
 * The module drops nothing meanwhile, or it says so: the pace is one that its
 * ring bears however slow the guest is.
 *
 * usage: exchange A.bundle B.bundle UPDATES PER_SECOND
 * Prints how many were lost, and for how long none was called.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/host/host.h"
#include "loader/kern/ask/tally.h"

#define NUMBERS	     (1U << 20)
#define UPDATES_MAX  1000
#define PROBATION_MS 300
#define PAUSE_MS     100 /* between two updates */
#define AT_ONCE_MAX  50

static struct bl_host *host;
static struct bl_bundle bundles[2];
static struct bl_tally tally;
static struct bl_err err;

static unsigned per_second;
static int status; /* of the whole */
static _Atomic uint64_t sent;
static atomic_bool stop;
static unsigned char had[NUMBERS]; /* by number: an event */

static void __attribute__((noreturn)) give_up(const char *what)
{
	printf("FAIL: %s: %s\n", what, err.text);
	exit(1);
}

static void connect_next(int sock)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	uint8_t address[4];
	uint16_t port;

	bl_tally_target(sent, address, &port);
	memcpy(&to.sin_addr, address, sizeof(to.sin_addr));
	to.sin_port = htons(port);
	(void)!connect(sock, (struct sockaddr *)&to, sizeof(to));
	sent++;
}

/* As many as are due by the clock; but if this processor was elsewhere, no more
 * than a ring bears. */
static void *connect_on(void *arg)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t begin = bl_clock_mono_ms();

	(void)arg;
	while (!stop && sent < NUMBERS) {
		uint64_t due = (bl_clock_mono_ms() - begin) * per_second / 1000;

		if (due > sent + AT_ONCE_MAX) {
			begin += (due - sent - AT_ONCE_MAX) * 1000 / per_second;
			due = sent + AT_ONCE_MAX;
		}
		while (sent < due && sent < NUMBERS)
			connect_next(sock);
		bl_clock_sleep_ms(1);
	}
	close(sock);
	return NULL;
}

static int on_event(void *ctx, const struct bl_event *e, size_t len)
{
	uint64_t n;

	(void)ctx;
	if (!bl_event_ok(e, len))
		return 0;
	bl_tally_note(&tally, 0, e);
	if (bl_tally_number(e, &n) && n < NUMBERS)
		had[n] = 1;
	return 0;
}

/* Returns the microseconds of the exchange, 0 for none. */
static uint64_t apply(const struct bl_bundle *b)
{
	const struct bl_apply_opts opts = { .probation_ms = PROBATION_MS,
					    .override_reason = "a test",
					    .on_event = on_event };
	struct bl_apply_result res = { 0 };

	if (bl_host_apply(host, b, &opts, &res, &err))
		give_up("apply");
	if (res.outcome != BL_APPLY_COMMITTED) {
		snprintf(err.text, sizeof(err.text), "%s", res.reason);
		give_up("apply");
	}
	if (bl_kern_lost(&res.sample)) {
		printf("FAIL: the module lost events by itself\n");
		status = 1;
	}
	return res.gap_us > 0 ? (uint64_t)res.gap_us : 0;
}

static void read_for(uint64_t ms)
{
	uint64_t until = bl_clock_mono_ms() + ms;

	do {
		int r = bl_host_events(host, 10, on_event, NULL, &err);

		if (r < 0)
			give_up("events");
	} while (bl_clock_mono_ms() < until);
}

/* Rows of numbers without an event, of those that were sent. */
static unsigned rows(void)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < sent; i++)
		n += !had[i] && (!i || had[i - 1]);
	return n;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int report(uint64_t *gaps, unsigned updates)
{
	struct bl_tally_count c = bl_tally_count(&tally, sent);

	qsort(gaps, updates, sizeof(*gaps), by_size);
	printf("exchange, whole updates: %u swaps in %" PRIu64
	       " connects (%u a second): %" PRIu64 " lost, %" PRIu64
	       " doubled; none called for %.1f ms (median; %.1f to %.1f)\n",
	       updates, sent, per_second, c.lost, c.doubled,
	       (double)gaps[updates / 2] / 1000, (double)gaps[0] / 1000,
	       (double)gaps[updates - 1] / 1000);
	if (c.doubled) {
		printf("FAIL: an operation has two events\n");
		status = 1;
	}
	if (rows() > updates) {
		printf("FAIL: %u rows were lost in %u exchanges\n", rows(),
		       updates);
		status = 1;
	}
	if (!gaps[0]) {
		printf("FAIL: an exchange without a gap\n");
		status = 1;
	}
	return status;
}

int main(int argc, char **argv)
{
	static uint64_t gaps[UPDATES_MAX];
	const struct bl_host_config config = { 0 };
	unsigned updates = argc == 5 ? (unsigned)atoi(argv[3]) : 0;
	pthread_t thread;

	per_second = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
	if (!updates || updates > UPDATES_MAX || !per_second)
		return 64;
	for (int i = 0; i < 2; i++)
		if (bl_bundle_open(argv[1 + i], &bundles[i], &err))
			give_up("bundle");
	if (bl_tally_init(&tally, NUMBERS) ||
	    bl_host_open(&config, &host, &err))
		give_up("begin");
	apply(&bundles[0]);
	if (pthread_create(&thread, NULL, connect_on, NULL))
		give_up("thread");
	for (unsigned i = 0; i < updates; i++) {
		read_for(PAUSE_MS);
		gaps[i] = apply(&bundles[(i + 1) % 2]);
	}
	read_for(PAUSE_MS);
	stop = true;
	pthread_join(thread, NULL);
	read_for(PAUSE_MS);
	bl_host_close(host);
	return report(gaps, updates);
}
