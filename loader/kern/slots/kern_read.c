/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the slots, by their pins: inspect, sample, events. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/event.h"
#include "loader/base/cleanup.h"
#include "loader/kern/memory.h"
#include "loader/kern/slots/dispatch.h"
#include "loader/kern/slots/instance.h"
#include "loader/kern/slots/replace.h"

/* A ring that is filled faster than it is read must not hold the caller. */
#define EVENTS_AT_ONCE 65536

/* recursion_misses follows run_cnt. It has no name in headers before 5.12, and
 * a kernel before 5.12 leaves it as it was: 0. */
#define MISSES_AT (offsetof(struct bpf_prog_info, run_cnt) + sizeof(__u64))

union prog_info {
	struct bpf_prog_info info;
	char bytes[sizeof(struct bpf_prog_info) + sizeof(__u64)];
};

/* All that is known of a program's hook without a dispatcher. */
static const char *type_name(__u32 type)
{
	const char *name = libbpf_bpf_prog_type_str((enum bpf_prog_type)type);

	return name ? name : "";
}

int bl_kern_program_of(const char *name, int fd, struct bl_kern_program *ret,
		       struct bl_kern_runs *ret_runs, struct bl_err *err)
{
	union prog_info u = { .bytes = { 0 } };
	const struct bpf_prog_info *info = &u.info;
	struct bl_kern_program p = { 0 };
	__u32 len = sizeof(u);
	__u64 missed;

	if (bpf_obj_get_info_by_fd(fd, &u, &len))
		return bl_err_errno(err, -errno, "program %s", name);
	snprintf(p.name, sizeof(p.name), "%s", name);
	snprintf(p.hook, sizeof(p.hook), "%s", type_name(info->type));
	for (unsigned i = 0; i < sizeof(info->tag); i++)
		snprintf(p.tag + 2 * i, 3, "%02x", info->tag[i]);
	p.id = info->id;
	memcpy(&missed, u.bytes + MISSES_AT, sizeof(missed));
	if (ret)
		*ret = p;
	if (ret_runs)
		*ret_runs = (struct bl_kern_runs){ info->run_cnt,
						   info->run_time_ns, missed };
	return 0;
}

static int add_program(void *ctx, const char *name, int fd, struct bl_err *err)
{
	struct bl_kern_staged *s = ctx;

	if (s->count == BL_KERN_PROGRAMS_MAX)
		return 0;
	return bl_kern_program_of(name, fd, &s->program[s->count++], NULL, err);
}

static struct bl_kern_program *program_with(struct bl_kern_staged *s,
					    uint32_t id)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->program[i].id == id)
			return &s->program[i];
	return NULL;
}

/* What is found out about a slot, and how. */
struct look {
	struct bl_kern_bpf *kern;
	enum bl_slot slot;
	struct bl_dispatch dispatch;
	struct bl_kern_slot_state state;
	bool live, trial; /* named by the word */
};

static void look_end(struct look *l)
{
	bl_dispatch_close(&l->dispatch);
}

static int count_link(void *ctx, const char *name, int fd, struct bl_err *err)
{
	struct look *l = ctx;

	(void)name;
	(void)err;
	/* A link that lost its program has none to name. */
	if (bl_dispatch_link_works(fd))
		l->state.persisted++;
	else
		l->state.lost += bl_dispatch_link_lost(fd);
	return 0;
}

static enum bl_lease lease_of(const char *hook, bool leased)
{
	const struct bl_hook_kind *kind = bl_hook_kind_in(hook);

	if (!kind || !kind->verdict)
		return BL_LEASE_NONE;
	return leased ? BL_LEASE_KEPT : BL_LEASE_WAIVED;
}

static int count_dispatched(void *ctx, const struct bl_dispatch_view *v,
			    struct bl_err *err)
{
	struct look *l = ctx;
	struct bl_kern_program *p =
		program_with(&l->state.programs, bl_dispatch_id(v, l->slot));

	(void)err;
	if (!p)
		return 0;
	p->strategy = BL_STRATEGY_DISPATCH;
	p->lease = lease_of(v->name, v->ids[bl_dispatch_entry(l->slot, true)]);
	bl_hook_words(v->name, p->hook);
	l->state.persisted += l->live && v->linked;
	l->state.attached += !l->live && l->trial && v->linked;
	l->state.lost += v->lost;
	return 0;
}

static int count_replaced(void *ctx, const char *hook, uint32_t id, bool linked,
			  bool lost, struct bl_err *err)
{
	struct look *l = ctx;
	struct bl_kern_program *p = program_with(&l->state.programs, id);

	(void)err;
	if (!p)
		return 0;
	p->strategy = BL_STRATEGY_REPLACE;
	p->lease = lease_of(hook, false);
	bl_hook_words(hook, p->hook);
	l->state.persisted += linked;
	l->state.lost += lost;
	return 0;
}

