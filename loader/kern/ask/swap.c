/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/swap.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/kern/ask/driver.h"
#include "loader/kern/ask/tally.h"
#include "loader/kern/sensor.h"

#define NUMBERS	     (1u << 20) /* operations; enough for a minute */
#define SWITCHES     2		/* to the previous version and back */
#define SCALE_MAX    16
#define STEADY	     256   /* operations before and between exchanges */
#define PROOF	     64	   /* events of the next version before the old ends */
#define PROOF_MAX_MS 2000  /* a version that says nothing is exchanged too */
#define STEP_MAX_MS  20000 /* only against a hang */
#define POLL_MS	     20
#define RECORD_BYTES 112 /* a connect's, with the ring's header, rounded up */
#define WINDOW_MAX   4096

/* Shared with the driver. */
struct shared {
	_Atomic uint64_t sent;	  /* operations done: the numbers below */
	_Atomic uint64_t allowed; /* it may go on until there */
	_Atomic bool stop;
};

struct reader {
	struct rehearsal *rehearsal;
	unsigned index;
	_Atomic uint64_t events;
};

enum { NEXT, PREVIOUS, NEXT_AGAIN, PARTS };

struct rehearsal {
	struct bl_swap_part parts[PARTS];
	bool again; /* what was detached can be attached again */
	struct bl_facts fresh;
	struct shared *shared;
	struct bl_tally tally;
	struct ring_buffer *rings;
	struct reader readers[PARTS];
	uint64_t window; /* operations that no ring can overflow in */
	pid_t driver;
	int fd; /* to the driver */
	pthread_t thread;
	bool reading;
	_Atomic bool stop;
	_Atomic int failed; /* of the reader; negative errno */
};

/* The driver */

static void drive(void *arg, int fd)
{
	struct shared *s = ((struct rehearsal *)arg)->shared;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET };
	uint8_t address[4];
	uint16_t port;

	(void)fd;
	for (uint64_t n = 0; sock >= 0 && n < NUMBERS && !s->stop;) {
		if (n >= s->allowed) {
			sched_yield();
			continue;
		}
		bl_tally_target(n, address, &port);
		memcpy(&to.sin_addr, address, sizeof(to.sin_addr));
		to.sin_port = htons(port);
		(void)!connect(sock, (struct sockaddr *)&to, sizeof(to));
		s->sent = ++n;
	}
}

/* The reader: a thread, so that events are read while programs are attached
 * and detached, which takes the kernel its time. */

static int on_event(void *ctx, void *data, size_t len)
{
	struct reader *r = ctx;
	const struct bl_event *e = data;
	uint64_t number;

	if (!bl_event_ok(data, len) || !bl_tally_number(e, &number))
		return 0;
	bl_tally_note(&r->rehearsal->tally, r->index, e);
	r->events++;
	return 0;
}

/* What was done before is read, then; so that much more can be done. */
static int drain(struct rehearsal *h)
{
	uint64_t sent = h->shared->sent;
	int r = ring_buffer__consume(h->rings);

	h->shared->allowed = sent + h->window;
	return r < 0 ? r : 0;
}

static void *read_on(void *arg)
{
	struct rehearsal *h = arg;
	struct pollfd fd = { .fd = ring_buffer__epoll_fd(h->rings),
			     .events = POLLIN };
	int r = 0;

	while (!h->stop && r == 0) {
		(void)poll(&fd, 1, POLL_MS);
		r = drain(h);
	}
	h->failed = r;
	return NULL;
}

static int add_ring(struct rehearsal *h, unsigned i, struct bl_err *err)
{
	const struct bpf_object *object = h->parts[i].session->object;
	const struct bpf_map *map =
		bpf_object__find_map_by_name(object, BL_MAP_EVENTS);
	uint64_t room = bpf_map__max_entries(map) / RECORD_BYTES / 2;

	h->readers[i] = (struct reader){ .rehearsal = h, .index = i };
	if (room < h->window)
		h->window = room ? room : 1;
	if (h->rings)
		return ring_buffer__add(h->rings, bpf_map__fd(map), on_event,
					&h->readers[i])
			       ? bl_err_errno(err, -errno, "read a ring")
			       : 0;
	h->rings = ring_buffer__new(bpf_map__fd(map), on_event, &h->readers[i],
				    NULL);
	return h->rings ? 0 : bl_err_errno(err, -errno, "read a ring");
}

