/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/exercise_run.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/kern/ask/driver.h"
#include "loader/kern/ask/workload.h"
#include "loader/kern/kmsg.h"
#include "loader/kern/memory.h"
#include "loader/kern/sensor.h"
#include "loader/kern/slots/instance.h"

#define ROUNDS	    8
#define TIME_MAX_MS 20000      /* for one scale; what hangs is ended */
#define EVENTS_MAX  65536      /* taken at a time: a flood must not hold us */
#define PIDS	    (1u << 22) /* PID_MAX_LIMIT of 64-bit kernels */
#define SAMPLES_MAX (ROUNDS * BL_EXERCISE_SCALE_MAX)

/* Shared with the driver. */
struct shared {
	struct bl_workload_done done;
};

struct run {
	struct bl_session *session;
	struct bl_facts *facts;
	unsigned rounds;
	struct shared *shared;
	pid_t driver;
	int fd;	      /* to the driver */
	int kmsg_fd;  /* -1 */
	int stats_fd; /* the kernel times programs while it is open; -1 */
	struct bl_kern_splats splats;
	struct ring_buffer *ring; /* NULL: no sensor */
	struct bl_stats before;
	struct bl_kern_runs *runs; /* of each program, before */
	/* Events, and those of the driver's own operations. */
	bool counting;
	unsigned at_once;
	uint64_t events[BL_EVENT_KINDS], own[BL_EVENT_KINDS];
	unsigned char *execs; /* one bit per process that had an exec event */
	/* Time of all programs' runs, round by round. */
	struct bl_kern_runs last;
	uint64_t samples[SAMPLES_MAX]; /* ns per run */
	unsigned sample_count;
};

/* The driver */

static void drive(void *arg, int fd)
{
	struct run *run = arg;
	struct bl_workload_done *done = &run->shared->done;
	const void *content = run->session->part.content;
	struct bl_workload w;
	char byte = 0;

	(void)bl_workload_furnish();
	bl_workload_init(&w);
	bl_workload_aim(&w, content, done);
	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		return;
	for (unsigned i = 0; i < run->rounds; i++) {
		bl_workload_round(&w, done);
		if (write(fd, &byte, 1) != 1)
			return;
	}
}

/* Events */

static int on_event(void *ctx, void *data, size_t len)
{
	struct run *run = ctx;
	const struct bl_event *e = data;

	if (run->counting && bl_event_ok(data, len) &&
	    e->generation == run->session->part.generation) {
		run->events[e->kind]++;
		run->own[e->kind] += e->tgid == (uint32_t)run->driver;
		if (e->kind == BL_EVENT_EXEC && e->tgid < PIDS)
			run->execs[e->tgid / 8] |=
				(unsigned char)(1u << e->tgid % 8);
	}
	return ++run->at_once >= EVENTS_MAX ? -ECANCELED : 0;
}

static int drain(struct run *run, struct bl_err *err)
{
	int r = 0;

	run->at_once = 0;
	if (run->ring)
		r = ring_buffer__consume(run->ring);
	return r < 0 && r != -ECANCELED ? bl_err_errno(err, r, "read events")
					: 0;
}

/* Of the workload's operations of @kind, those that had an event. Of an exec
 * the process is known again, one by one; of the others how many there were. */
static uint64_t shown(const struct run *run, unsigned kind)
{
	const struct bl_workload_done *done = &run->shared->done;
	uint64_t n = 0;

	if (kind != BL_EVENT_EXEC)
		return run->own[kind] < done->ops[kind] ? run->own[kind]
							: done->ops[kind];
	for (uint64_t i = 0;
	     i < done->ops[BL_EVENT_EXEC] && i < BL_WORKLOAD_EXECS_MAX; i++) {
		uint32_t pid = done->execs[i];

		n += pid < PIDS && run->execs[pid / 8] >> pid % 8 & 1;
	}
	return n;
}

/* Runs */

static int read_runs(struct run *run, struct bl_kern_runs *each,
		     struct bl_kern_runs *ret_sum, struct bl_err *err)
{
	struct bl_kern_runs sum = { 0 }, one;
	struct bpf_program *prog;
	size_t i = 0;

	bpf_object__for_each_program (prog, run->session->object) {
		int fd = bpf_program__fd(prog);
		int r;

		if (i == run->facts->program_count)
			break;
		one = (struct bl_kern_runs){ 0 };
		r = fd < 0 ? 0
			   : bl_kern_program_of(bpf_program__name(prog), fd,
						NULL, &one, err);
		if (r < 0)
			return r;
		if (each)
			each[i] = one;
		sum.count += one.count;
		sum.time_ns += one.time_ns;
		i++;
	}
	*ret_sum = sum;
	return 0;
}

