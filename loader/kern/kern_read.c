/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the slots, by their pins: inspect, sample, events. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/event.h"
#include "loader/base/cleanup.h"
#include "loader/kern/instance.h"
#include "loader/kern/memory.h"

/* A ring that is filled faster than it is read must not hold the caller. */
#define EVENTS_AT_ONCE 65536

/* recursion_misses follows run_cnt. It has no name in headers before 5.12, and
 * a kernel before 5.12 leaves it as it was: 0. */
#define MISSES_AT (offsetof(struct bpf_prog_info, run_cnt) + sizeof(__u64))

union prog_info {
	struct bpf_prog_info info;
	char bytes[sizeof(struct bpf_prog_info) + sizeof(__u64)];
};

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

static int count_link(void *ctx, const char *name, int fd, struct bl_err *err)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	unsigned *count = ctx;

	(void)name;
	(void)err;
	/* A link that lost its program has none to name. */
	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && info.prog_id)
		++*count;
	return 0;
}

static bool is_sensor(const struct bl_kern_bpf *k, enum bl_slot slot)
{
	bl_autoclose int fd =
		bl_pin_get(k->pin_dir, slot, BL_PIN_MAP, BL_MAP_STATS, NULL);

	return fd >= 0;
}

int bl_kern_inspect(void *kern, enum bl_slot slot,
		    struct bl_kern_slot_state *ret, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_held *held = &k->held[slot];
	struct bl_kern_slot_state s = { 0 };
	int r;

	r = bl_pin_each(k->pin_dir, slot, BL_PIN_PROG, add_program, &s.programs,
			err);
	if (!r)
		r = bl_pin_each(k->pin_dir, slot, BL_PIN_LINK, count_link,
				&s.persisted, err);
	if (r)
		return r;
	s.attached = s.persisted;
	if (held->link_count) {
		s.attached = 0;
		for (unsigned i = 0; i < held->link_count; i++)
			count_link(&s.attached, NULL,
				   bpf_link__fd(held->links[i]), NULL);
	}
	s.programs.sensor = is_sensor(k, slot);
	s.kind = s.attached	    ? BL_KERN_SLOT_ATTACHED
		 : s.programs.count ? BL_KERN_SLOT_STAGED
				    : BL_KERN_SLOT_EMPTY;
	*ret = s;
	return 0;
}

static int add_runs(void *ctx, const char *name, int fd, struct bl_err *err)
{
	struct bl_kern_sample *s = ctx;
	struct bl_kern_runs runs;
	int r = bl_kern_program_of(name, fd, NULL, &runs, err);

	if (r)
		return r;
	s->programs++;
	s->run_count += runs.count;
	s->run_time_ns += runs.time_ns;
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
	s->sensor = true;
	return 0;
}

int bl_kern_sample(void *kern, enum bl_slot slot, struct bl_kern_sample *ret,
		   struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_slot_state state = { 0 };
	struct bl_kern_sample s = { 0 };
	int r = bl_kern_inspect(k, slot, &state, err);

	if (!r)
		r = bl_pin_each(k->pin_dir, slot, BL_PIN_PROG, add_runs, &s,
				err);
	if (!r)
		r = bl_pin_each(k->pin_dir, slot, BL_PIN_MAP, add_map, &s, err);
	if (!r && state.programs.sensor)
		r = add_stats(k, slot, &s, err);
	if (r)
		return r;
	s.attached = state.attached;
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
	*reader = (struct bl_kern_reader){ 0 };
}

/* Opens the slot's ring, unless that is what the reader has. */
static int open_ring(struct bl_kern_bpf *k, enum bl_slot slot,
		     struct bl_err *err)
{
	struct bl_kern_reader *reader = &k->readers[slot];
	bl_autoclose int fd =
		bl_pin_get(k->pin_dir, slot, BL_PIN_MAP, BL_MAP_EVENTS, err);
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (fd < 0) {
		bl_kern_reader_close(reader);
		return fd;
	}
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return bl_err_errno(err, -errno, "map " BL_MAP_EVENTS);
	if (reader->ring && reader->map_id == info.id)
		return 0;
	bl_kern_reader_close(reader);
	reader->ring = ring_buffer__new(fd, on_sample, reader, NULL);
	if (!reader->ring)
		return bl_err_errno(err, -errno, "read the ring of slot %s",
				    slot == BL_SLOT_A ? "a" : "b");
	reader->map_id = info.id;
	return 0;
}

int bl_kern_events(void *kern, enum bl_slot slot, int timeout_ms,
		   bl_event_fn fn, void *ctx, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_reader *reader = &k->readers[slot];
	int r = open_ring(k, slot, err);

	if (r)
		return r;
	reader->fn = fn;
	reader->ctx = ctx;
	reader->count = 0;
	r = ring_buffer__consume(reader->ring);
	if (!reader->count && r >= 0 && timeout_ms)
		r = ring_buffer__poll(reader->ring, timeout_ms);
	if (r < 0 && r != -ECANCELED)
		return bl_err_errno(err, r, "read events");
	return reader->count;
}