/* Those that are not pinned. */
static void count_held(struct look *l)
{
	const struct bl_plan *plan = &l->kern->held[l->slot].plan;

	for (unsigned i = 0; i < plan->count; i++) {
		const struct bl_plan_step *s = &plan->step[i];
		int fd = s->link ? bpf_link__fd(s->link) : s->link_fd;

		l->state.attached += fd >= 0 && bl_dispatch_link_works(fd);
		l->state.lost += fd >= 0 && bl_dispatch_link_lost(fd);
	}
}

static bool is_sensor(const struct bl_kern_bpf *k, enum bl_slot slot)
{
	bl_autoclose int fd =
		bl_pin_get(k->pin_dir, slot, BL_PIN_MAP, BL_MAP_STATS, NULL);

	return fd >= 0;
}

/* A trial whose lease ran out is over, except for whoever holds it and will
 * renew it. */
static int look_at_word(struct look *l, struct bl_err *err)
{
	const struct bl_kern_bpf *k = l->kern;
	int r = bl_dispatch_open(k->pin_dir, false, &l->dispatch, err);
	struct bl_dispatch_word w;

	if (r)
		return r;
	w = bl_dispatch_now(&l->dispatch);
	l->live = w.live == (int)l->slot;
	l->trial = w.trial == (int)l->slot &&
		   (k->held[l->slot].attached ||
		    bl_dispatch_on_trial(&l->dispatch, l->slot));
	l->state.verdict_left_ms = bl_dispatch_verdict_left_ms(&l->dispatch);
	return 0;
}

int bl_kern_inspect(void *kern, enum bl_slot slot,
		    struct bl_kern_slot_state *ret, struct bl_err *err)
{
	BL_CLEANUP(look_end)
	struct look l = { .kern = kern,
			  .slot = slot,
			  .dispatch = BL_DISPATCH_INIT };
	const char *dir = l.kern->pin_dir;
	int r;

	r = bl_pin_each(dir, slot, BL_PIN_PROG, add_program, &l.state.programs,
			err);
	if (!r)
		r = look_at_word(&l, err);
	if (!r)
		r = bl_dispatch_each(&l.dispatch, count_dispatched, &l, err);
	if (!r)
		r = bl_replace_each(dir, slot, count_replaced, &l, err);
	if (!r)
		r = bl_pin_each(dir, slot, BL_PIN_LINK, count_link, &l, err);
	if (r)
		return r;
	count_held(&l);
	l.state.attached += l.state.persisted;
	l.state.programs.sensor = is_sensor(kern, slot);
	l.state.kind = l.state.attached		? BL_KERN_SLOT_ATTACHED
		       : l.state.programs.count ? BL_KERN_SLOT_STAGED
						: BL_KERN_SLOT_EMPTY;
	*ret = l.state;
	return 0;
}

static int add_runs(void *ctx, const char *name, int fd, struct bl_err *err)
{
	struct bl_kern_sample *s = ctx;
	struct bl_kern_program p;
	struct bl_kern_runs runs;
	int r = bl_kern_program_of(name, fd, &p, &runs, err);
	bool lsm;

	if (r)
		return r;
	s->programs++;
	/* Whether one may sleep the kernel does not tell. An LSM program that may
	 * not has a dispatcher, and of a dispatched program there is nothing here:
	 * the kernel counts the dispatcher. */
	lsm = !strcmp(p.hook, type_name(BPF_PROG_TYPE_LSM));
	if (!bl_sensor_is_fill(name, s->sensor, lsm)) {
		s->run_count += runs.count;
		s->run_time_ns += runs.time_ns;
	}
	s->missed += runs.missed;
	s->memory_bytes += bl_memory_told(fd);
	return 0;
}

static int add_map(void *ctx, const char *name, int fd, struct bl_err *err)
{
	struct bl_kern_sample *s = ctx;

	(void)name;
	(void)err;
	s->memory_bytes += bl_memory_of_map(fd);
	return 0;
}

static int add_stats(const struct bl_kern_bpf *k, enum bl_slot slot,
		     struct bl_kern_sample *s, struct bl_err *err)
{
	bl_autoclose int fd =
		bl_pin_get(k->pin_dir, slot, BL_PIN_MAP, BL_MAP_STATS, err);
	struct bl_stats sum;
	int r = fd < 0 ? fd : bl_sensor_stats(fd, &sum, err);

	if (r < 0)
		return r;
	s->seen = sum.seen;
	s->events = sum.emitted;
	s->drops = sum.dropped;
	s->denied = sum.denied;
	s->torn = sum.torn;
	s->hashed = sum.hashed;
	s->unhashed = sum.unhashed;
	return 0;
}