/* A round is over: what a run took in it. */
static int sample(struct run *run, struct bl_err *err)
{
	struct bl_kern_runs now;
	int r = read_runs(run, NULL, &now, err);

	if (r < 0)
		return r;
	if (now.count > run->last.count && run->sample_count < SAMPLES_MAX)
		run->samples[run->sample_count++] =
			(now.time_ns - run->last.time_ns) /
			(now.count - run->last.count);
	run->last = now;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *values, unsigned count)
{
	if (!count)
		return 0;
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

/* Steps */

static int read_stats(const struct run *run, struct bl_stats *ret,
		      struct bl_err *err)
{
	int fd = bpf_object__find_map_fd_by_name(run->session->object,
						 BL_MAP_STATS);

	return bl_sensor_stats(fd, ret, err);
}

static int begin(struct run *run, struct bl_err *err)
{
	struct bl_session *s = run->session;
	struct bpf_map *events =
		bpf_object__find_map_by_name(s->object, BL_MAP_EVENTS);
	int r = bl_kmsg_scan(&run->kmsg_fd, &run->splats, err);

	if (r < 0)
		return r;
	run->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (run->stats_fd < 0)
		return bl_err_errno(err, -errno, "measure run time");
	if (!s->sensor)
		return 0;
	if (!s->part.content)
		r = bl_sensor_report(s->object, ~0u, err);
	if (r < 0)
		return r;
	run->ring = ring_buffer__new(bpf_map__fd(events), on_event, run, NULL);
	return run->ring ? 0 : bl_err_errno(err, -errno, "read the ring");
}

/* Reads what the driver says. 1: something, 0: nothing more to come. */
static int hear(struct run *run, struct bl_err *err)
{
	char bytes[64];
	ssize_t n = read(run->fd, bytes, sizeof(bytes));

	if (n < 0)
		return bl_err_errno(err, -errno, "hear of the workload");
	return n > 0;
}

/* Waits for the driver's next word while events are read. As hear(). */
static int wait_for(struct run *run, uint64_t deadline_ms, struct bl_err *err)
{
	struct pollfd fds[] = {
		{ .fd = run->fd, .events = POLLIN },
		{ .fd = run->ring ? ring_buffer__epoll_fd(run->ring) : -1,
		  .events = POLLIN },
	};

	for (;;) {
		uint64_t now = bl_clock_mono_ms();
		int r;

		if (now >= deadline_ms)
			return bl_err_set(
				err, -ETIMEDOUT,
				"the workload did not come to its end");
		r = poll(fds, 2, (int)(deadline_ms - now));
		if (r < 0 && errno != EINTR)
			return bl_err_errno(err, -errno, "wait for events");
		if (r > 0 && fds[1].revents) {
			r = drain(run, err);
			if (r < 0)
				return r;
		}
		if (r > 0 && fds[0].revents)
			return hear(run, err);
	}
}

/* From here on it counts: what came before was the driver's preparation. */
static int go(struct run *run, struct bl_err *err)
{
	struct bl_session *s = run->session;
	int r = drain(run, err);

	if (r == 0 && s->sensor)
		r = read_stats(run, &run->before, err);
	if (r == 0)
		r = read_runs(run, run->runs, &run->last, err);
	if (r < 0)
		return r;
	run->counting = true;
	if (write(run->fd, "", 1) != 1)
		return bl_err_errno(err, -errno, "start the workload");
	return 0;
}

static int listen_to(struct run *run, struct bl_err *err)
{
	uint64_t deadline = bl_clock_mono_ms() +
			    TIME_MAX_MS * (uint64_t)(run->rounds / ROUNDS);
	uint64_t start;
	int r = wait_for(run, deadline, err);

	if (r == 0)
		return bl_err_set(err, -ECHILD,
				  "the workload ended before it began");
	if (r > 0)
		r = go(run, err);
	start = bl_clock_mono_ms();
	while (r >= 0) {
		r = wait_for(run, deadline, err);
		if (r <= 0)
			break;
		r = sample(run, err);
	}
	if (r == 0)
		r = drain(run, err);
	run->facts->exercise.wall_ms = bl_clock_mono_ms() - start;
	return r;
}

static void memory_of(const struct run *run, struct bl_facts_exercise *x)
{
	struct bpf_program *prog;
	struct bpf_map *map;

	bpf_object__for_each_program (prog, run->session->object)
		if (bpf_program__fd(prog) >= 0)
			x->prog_bytes += bl_memory_told(bpf_program__fd(prog));
	bpf_object__for_each_map (map, run->session->object)
		if (bpf_map__fd(map) >= 0)
			x->map_bytes += bl_memory_of_map(bpf_map__fd(map));
}

static int collect(struct run *run, struct bl_err *err)
{
	struct bl_facts_exercise *x = &run->facts->exercise;
	const struct bl_workload_done *done = &run->shared->done;
	struct bl_stats now = { 0 };
	struct bl_kern_runs sum;
	bl_autofree struct bl_kern_runs *after = NULL;
	int r = 0;

	after = calloc(run->facts->program_count + 1, sizeof(*after));
	if (!after)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (run->session->sensor)
		r = read_stats(run, &now, err);
	if (r == 0)
		r = read_runs(run, after, &sum, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < run->facts->program_count; i++) {
		struct bl_facts_program *p = &run->facts->programs[i];

		p->runs = after[i].count - run->runs[i].count;
		p->run_ns = after[i].time_ns - run->runs[i].time_ns;
		p->missed = after[i].missed - run->runs[i].missed;
	}
	x->seen = now.seen - run->before.seen;
	x->emitted = now.emitted - run->before.emitted;
	x->dropped = now.dropped - run->before.dropped;
	x->torn = now.torn - run->before.torn;
	x->denied = now.denied - run->before.denied;
	x->reports = done->reports;
	x->visible = done->visible;
	x->forks = done->forks;
	for (unsigned kind = 0; kind < BL_EVENT_KINDS; kind++) {
		x->done[kind] = done->ops[kind];
		x->events[kind] = run->events[kind];
		x->shown[kind] = shown(run, kind);
	}
	x->ns_per_run = median(run->samples, run->sample_count);
	memory_of(run, x);
	return 0;
}

static void run_free(struct run *run)
{
	if (run->fd >= 0)
		close(run->fd);
	if (run->driver > 0)
		bl_driver_end(run->driver);
	if (run->kmsg_fd >= 0)
		close(run->kmsg_fd);
	if (run->stats_fd >= 0)
		close(run->stats_fd);
	ring_buffer__free(run->ring);
	bl_driver_unshare(run->shared, sizeof(*run->shared));
	free(run->runs);
	free(run->execs);
}

static int exercise(struct run *run, struct bl_err *err)
{
	struct bl_facts_exercise *x = &run->facts->exercise;
	int r, e;

	run->shared = bl_driver_share(sizeof(*run->shared));
	run->runs = calloc(run->facts->program_count + 1, sizeof(*run->runs));
	run->execs = calloc(1, PIDS / 8);
	if (!run->shared || !run->runs || !run->execs)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = begin(run, err);
	if (r == 0)
		r = bl_driver_start(drive, run, &run->driver, &run->fd, err);
	if (r == 0)
		r = listen_to(run, err);
	if (r == 0)
		r = collect(run, err);
	/* The log is read whatever happened: it may be why. */
	e = bl_kmsg_scan(&run->kmsg_fd, &run->splats, r < 0 ? NULL : err);
	x->splats = run->splats.count;
	free(x->first_splat);
	x->first_splat = NULL;
	if (x->splats)
		x->first_splat = strdup(run->splats.first);
	return r < 0 ? r : e;
}

int bl_exercise_run(struct bl_session *s, unsigned scale,
		    struct bl_facts *facts, struct bl_err *err)
{
	BL_CLEANUP(run_free)
	struct run run = { .session = s,
			   .facts = facts,
			   .fd = -1,
			   .kmsg_fd = -1,
			   .stats_fd = -1 };
	struct bl_facts_exercise *x = &facts->exercise;
	struct bl_err why = { 0 };
	int r;

	if (scale > BL_EXERCISE_SCALE_MAX)
		scale = BL_EXERCISE_SCALE_MAX;
	run.rounds = ROUNDS * (scale ? scale : 1);
	x->sensor = s->sensor;
	r = s->object ? exercise(&run, &why)
		      : bl_err_set(&why, -ENOENT, "no program is loaded");
	if (r == -ENOMEM)
		return bl_err_set(err, r, "%s", why.text);
	x->ran = r == 0;
	free(x->why_not);
	x->why_not = strdup(r ? why.text : "");
	return x->why_not ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}
