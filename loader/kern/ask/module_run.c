/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/module_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/content.h"
#include "kmod/abi.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/selftest.h"
#include "loader/kern/ask/listen.h"
#include "loader/kern/exercise.h"
#include "loader/kern/kmod/kmod.h"
#include "loader/kern/kmod/kmod_ring.h"
#include "loader/kern/kmsg.h"

#define LEAVES	     2 /* out and in again */
#define AFTER_ROUNDS 3 /* of a little work, each time it is out */
#define TEXT_MAX     (4u << 20)
#define PARAMS_MAX   64
#define HOOKS	     "which functions have an ftrace hook"
#define USABLE	     "whether the machine can be used with it"

struct run {
	const struct bl_probe *probe;
	struct bl_facts facts;
	struct bl_facts_program *program; /* the one of facts */
	struct bl_kmod_reader *reader;
	struct bl_stats before;
	/* How often its hooks ran and for how long, and a run's time in each
	 * round. */
	uint64_t runs, ns;
	uint64_t samples[BL_LISTEN_ROUNDS * BL_LISTEN_SCALE_MAX];
	unsigned sample_count;
	struct bl_buf functions; /* that had ftrace hooks before */
	uint64_t kernel_kib;	 /* what the kernel had for itself before */
	uint64_t begun_kib;	 /* and when the workload began */
	bool usable;		 /* the machine was, before */
	int kmsg_fd;
	struct bl_kern_splats splats; /* since the last watch() */
};

/* --- what the machine is like --------------------------------------------- */

/* Memory that is neither free nor a process's nor a file's. 0: not known. */
static uint64_t kernel_kib(void)
{
	static const char *const not_its[] = { "MemFree",      "Buffers",
					       "Cached",       "SwapCached",
					       "SReclaimable", "AnonPages" };
	bl_autobuf struct bl_buf text = { 0 };
	unsigned long long total = 0, other = 0, v;
	char name[32];

	if (bl_file_read("/proc/meminfo", TEXT_MAX, &text, NULL))
		return 0;
	for (const char *at = bl_buf_str(&text); at && *at;) {
		if (sscanf(at, "%31[^:]: %llu", name, &v) == 2) {
			if (!strcmp(name, "MemTotal"))
				total = v;
			for (size_t i = 0; i < BL_ARRAY_SIZE(not_its); i++)
				if (!strcmp(name, not_its[i]))
					other += v;
		}
		at = strchr(at, '\n');
		at += at != NULL;
	}
	return total > other ? total - other : 0;
}

/* Adds @what to what could not be looked at. */
static int note_unseen(char **to, const char *what, const char *why,
		       struct bl_err *err)
{
	char *all = bl_path("%s%s%s: %s", *to ? *to : "", *to ? "; " : "", what,
			    why);

	if (!all)
		return bl_err_set(err, -ENOMEM, "out of memory");
	free(*to);
	*to = all;
	return 0;
}

/* Which functions have ftrace hooks, one a line. */
static int hooked_functions(struct bl_buf *ret, struct bl_err *err)
{
	static const char *const paths[] = {
		"/sys/kernel/debug/tracing/enabled_functions",
		"/sys/kernel/tracing/enabled_functions",
	};
	int r = -ENOENT;

	for (size_t i = 0; r && i < BL_ARRAY_SIZE(paths); i++)
		r = bl_file_read(paths[i], TEXT_MAX, ret, err);
	return r;
}

static bool has_line_of(const char *text, const char *word, size_t len)
{
	for (; text && *text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (!strncmp(text, word, len) && text[len] == ' ')
			return true;
	}
	return false;
}

/* A function that has a hook which it had not before. */
static int left_hook(struct run *run, struct bl_facts_swap *s,
		     struct bl_err *err)
{
	bl_autobuf struct bl_buf now = { 0 };
	struct bl_err why = { 0 };

