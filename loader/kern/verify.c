/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/verify.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/kern/vlog.h"

#define LOG_STATS 4 /* BPF_LOG_STATS: errors and totals, no instructions */
#define LOG_FULL  (1 | LOG_STATS)
#define LOG_SMALL (64 * 1024)
/* The largest that every kernel takes: UINT_MAX >> 8 up to Linux 5.17. */
#define LOG_LARGE    ((1u << 24) - 1)
#define LOG_HUGE     (128u << 20) /* tried where LOG_LARGE is too small */
#define LOG_KEPT     (64 * 1024)  /* bytes of a log that leave this file */
#define MESSAGES_MAX (256 * 1024)
#define WHY_MAX	     1024

/* libbpf's print function has no context of its own. */
static struct bl_buf *messages;

__attribute__((format(printf, 2, 0))) static int
on_message(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	bl_autofree char *text = NULL;

	if (level == LIBBPF_DEBUG || !messages || messages->len > MESSAGES_MAX)
		return 0;
	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return 0;
	}
	return bl_buf_add(messages, text, strlen(text));
}

struct session {
	const char *name;
	const void *object;
	size_t len;
	struct bl_verify_result *res;
	struct bl_buf said; /* libbpf's messages since the last open */
	char **logs;	    /* one small log per program */
	size_t log_count;
	char *large; /* one large log, for one program at a time */
};

static void program_free(struct bl_verify_program *p)
{
	free(p->name);
	free(p->section);
	free(p->why);
	free(p->log);
}

void bl_verify_result_free(struct bl_verify_result *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		program_free(&r->programs[i]);
	free(r->programs);
	bl_buf_free(&r->notes);
	*r = (struct bl_verify_result){ 0 };
}

static void session_free(struct session *s)
{
	size_t i;

	for (i = 0; i < s->log_count; i++)
		free(s->logs[i]);
	free(s->logs);
	if (s->large)
		munmap(s->large, LOG_HUGE);
	bl_buf_free(&s->said);
}

static void close_object(struct bpf_object **obj)
{
	bpf_object__close(*obj);
}

/* Types that the kernel refuses with no entries, so that an object whose
 * loader sizes the map cannot be loaded as it is. */
static uint32_t size_for(enum bpf_map_type type)
{
	switch (type) {
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF:
		return (uint32_t)sysconf(_SC_PAGESIZE);
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY: /* libbpf sizes it */
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_STRUCT_OPS:
		return 0;
	default:
		return 1;
	}
}

/* Nothing may be pinned, and every map must have a size. */
static int prepare_maps(struct session *s, struct bpf_object *obj, bool note)
{
	struct bpf_map *map;
	uint32_t entries;
	int r = 0;

	bpf_object__for_each_map (map, obj) {
		if (bpf_map__pin_path(map))
			bpf_map__set_pin_path(map, NULL);
		entries = size_for(bpf_map__type(map));
		if (bpf_map__max_entries(map) || !entries)
			continue;
		bpf_map__set_max_entries(map, entries);
		if (note && r == 0)
			r = bl_buf_printf(
				&s->res->notes,
				"map %s has no size of its own: checked with %u\n",
				bpf_map__name(map), entries);
	}
	return r;
}

/* Opens a fresh copy with messages caught from here on. */
static struct bpf_object *open_object(struct session *s, bool note)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "belay_check");
	struct bpf_object *obj;

	bl_buf_free(&s->said);
	messages = &s->said;
	obj = bpf_object__open_mem(s->object, s->len, &opts);
	if (!obj)
		return NULL;
	if (prepare_maps(s, obj, note) < 0) {
		bpf_object__close(obj);
		errno = ENOMEM;
		return NULL;
	}
	return obj;
}

/* The program at that place; libbpf keeps their order from open to open. */
static struct bpf_program *program_at(struct bpf_object *obj, size_t index)
{
	struct bpf_program *prog;
	size_t i = 0;

	bpf_object__for_each_program (prog, obj)
		if (i++ == index)
			return prog;
	return NULL;
}

static int list_programs(struct session *s, struct bpf_object *obj)
{
	struct bl_verify_result *res = s->res;
	struct bpf_program *prog;
	size_t count = 0;

	bpf_object__for_each_program (prog, obj)
		count++;
	res->programs = calloc(count ? count : 1, sizeof(*res->programs));
	s->logs = calloc(count ? count : 1, sizeof(*s->logs));
	if (!res->programs || !s->logs)
		return -ENOMEM;
	bpf_object__for_each_program (prog, obj) {
		struct bl_verify_program *p = &res->programs[res->count];

		p->name = strdup(bpf_program__name(prog));
		p->section = strdup(bpf_program__section_name(prog));
		p->optional = !bpf_program__autoload(prog);
		p->insn = -1;
		res->count++;
		s->logs[s->log_count++] = malloc(LOG_SMALL);
		if (!p->name || !p->section || !s->logs[s->log_count - 1])
			return -ENOMEM;
	}
	return 0;
}

