/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmod/kern_kmod.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/content.h"
#include "kmod/abi.h"
#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/kern/kmod/kmod_choose.h"
#include "loader/kern/kmod/kmod_left.h"
#include "loader/kern/kmod/kmod_slot.h"
#include "loader/kern/sensor.h"
#include "loader/object/carry.h"

/* Its readers let go of it once its hooks are out. */
#define UNLOAD_TRIES	1000
#define UNLOAD_PAUSE_MS 3

/* Between two looks at a module that is not in the kernel. */
#define AWAY_MS 50

struct bl_kern_kmod {
	char *dir;
	const struct bl_kmod_kernel *kernel;
	void *ctx;
	void *reader; /* of whoever waits for events; NULL */
	struct bl_kmod_left left[BL_SLOT_COUNT];
	/* When this process took hooks out and none came in since, and how long
	 * that was when a slot's came: nobody else can tell. */
	bool silent;
	uint64_t silent_us;
	uint64_t gap_us[BL_SLOT_COUNT];
	uint64_t slabs; /* before this process put one in; 0: it did not */
};

static enum bl_slot other_of(enum bl_slot slot)
{
	return slot == BL_SLOT_A ? BL_SLOT_B : BL_SLOT_A;
}

/* --- looking -------------------------------------------------------------- */

/* What the slots hold, and which of them is in the kernel. */
struct view {
	struct bl_kmod_now now;
	struct bl_kmod_slot slot[BL_SLOT_COUNT];
	bool has[BL_SLOT_COUNT];
	int in; /* a slot; -1: none, or a module that is in no slot */
};

static bool is_in(const struct bl_kmod_slot *s, const struct bl_kmod_now *now)
{
	return now->loaded && s->number == now->generation &&
	       (!*now->tag || !strcmp(s->tag, now->tag));
}

static int look(const struct bl_kern_kmod *k, struct view *ret,
		struct bl_err *err)
{
	struct view v = { .in = -1 };
	int r = k->kernel->now(k->ctx, &v.now, err);

	for (int i = 0; r >= 0 && i < BL_SLOT_COUNT; i++) {
		r = bl_kmod_slot_read(k->dir, (enum bl_slot)i, &v.slot[i], err);
		v.has[i] = r > 0;
		if (v.has[i] && is_in(&v.slot[i], &v.now))
			v.in = i;
	}
	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

static bool is_live(const struct view *v, enum bl_slot slot)
{
	return v->in == (int)slot && v->now.armed;
}

static int stranger(const struct view *v, struct bl_err *err)
{
	if (!v->now.loaded || v->in >= 0)
		return 0;
	bl_err_set(err, -EEXIST,
		   "a module called " BL_KMOD_NAME
		   " is in this kernel that belay did not load");
	bl_err_hint(err, "take it out: rmmod " BL_KMOD_NAME);
	return -EEXIST;
}

int bl_kern_kmod_has(const struct bl_kern_kmod *k, enum bl_slot slot,
		     struct bl_err *err)
{
	struct bl_kmod_slot s;

	return bl_kmod_slot_read(k->dir, slot, &s, err);
}

bool bl_kern_kmod_reads(const struct bl_kern_kmod *k, enum bl_slot slot)
{
	return bl_kmod_left_any(&k->left[slot]) ||
	       bl_kern_kmod_has(k, slot, NULL) > 0;
}

/* --- one slot, told ------------------------------------------------------- */

/* Its hooks may not sleep, and to hash a file may take that. */
static int no_sums(struct bl_err *err)
{
	return bl_err_set(
		err, -EOPNOTSUPP,
		"its content has sha256 rules, and a module hashes no files: they could never match (give this host content without them)");
}

static int check(void *kern, const struct bl_generation *gen,
		 struct bl_err *err)
{
	const struct bl_kern_kmod *k = kern;
	const struct bl_kern_module *ko;
	struct bl_kmod_facts facts = { 0 };
	struct bl_modfile m;
	struct view v;
	int r = bl_kmod_slot_check(k->dir, err);

