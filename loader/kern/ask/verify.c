/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the running kernel's verifier about every program of an object.
 *
 * All programs are loaded at once, as a loader would. When one fails, those
 * before it are good and those behind it are tried again without it. Each that
 * failed is then loaded alone with the verifier's full log.
 */
#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "loader/base/cleanup.h"
#include "loader/kern/ask/hooks.h"
#include "loader/kern/ask/mapless.h"
#include "loader/kern/ask/session.h"
#include "loader/kern/ask/vlog.h"
#include "loader/kern/memory.h"
#include "loader/kern/messages.h"
#include "loader/kern/sensor.h"

#define LOG_STATS 4 /* BPF_LOG_STATS: errors and totals, no instructions */
#define LOG_FULL  (1 | LOG_STATS)
#define LOG_SMALL (64 * 1024)
/* The largest that every kernel takes: UINT_MAX >> 8 up to Linux 5.17. */
#define LOG_LARGE ((1u << 24) - 1)
#define LOG_HUGE  (128u << 20) /* tried where LOG_LARGE is too small */
#define LOG_KEPT  (64 * 1024)  /* bytes of a log that leave this file */
#define WHY_MAX	  1024
/* Programs that are loaded alone for their full log. Each is an open of the
 * whole object; of the others the short log still says why. */
#define EXPLAINED_MAX 32

/* libbpf's words about a hook that neither the kernel nor a module has. */
static const char no_hook[] = "failed to find kernel BTF type ID of ";

/* One question about an object. Arrays are as facts->programs. */
struct asking {
	struct bl_session *session;
	struct bl_facts *facts;
	bool *on;    /* to be loaded in the next attempt */
	int *failed; /* to be explained: negative errno of the load; 0 */
	char **logs; /* a small one each */
	char *large; /* one large log, for one program at a time */
};

static void asking_free(struct asking *a)
{
	size_t i;

	for (i = 0; a->logs && i < a->facts->program_count; i++)
		free(a->logs[i]);
	free(a->logs);
	free(a->on);
	free(a->failed);
	if (a->large)
		munmap(a->large, LOG_HUGE);
}