/* Fills in how a program's load went wrong. */
static int note_failure(struct bl_verify_program *p, int code, int type_known,
			const char *log, const char *said)
{
	struct bl_vlog_case c = { code, log, said, type_known };
	char why[WHY_MAX];
	struct bl_vlog v;
	const char *tail;

	p->status = bl_vlog_classify(&c, why, sizeof(why));
	bl_vlog_read(log, &v);
	tail = bl_vlog_tail(log, SIZE_MAX, LOG_KEPT);
	free(p->why);
	free(p->log);
	p->code = code;
	p->insns = v.insns;
	p->insn = v.insn;
	p->why = strdup(why);
	p->log = strdup(tail);
	return p->why && p->log ? 0 : -ENOMEM;
}

static int note_success(struct bl_verify_program *p, const char *log)
{
	struct bl_vlog v;

	bl_vlog_read(log, &v);
	p->status = BL_VERIFY_ACCEPTED;
	p->insns = v.insns;
	p->code = 0;
	free(p->why);
	p->why = strdup("");
	return p->why ? 0 : -ENOMEM;
}

/*
 * Which program a failed load was about: libbpf says "prog 'NAME': …" in its
 * last words about one. -1: it was about none, the object failed as a whole.
 */
static long blamed(const struct session *s, const bool *on)
{
	const char *p = bl_buf_str(&s->said), *end;
	long found = -1;
	size_t i;

	while ((p = strstr(p, "prog '"))) {
		p += strlen("prog '");
		end = strchr(p, '\'');
		if (!end)
			break;
		for (i = 0; i < s->res->count; i++) {
			const char *name = s->res->programs[i].name;

			if (on[i] && strlen(name) == (size_t)(end - p) &&
			    memcmp(name, p, (size_t)(end - p)) == 0)
				found = (long)i;
		}
	}
	return found;
}

/* One attempt with the programs that are on. 0: all of them load. */
static int load_on(struct session *s, const bool *on, long *ret_blamed)
{
	BL_CLEANUP(close_object) struct bpf_object *obj = open_object(s, false);
	struct bpf_program *prog;
	size_t i = 0;
	int r;

	*ret_blamed = -1;
	if (!obj)
		return errno ? -errno : -EINVAL;
	bpf_object__for_each_program (prog, obj) {
		if (i >= s->res->count)
			break;
		s->logs[i][0] = '\0';
		bpf_program__set_autoload(prog, on[i]);
		bpf_program__set_log_level(prog, LOG_STATS);
		bpf_program__set_log_buf(prog, s->logs[i], LOG_SMALL);
		i++;
	}
	r = bpf_object__load(obj);
	if (r < 0)
		*ret_blamed = blamed(s, on);
	return r;
}

/* Whether the kernel knows the types of the maps; the name of one that it does
 * not is in ret_name. */
static int maps_known(struct session *s, char *ret_name, size_t size)
{
	BL_CLEANUP(close_object) struct bpf_object *obj = NULL;
	struct bl_buf kept = s->said;
	struct bpf_map *map;
	int known = 1;

	s->said = (struct bl_buf){ 0 };
	obj = open_object(s, false);
	if (obj) {
		bpf_object__for_each_map (map, obj) {
			if (libbpf_probe_bpf_map_type(bpf_map__type(map),
						      NULL) != 0)
				continue;
			snprintf(ret_name, size, "%s", bpf_map__name(map));
			known = 0;
		}
	}
	bl_buf_free(&s->said);
	s->said = kept;
	return known;
}

/* The object failed as a whole, so every program that is left failed. */
static int fail_all(struct session *s, const bool *on, int code)
{
	const char *said = bl_buf_str(&s->said);
	char name[128] = "", why[WHY_MAX];
	struct bl_vlog_case c = { code, "", said, -1 };
	enum bl_verify_status status = bl_vlog_classify(&c, why, sizeof(why));
	size_t i;

	/* A map that cannot be made: its type, or what the object asks of it. */
	if (strstr(said, "failed to create: ") &&
	    (code == -EINVAL || code == -E2BIG)) {
		status = BL_VERIFY_REJECTED;
		if (!maps_known(s, name, sizeof(name))) {
			status = BL_VERIFY_MISSING;
			snprintf(why, sizeof(why),
				 "this kernel does not know the type of map %s",
				 name);
		}
	}
	for (i = 0; i < s->res->count; i++) {
		struct bl_verify_program *p = &s->res->programs[i];

		if (!on[i])
			continue;
		p->status = status;
		p->code = code;
		free(p->why);
		p->why = strdup(why);
		if (!p->why)
			return -ENOMEM;
	}
	return 0;
}

/*
 * Notes the programs before @end that were on and loaded, so that they need not
 * be verified again. A load that failed before it came to them has left no
 * totals in their logs: they stay on.
 */
static int accept_until(struct session *s, bool *on, size_t end, bool all)
{
	struct bl_vlog v;
	size_t i;
	int r;

	for (i = 0; i < end; i++) {
		if (!on[i])
			continue;
		bl_vlog_read(s->logs[i], &v);
		if (!all && (!v.insns || v.reason[0]))
			continue;
		r = note_success(&s->res->programs[i], s->logs[i]);
		if (r < 0)
			return r;
		on[i] = false;
	}
	return 0;
}