	if (!r)
		r = look(k, &v, err);
	if (r)
		return r;
	if (stranger(&v, err))
		return -EOPNOTSUPP; /* as things are; nothing was touched */
	if (gen->content_len >= sizeof(struct bl_content_hdr) &&
	    bl_sensor_sums(gen->content))
		return no_sums(err);
	k->kernel->facts(k->ctx, &facts);
	r = bl_kmod_choose(gen, facts.release, &ko, &m, err);
	return r ? r : bl_kmod_foresee(&facts, &m, ko->file, err);
}

static struct bl_kern_staged programs_of(const struct bl_kmod_slot *s)
{
	struct bl_kern_staged staged = { .count = 1, .sensor = true };
	struct bl_kern_program *p = &staged.program[0];

	p->strategy = BL_STRATEGY_EXCHANGE;
	p->lease = s->denies ? BL_LEASE_KEPT : BL_LEASE_NONE;
	snprintf(p->name, sizeof(p->name), "%s", BL_KMOD_NAME);
	snprintf(p->hook, sizeof(p->hook), "kernel module");
	memcpy(p->tag, s->tag, sizeof(p->tag));
	return staged;
}

static int inspect(void *kern, enum bl_slot slot,
		   struct bl_kern_slot_state *ret, struct bl_err *err)
{
	const struct bl_kern_kmod *k = kern;
	struct bl_kern_slot_state s = { .kind = BL_KERN_SLOT_EMPTY };
	struct view v;
	int r = look(k, &v, err);

	if (r)
		return r;
	if (v.has[slot]) {
		s.kind = BL_KERN_SLOT_STAGED;
		s.programs = programs_of(&v.slot[slot]);
		s.gap_us = k->gap_us[slot];
	}
	if (is_live(&v, slot)) {
		s.kind = BL_KERN_SLOT_ATTACHED;
		s.attached = s.persisted = 1;
		if (v.slot[slot].denies)
			r = k->kernel->lease_left(k->ctx, &s.verdict_left_ms,
						  err);
	}
	if (!r)
		*ret = s;
	return r;
}

static int stage(void *kern, enum bl_slot slot, const struct bl_generation *gen,
		 struct bl_kern_staged *ret, struct bl_err *err)
{
	struct bl_kern_kmod *k = kern;
	struct bl_kmod_slot s = { .number = gen->number,
				  .denies = gen->denies };
	const struct bl_kern_module *ko;
	struct bl_kmod_facts facts = { 0 };
	struct bl_modfile m;
	int r;

	k->kernel->facts(k->ctx, &facts);
	r = bl_kmod_choose(gen, facts.release, &ko, &m, err);
	if (r)
		return r;
	memcpy(s.tag, m.tag, sizeof(s.tag));
	bl_kmod_left_free(&k->left[slot]);
	k->silent = false; /* of whatever came before */
	r = bl_kmod_slot_make(k->dir, slot, &s, ko, gen, err);
	if (!r)
		*ret = programs_of(&s);
	return r;
}

/* --- out and in ----------------------------------------------------------- */

static void let_go(struct bl_kern_kmod *k)
{
	if (k->reader)
		k->kernel->close(k->ctx, k->reader);
	k->reader = NULL;
}

/* What is in its rings and nobody has read. Another reader takes it; and
 * reporting never decides. */
static void keep_left(struct bl_kern_kmod *k, int slot)
{
	if (slot < 0)
		return;
	if (k->reader || !k->kernel->open(k->ctx, &k->reader, NULL))
		k->kernel->read(k->ctx, k->reader, 0, bl_kmod_left_add,
				&k->left[slot], NULL);
	let_go(k);
}

static int still_read(const struct bl_kern_kmod *k, struct bl_err *err)
{
	char who[BL_GUARD_WORDS_LEN];

	k->kernel->holder(k->ctx, who);
	return bl_err_set(
		err, -EBUSY,
		"module " BL_KMOD_NAME
		": not unloaded: %s reads its events, and did not let go when they ended",
		*who ? who : "somebody");
}

static int unload(struct bl_kern_kmod *k, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r = k->kernel->unload(k->ctx, &why);

	for (int i = 0; r == -EBUSY && i < UNLOAD_TRIES; i++) {
		k->kernel->sleep_ms(k->ctx, UNLOAD_PAUSE_MS);
		r = k->kernel->unload(k->ctx, &why);
	}
	if (r == -EBUSY)
		return still_read(k, err);
	if (r && err)
		*err = why;
	return r;
}

/* Hooks first: from there on nothing of it runs. */
static int take_out(struct bl_kern_kmod *k, const struct view *v,
		    struct bl_err *err)
{
	uint64_t since = k->kernel->clock_us(k->ctx);
	int r = v->now.armed ? k->kernel->arm(k->ctx, false, err) : 0;

