/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/listen.h"

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

#define TIME_MAX_MS 20000      /* for one scale; what hangs is ended */
#define PIDS	    (1u << 22) /* PID_MAX_LIMIT of 64-bit kernels */

/* Shared with the driver. */
struct shared {
	struct bl_workload_done done;
};

struct listen {
	const struct bl_listen_source *source;
	struct bl_facts_exercise *x;
	unsigned rounds;
	struct shared *shared;
	pid_t driver;
	int fd;	     /* to the driver */
	int kmsg_fd; /* -1 */
	struct bl_kern_splats splats;
	/* Events, and those of the driver's own operations. */
	bool counting;
	uint64_t events[BL_EVENT_KINDS], own[BL_EVENT_KINDS];
	unsigned char *execs; /* one bit per process that had an exec event */
};

/* --- the driver ----------------------------------------------------------- */

/* A word at a time, both ways; the answer to any is one byte. */
enum { READY, BURST, ROUND };

static bool say(int fd, char word)
{
	return send(fd, &word, 1, MSG_NOSIGNAL) == 1;
}

/* Until what was done is read: a reader that the machine keeps waiting makes
 * no version lose its events. */
static void wait_read(void *ctx)
{
	const int *fd = ctx;
	char byte;

	if (!say(*fd, BURST) || read(*fd, &byte, 1) != 1)
		_exit(1);
}

static void drive(void *arg, int fd)
{
	struct listen *l = arg;
	struct bl_workload_done *done = &l->shared->done;
	struct bl_workload w;
	char byte;

	(void)bl_workload_furnish();
	bl_workload_init(&w);
	bl_workload_aim(&w, l->source->content, done);
	bl_workload_isolate(&w, done);
	if (l->source->fd >= 0) {
		w.rest = wait_read;
		w.ctx = &fd;
	}
	if (!say(fd, READY) || read(fd, &byte, 1) != 1)
		return;
	for (unsigned i = 0; i < l->rounds; i++) {
		bl_workload_round(&w, done);
		if (!say(fd, ROUND))
			return;
	}
}

/* --- events --------------------------------------------------------------- */

static int on_event(void *arg, const struct bl_event *e, size_t len)
{
	struct listen *l = arg;

	if (!l->counting || !bl_event_ok(e, len) ||
	    e->generation != l->source->generation)
		return 0;
	l->events[e->kind]++;
	l->own[e->kind] += e->tgid == (uint32_t)l->driver;
	if (e->kind == BL_EVENT_EXEC && e->tgid < PIDS)
		l->execs[e->tgid / 8] |= (unsigned char)(1u << e->tgid % 8);
	return 0;
}

static int drain(struct listen *l, struct bl_err *err)
{
	const struct bl_listen_source *s = l->source;

	return s->fd < 0 ? 0 : s->drain(s->ctx, on_event, l, err);
}

/* Of the workload's operations of @kind, those that had an event. Of an exec
 * the process is known again, one by one; of the others how many there were. */
static uint64_t shown(const struct listen *l, unsigned kind)
{
	const struct bl_workload_done *done = &l->shared->done;
	uint64_t n = 0;

	if (kind != BL_EVENT_EXEC)
		return l->own[kind] < done->ops[kind] ? l->own[kind]
						      : done->ops[kind];
	for (uint64_t i = 0;
	     i < done->ops[BL_EVENT_EXEC] && i < BL_WORKLOAD_EXECS_MAX; i++) {
		uint32_t pid = done->execs[i];

		n += pid < PIDS && l->execs[pid / 8] >> pid % 8 & 1;
	}
	return n;
}

/* --- this process --------------------------------------------------------- */

/* Reads what the driver says, and answers a burst. */
enum heard { END, WORD, ANSWERED };

static int hear(struct listen *l, struct bl_err *err)
{
	char word;
	ssize_t n = read(l->fd, &word, 1);
	int r;

	if (n < 0)
		return bl_err_errno(err, -errno, "hear of the workload");
	if (!n || word != BURST)
		return n ? WORD : END;
	r = drain(l, err);
	if (r)
		return r;
	/* One that is gone is heard of next. */
	say(l->fd, BURST);
	return ANSWERED;
}

/* Waits for the driver's next word while events are read. 1; 0: there is none,
 * it has ended. */