/* Switching */

static bool done_by(const struct rehearsal *h, const _Atomic uint64_t *value,
		    uint64_t wanted, unsigned timeout_ms)
{
	uint64_t end = bl_clock_mono_ms() + timeout_ms;

	while (*value < wanted && !h->failed) {
		if (bl_clock_mono_ms() >= end)
			return false;
		bl_clock_sleep_ms(1);
	}
	return !h->failed;
}

/* @more operations by the driver from here on. */
static int go_on(struct rehearsal *h, uint64_t more, struct bl_err *err)
{
	if (done_by(h, &h->shared->sent, h->shared->sent + more, STEP_MAX_MS))
		return 0;
	if (h->failed)
		return bl_err_errno(err, h->failed, "read events");
	return bl_err_set(err, -ETIMEDOUT, "the workload does not go on");
}

/* All that was attached before must be attached again, or what is missing
 * would be lost by us. */
static int attach(const struct bl_swap_part *p, struct bl_err *err)
{
	int r = bl_session_attach(p->session, p->facts, err);

	for (size_t i = 0; r == 0 && i < p->facts->program_count; i++) {
		const struct bl_facts_program *prog = &p->facts->programs[i];

		if (prog->load == BL_LOAD_ACCEPTED &&
		    prog->attach != BL_ATTACH_DONE)
			r = bl_err_set(err, -ENOTSUP,
				       "%s: program %s cannot be attached: %s",
				       p->session->part.name, prog->name,
				       prog->attach_why);
	}
	return r;
}

/* From one that is attached to another one. */
static int exchange(struct rehearsal *h, unsigned from, unsigned to,
		    struct bl_facts_swap *ret, struct bl_err *err)
{
	uint64_t start = bl_clock_mono_ms(), took;
	uint64_t had = h->readers[to].events;
	int r = attach(&h->parts[to], err);

	if (r < 0)
		return r;
	(void)done_by(h, &h->readers[to].events, had + PROOF, PROOF_MAX_MS);
	bl_session_detach(h->parts[from].session);
	took = bl_clock_mono_ms() - start;
	if (took > ret->worst_ms)
		ret->worst_ms = took;
	ret->switches++;
	return go_on(h, STEADY, err);
}

/* Since 5.13 tracing and LSM programs can be attached again after they were
 * detached; before, a second attach finds no target any more. */
static bool attaches_again(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 5 || (major == 5 && minor >= 13);
}

/* Another load of the new version. */
static int load_fresh(struct rehearsal *h, struct bl_err *err)
{
	struct bl_swap_part *p = &h->parts[NEXT_AGAIN];
	int r = bl_session_open(&h->parts[NEXT].session->part, &p->session,
				err);

	p->facts = &h->fresh;
	if (r == 0)
		r = bl_session_load(p->session, p->facts, err);
	if (r == 0 && !p->session->object)
		r = bl_err_set(err, -ENOENT, "it does not load again");
	return r;
}

static int start(struct rehearsal *h, struct bl_err *err)
{
	unsigned parts = h->again ? NEXT_AGAIN : PARTS;
	int r = h->again ? 0 : load_fresh(h, err);

	for (unsigned i = 0; r == 0 && i < parts; i++) {
		r = bl_sensor_report(h->parts[i].session->object,
				     1u << BL_EVENT_CONNECT, err);
		if (r == 0)
			r = add_ring(h, i, err);
	}
	if (r == 0 && !h->parts[NEXT].session->link_count)
		r = attach(&h->parts[NEXT], err);
	if (r < 0)
		return r;
	h->shared->allowed = h->window;
	r = pthread_create(&h->thread, NULL, read_on, h);
	if (r)
		return bl_err_errno(err, -r, "read events");
	h->reading = true;
	r = bl_driver_start(drive, h, &h->driver, &h->fd, err);
	return r < 0 ? r : go_on(h, STEADY, err);
}