static void close_object(struct bpf_object **obj)
{
	bpf_object__close(*obj);
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

static int list_programs(struct asking *a, struct bpf_object *obj)
{
	struct bl_facts *f = a->facts;
	struct bpf_program *prog;
	size_t count = 0;

	bpf_object__for_each_program (prog, obj)
		count++;
	f->programs = calloc(count + 1, sizeof(*f->programs));
	a->logs = calloc(count + 1, sizeof(*a->logs));
	a->on = calloc(count + 1, sizeof(*a->on));
	a->failed = calloc(count + 1, sizeof(*a->failed));
	if (!f->programs || !a->logs || !a->on || !a->failed)
		return -ENOMEM;
	bpf_object__for_each_program (prog, obj) {
		struct bl_facts_program *p = &f->programs[f->program_count];
		char **log = &a->logs[f->program_count++];

		p->name = strdup(bpf_program__name(prog));
		p->section = strdup(bpf_program__section_name(prog));
		p->optional = !bpf_program__autoload(prog);
		p->insn = -1;
		*log = malloc(LOG_SMALL);
		if (!p->name || !p->section || !*log)
			return -ENOMEM;
	}
	memset(a->on, true, count * sizeof(*a->on));
	return 0;
}

/* Fills in how a program's load went wrong. */
static int note_failure(struct bl_facts_program *p, int code, int type_known,
			const char *log, const char *said)
{
	struct bl_vlog_case c = { .code = code,
				  .log = log,
				  .messages = said,
				  .optional = p->optional,
				  .type_known = type_known };
	char why[WHY_MAX];
	struct bl_vlog v;
	const char *tail;

	p->load = bl_vlog_classify(&c, why, sizeof(why));
	bl_vlog_read(log, &v);
	tail = bl_vlog_tail(log, SIZE_MAX, LOG_KEPT);
	free(p->why);
	free(p->log);
	p->code = code;
	p->effort = v.effort;
	p->insn = v.insn;
	p->why = strdup(why);
	p->log = strdup(tail);
	return p->why && p->log ? 0 : -ENOMEM;
}

static int note_success(struct bl_facts_program *p, const char *log)
{
	struct bl_vlog v;

	bl_vlog_read(log, &v);
	p->load = BL_LOAD_ACCEPTED;
	p->effort = v.effort;
	p->code = 0;
	free(p->why);
	p->why = strdup("");
	return p->why ? 0 : -ENOMEM;
}

/*
 * Which program a failed load was about: libbpf says "prog 'NAME': …" in its
 * last words about one. -1: it was about none, the object failed as a whole.
 */
static long blamed(const struct asking *a)
{
	const char *p = bl_buf_str(&a->session->said), *end;
	long found = -1;
	size_t i;

	while ((p = strstr(p, "prog '"))) {
		p += strlen("prog '");
		end = strchr(p, '\'');
		if (!end)
			break;
		for (i = 0; i < a->facts->program_count; i++) {
			const char *name = a->facts->programs[i].name;

			if (a->on[i] && strlen(name) == (size_t)(end - p) &&
			    memcmp(name, p, (size_t)(end - p)) == 0)
				found = (long)i;
		}
	}
	return found;
}

/* One attempt with the programs that are on. 0 with the loaded object. */
static int load_on(struct asking *a, struct bpf_object **ret, long *ret_blamed)
{
	BL_CLEANUP(close_object)
	struct bpf_object *obj = bl_session_fresh(a->session, NULL);
	struct bpf_program *prog;
	size_t i = 0;
	int r;

	*ret_blamed = -1;
	if (!obj)
		return errno ? -errno : -EINVAL;
	bpf_object__for_each_program (prog, obj) {
		if (i >= a->facts->program_count)
			break;
		assert(a->logs[i]); /* list_programs made one for each */
		a->logs[i][0] = '\0';
		bpf_program__set_autoload(prog, a->on[i]);
		bpf_program__set_log_level(prog, LOG_STATS);
		bpf_program__set_log_buf(prog, a->logs[i], LOG_SMALL);
		i++;
	}
	r = bpf_object__load(obj);
	if (r < 0)
		*ret_blamed = blamed(a);
	else
		*ret = BL_TAKE(obj);
	return r;
}

/* Changes the case if it was about a map. */
static void blame_map(struct asking *a, int code, enum bl_load_status *status,
		      char *ret_why, size_t size)
{
	BL_CLEANUP(close_object) struct bpf_object *obj = NULL;
	struct bl_session *s = a->session;
	struct bl_buf kept = s->said;

	s->said = (struct bl_buf){ 0 };
	obj = bl_session_fresh(s, NULL);
	if (obj)
		bl_mapless_judge(obj, bl_buf_str(&kept), code, status, ret_why,
				 size);
	bl_buf_free(&s->said);
	s->said = kept;
}

/* The object failed as a whole, so every program that is left failed. */
static int fail_all(struct asking *a, int code)
{
	const char *said = bl_buf_str(&a->session->said);
	char why[WHY_MAX];
	struct bl_vlog_case c = {
		.code = code, .log = "", .messages = said, .type_known = -1
	};
	enum bl_load_status status = bl_vlog_classify(&c, why, sizeof(why));
	size_t i;

	if (code == -EINVAL || code == -E2BIG || code == -ENOMEM)
		blame_map(a, code, &status, why, sizeof(why));
	for (i = 0; i < a->facts->program_count; i++) {
		struct bl_facts_program *p = &a->facts->programs[i];

		if (!a->on[i])
			continue;
		p->load = status;
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
static int accept_until(struct asking *a, size_t end, bool all)
{
	struct bl_vlog v;
	size_t i;
	int r;

	for (i = 0; i < end; i++) {
		if (!a->on[i])
			continue;
		bl_vlog_read(a->logs[i], &v);
		if (!all && (!v.effort.insns || v.reason[0]))
			continue;
		r = note_success(&a->facts->programs[i], a->logs[i]);
		if (r < 0)
			return r;
		a->on[i] = false;
	}
	return 0;
}

/* A program whose hook is not there never reaches the kernel: libbpf's own
 * words are all that there is to know. */
static bool hookless(const struct asking *a, size_t index, int code)
{
	return code == -ESRCH && !a->logs[index][0] &&
	       strstr(bl_buf_str(&a->session->said), no_hook);
}

/* Notes all others that are on and have no hook, each of which would cost a
 * load of the whole object. */
static int note_hookless(struct asking *a)
{
	BL_CLEANUP(close_object)
	struct bpf_object *obj = bl_session_fresh(a->session, NULL);
	struct bpf_program *prog;
	char name[256], said[512];
	size_t i = 0;
	int r = 0;

	if (!obj)
		return errno ? -errno : -EINVAL;
	bpf_object__for_each_program (prog, obj) {
		if (r == 0 && a->on[i] &&
		    bl_hooks_lack(prog, name, sizeof(name))) {
			/* As libbpf says it. */
			snprintf(said, sizeof(said), "prog '%s': %s'%s': %d",
				 bpf_program__name(prog), no_hook, name,
				 -ESRCH);
			a->on[i] = false;
			r = note_failure(&a->facts->programs[i], -ESRCH, -1, "",
					 said);
		}
		i++;
	}
	return r;
}

/* What failed is explained later, unless all is known of it now. */
static int refuse(struct asking *a, size_t index, int code)
{
	int r;

	if (!hookless(a, index, code)) {
		a->failed[index] = code;
		return 0;
	}
	r = note_failure(&a->facts->programs[index], code, -1, "",
			 bl_buf_str(&a->session->said));
	return r < 0 ? r : note_hookless(a);
}

/*
 * All at once. libbpf loads programs one after the other and stops at the first
 * that fails: those before it are good, it is marked as failed, and those
 * behind it are tried again.
 */
static int load_together(struct asking *a)
{
	size_t count = a->facts->program_count;
	struct bpf_object **obj = &a->session->object;
	long bad;
	int r;

	/* Each turn but the last switches one program off. */
	while (memchr(a->on, true, count * sizeof(*a->on))) {
		r = load_on(a, obj, &bad);
		if (r == 0)
			return accept_until(a, count, true);
		if (bad < 0)
			return fail_all(a, r);
		a->on[bad] = false;
		r = refuse(a, (size_t)bad, r);
		if (r == 0)
			r = accept_until(a, (size_t)bad, false);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One program with the large log. */
static int load_alone(struct asking *a, size_t index, unsigned level,
		      size_t size, int *ret_known)
{
	BL_CLEANUP(close_object)
	struct bpf_object *obj = bl_session_fresh(a->session, NULL);
	struct bpf_program *prog;
	size_t i = 0;
	int r;

	*ret_known = -1;
	if (!obj)
		return errno ? -errno : -EINVAL;
	a->large[0] = '\0';
	bpf_object__for_each_program (prog, obj)
		bpf_program__set_autoload(prog, i++ == index);
	prog = program_at(obj, index);
	bpf_program__set_log_level(prog, level);
	bpf_program__set_log_buf(prog, a->large, size);
	r = bpf_object__load(obj);
	if (r == -EINVAL && !a->large[0])
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
	return v.effort.insns && v.reason[0];
}

/* Only the pages that a log really fills cost memory. */
static int map_large(struct asking *a)
{
	void *p;

	if (a->large)
		return 0;
	p = mmap(NULL, LOG_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	a->large = p;
	return 0;
}

/* Once more, for the log that says why. */
static int explain(struct asking *a, size_t index)
{
	struct bl_facts_program *p = &a->facts->programs[index];
	bl_autofree char *kept = NULL;
	int known, code;

	if (map_large(a) < 0)
		return -ENOMEM;
	code = load_alone(a, index, LOG_FULL, LOG_LARGE, &known);
	/* Linux 5.18 to 6.3 takes a larger log; before, this is -EINVAL. */
	if (code == -ENOSPC && !says_why(a->large))
		load_alone(a, index, LOG_FULL, LOG_HUGE, &known);
	/* A full log fails a load that may be good. Without instructions the
	 * log always fits and the answer is the kernel's own. */
	if (code == -ENOSPC) {
		if (says_why(a->large))
			kept = strdup(
				bl_vlog_tail(a->large, SIZE_MAX, LOG_KEPT));
		code = load_alone(a, index, LOG_STATS, LOG_LARGE, &known);
	}
	if (code == 0)
		return note_success(p, a->large);
	return note_failure(p, code, known, kept ? kept : a->large,
			    bl_buf_str(&a->session->said));
}

static bool holds_all(const struct asking *a)
{
	struct bpf_program *prog;
	size_t i = 0;

	if (!a->session->object)
		return false;
	bpf_object__for_each_program (prog, a->session->object)
		if (a->facts->programs[i++].load == BL_LOAD_ACCEPTED &&
		    bpf_program__fd(prog) < 0)
			return false;
	return true;
}

/* Leaves loaded together what was accepted in turns. That each loads is known;
 * if they do not together, nothing stays and the later steps say so. */
static int load_accepted(struct asking *a)
{
	struct bl_session *s = a->session;
	size_t i;
	long bad;

	if (s->only_load)
		return 0;
	if (!bl_facts_loads(a->facts) || !holds_all(a)) {
		bpf_object__close(s->object);
		s->object = NULL;
	}
	if (!bl_facts_loads(a->facts) || s->object)
		return 0;
	for (i = 0; i < a->facts->program_count; i++)
		a->on[i] = a->facts->programs[i].load == BL_LOAD_ACCEPTED;
	if (memchr(a->on, true, a->facts->program_count * sizeof(*a->on)))
		load_on(a, &s->object, &bad);
	return 0;
}

static int note_maps(struct asking *a)
{
	struct bpf_object *obj = a->session->object;
	struct bl_facts *f = a->facts;
	struct bpf_map *map;
	size_t count = 0;

	if (!obj)
		return 0;
	bpf_object__for_each_map (map, obj)
		count++;
	f->maps = calloc(count + 1, sizeof(*f->maps));
	if (!f->maps)
		return -ENOMEM;
	bpf_object__for_each_map (map, obj) {
		struct bl_facts_map *m = &f->maps[f->map_count++];

		m->name = strdup(bpf_map__name(map));
		if (!m->name)
			return -ENOMEM;
		m->bytes = bl_memory_told(bpf_map__fd(map));
	}
	return 0;
}

static int fill(struct bl_session *s, struct bl_err *err)
{
	if (!s->object || !s->sensor || !s->part.content)
		return 0;
	return bl_sensor_fill(s->object, s->part.content, err);
}

static int ask(struct asking *a, struct bl_err *err)
{
	struct bl_session *s = a->session;
	BL_CLEANUP(close_object)
	struct bpf_object *obj = bl_session_fresh(s, &a->facts->notes);
	char said[BL_VLOG_LINE_MAX];
	size_t explained = 0, i;
	int r;

	if (!obj) {
		r = errno ? -errno : -EINVAL;
		bl_vlog_said(bl_buf_str(&s->said), said, sizeof(said));
		if (!*said)
			return bl_err_errno(err, r, "libbpf cannot open %s",
					    s->part.name);
		return bl_err_set(err, r, "libbpf cannot open %s: %s",
				  s->part.name, said);
	}
	r = list_programs(a, obj);
	if (r == 0)
		r = load_together(a);
	for (i = 0; r == 0 && i < a->facts->program_count; i++) {
		if (!a->failed[i])
			continue;
		if (explained < EXPLAINED_MAX || !says_why(a->logs[i]))
			r = explain(a, i);
		else
			r = note_failure(&a->facts->programs[i], a->failed[i],
					 -1, a->logs[i], "");
		explained++;
	}
	if (r == 0)
		r = load_accepted(a);
	if (r == 0)
		r = note_maps(a);
	if (r < 0)
		return bl_err_errno(err, r, "verifying %s", s->part.name);
	r = fill(s, err);
	return r < 0 ? bl_err_wrap(err, r, "verifying %s", s->part.name) : 0;
}

int bl_session_load(struct bl_session *s, struct bl_facts *facts,
		    struct bl_err *err)
{
	BL_CLEANUP(asking_free)
	struct asking a = { .session = s, .facts = facts };
	int r = ask(&a, err);

	bl_messages_end();
	return r;
}