static int wait_for(struct listen *l, uint64_t deadline_ms, struct bl_err *err)
{
	struct pollfd fds[] = {
		{ .fd = l->fd, .events = POLLIN },
		{ .fd = l->counting ? l->source->fd : -1, .events = POLLIN },
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
			r = drain(l, err);
			if (r < 0)
				return r;
		}
		if (r > 0 && fds[0].revents) {
			r = hear(l, err);
			if (r != ANSWERED)
				return r;
		}
	}
}

static int wait_ready(struct listen *l, uint64_t deadline_ms,
		      struct bl_err *err)
{
	int r = wait_for(l, deadline_ms, err);

	if (r)
		return r < 0 ? r : 0;
	return bl_err_set(err, -ECHILD, "the workload ended before it began");
}

/* From here on it counts: what came before was the driver's preparation. */
static int go(struct listen *l, struct bl_err *err)
{
	int r = drain(l, err);

	if (!r)
		r = l->source->go(l->source->ctx, err);
	if (r)
		return r;
	l->counting = true;
	if (!say(l->fd, READY))
		return bl_err_errno(err, -errno, "start the workload");
	return 0;
}

static int rounds(struct listen *l, struct bl_err *err)
{
	uint64_t deadline =
		bl_clock_mono_ms() +
		TIME_MAX_MS * (uint64_t)(l->rounds / BL_LISTEN_ROUNDS);
	uint64_t begun;
	int r = wait_ready(l, deadline, err);

	if (!r)
		r = go(l, err);
	begun = bl_clock_mono_ms();
	while (r >= 0) {
		r = wait_for(l, deadline, err);
		if (r <= 0)
			break;
		r = l->source->round(l->source->ctx, err);
	}
	if (!r)
		r = drain(l, err);
	l->x->wall_ms = bl_clock_mono_ms() - begun;
	return r;
}

static void collect(struct listen *l)
{
	const struct bl_workload_done *done = &l->shared->done;
	struct bl_facts_exercise *x = l->x;

	x->reports = done->reports;
	x->visible = done->visible;
	x->forks = done->forks;
	for (unsigned kind = 0; kind < BL_EVENT_KINDS; kind++) {
		x->done[kind] = done->ops[kind];
		x->events[kind] = l->events[kind];
		x->shown[kind] = shown(l, kind);
	}
}

static void listen_free(struct listen *l)
{
	if (l->fd >= 0)
		close(l->fd);
	if (l->driver > 0)
		bl_driver_end(l->driver);
	if (l->kmsg_fd >= 0)
		close(l->kmsg_fd);
	bl_driver_unshare(l->shared, sizeof(*l->shared));
	free(l->execs);
}

static int listen_to(struct listen *l, struct bl_err *err)
{
	int r, e;

	l->shared = bl_driver_share(sizeof(*l->shared));
	l->execs = calloc(1, PIDS / 8);
	if (!l->shared || !l->execs)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_kmsg_scan(&l->kmsg_fd, &l->splats, err);
	if (!r)
		r = bl_driver_start(drive, l, &l->driver, &l->fd, err);
	if (!r)
		r = rounds(l, err);
	if (!r)
		collect(l);
	/* The log is read whatever happened: it may be why. */
	e = bl_kmsg_scan(&l->kmsg_fd, &l->splats, r < 0 ? NULL : err);
	l->x->splats += l->splats.count;
	if (l->splats.count && !(l->x->first_splat && *l->x->first_splat)) {
		free(l->x->first_splat);
		l->x->first_splat = strdup(l->splats.first);
	}
	return r < 0 ? r : e;
}

int bl_listen(const struct bl_listen_source *source, unsigned scale,
	      struct bl_facts_exercise *x, struct bl_err *err)
{
	BL_CLEANUP(listen_free)
	struct listen l = {
		.source = source,
		.x = x,
		.fd = -1,
		.kmsg_fd = -1,
	};

	if (scale > BL_LISTEN_SCALE_MAX)
		scale = BL_LISTEN_SCALE_MAX;
	l.rounds = BL_LISTEN_ROUNDS * (scale ? scale : 1);
	return listen_to(&l, err);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t bl_listen_median(uint64_t *values, unsigned count)
{
	if (!count)
		return 0;
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}