	if (r)
		return r;
	if (v->now.armed) {
		k->silent = true;
		k->silent_us = since;
	}
	keep_left(k, v->in);
	r = unload(k, err);
	/* A hook that it left is called now, and the host goes down with its name
	 * on record. Later, another's code may lie where its own was. */
	if (!r)
		k->kernel->stir(k->ctx);
	return r;
}

static int give_content(struct bl_kern_kmod *k, enum bl_slot slot,
			struct bl_err *err)
{
	bl_autofree char *path =
		bl_kmod_slot_path(k->dir, slot, BL_KMOD_SLOT_CONTENT);
	bl_autobuf struct bl_buf bin = { 0 };
	struct bl_err why = { 0 };
	int r = path ? bl_file_read(path, BL_KMOD_CONTENT_MAX, &bin, &why)
		     : bl_err_errno(&why, -ENOMEM, "content");

	if (r == -ENOENT)
		return 0;
	if (!r)
		r = k->kernel->content(k->ctx, bin.data, bin.len, &why);
	if (r && err)
		*err = why;
	return r;
}

/* What is loaded and silent, however far whoever loaded it came. */
static int call_it(struct bl_kern_kmod *k, enum bl_slot slot,
		   const struct bl_kmod_slot *s, bool timed, struct bl_err *err)
{
	int r = give_content(k, slot, err);

	if (!r && timed)
		r = k->kernel->time(k->ctx, true, err);
	/* What is not meant to refuse has no time to do so by mistake. */
	if (!r)
		r = k->kernel->lease(
			k->ctx, s->denies ? BL_KERN_VERDICT_LEASE_MS : 0, err);
	if (!r)
		r = k->kernel->arm(k->ctx, true, err);
	if (!r && k->silent)
		k->gap_us[slot] = k->kernel->clock_us(k->ctx) - k->silent_us;
	if (!r)
		k->silent = false;
	return r;
}

/* All of it, or nothing is in the kernel. */
static int put_in(struct bl_kern_kmod *k, enum bl_slot slot,
		  const struct bl_kmod_slot *s, bool timed, struct bl_err *err)
{
	bl_autofree char *path =
		bl_kmod_slot_path(k->dir, slot, BL_KMOD_SLOT_KO);
	char params[64];
	int r;

	if (!path)
		return bl_err_errno(err, -ENOMEM, "module");
	snprintf(params, sizeof(params), "arm=0 generation=%u deny=%d",
		 s->number, s->denies);
	k->slabs = k->kernel->slabs(k->ctx);
	r = k->kernel->load(k->ctx, path, params, err);
	if (r)
		return r;
	snprintf(params, sizeof(params), BL_KMOD_SAID "\n", s->number);
	k->kernel->say(k->ctx, params);
	r = call_it(k, slot, s, timed, err);
	if (r)
		unload(k, NULL);
	return r;
}

static int attach(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct bl_kern_kmod *k = kern;
	struct view v;
	int r = look(k, &v, err);

	k->gap_us[slot] = 0;
	if (!r && !v.has[slot])
		r = bl_err_set(err, -EINVAL, "attach: nothing was staged");
	if (!r)
		r = stranger(&v, err);
	if (!r)
		r = bl_kmod_slot_tried(k->dir, slot, err);
	if (!r && v.now.loaded)
		r = take_out(k, &v, err);
	if (!r)
		r = put_in(k, slot, &v.slot[slot], true, err);
	return r;
}

static int renew(void *kern, enum bl_slot slot, uint64_t trial_ms,
		 uint64_t verdict_ms, struct bl_err *err)
{
	struct bl_kern_kmod *k = kern;
	struct view v;
	int r = look(k, &v, err);

	/* Of a trial there is none to renew: it lasts until it is retired. */
	(void)trial_ms;
	if (r || !verdict_ms || !is_live(&v, slot) || !v.slot[slot].denies)
		return r;
	return k->kernel->lease(k->ctx, verdict_ms, err);
}

static int persist(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct bl_kern_kmod *k = kern;
	struct view v;
	int r = look(k, &v, err);

	if (r)
		return r;
	if (!is_live(&v, slot))
		return bl_err_set(err, -ENOENT,
				  "the module is not in the kernel any more");
	r = k->kernel->time(k->ctx, false, err);
	return r ? r : renew(k, slot, 0, BL_KERN_VERDICT_LEASE_MS, err);
}

/* The other one back in, if it was in before and nothing else is. */
static int put_back(struct bl_kern_kmod *k, enum bl_slot slot,
		    const struct view *v, struct bl_err *err)
{
	const struct bl_kmod_slot *s = &v->slot[slot];

	if (!v->has[slot] || !s->tried || is_live(v, slot))
		return 0;
	/* It could not be taken out, or whoever put it in died over it. */
	if (v->now.loaded)
		return v->in == (int)slot ? call_it(k, slot, s, false, err) : 0;
	return put_in(k, slot, s, false, err);
}

/* It failed, so its hooks stay out; and under its name no other can come. */
static int none_is_in(const struct bl_err *why, struct bl_err *err)
{
	return bl_err_set(
		err, why->code,
		"no sensor is called: %s; let it go on (kill -CONT) or end it, then 'belay recover'",
		why->text);
}

static int retire(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct bl_kern_kmod *k = kern;
	enum bl_slot other = other_of(slot);
	struct bl_err why = { 0 };
	struct view v;
	int r = look(k, &v, err);
	bool out;

	k->gap_us[slot] = k->gap_us[other] = 0;
	if (r)
		return r;
	out = v.in == (int)slot;
	if (out)
		r = take_out(k, &v, &why);
	if (r == -EBUSY)
		return none_is_in(&why, err);
	if (r && err)
		*err = why;
	if (r)
		return r;
	if (out)
		v.now.loaded = false;
	r = put_back(k, other, &v, err);
	if (r)
		return r;
	return bl_kmod_slot_drop(k->dir, slot, err);
}

int bl_kern_kmod_leave(struct bl_kern_kmod *k, struct bl_err *err)
{
	struct view v;
	int r = look(k, &v, err);

	if (!r && v.in >= 0)
		r = take_out(k, &v, err);
	for (int i = 0; !r && i < BL_SLOT_COUNT; i++)
		r = bl_kmod_slot_drop(k->dir, (enum bl_slot)i, err);
	return r;
}

/* --- asking --------------------------------------------------------------- */

static int map(void *kern, enum bl_slot slot, const char *name,
	       struct bl_map_fact *ret, struct bl_err *err)
{
	(void)kern;
	(void)slot;
	(void)name;
	(void)err;
	*ret = (struct bl_map_fact){ .state = BL_MAP_GONE };
	return 0;
}

static uint64_t grown(const struct bl_kern_kmod *k)
{
	uint64_t now = k->slabs ? k->kernel->slabs(k->ctx) : 0;

	return now > k->slabs ? now - k->slabs : 0;
}

static int sample(void *kern, enum bl_slot slot, struct bl_kern_sample *ret,
		  struct bl_err *err)
{
	struct bl_kern_kmod *k = kern;
	struct bl_kern_sample s = {
		.programs = 1,
		.sensor = true,
		.cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
	};
	struct bl_kmod_counts c = { 0 };
	struct view v;
	int r = look(k, &v, err);