/* The driver ends between two operations; then what is left is read. */
static int finish(struct rehearsal *h, struct bl_facts_swap *ret,
		  struct bl_err *err)
{
	struct pollfd fd = { .fd = h->fd, .events = POLLIN };
	struct bl_tally_count count;
	int r;

	h->shared->stop = true;
	if (poll(&fd, 1, STEP_MAX_MS) <= 0)
		return bl_err_set(err, -ETIMEDOUT, "the workload does not end");
	h->stop = true;
	pthread_join(h->thread, NULL);
	h->reading = false;
	r = h->failed ? h->failed : drain(h);
	if (r < 0)
		return bl_err_errno(err, r, "read events");
	ret->sent = h->shared->sent;
	count = bl_tally_count(&h->tally, ret->sent);
	ret->lost = count.lost;
	ret->doubled = count.doubled;
	return 0;
}

static int rehearse(struct rehearsal *h, unsigned scale,
		    struct bl_facts_swap *ret, struct bl_err *err)
{
	unsigned switches = SWITCHES, from, to;
	int r;

	h->again = attaches_again();
	if (h->again && scale > 1)
		switches *= scale < SCALE_MAX ? scale : SCALE_MAX;
	h->shared = bl_driver_share(sizeof(*h->shared));
	if (!h->shared || bl_tally_init(&h->tally, NUMBERS) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = start(h, err);
	for (unsigned i = 0; r == 0 && i < switches; i++) {
		from = h->again ? i % 2 : i;
		to = h->again ? (i + 1) % 2 : i + 1;
		r = exchange(h, from, to, ret, err);
	}
	return r < 0 ? r : finish(h, ret, err);
}

static void rehearsal_free(struct rehearsal *h)
{
	if (h->fd >= 0)
		close(h->fd);
	if (h->driver > 0)
		bl_driver_end(h->driver);
	h->stop = true;
	if (h->reading)
		pthread_join(h->thread, NULL);
	ring_buffer__free(h->rings);
	bl_session_detach(h->parts[PREVIOUS].session);
	bl_session_detach(h->parts[NEXT].session);
	bl_session_close(h->parts[NEXT_AGAIN].session);
	bl_facts_free(&h->fresh);
	bl_driver_unshare(h->shared, sizeof(*h->shared));
	bl_tally_free(&h->tally);
}

/* NULL if it can be rehearsed. */
static const char *why_not(const struct bl_swap_part *previous,
			   const struct bl_swap_part *next)
{
	if (!previous->session->object)
		return "no program of the previous version is loaded";
	if (!next->session->object)
		return "no program is loaded";
	if (!previous->session->sensor || !next->session->sensor)
		return "only belay's sensor numbers its events";
	return NULL;
}

int bl_swap_rehearse(const struct bl_swap_part *previous,
		     const struct bl_swap_part *next, unsigned scale,
		     struct bl_facts_swap *ret, struct bl_err *err)
{
	BL_CLEANUP(rehearsal_free)
	struct rehearsal h = {
		.parts = { [NEXT] = *next, [PREVIOUS] = *previous },
		.window = WINDOW_MAX,
		.fd = -1
	};
	const char *no = why_not(previous, next);
	struct bl_facts_swap s = { 0 };
	struct bl_err why = { 0 };
	int r;

	bl_session_detach(previous->session);
	r = no ? bl_err_set(&why, -ENOTSUP, "%s", no)
	       : rehearse(&h, scale, &s, &why);
	if (r == -ENOMEM)
		return bl_err_set(err, r, "%s", why.text);
	s.ran = r == 0;
	s.why_not = strdup(r ? why.text : "");
	if (!s.why_not)
		return bl_err_set(err, -ENOMEM, "out of memory");
	free(ret->why_not);
	*ret = s;
	return 0;
}
