/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the guest of bench_sensor: what an event costs without a sensor, with the
 * module, with the eBPF sensor behind belay's dispatchers, and with it attached
 * directly; by turns, with the same content. Prints lines
 *
 *	@@case WAY EVENT OUTCOME INDICATORS TICKS
 *	@@drops WAY SENT READ DROPPED
 *	those of sensor_peers.h
 *	@@ns_per_tick NS
 *	@@end
 *
 * usage: guest_sensor TURNS COUNT SENSOR.bpf.o SENSOR.ko PROGRAM
 *
 * Contents are /c/EVENT-INDICATORS.bin: nothing is reported but what one of
 * them names. Without any, /c/EVENT-0.bin reports nothing, EVENT-all.bin all.
 * They name events of one kind only: an exec opens a file, too, and what that
 * costs is no part of the exec.
 *
 * Each figure is only said after the sensor's own counters showed that it saw
 * the operations and did with them what it should.
 */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/kern/kmod/kmod.h"
#include "loader/kern/kmod/kmod_ring.h"
#include "loader/kern/slots/kern_bpf.h"
#include "tests/bench/sensor_ops.h"
#include "tests/bench/sensor_peers.h"

#define PIN_DIR	   "/sys/fs/bpf/bench"
#define OBJECT_MAX (64u << 20)
#define RING_KIB   "1024" /* as much as the eBPF sensor's */
#define EXEC_PART  4	  /* an exec takes as long as many opens */
#define FLOOD	   60000
#define OTHERS_MAX 64 /* files that reading the counters opens, and the like */
#define FLOOD_NICE 19

static const struct bl_kern_ops *const ops = &bl_kern_bpf_ops;
static struct bl_buf object;
static const char *module_path;
static struct bl_err err;

static void __attribute__((noreturn)) give_up(const char *what)
{
	printf("guest_sensor: %s: %s\n", what, err.text);
	exit(1);
}

static void need(int r, const char *what)
{
	if (r < 0)
		give_up(what);
}

static void __attribute__((noreturn)) wrong(const char *what)
{
	snprintf(err.text, sizeof(err.text), "it did not do what it should");
	give_up(what);
}

/* --- the ways ------------------------------------------------------------- */

enum { BASELINE, MODULE, DISPATCH, DIRECT, WAYS };

static const char *const way_names[WAYS] = { "baseline", "module",
					     "ebpf-dispatch", "ebpf-direct" };

/* What is loaded. */
static struct {
	int way;
	struct bl_kern_bpf *kern;
	struct bl_kmod_reader *reader;
} on;

static void module_start(const struct bl_buf *content)
{
	need(bl_kmod_load(module_path, "ring_kib=" RING_KIB, &err), "module");
	need(bl_kmod_content(content->data, content->len, &err), "content");
	need(bl_kmod_reader_open(&on.reader, &err), "rings");
}

static void module_stop(void)
{
	bl_kmod_reader_close(on.reader);
	on.reader = NULL;
	need(bl_kmod_unload(&err), "unload");
}

static void bpf_start(const struct bl_buf *content, enum bl_wish wish)
{
	const struct bl_generation gen = {
		.name = "bench",
		.number = 1,
		.object = object.data,
		.object_len = object.len,
		.content = content->data,
		.content_len = content->len,
		.wishes = { { .program = "bl_exec", .strategy = wish },
			    { .program = "bl_open", .strategy = wish },
			    { .program = "bl_connect", .strategy = wish },
			    { .program = "bl_dns4", .strategy = wish },
			    { .program = "bl_dns6", .strategy = wish } },
		.wish_count = 5,
	};
	struct bl_kern_staged staged;

	need(bl_kern_bpf_new(PIN_DIR, &on.kern, &err), "pins");
	need(ops->stage(on.kern, BL_SLOT_A, &gen, &staged, &err), "stage");
	for (unsigned i = 0; i < staged.count; i++)
		if ((staged.program[i].strategy == BL_STRATEGY_DISPATCH) !=
		    (wish == BL_WISH_DISPATCH))
			wrong("strategy");
	need(ops->attach(on.kern, BL_SLOT_A, &err), "attach");
	need(ops->persist(on.kern, BL_SLOT_A, &err), "persist");
	/* From here on it is live for good, and no lease is looked at. */
	need(ops->retire(on.kern, BL_SLOT_B, &err), "commit");
}