	if (s->left_behind || s->unseen)
		return 0;
	if (hooked_functions(&now, &why))
		return note_unseen(&s->unseen, HOOKS, why.text, err);
	for (const char *at = bl_buf_str(&now); at && *at;) {
		size_t len = strcspn(at, " \n");

		if (len && !has_line_of(bl_buf_str(&run->functions), at, len)) {
			s->left_behind = strndup(at, len);
			return s->left_behind ? 0
					      : bl_err_set(err, -ENOMEM,
							   "out of memory");
		}
		at = strchr(at, '\n');
		at += at != NULL;
	}
	return 0;
}

/* A CPU that stands still in the kernel for 20 s panics. */
static void panic_when_stuck(void)
{
	bl_autoclose int fd =
		open("/proc/sys/kernel/softlockup_panic", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

/* --- the kernel's log ----------------------------------------------------- */

/* Splats count from here on. */
static int watch(struct run *run, struct bl_err *err)
{
	run->splats = (struct bl_kern_splats){ 0 };
	return bl_kmsg_scan(&run->kmsg_fd, &run->splats, err);
}

/* Adds those since watch(). The log may be what a bad module does not let us
 * read, and whatever came before that is known then. */
static void note_splats(struct run *run, unsigned *count, char **first)
{
	bl_kmsg_scan(&run->kmsg_fd, &run->splats, NULL);
	*count += run->splats.count;
	if (!run->splats.count || *first)
		return;
	*first = strdup(run->splats.first);
}

static int set_text(char **to, const char *text, struct bl_err *err)
{
	free(*to);
	*to = strdup(text);
	return *to ? 0 : bl_err_set(err, -ENOMEM, "out of memory");
}

/* --- steps ---------------------------------------------------------------- */

static bool denies(const struct bl_probe *p)
{
	const struct bl_content_hdr *hdr = p->now.content;

	return hdr && hdr->deny_count;
}

/* In, without its hooks, with its content. */
static int insert(struct run *run, struct bl_err *err)
{
	const struct bl_probe_part *part = &run->probe->now;
	char params[PARAMS_MAX];
	int r;

	snprintf(params, sizeof(params), "arm=0 generation=%u%s",
		 part->generation, denies(run->probe) ? " deny=1" : "");
	r = bl_kmod_load(run->probe->module, params, err);
	if (r || !part->content)
		return r;
	return bl_kmod_content(part->content, part->content_len, err);
}

static bool is_refusal(int r)
{
	return r == -EPERM || r == -EKEYREJECTED || r == -ENOKEY;
}

/* What the machine is like without it. */
static int look_before(struct run *run, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r = 0;

	run->kernel_kib = kernel_kib();
	run->usable = bl_selftest(NULL, &why) == 0;
	if (!run->usable)
		r = note_unseen(&run->facts.exercise.unseen,
				USABLE ", for it could not be before", why.text,
				err);
	if (!r && hooked_functions(&run->functions, &why))
		r = note_unseen(&run->facts.swap.unseen, HOOKS, why.text, err);
	return r;
}

static int load(struct run *run, struct bl_err *err)
{
	struct bl_facts_program *p = run->program;
	struct bl_err why = { 0 };
	int r;

	panic_when_stuck();
	r = look_before(run, err);
	if (!r)
		r = watch(run, err);
	if (r)
		return r;
	r = insert(run, &why);
	p->load = !r		  ? BL_LOAD_ACCEPTED
		  : is_refusal(r) ? BL_LOAD_REFUSED
				  : BL_LOAD_REJECTED;
	p->code = r;
	return set_text(&p->why, r ? why.text : "", err);
}

static int attach(struct run *run, struct bl_err *err)
{
	struct bl_facts_program *p = run->program;
	struct bl_err why = { 0 };
	int r;

	p->swap = BL_SWAP_NONE;
	if (p->load != BL_LOAD_ACCEPTED)
		return set_text(&p->attach_why, "it is not loaded", err);
	r = bl_kmod_arm(true, &why);
	p->attach = r ? BL_ATTACH_FAILED : BL_ATTACH_DONE;
	note_splats(run, &run->facts.exercise.splats,
		    &run->facts.exercise.first_splat);
	return set_text(&p->attach_why, r ? why.text : "", err);
}

static int drain(void *ctx, bl_event_fn fn, void *arg, struct bl_err *err)
{
	struct run *run = ctx;
	int r = bl_kmod_reader_events(run->reader, 0, fn, arg, err);

	return r < 0 && r != -EINTR ? r : 0;
}

static int go(void *ctx, struct bl_err *err)
{
	struct run *run = ctx;
	int r = bl_kmod_time(true, err);

	if (!r)
		r = bl_kmod_times(&run->runs, &run->ns, err);
	run->begun_kib = kernel_kib();
	return r ? r : bl_kmod_stats(&run->before, err);
}

/* A round is over: what a run took in it. */
static int sample(void *ctx, struct bl_err *err)
{
	struct run *run = ctx;
	uint64_t runs, ns;
	int r = bl_kmod_times(&runs, &ns, err);

	if (r)
		return r;
	if (runs > run->runs && run->sample_count < BL_ARRAY_SIZE(run->samples))
		run->samples[run->sample_count++] =
			(ns - run->ns) / (runs - run->runs);
	run->program->runs += runs - run->runs;
	run->program->run_ns += ns - run->ns;
	run->runs = runs;
	run->ns = ns;
	return 0;
}

static int counters(struct run *run, struct bl_facts_exercise *x,
		    struct bl_err *err)
{
	struct bl_stats now;
	int r = bl_kmod_stats(&now, err);

	if (r)
		return r;
	x->seen = now.seen - run->before.seen;
	x->emitted = now.emitted - run->before.emitted;
	x->dropped = now.dropped - run->before.dropped;
	x->torn = now.torn - run->before.torn;
	x->denied = now.denied - run->before.denied;
	x->ns_per_run = bl_listen_median(run->samples, run->sample_count);
	return 0;
}

static int memory_of(const struct run *run, struct bl_facts_exercise *x,
		     struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 };
	uint64_t now = kernel_kib();

	if (!bl_file_read("/sys/module/" BL_KMOD_NAME "/coresize", 64, &text,
			  NULL))
		x->prog_bytes = strtoull(bl_buf_str(&text), NULL, 10);
	if (!now || !run->kernel_kib || !run->begun_kib)
		return note_unseen(&x->unseen, "what memory its kernel took",
				   "/proc/meminfo does not tell", err);
	if (now > run->kernel_kib)
		x->map_bytes = (now - run->kernel_kib) * 1024;
	if (now > run->begun_kib)
		x->grown_bytes = (now - run->begun_kib) * 1024;
	return 0;
}

static int measure(struct run *run, struct bl_facts_exercise *x,
		   struct bl_err *err)
{
	struct bl_listen_source source = {
		.content = run->probe->now.content,
		.generation = run->probe->now.generation,
		.drain = drain,
		.go = go,
		.round = sample,
		.ctx = run,
	};
	int r = bl_kmod_reader_open(&run->reader, err);

	if (r)
		return r;
	source.fd = bl_kmod_reader_fd(run->reader);
	r = bl_listen(&source, run->probe->scale, x, err);
	if (!r)
		r = counters(run, x, err);
	return r ? r : memory_of(run, x, err);
}

/* What could be done before and cannot be done now is the module's doing. */
static int still_usable(struct run *run, struct bl_facts_exercise *x,
			struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r = run->usable ? bl_selftest(NULL, &why) : 0;

	if (!r)
		return 0;
	return r == -EAGAIN ? note_unseen(&x->unseen, USABLE, why.text, err)
			    : set_text(&x->broken, why.text, err);
}

static int exercise(struct run *run, struct bl_err *err)
{
	struct bl_facts_exercise *x = &run->facts.exercise;
	struct bl_err why = { 0 };
	int r, e;

	x->sensor = true;
	r = run->program->attach == BL_ATTACH_DONE
		    ? measure(run, x, &why)
		    : bl_err_set(&why, -ENOENT, "its hooks are not in");
	e = r == -ENOMEM ? r : still_usable(run, x, err);
	bl_kmod_reader_close(BL_TAKE(run->reader));
	if (e)
		return e;
	x->ran = r == 0;
	return set_text(&x->why_not, r ? why.text : "", err);
}

/* Out with its hooks in, which is how a version makes room. */
static int out(struct run *run, struct bl_facts_swap *s, struct bl_err *err)
{
	int r = bl_kmod_unload(err);

	for (unsigned i = 0; !r && i < AFTER_ROUNDS; i++)
		r = bl_exercise(err);
	return r ? r : left_hook(run, s, err);
}

static int out_and_in(struct run *run, struct bl_facts_swap *s,
		      struct bl_err *err)
{
	uint64_t start, took;
	int r = out(run, s, err);

	if (r)
		return r;
	start = bl_clock_mono_ms();
	r = insert(run, err);
	if (!r)
		r = bl_kmod_arm(true, err);
	if (r)
		return bl_err_wrap(err, r, "in again");
	took = bl_clock_mono_ms() - start;
	s->worst_ms = took > s->worst_ms ? took : s->worst_ms;
	s->switches++;
	return bl_exercise(err);
}

static int leave(struct run *run, struct bl_err *err)
{
	struct bl_facts_swap *s = &run->facts.swap;
	struct bl_err why = { 0 };
	int r = watch(run, err);

	if (r)
		return r;
	/* One that makes its machine unusable may not let us do that either. */
	r = bl_kmod_loaded() ? bl_kmod_arm(false, &why)
			     : bl_err_set(&why, -ENOENT, "it is not loaded");
	if (!r)
		r = bl_kmod_arm(true, &why);
	for (unsigned i = 0; !r && i < LEAVES; i++)
		r = out_and_in(run, s, &why);
	if (!r)
		r = out(run, s, &why);
	note_splats(run, &s->splats, &s->first_splat);
	s->ran = r == 0;
	return set_text(&s->why_not, r ? why.text : "", err);
}

static int (*const steps[BL_PROBE_STEPS])(struct run *, struct bl_err *) = {
	[BL_PROBE_LOAD] = load,
	[BL_PROBE_ATTACH] = attach,
	[BL_PROBE_EXERCISE] = exercise,
	[BL_PROBE_SWAP] = leave,
};

/* Whatever became of it, it does not stay: a machine on which it refuses
 * everything could not even be switched off. */
static void run_free(struct run *run)
{
	bl_kmod_reader_close(run->reader);
	if (bl_kmod_loaded())
		bl_kmod_unload(NULL);
	if (run->kmsg_fd >= 0)
		close(run->kmsg_fd);
	bl_buf_free(&run->functions);
	bl_facts_free(&run->facts);
}

/* The module as the one program of the facts. */
static int name_it(struct run *run, struct bl_err *err)
{
	const char *slash = strrchr(run->probe->module, '/');
	struct bl_facts_program *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return bl_err_set(err, -ENOMEM, "out of memory");
	p->insn = -1;
	run->facts.programs = run->program = p;
	run->facts.program_count = 1;
	r = set_text(&p->name, BL_KMOD_NAME, err);
	return r ? r
		 : set_text(&p->section, slash ? slash + 1 : run->probe->module,
			    err);
}

int bl_module_probe(const struct bl_probe *p, struct bl_err *err)
{
	BL_CLEANUP(run_free) struct run run = { .probe = p, .kmsg_fd = -1 };
	int r = name_it(&run, err);

	for (unsigned step = 0; !r && step <= p->last; step++) {
		r = steps[step](&run, err);
		if (!r)
			r = p->told(p->ctx, step, &run.facts, err);
	}
	return r;
}
