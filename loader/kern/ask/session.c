/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/session.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/kern/ask/places.h"
#include "loader/kern/messages.h"
#include "loader/kern/sensor.h"

/* BPF_MAP_TYPE_CGRP_STORAGE, since Linux 6.2; older headers lack it. */
#define CGRP_STORAGE 32

int bl_session_open(const struct bl_probe_part *part, struct bl_session **ret,
		    struct bl_err *err)
{
	struct bl_session *s = calloc(1, sizeof(*s));

	if (!s)
		return bl_err_set(err, -ENOMEM, "out of memory");
	s->part = *part;
	*ret = s;
	return 0;
}

void bl_session_close(struct bl_session *s)
{
	if (!s)
		return;
	bl_session_detach(s);
	bpf_object__close(s->object);
	bl_buf_free(&s->said);
	free(s);
}

/* Types that the kernel refuses with no entries, so that an object whose
 * loader sizes the map cannot be loaded as it is. */
static uint32_t size_for(int type)
{
	switch (type) {
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF:
		return (uint32_t)sysconf(_SC_PAGESIZE);
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY: /* libbpf sizes it */
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case CGRP_STORAGE:
	case BPF_MAP_TYPE_STRUCT_OPS:
		return 0;
	default:
		return 1;
	}
}

/* What the kernel keeps of a stack at most: PERF_MAX_STACK_DEPTH. */
#define STACK_BYTES (127 * 8)

/* Loaders of tools set it from an option of theirs. */
static int size_stacks(struct bpf_map *map, struct bl_buf *notes)
{
	if (bpf_map__type(map) != BPF_MAP_TYPE_STACK_TRACE ||
	    bpf_map__value_size(map))
		return 0;
	bpf_map__set_value_size(map, STACK_BYTES);
	return notes ? bl_buf_printf(
			       notes,
			       "map %s has stacks of no size: checked with %d bytes\n",
			       bpf_map__name(map), STACK_BYTES)
		     : 0;
}

/* Nothing may be pinned, and every map must have a size. */
static int prepare_maps(struct bpf_object *obj, struct bl_buf *notes)
{
	struct bpf_map *map;
	uint32_t entries;
	int r = 0;

	bpf_object__for_each_map (map, obj) {
		if (bpf_map__pin_path(map))
			bpf_map__set_pin_path(map, NULL);
		if (r == 0)
			r = size_stacks(map, notes);
		entries = size_for(bpf_map__type(map));
		if (bpf_map__max_entries(map) || !entries)
			continue;
		bpf_map__set_max_entries(map, entries);
		if (notes && r == 0)
			r = bl_buf_printf(
				notes,
				"map %s has no size of its own: checked with %u\n",
				bpf_map__name(map), entries);
	}
	return r;
}

struct bpf_object *bl_session_fresh(struct bl_session *s, struct bl_buf *notes)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "belay_check");
	const struct bl_probe_part *p = &s->part;
	struct bpf_object *obj;
	int r;

	bl_buf_free(&s->said);
	bl_messages_into(&s->said);
	obj = bpf_object__open_mem(p->object, p->len, &opts);
	if (!obj)
		return NULL;
	s->sensor = bl_sensor_is(obj);
	r = prepare_maps(obj, notes);
	if (r == 0 && s->sensor)
		r = bl_sensor_prepare(obj, p->name, p->generation, p->content,
				      p->content_len, NULL);
	if (r < 0) {
		bpf_object__close(obj);
		errno = -r;
		return NULL;
	}
	return obj;
}

/* Links first, all of them: what they take down waits once, not each. */
void bl_session_detach(struct bl_session *s)
{
	size_t i;

	for (i = 0; i < s->link_count; i++)
		bpf_link__destroy(s->links[i]);
	free(s->links);
	s->links = NULL;
	s->link_count = 0;
	bl_places_leave(&s->places);
}

/* What can stay attached while its next version is attached beside it. */
static bool overlaps(enum bpf_prog_type type)
{
	switch (type) {
	case BPF_PROG_TYPE_TRACING:
	case BPF_PROG_TYPE_LSM:
	case BPF_PROG_TYPE_KPROBE:
	case BPF_PROG_TYPE_TRACEPOINT:
	case BPF_PROG_TYPE_RAW_TRACEPOINT:
	case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
	case BPF_PROG_TYPE_PERF_EVENT:
		return true;
	default:
		return false;
	}
}

/* Asked of the link itself: it takes its own program in exchange or not. */
static enum bl_swap_way swap_way(struct bpf_link *link,
				 struct bpf_program *prog)
{
	/* tc filters have no link, and are replaced in one message. */
	if (!link || bpf_link__update_program(link, prog) == 0)
		return BL_SWAP_REPLACE;
	return overlaps(bpf_program__type(prog)) ? BL_SWAP_OVERLAP
						 : BL_SWAP_NONE;
}