	if (!r && v.in == (int)slot)
		r = k->kernel->counts(k->ctx, &c, err);
	if (r)
		return r;
	s.attached = is_live(&v, slot);
	s.run_count = c.runs;
	s.run_time_ns = c.run_ns;
	s.memory_bytes = c.memory_bytes;
	s.grown_bytes = grown(k);
	s.seen = c.stats.seen;
	s.events = c.stats.emitted;
	s.drops = c.stats.dropped;
	s.torn = c.stats.torn;
	s.denied = c.stats.denied;
	*ret = s;
	return 0;
}

/*
 * The module has one reader at a time, and a reader keeps it in the kernel. So
 * only who waits for events stays one; who looks whether there are any, as a
 * trial does, has let go again when it returns.
 */
static int read_events(struct bl_kern_kmod *k, int timeout_ms, bl_event_fn fn,
		       void *ctx, struct bl_err *err)
{
	struct bl_kmod_now now = { 0 };
	int r = k->reader ? 0 : k->kernel->open(k->ctx, &k->reader, err);

	if (r)
		return r;
	r = k->kernel->read(k->ctx, k->reader, timeout_ms, fn, ctx, err);
	if (!timeout_ms || k->kernel->now(k->ctx, &now, NULL) || !now.armed)
		let_go(k);
	return r;
}

static int events(void *kern, enum bl_slot slot, int timeout_ms, bl_event_fn fn,
		  void *ctx, struct bl_err *err)
{
	struct bl_kern_kmod *k = kern;
	struct bl_kmod_counts c = { 0 };
	struct view v;
	int r;

	if (fn && bl_kmod_left_any(&k->left[slot]))
		return bl_kmod_left_read(&k->left[slot], fn, ctx);
	r = look(k, &v, err);
	if (r)
		return r;
	if (!v.has[slot])
		return bl_err_set(err, -ENOENT, "the slot has no ring");
	if (!is_live(&v, slot)) {
		/* Its readers would keep it where it is not wanted. */
		let_go(k);
		if (fn && timeout_ms)
			k->kernel->sleep_ms(k->ctx,
					    timeout_ms < AWAY_MS
						    ? (unsigned)timeout_ms
						    : AWAY_MS);
		return 0;
	}
	if (fn)
		return read_events(k, timeout_ms, fn, ctx, err);
	r = k->kernel->counts(k->ctx, &c, err);
	return r ? r : c.stats.emitted > 0;
}

const struct bl_kern_ops bl_kern_kmod_ops = {
	.check = check,
	.stage = stage,
	.attach = attach,
	.renew = renew,
	.persist = persist,
	.retire = retire,
	.map = map,
	.inspect = inspect,
	.sample = sample,
	.events = events,
};

int bl_kern_kmod_new(const char *dir, const struct bl_kmod_kernel *kernel,
		     void *ctx, struct bl_kern_kmod **ret, struct bl_err *err)
{
	struct bl_kern_kmod *k = calloc(1, sizeof(*k));

	if (!k || !(k->dir = strdup(dir))) {
		free(k);
		return bl_err_errno(err, -ENOMEM, "kernel modules");
	}
	k->kernel = kernel;
	k->ctx = ctx;
	*ret = k;
	return 0;
}

void bl_kern_kmod_free(struct bl_kern_kmod *k)
{
	if (!k)
		return;
	let_go(k);
	for (int i = 0; i < BL_SLOT_COUNT; i++)
		bl_kmod_left_free(&k->left[i]);
	free(k->dir);
	free(k);
}