/*
 * All at once. libbpf loads programs one after the other and stops at the first
 * that fails: those before it are good, it is marked in @failed, and those
 * behind it are tried again.
 */
static int load_together(struct session *s, bool *on, bool *failed)
{
	size_t count = s->res->count;
	long bad;
	int r;

	/* Each turn but the last switches one program off. */
	while (memchr(on, true, count * sizeof(*on))) {
		r = load_on(s, on, &bad);
		if (r == 0)
			return accept_until(s, on, count, true);
		if (bad < 0)
			return fail_all(s, on, r);
		on[bad] = false;
		failed[bad] = true;
		r = accept_until(s, on, (size_t)bad, false);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One program with the large log. */
static int load_alone(struct session *s, size_t index, unsigned level,
		      size_t size, int *ret_known)
{
	BL_CLEANUP(close_object) struct bpf_object *obj = open_object(s, false);
	struct bpf_program *prog;
	size_t i = 0;
	int r;

	*ret_known = -1;
	if (!obj)
		return errno ? -errno : -EINVAL;
	s->large[0] = '\0';
	bpf_object__for_each_program (prog, obj)
		bpf_program__set_autoload(prog, i++ == index);
	prog = program_at(obj, index);
	bpf_program__set_log_level(prog, level);
	bpf_program__set_log_buf(prog, s->large, size);
	r = bpf_object__load(obj);
	if (r == -EINVAL && !s->large[0])
		*ret_known = libbpf_probe_bpf_prog_type(bpf_program__type(prog),
							NULL);
	return r;
}

/* A log that lost its beginning (since Linux 6.4) still says why; one that lost
 * its end (before) does not. */
static bool says_why(const char *log)
{
	struct bl_vlog v;

	bl_vlog_read(log, &v);
	return v.insns && v.reason[0];
}

/* Only the pages that a log really fills cost memory. */
static int map_large(struct session *s)
{
	void *p;

	if (s->large)
		return 0;
	p = mmap(NULL, LOG_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	s->large = p;
	return 0;
}

/* Once more, for the log that says why. */
static int explain(struct session *s, size_t index)
{
	struct bl_verify_program *p = &s->res->programs[index];
	bl_autofree char *kept = NULL;
	int known, code;

	if (map_large(s) < 0)
		return -ENOMEM;
	code = load_alone(s, index, LOG_FULL, LOG_LARGE, &known);
	/* Linux 5.18 to 6.3 takes a larger log; before, this is -EINVAL. */
	if (code == -ENOSPC && !says_why(s->large))
		load_alone(s, index, LOG_FULL, LOG_HUGE, &known);
	/* A full log fails a load that may be good. Without instructions the
	 * log always fits and the answer is the kernel's own. */
	if (code == -ENOSPC) {
		if (says_why(s->large))
			kept = strdup(
				bl_vlog_tail(s->large, SIZE_MAX, LOG_KEPT));
		code = load_alone(s, index, LOG_STATS, LOG_LARGE, &known);
	}
	if (code == 0)
		return note_success(p, s->large);
	return note_failure(p, code, known, kept ? kept : s->large,
			    bl_buf_str(&s->said));
}

static int verify(struct session *s, struct bl_err *err)
{
	BL_CLEANUP(close_object) struct bpf_object *obj = open_object(s, true);
	bl_autofree bool *on = NULL, *failed = NULL;
	const char *said;
	size_t i;
	int r;

	if (!obj) {
		r = errno ? -errno : -EINVAL;
		said = bl_buf_str(&s->said);
		if (!*said)
			return bl_err_errno(err, r, "libbpf cannot open %s",
					    s->name);
		return bl_err_set(err, r, "libbpf cannot open %s: %.*s",
				  s->name, (int)strcspn(said, "\n"), said);
	}
	r = list_programs(s, obj);
	on = calloc(s->res->count + 1, sizeof(*on));
	failed = calloc(s->res->count + 1, sizeof(*failed));
	if (r < 0 || !on || !failed)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < s->res->count; i++)
		on[i] = true;
	r = load_together(s, on, failed);
	for (i = 0; r == 0 && i < s->res->count; i++)
		if (failed[i])
			r = explain(s, i);
	return r < 0 ? bl_err_errno(err, r, "verifying %s", s->name) : 0;
}

int bl_kern_verify(const char *name, const void *object, size_t len,
		   struct bl_verify_result *ret, struct bl_err *err)
{
	BL_CLEANUP(bl_verify_result_free) struct bl_verify_result res = { 0 };
	BL_CLEANUP(session_free)
	struct session s = {
		.name = name,
		.object = object,
		.len = len,
		.res = &res,
	};
	libbpf_print_fn_t before = libbpf_set_print(on_message);
	int r = verify(&s, err);

	libbpf_set_print(before);
	messages = NULL;
	if (r < 0)
		return r;
	*ret = res;
	res = (struct bl_verify_result){ 0 };
	return 0;
}
