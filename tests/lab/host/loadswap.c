/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Swaps generations under load and counts what becomes of every operation.
 *
 * Threads connect (tally.h: each connect carries its number, no packet leaves)
 * as fast as events can be read; meanwhile generations of the sensor give way
 * to each other:
 *
 *	flip	 dispatch, both staged: the one write, there and back
 *	dispatch stage, attach, persist, retire the old, as an update does
 *	overlap	 the same with links of its own for each program
 *	detach	 as scripts do: the old one away, then the new one on; it is
 *		 loaded beforehand, so that only detach and attach count
 *
 * Each event tells its generation. Two events of one operation by different
 * generations are marked doubles: a reader can drop one. By one generation they
 * would be beyond help. Threads wait for the reader before a ring can be full;
 * if one is all the same (or the sensor could not look), its counters say so,
 * and that is not the swap's doing.
 *
 * usage: loadswap OBJECT FLIPS UPDATES THREADS dispatch|links
 * Exit status 1: dispatch lost or doubled, or overlap lost or did not mark.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/host/slot.h"
#include "loader/kern/ask/tally.h"
#include "loader/kern/slots/dispatch.h"
#include "loader/kern/slots/kern_bpf.h"

#define PIN_DIR	    "/sys/fs/bpf/loadswap"
#define THREADS_MAX 8
#define AHEAD	    1500 /* operations that nobody has read, of all threads */
#define STEADY	    64	 /* operations between two swaps */
#define FLIPS_MAX   4000 /* in one go, by the numbers that there are */
#define UPDATES_MAX 4
#define TRIAL_MS    (600 * 1000)

static const struct bl_kern_ops *const ops = &bl_kern_bpf_ops;
static struct bl_kern_bpf *kern, *reading;
static struct bl_buf object, content;
static struct bl_err err;
static uint32_t number; /* of the newest generation */

/* One thread that connects, with numbers from @first on. */
static struct lane {
	pthread_t thread;
	uint64_t first;
	_Atomic uint64_t sent, allowed;
} lanes[THREADS_MAX];
static unsigned lane_count;
static uint64_t lane_size;
static atomic_bool stop;

/* By number: the generation of its event, 0 for none yet. */
static uint32_t *seen_by;
static uint64_t doubled, unmarked;
static uint64_t first_by[2]; /* events of odd and even generations */

static void __attribute__((noreturn)) give_up(const char *what)
{
	printf("FAIL: %s: %s\n", what, err.text);
	exit(1);
}

/* --- operations, and what is read of them --------------------------------- */

static void *connect_on(void *arg)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct lane *l = arg;

	while (!stop && l->sent < lane_size) {
		uint8_t address[4];
		uint16_t port;

		if (l->sent >= l->allowed) {
			sched_yield();
			continue;
		}
		bl_tally_target(l->first + l->sent, address, &port);
		memcpy(&to.sin_addr, address, sizeof(to.sin_addr));
		to.sin_port = htons(port);
		(void)!connect(sock, (struct sockaddr *)&to, sizeof(to));
		l->sent++;
	}
	close(sock);
	return NULL;
}

static int on_event(void *ctx, const struct bl_event *e, size_t len)
{
	uint64_t n;

	(void)ctx;
	if (!bl_event_ok(e, len) || !bl_tally_number(e, &n) ||
	    n >= lane_count * lane_size)
		return 0;
	if (!seen_by[n]) {
		seen_by[n] = e->generation;
		first_by[e->generation % 2]++;
	} else if (seen_by[n] == e->generation) {
		unmarked++;
	} else {
		doubled++;
	}
	return 0;
}

/* What was done before is read, then; so that much more can be done. */
static void read_once(void)
{
	uint64_t sent[THREADS_MAX];

	for (unsigned i = 0; i < lane_count; i++)
		sent[i] = lanes[i].sent;
	for (int slot = 0; slot < BL_SLOT_COUNT; slot++)
		ops->events(reading, (enum bl_slot)slot, 0, on_event, NULL,
			    NULL);
	for (unsigned i = 0; i < lane_count; i++)
		lanes[i].allowed = sent[i] + AHEAD / lane_count;
}

static void *read_on(void *arg)
{
	(void)arg;
	while (!stop) {
		read_once();
		usleep(200);
	}
	return NULL;
}

static uint64_t sent_by_all(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lane_count; i++)
		n += lanes[i].sent;
	return n;
}

/* Until some more was done, by all together. */
static void go_on(void)
{
	uint64_t until = sent_by_all() + STEADY;

	if (until > lane_count * lane_size) {
		printf("FAIL: there are no more numbers\n");
		exit(1);
	}
	while (sent_by_all() < until)
		usleep(100);
}