static void bpf_stop(void)
{
	need(ops->retire(on.kern, BL_SLOT_A, &err), "retire");
	bl_kern_bpf_free(on.kern);
	on.kern = NULL;
}

static void start(int way, const struct bl_buf *content)
{
	on.way = way;
	if (way == MODULE)
		module_start(content);
	else if (way != BASELINE)
		bpf_start(content,
			  way == DISPATCH ? BL_WISH_DISPATCH : BL_WISH_OVERLAP);
}

static void stop(void)
{
	if (on.way == MODULE)
		module_stop();
	else if (on.way != BASELINE)
		bpf_stop();
}

static int count_event(void *ctx, const struct bl_event *e, size_t len)
{
	uint64_t *n = ctx;

	if (!bl_event_ok(e, len))
		wrong("event");
	++*n;
	return 0;
}

/* Reads what is there; how many. */
static uint64_t drain(void)
{
	uint64_t n = 0;

	if (on.way == MODULE)
		need(bl_kmod_reader_events(on.reader, 0, count_event, &n, &err),
		     "read");
	else if (on.way != BASELINE)
		need(ops->events(on.kern, BL_SLOT_A, 0, count_event, &n, &err),
		     "read");
	return n;
}

static struct bl_stats counters(void)
{
	struct bl_kern_sample sample = { 0 };
	struct bl_stats s = { 0 };

	if (on.way == MODULE) {
		need(bl_kmod_stats(&s, &err), "counters");
	} else if (on.way != BASELINE) {
		need(ops->sample(on.kern, BL_SLOT_A, &sample, &err),
		     "counters");
		s.seen = sample.seen;
		s.emitted = sample.events;
		s.dropped = sample.drops;
	}
	return s;
}

/* --- cost ----------------------------------------------------------------- */

/* Whether it is a question to DNS that a sensor should see nothing of: to another
 * port, or where content says nothing of DNS and nothing of the sensor is there. */
static bool unseen(enum bl_event_kind kind, enum sensor_outcome outcome,
		   const char *indicators)
{
	return outcome == SENSOR_ELSEWHERE ||
	       (kind == BL_EVENT_DNS && outcome == SENSOR_FILTERED &&
		strcmp(indicators, "0") == 0);
}

static void measure(enum bl_event_kind kind, enum sensor_outcome outcome,
		    const char *indicators, unsigned count)
{
	unsigned n = kind == BL_EVENT_EXEC ? count / EXEC_PART : count;
	struct bl_stats before, after;
	uint64_t events, seen;
	double ticks;

	drain();
	before = counters();
	ticks = sensor_ops_ticks(kind, outcome, n);
	after = counters();
	events = after.emitted - before.emitted;
	seen = after.seen - before.seen;
	if (ticks < 0)
		wrong(bl_event_kind_name(kind));
	if (on.way != BASELINE &&
	    ((unseen(kind, outcome, indicators) ? seen > OTHERS_MAX
						: seen < n) ||
	     after.dropped != before.dropped ||
	     (outcome != SENSOR_EMITTED && events) ||
	     (outcome == SENSOR_EMITTED &&
	      (events < n || events > n + OTHERS_MAX || drain() < events)))) {
		printf("%u operations, %" PRIu64 " seen, %" PRIu64 " events\n",
		       n, seen, events);
		wrong("counters");
	}
	printf("@@case %s %s %s %s %.1f\n", way_names[on.way],
	       bl_event_kind_name(kind), sensor_outcome_names[outcome],
	       indicators, ticks);
}

static void content_read(enum bl_event_kind kind, const char *which,
			 struct bl_buf *ret)
{
	bl_autofree char *path =
		bl_path("/c/%s-%s.bin", bl_event_kind_name(kind), which);