/* User space's own code is not of this kernel: its loader brings it. */
static bool probes_user_space(const char *section)
{
	static const char *const heads[] = { "uprobe", "uretprobe", "usdt" };
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
		if (strncmp(section, heads[i], strlen(heads[i])) == 0)
			return true;
	return false;
}

static enum bl_attach_status status_of(int r, const char *section)
{
	switch (-r) {
	case 0:
		return BL_ATTACH_DONE;
	case EOPNOTSUPP:
		return BL_ATTACH_ELSEWHERE;
	case ENOENT:
	case ESRCH:
	case ENODEV:
		return probes_user_space(section) ? BL_ATTACH_ELSEWHERE
						  : BL_ATTACH_MISSING;
	default:
		return BL_ATTACH_FAILED;
	}
}

static char *why_of(struct bl_session *s, enum bl_attach_status status, int r)
{
	const char *said = bl_buf_str(&s->said);
	bl_autobuf struct bl_buf why = { 0 };

	if (status == BL_ATTACH_DONE)
		return strdup("");
	if (status == BL_ATTACH_ELSEWHERE)
		return strdup("its section does not say where on this kernel");
	if (strncmp(said, "libbpf: ", 8) == 0)
		said += 8;
	if (*said)
		r = bl_buf_printf(&why, "%.*s", (int)strcspn(said, "\n"), said);
	else
		r = bl_buf_printf(&why, "%s", strerror(-r));
	return r < 0 ? NULL : BL_TAKE(why.data);
}

static int attach_one(struct bl_session *s, struct bpf_program *prog,
		      size_t index, struct bl_facts_program *p)
{
	struct bpf_link *link;
	int r = 0;

	bl_buf_free(&s->said);
	link = bpf_program__attach(prog);
	if (!link)
		r = -errno;
	if (r == -EOPNOTSUPP)
		r = bl_places_attach(&s->places, prog, &link);
	p->attach = status_of(r, p->section);
	free(p->attach_why);
	p->attach_why = why_of(s, p->attach, r);
	if (!p->attach_why)
		return -ENOMEM;
	if (r < 0)
		return 0;
	s->links[index] = link;
	p->swap = swap_way(link, prog);
	return 0;
}

static int attach_all(struct bl_session *s, struct bl_facts *facts)
{
	struct bpf_program *prog;
	size_t i = 0;
	int r = 0;

	s->links = calloc(facts->program_count + 1, sizeof(struct bpf_link *));
	if (!s->links)
		return -ENOMEM;
	s->link_count = facts->program_count;
	bpf_object__for_each_program (prog, s->object) {
		if (r < 0 || i >= facts->program_count)
			break;
		if (bpf_program__fd(prog) >= 0)
			r = attach_one(s, prog, i, &facts->programs[i]);
		i++;
	}
	return r;
}

/* Whether a program that was attached before is now said to have no target. */
static bool wants_renewal(const struct bl_session *s, const struct bl_facts *f)
{
	size_t i;

	for (i = 0; s->attached_before && i < f->program_count; i++)
		if (f->programs[i].load == BL_LOAD_ACCEPTED &&
		    f->programs[i].attach == BL_ATTACH_MISSING)
			return true;
	return false;
}

/* Loads the programs anew, with the maps as they are. */
static int renew(struct bl_session *s)
{
	struct bpf_object *old = s->object, *obj = bl_session_fresh(s, NULL);
	struct bpf_program *prog, *was = NULL;
	struct bpf_map *map, *had = NULL;
	int r = obj ? 0 : -errno;

	if (r < 0)
		return r;
	bpf_object__for_each_program (prog, obj) {
		was = bpf_object__next_program(old, was);
		bpf_program__set_autoload(prog, bpf_program__fd(was) >= 0);
	}
	bpf_object__for_each_map (map, obj) {
		had = bpf_object__next_map(old, had);
		if (r == 0 && bpf_map__fd(had) >= 0)
			r = bpf_map__reuse_fd(map, bpf_map__fd(had));
	}
	if (r == 0)
		r = bpf_object__load(obj);
	bpf_object__close(r < 0 ? obj : old);
	if (r == 0)
		s->object = obj;
	return r;
}

int bl_session_attach(struct bl_session *s, struct bl_facts *facts,
		      struct bl_err *err)
{
	int r;

	if (!s->object)
		return 0;
	bl_messages_into(&s->said);
	r = attach_all(s, facts);
	/* Linux 5.10 forgets what a tracing program attaches to once it was
	 * detached: loaded once, it can be attached once. */
	if (r == 0 && wants_renewal(s, facts)) {
		bl_session_detach(s);
		if (renew(s) == 0)
			r = attach_all(s, facts);
	}
	s->attached_before = true;
	bl_messages_end();
	return r < 0 ? bl_err_set(err, r, "out of memory") : 0;
}