/* --- generations ---------------------------------------------------------- */

static void stage(enum bl_slot slot, enum bl_wish wish)
{
	const struct bl_generation gen = {
		.name = "loadswap",
		.number = ++number,
		.object = object.data,
		.object_len = object.len,
		.content = content.data,
		.content_len = content.len,
		.wishes = { { .program = "bl_exec", .strategy = wish },
			    { .program = "bl_open", .strategy = wish },
			    { .program = "bl_connect", .strategy = wish } },
		.wish_count = 3,
	};
	struct bl_kern_staged staged;

	if (ops->stage(kern, slot, &gen, &staged, &err))
		give_up("stage");
	for (unsigned i = 0; i < staged.count; i++)
		if ((staged.program[i].strategy == BL_STRATEGY_DISPATCH) !=
		    (wish == BL_WISH_DISPATCH)) {
			printf("FAIL: %s: strategy %s\n",
			       staged.program[i].name,
			       bl_strategy_name(staged.program[i].strategy));
			exit(1);
		}
}

static void attach(enum bl_slot slot)
{
	if (ops->attach(kern, slot, &err))
		give_up("attach");
}

static void persist(enum bl_slot slot)
{
	if (ops->persist(kern, slot, &err))
		give_up("persist");
}

/* Lost by no fault of a swap: *ret_drops grows. */
static void retire(enum bl_slot slot, uint64_t *ret_drops)
{
	struct bl_kern_sample s = { 0 };

	if (ops->sample(kern, slot, &s, &err))
		give_up("counters");
	*ret_drops += bl_kern_lost(&s);
	if (ops->retire(kern, slot, &err))
		give_up("retire");
}

/* --- the ways ------------------------------------------------------------- */

static uint64_t drops;

/* Slot a is live throughout, b is on trial and then not. */
static void flip(unsigned times)
{
	struct bl_dispatch d = BL_DISPATCH_INIT;

	stage(BL_SLOT_B, BL_WISH_DISPATCH);
	if (bl_dispatch_open(PIN_DIR, false, &d, &err) || !d.state)
		give_up("dispatchers");
	for (unsigned i = 0; i < times; i++) {
		if (i % 2)
			bl_dispatch_off(&d, BL_SLOT_B, BL_SLOT_A);
		else
			bl_dispatch_trial(&d, BL_SLOT_B, TRIAL_MS, 0);
		go_on();
	}
	bl_dispatch_off(&d, BL_SLOT_B, BL_SLOT_A);
	bl_dispatch_close(&d);
	go_on();
	retire(BL_SLOT_B, &drops);
}

static void update(unsigned times, enum bl_wish wish)
{
	enum bl_slot live = BL_SLOT_A;

	for (unsigned i = 0; i < times; i++, live = bl_slot_other(live)) {
		enum bl_slot next = bl_slot_other(live);

		stage(next, wish);
		attach(next);
		go_on();
		persist(next);
		retire(live, &drops);
		go_on();
	}
}

static void detach(unsigned times)
{
	enum bl_slot live = BL_SLOT_A;

	for (unsigned i = 0; i < times; i++, live = bl_slot_other(live)) {
		enum bl_slot next = bl_slot_other(live);

		stage(next, BL_WISH_OVERLAP);
		retire(live, &drops);
		attach(next);
		persist(next);
		go_on();
	}
}

static void nothing_yet(void)
{
	memset(seen_by, 0, lane_count * lane_size * sizeof(*seen_by));
	memset(first_by, 0, sizeof(first_by));
	doubled = unmarked = drops = 0;
	stop = false;
	for (unsigned i = 0; i < lane_count; i++) {
		lanes[i].sent = 0;
		lanes[i].allowed = AHEAD / lane_count;
		lanes[i].first = i * lane_size;
	}
}

struct way {
	const char *name;
	enum bl_wish wish;
	bool flips; /* the write alone */
	bool gap;   /* it loses: for comparison */
};

static uint64_t count_lost(void)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < lane_count; i++)
		for (uint64_t n = 0; n < lanes[i].sent; n++)
			lost += !seen_by[lanes[i].first + n];
	return lost;
}

/* Of all goes of one way. */
struct total {
	uint64_t sent, lost, doubled, unmarked, drops, ms;
	bool both; /* old and new generations were heard in each */
};