int bl_kern_sample(void *kern, enum bl_slot slot, struct bl_kern_sample *ret,
		   struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_slot_state state = { 0 };
	struct bl_kern_sample s = { 0 };
	struct bl_kern_runs runs = { 0 };
	BL_CLEANUP(bl_dispatch_close) struct bl_dispatch d = BL_DISPATCH_INIT;
	int r = bl_kern_inspect(k, slot, &state, err);

	s.sensor = state.programs.sensor;
	if (!r)
		r = bl_pin_each(k->pin_dir, slot, BL_PIN_PROG, add_runs, &s,
				err);
	if (!r)
		r = bl_pin_each(k->pin_dir, slot, BL_PIN_MAP, add_map, &s, err);
	if (!r)
		r = bl_dispatch_open(k->pin_dir, false, &d, err);
	if (!r)
		r = bl_dispatch_runs(&d, slot, &runs, err);
	if (!r && s.sensor)
		r = add_stats(k, slot, &s, err);
	if (r)
		return r;
	s.run_count += runs.count;
	s.run_time_ns += runs.time_ns;
	s.missed += runs.missed;
	s.attached = state.attached;
	s.lost = state.lost;
	s.cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	*ret = s;
	return 0;
}

/* Negative ends libbpf's reading, after this event. */
static int on_sample(void *ctx, void *data, size_t len)
{
	struct bl_kern_reader *r = ctx;

	if (!bl_event_ok(data, len))
		return 0; /* of a sensor that speaks another contract */
	if (r->fn(r->ctx, data, len) || ++r->count >= EVENTS_AT_ONCE)
		return -ECANCELED;
	return 0;
}

void bl_kern_reader_close(struct bl_kern_reader *reader)
{
	ring_buffer__free(reader->ring);
	reader->ring = NULL;
	reader->map_id = 0;
}

/* What is left in a ring whose slot is no more, and nobody else will read. */
static int drain(struct bl_kern_reader *reader)
{
	int r = reader->ring ? ring_buffer__consume(reader->ring) : 0;

	if (r >= 0 && !reader->count)
		bl_kern_reader_close(reader);
	return r;
}

/* Opens the slot's ring, unless that is what the reader has. 1: the one that
 * it has belongs to a generation before, and something is left in it. */
static int open_ring(struct bl_kern_bpf *k, enum bl_slot slot,
		     struct bl_err *err)
{
	struct bl_kern_reader *reader = &k->readers[slot];
	bl_autoclose int fd =
		bl_pin_get(k->pin_dir, slot, BL_PIN_MAP, BL_MAP_EVENTS, err);
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len))
		return bl_err_errno(err, -errno, "map " BL_MAP_EVENTS);
	if (reader->ring && fd >= 0 && reader->map_id == info.id)
		return 0;
	drain(reader);
	if (reader->count)
		return 1;
	if (fd < 0) {
		bl_kern_reader_close(reader);
		return fd;
	}
	bl_kern_reader_close(reader);
	reader->ring = ring_buffer__new(fd, on_sample, reader, NULL);
	if (!reader->ring)
		return bl_err_errno(err, -errno, "read the ring of slot %s",
				    slot == BL_SLOT_A ? "a" : "b");
	reader->map_id = info.id;
	return 0;
}

/* 1 if anything was ever written to the ring, whoever has read it. */
static int has_produced(const struct bl_kern_bpf *k, enum bl_slot slot,
			struct bl_err *err)
{
	bl_autoclose int fd =
		bl_pin_get(k->pin_dir, slot, BL_PIN_MAP, BL_MAP_EVENTS, err);
	long page = sysconf(_SC_PAGESIZE);
	const uint64_t *position; /* the second page begins with it */
	bool any;

	if (fd < 0)
		return fd;
	position = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, page);
	if (position == MAP_FAILED)
		return bl_err_errno(err, -errno, "look at the ring");
	any = __atomic_load_n(position, __ATOMIC_ACQUIRE) > 0;
	munmap((void *)position, (size_t)page);
	return any;
}

int bl_kern_events(void *kern, enum bl_slot slot, int timeout_ms,
		   bl_event_fn fn, void *ctx, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_reader *reader = &k->readers[slot];
	int r;

	if (!fn)
		return has_produced(k, slot, err);
	reader->fn = fn;
	reader->ctx = ctx;
	reader->count = 0;
	r = open_ring(k, slot, err);
	if (r)
		return r < 0 ? r : reader->count;
	r = ring_buffer__consume(reader->ring);
	if (!reader->count && r >= 0 && timeout_ms)
		r = ring_buffer__poll(reader->ring, timeout_ms);
	if (r < 0 && r != -ECANCELED)
		return bl_err_errno(err, r, "read events");
	return reader->count;
}
