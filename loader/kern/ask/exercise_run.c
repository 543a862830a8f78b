/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/exercise_run.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/kern/ask/listen.h"
#include "loader/kern/memory.h"
#include "loader/kern/sensor.h"
#include "loader/kern/slots/hook.h"
#include "loader/kern/slots/instance.h"

#define EVENTS_MAX  65536 /* taken at a time: a flood must not hold us */
#define SAMPLES_MAX (BL_LISTEN_ROUNDS * BL_LISTEN_SCALE_MAX)

struct run {
	struct bl_session *session;
	struct bl_facts *facts;
	int stats_fd; /* the kernel times programs while it is open; -1 */
	struct ring_buffer *ring; /* NULL: no sensor */
	struct bl_stats before;
	struct bl_kern_runs *runs; /* of each program, before */
	/* Who is given events, while they are given. */
	bl_event_fn fn;
	void *arg;
	unsigned at_once;
	/* Time of all programs' runs, round by round. */
	struct bl_kern_runs last;
	uint64_t samples[SAMPLES_MAX]; /* ns per run */
	unsigned sample_count;
};

/* Events */

static int on_event(void *ctx, void *data, size_t len)
{
	struct run *run = ctx;

	if (run->fn(run->arg, data, len))
		return -ECANCELED;
	return ++run->at_once >= EVENTS_MAX ? -ECANCELED : 0;
}

static int drain(void *ctx, bl_event_fn fn, void *arg, struct bl_err *err)
{
	struct run *run = ctx;
	int r;

	run->fn = fn;
	run->arg = arg;
	run->at_once = 0;
	r = ring_buffer__consume(run->ring);
	return r < 0 && r != -ECANCELED ? bl_err_errno(err, r, "read events")
					: 0;
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
		i++;
		if (bl_sensor_is_fill(bpf_program__name(prog),
				      run->session->sensor,
				      bl_hook_sleeps(prog)))
			continue;
		sum.count += one.count;
		sum.time_ns += one.time_ns;
	}
	*ret_sum = sum;
	return 0;
}

/* A round is over: what a run took in it. */
static int sample(void *ctx, struct bl_err *err)
{
	struct run *run = ctx;
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
	int r = 0;

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

/* From here on it counts. */
static int go(void *ctx, struct bl_err *err)
{
	struct run *run = ctx;
	int r = 0;

	if (run->session->sensor)
		r = read_stats(run, &run->before, err);
	return r < 0 ? r : read_runs(run, run->runs, &run->last, err);
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
	x->ns_per_run = bl_listen_median(run->samples, run->sample_count);
	memory_of(run, x);
	return 0;
}

static void run_free(struct run *run)
{
	if (run->stats_fd >= 0)
		close(run->stats_fd);
	ring_buffer__free(run->ring);
	free(run->runs);
}

static int exercise(struct run *run, unsigned scale, struct bl_err *err)
{
	struct bl_listen_source source = {
		.content = run->session->part.content,
		.generation = run->session->part.generation,
		.drain = drain,
		.go = go,
		.round = sample,
		.ctx = run,
	};
	int r;

	run->runs = calloc(run->facts->program_count + 1, sizeof(*run->runs));
	if (!run->runs)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = begin(run, err);
	if (r < 0)
		return r;
	source.fd = run->ring ? ring_buffer__epoll_fd(run->ring) : -1;
	r = bl_listen(&source, scale, &run->facts->exercise, err);
	return r < 0 ? r : collect(run, err);
}

int bl_exercise_run(struct bl_session *s, unsigned scale,
		    struct bl_facts *facts, struct bl_err *err)
{
	BL_CLEANUP(run_free)
	struct run run = { .session = s, .facts = facts, .stats_fd = -1 };
	struct bl_facts_exercise *x = &facts->exercise;
	struct bl_err why = { 0 };
	int r;

	x->sensor = s->sensor;
	r = s->object ? exercise(&run, scale, &why)
		      : bl_err_set(&why, -ENOENT, "no program is loaded");
	if (r == -ENOMEM)
		return bl_err_set(err, r, "%s", why.text);
	x->ran = r == 0;
	free(x->why_not);
	x->why_not = strdup(r ? why.text : "");
	return x->why_not ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}