/* Whether it did what it promises. */
static bool judge(const struct way *w, unsigned swaps, const struct total *t)
{
	bool good = !t->unmarked && (w->gap || t->lost <= t->drops) &&
		    (w->wish != BL_WISH_DISPATCH || !t->doubled) && t->both;

	printf("%s%s: %u swaps in %" PRIu64 " connects (%" PRIu64
	       " a second): %" PRIu64 " lost, %" PRIu64 " doubled",
	       good ? "" : "FAIL: ", w->name, swaps, t->sent,
	       t->sent * 1000 / (t->ms ? t->ms : 1), t->lost,
	       t->doubled + t->unmarked);
	if (t->doubled + t->unmarked)
		printf(" (%" PRIu64 " of them not told apart by generation)",
		       t->unmarked);
	printf("; no room in a ring: %" PRIu64 "\n", t->drops);
	return good;
}

static void begin(const struct way *w, pthread_t *reader)
{
	nothing_yet();
	stage(BL_SLOT_A, w->wish);
	attach(BL_SLOT_A);
	persist(BL_SLOT_A);
	if (ops->retire(kern, BL_SLOT_B, &err)) /* a is live for good */
		give_up("retire");
	if (pthread_create(reader, NULL, read_on, NULL))
		give_up("thread");
	for (unsigned i = 0; i < lane_count; i++)
		if (pthread_create(&lanes[i].thread, NULL, connect_on,
				   &lanes[i]))
			give_up("thread");
	go_on();
}

/* What is left is read, and added up. */
static void end(pthread_t reader, struct total *t)
{
	stop = true;
	for (unsigned i = 0; i < lane_count; i++)
		pthread_join(lanes[i].thread, NULL);
	pthread_join(reader, NULL);
	read_once();
	for (int slot = 0; slot < BL_SLOT_COUNT; slot++) {
		struct bl_kern_sample s = { 0 };

		if (!ops->sample(kern, (enum bl_slot)slot, &s, NULL))
			drops += bl_kern_lost(&s);
		if (ops->retire(kern, (enum bl_slot)slot, &err))
			give_up("retire");
	}
	t->sent += sent_by_all();
	t->lost += count_lost();
	t->doubled += doubled;
	t->unmarked += unmarked;
	t->drops += drops;
	t->both &= first_by[0] && first_by[1];
}

static bool run(const struct way *w, unsigned swaps)
{
	unsigned most = w->flips ? FLIPS_MAX : UPDATES_MAX;
	struct total t = { .both = true };

	for (unsigned done = 0, n; done < swaps; done += n) {
		uint64_t began = bl_clock_mono_ms();
		pthread_t reader;

		n = swaps - done < most ? swaps - done : most;
		begin(w, &reader);
		if (w->flips)
			flip(n);
		else if (w->gap)
			detach(n);
		else
			update(n, w->wish);
		t.ms += bl_clock_mono_ms() - began;
		end(reader, &t);
	}
	return judge(w, swaps, &t);
}

int main(int argc, char **argv)
{
	static const char json[] =
		"{\"contract\":1,\"default\":{\"exec\":\"ignore\","
		"\"open\":\"ignore\",\"connect\":\"emit\"},\"rules\":[]}";
	static const struct way ways[] = {
		{ "dispatch, the one write", BL_WISH_DISPATCH, true, false },
		{ "dispatch, whole updates", BL_WISH_DISPATCH, false, false },
		{ "overlap", BL_WISH_OVERLAP, false, false },
		{ "detach, then attach", BL_WISH_OVERLAP, false, true },
	};
	int flips = argc == 6 ? atoi(argv[2]) : 0;
	int updates = argc == 6 ? atoi(argv[3]) : 0;
	bool good = true;

	lane_count = argc == 6 ? (unsigned)atoi(argv[4]) : 0;
	if (flips < 2 || updates < 2 || !lane_count || lane_count > THREADS_MAX)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	lane_size = BL_TALLY_MAX / lane_count;
	seen_by = calloc(lane_count * lane_size, sizeof(*seen_by));
	if (!seen_by || bl_file_read(argv[1], 64u << 20, &object, &err) ||
	    bl_content_compile("all", json, strlen(json), &content, NULL,
			       &err) ||
	    bl_kern_bpf_new(PIN_DIR, &kern, &err) ||
	    bl_kern_bpf_new(PIN_DIR, &reading, &err))
		give_up("begin");
	for (size_t i = 0; i < BL_ARRAY_SIZE(ways); i++)
		if ((ways[i].wish == BL_WISH_DISPATCH) ==
		    !strcmp(argv[5], "dispatch"))
			good &= run(&ways[i],
				    (unsigned)(ways[i].flips ? flips
							     : updates));
	bl_kern_bpf_free(reading);
	bl_kern_bpf_free(kern);
	return !good;
}