	need(path ? bl_file_read(path, BL_CONTENT_BIN_MAX, ret, &err) : -1,
	     "content");
}

/* One content, all ways after each other. @both: it has a rule for one target,
 * and none for the other; with some, what is no event at all, too. */
static void round_of(enum bl_event_kind kind, const char *which,
		     enum sensor_outcome outcome, bool both, unsigned count)
{
	bl_autobuf struct bl_buf content = { 0 };
	const char *indicators = strcmp(which, "all") ? which : "0";

	content_read(kind, which, &content);
	for (int way = 0; way < WAYS; way++) {
		start(way, &content);
		measure(kind, outcome, indicators, count);
		if (both)
			measure(kind, SENSOR_EMITTED, indicators, count);
		if (sensor_targets[kind][SENSOR_ELSEWHERE] &&
		    strcmp(which, "100") == 0)
			measure(kind, SENSOR_ELSEWHERE, indicators, count);
		stop();
	}
}

static void turn(unsigned count)
{
	for (int k = 0; k < BL_EVENT_KINDS; k++) {
		enum bl_event_kind kind = (enum bl_event_kind)k;

		round_of(kind, "0", SENSOR_FILTERED, false, count);
		round_of(kind, "all", SENSOR_EMITTED, false, count);
		round_of(kind, "100", SENSOR_FILTERED, true, count);
		round_of(kind, "100000", SENSOR_FILTERED, true, count);
	}
}

/* --- drops ---------------------------------------------------------------- */

/* Connects as fast as it can; a process of its own. */
static pid_t flood_start(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (unsigned i = 0; i < FLOOD; i++)
		if (sensor_ops_once(BL_EVENT_CONNECT, SENSOR_EMITTED))
			_exit(1);
	_exit(0);
}

/* The reader is the least of all processes, so the writer outruns it. What was
 * read, what was dropped and what was sent must add up. */
static void flood(int way)
{
	bl_autobuf struct bl_buf content = { 0 };
	struct bl_stats before, after;
	uint64_t got = 0;
	int status = 1;
	pid_t pid;

	content_read(BL_EVENT_CONNECT, "all", &content);
	start(way, &content);
	drain();
	before = counters();
	pid = flood_start();
	setpriority(PRIO_PROCESS, 0, FLOOD_NICE);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		got += drain();
		sched_yield();
	}
	setpriority(PRIO_PROCESS, 0, 0);
	got += drain();
	after = counters();
	if (pid < 0 || status || after.emitted - before.emitted != got ||
	    after.dropped - before.dropped + got != FLOOD)
		wrong("flood");
	printf("@@drops %s %d %" PRIu64 " %" PRIu64 "\n", way_names[way], FLOOD,
	       got, (uint64_t)(after.dropped - before.dropped));
	stop();
}

/* --- all of it ------------------------------------------------------------ */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	uint64_t ns = now_ns(), ticks = __rdtsc();
	unsigned turns, count;

	if (argc != 6)
		return 64;
	turns = (unsigned)atoi(argv[1]);
	count = (unsigned)atoi(argv[2]);
	module_path = argv[4];
	setvbuf(stdout, NULL, _IOLBF, 0);
	need(bl_file_read(argv[3], OBJECT_MAX, &object, &err), argv[3]);
	need(sensor_ops_prepare(argv[5]), "files");
	/* Until the kernel has at hand what they need, and keeps it there. */
	for (int k = 0; k < BL_EVENT_KINDS; k++)
		for (int o = 0; o < SENSOR_OUTCOMES; o++)
			if (sensor_targets[k][o] &&
			    sensor_ops_ticks((enum bl_event_kind)k,
					     (enum sensor_outcome)o, count) < 0)
				wrong("warming up");
	for (unsigned i = 0; i < turns; i++)
		turn(count);
	for (int way = MODULE; way < WAYS; way++)
		flood(way);
	sensor_peers(count, count / EXEC_PART);
	printf("@@ns_per_tick %.9f\n",
	       (double)(now_ns() - ns) / (double)(__rdtsc() - ticks));
	puts("@@end");
	return 0;
}
