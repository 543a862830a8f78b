/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_kern.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/event.h"
#include "loader/bundle/digest.h"
#include "loader/object/carry.h"
#include "loader/object/object.h"

struct fake_kern *fake_kern_new(void)
{
	struct fake_kern *fake = mmap(NULL, sizeof(*fake),
				      PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (fake == MAP_FAILED)
		return NULL;
	fake->boots = 1;
	fake->named = -1;
	fake->events_per_probe = 8;
	fake->ns_per_run = 1000;
	fake->memory_bytes = 1 << 20;
	return fake;
}

void fake_kern_free(struct fake_kern *fake)
{
	munmap(fake, sizeof(*fake));
}

void fake_kern_calm(struct fake_kern *fake)
{
	fake->fail_at = fake->die_at = fake->step = fake->probes = 0;
	fake->sticky = false;
	*fake->failed_step = 0;
}

/* A slot without a pin or a link is freed by the kernel. */
static void collect(struct fake_slot *s)
{
	if (!s->loaded && !s->pinned && !s->held && !s->links && !s->entries)
		*s = (struct fake_slot){ 0 };
}

void fake_kern_process_died(struct fake_kern *fake)
{
	fake->quiet = false; /* it may have died where somebody looked */
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		fake->slot[i].loaded = 0;
		fake->slot[i].held = 0;
		fake->slot[i].trial = false;
		collect(&fake->slot[i]);
	}
}

void fake_kern_reboot(struct fake_kern *fake)
{
	memset(fake->slot, 0, sizeof(fake->slot));
	fake->named = -1;
	fake->boots++;
}

static unsigned persisted(const struct fake_slot *s)
{
	return s->links + (s->live ? s->entries : 0);
}

static unsigned attached(const struct fake_slot *s)
{
	return s->held + s->links + (s->live || s->trial ? s->entries : 0);
}

static bool one_generation(const struct fake_slot *s)
{
	return s->programs_of && s->programs_of == s->content_of;
}

bool fake_slot_whole(const struct fake_slot *s)
{
	return attached(s) == FAKE_PROGRAMS && one_generation(s);
}

bool fake_slot_kept(const struct fake_slot *s)
{
	return persisted(s) == FAKE_PROGRAMS && one_generation(s);
}

bool fake_slot_live(const struct fake_slot *s)
{
	return attached(s) > 0;
}

bool fake_slot_empty(const struct fake_slot *s)
{
	return !s->loaded && !s->pinned && !s->entries && !fake_slot_live(s);
}

/* Disks and kernels fail apart from each other. */
static bool same_kind(const char *a, const char *b)
{
	return !strncmp(a, "database", 8) == !strncmp(b, "database", 8);
}

int fake_kern_step(struct fake_kern *fake, const char *name)
{
	if (fake->quiet)
		return 0;
	fake->step++;
	if (fake->step == fake->die_at)
		_exit(FAKE_DIED);
	if (*fake->failed_step)
		return fake->sticky && same_kind(name, fake->failed_step) ? -EIO
									  : 0;
	if (fake->step != fake->fail_at)
		return 0;
	snprintf(fake->failed_step, sizeof(fake->failed_step), "%s", name);
	return -EIO;
}

static int before(struct fake_kern *fake, const char *name, struct bl_err *err)
{
	int r = fake_kern_step(fake, name);

	return r ? bl_err_set(err, r, "injected: %s", name) : 0;
}

static void after(struct fake_kern *fake, const char *name)
{
	if (!fake->watch || fake->quiet)
		return;
	fake->quiet = true;
	fake->watch(fake, name);
	fake->quiet = false;
}

/* Runs @change as one step of the model. */
#define STEP(fake, name, err, change)             \
	do {                                      \
		int r_ = before(fake, name, err); \
		if (r_)                           \
			return r_;                \
		change;                           \
		after(fake, name);                \
	} while (0)

static int check(void *kern, const struct bl_generation *gen,
		 struct bl_err *err)
{
	struct fake_kern *fake = kern;

	STEP(fake, "check", err, (void)0);
	if (gen->denies && fake->no_lsm)
		return bl_err_set(err, -EOPNOTSUPP, "no BPF LSM here");
	return 0;
}

static void programs(const struct fake_slot *s, struct bl_kern_staged *ret)
{
	struct bl_kern_staged staged = { .sensor = true };

	for (unsigned i = 0; i < s->pinned; i++) {
		struct bl_kern_program *p = &staged.program[staged.count++];

		snprintf(p->name, sizeof(p->name), "program_%u", i);
		memcpy(p->tag, s->tag, sizeof(p->tag));
		p->id = s->programs_of * 10 + i;
		p->strategy = i < FAKE_PROGRAMS - s->overlapping
				      ? BL_STRATEGY_DISPATCH
				      : BL_STRATEGY_OVERLAP;
		p->lease = s->refuses ? BL_LEASE_KEPT : BL_LEASE_NONE;
	}
	*ret = staged;
}

struct fake_map *fake_slot_map(struct fake_slot *s, const char *name)
{
	for (unsigned i = 0; i < s->map_count; i++)
		if (!strcmp(s->maps[i].name, name))
			return &s->maps[i];
	return NULL;
}

static enum bl_carry_way way_of(const struct bl_carry *carry, const char *name)
{
	for (size_t i = 0; carry && i < carry->count; i++)
		if (!strcmp(carry->maps[i].name, name))
			return carry->maps[i].way;
	return BL_CARRY_FRESH;
}

/* Of an object that is one; what the tests make up has none. */
static int make_maps(struct fake_kern *fake, enum bl_slot slot,
		     const struct bl_generation *gen, struct bl_err *err)
{
	struct fake_slot *s = &fake->slot[slot], *from = &fake->slot[!slot];
	bl_autoobject struct bl_object o = { 0 };
	bl_automaps struct bl_map_list list = { 0 };

	if (bl_object_open(gen->name, gen->object, gen->object_len, &o, NULL) ||
	    bl_map_list_read(&o, &list, NULL))
		return 0;
	for (size_t i = 0; i < list.count && s->map_count < FAKE_MAPS; i++) {
		const struct bl_map_def *d = &list.defs[i];
		enum bl_carry_way way = way_of(gen->carry, d->name);
		struct fake_map *old = fake_slot_map(from, d->name);
		struct fake_map m = { .type = d->type,
				      .key_size = d->key_size,
				      .value_size = d->value_size,
				      .id = ++fake->map_id,
				      .copy = way == BL_CARRY_COPY };

		snprintf(m.name, sizeof(m.name), "%s", d->name);
		if (way == BL_CARRY_SHARE && !old)
			return bl_err_set(err, -ENOENT, "no map to share");
		if (way == BL_CARRY_SHARE)
			m = *old;
		STEP(fake, "make map", err, s->maps[s->map_count++] = m);
	}
	return 0;
}

static int copy_maps(struct fake_kern *fake, enum bl_slot slot,
		     struct bl_err *err)
{
	struct fake_slot *s = &fake->slot[slot];

	for (unsigned i = 0; i < s->map_count; i++) {
		struct fake_map *m = &s->maps[i];
		const struct fake_map *old =
			fake_slot_map(&fake->slot[!slot], m->name);

		if (m->copy && old)
			STEP(fake, "copy map", err, m->entries = old->entries);
	}
	return 0;
}

static int map(void *kern, enum bl_slot slot, const char *name,
	       struct bl_map_fact *ret, struct bl_err *err)
{
	struct fake_kern *fake = kern;
	const struct fake_map *m = fake_slot_map(&fake->slot[slot], name);

	STEP(fake, "map", err, (void)0);
	if (fake->no_maps)
		return bl_err_set(err, -EACCES, "no maps to be read here");
	*ret = (struct bl_map_fact){ .state = BL_MAP_GONE };
	if (m)
		*ret = (struct bl_map_fact){ BL_MAP_THERE, m->type, m->key_size,
					     m->value_size };
	return 0;
}

static int stage(void *kern, enum bl_slot slot, const struct bl_generation *gen,
		 struct bl_kern_staged *ret, struct bl_err *err)
{
	struct fake_kern *fake = kern;
	struct fake_slot *s = &fake->slot[slot];
	char digest[BL_DIGEST_HEX];
	int r;

	if (!fake_slot_empty(s))
		return bl_err_set(err, -EBUSY, "slot is not empty");
	bl_digest(gen->object, gen->object_len, digest);
	STEP(fake, "load", err, {
		s->loaded = FAKE_PROGRAMS;
		s->programs_of = gen->number;
		s->overlapping = fake->overlapping;
		s->refuses = fake->refuses;
		snprintf(s->tag, sizeof(s->tag), "%.16s", digest);
	});
	r = make_maps(fake, slot, gen, err);
	if (r)
		return r;
	STEP(fake, "fill content", err, s->content_of = gen->number);
	for (int i = 0; i < FAKE_PROGRAMS; i++)
		STEP(fake, "pin program", err, s->pinned++);
	while (s->entries < FAKE_PROGRAMS - s->overlapping)
		STEP(fake, "put behind a dispatcher", err, s->entries++);
	programs(s, ret);
	return 0;
}

/* One write: -1 is nobody. */
static void set_word(struct fake_kern *fake, int live, int trial)
{
	fake->named = trial;
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		fake->slot[i].live = i == live;
		fake->slot[i].trial = i == trial;
	}
}

static int live_slot(const struct fake_kern *fake)
{
	for (int i = 0; i < BL_SLOT_COUNT; i++)
		if (fake->slot[i].live)
			return i;
	return -1;
}

static int attach(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct fake_kern *fake = kern;
	struct fake_slot *s = &fake->slot[slot];
	int r;

	if (s->loaded != FAKE_PROGRAMS)
		return bl_err_set(err, -EINVAL, "this process staged nothing");
	r = copy_maps(fake, slot, err);
	if (r)
		return r;
	while (s->held < s->overlapping)
		STEP(fake, "attach", err, s->held++);
	if (s->entries)
		STEP(fake, "switch to the trial", err,
		     set_word(fake, live_slot(fake), (int)slot));
	return 0;
}

static int persist(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct fake_kern *fake = kern;
	struct fake_slot *s = &fake->slot[slot];

	if (attached(s) != FAKE_PROGRAMS)
		return bl_err_set(err, -EINVAL, "not all is attached");
	while (s->held)
		STEP(fake, "pin link", err, {
			s->held--;
			s->links++;
		});
	return 0;
}

static int renew(void *kern, enum bl_slot slot, uint64_t trial_ms,
		 uint64_t verdict_ms, struct bl_err *err)
{
	struct fake_kern *fake = kern;

	(void)trial_ms;
	if (fake->no_renew)
		return bl_err_set(err, -EPERM, "no lease");
	STEP(fake, "renew", err, {
		if (fake->slot[slot].live || fake->slot[slot].trial)
			fake->verdict_ms = verdict_ms;
	});
	return 0;
}

/* As the kernel: a death lapses the trial, and the word goes on naming it. */
static int next_live(const struct fake_kern *fake, enum bl_slot slot)
{
	int other = slot == BL_SLOT_A ? BL_SLOT_B : BL_SLOT_A;

	if (!fake->slot[slot].live && fake->named != other)
		return live_slot(fake);
	return fake->slot[other].pinned ? other : -1;
}

static int retire(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct fake_kern *fake = kern;
	struct fake_slot *s = &fake->slot[slot];

	if (fake->no_retire)
		return bl_err_set(err, -EPERM, "no way back");
	if (s->live || fake->named >= 0)
		STEP(fake, "switch for good", err,
		     set_word(fake, next_live(fake, slot), -1));
	while (s->held)
		STEP(fake, "close link", err, s->held--);
	while (s->entries)
		STEP(fake, "take from a dispatcher", err, s->entries--);
	while (s->links)
		STEP(fake, "unpin link", err, s->links--);
	while (s->pinned)
		STEP(fake, "unpin program", err, s->pinned--);
	s->loaded = 0;
	collect(s);
	return 0;
}

static int inspect(void *kern, enum bl_slot slot,
		   struct bl_kern_slot_state *ret, struct bl_err *err)
{
	struct fake_kern *fake = kern;
	const struct fake_slot *s = &fake->slot[slot];
	struct bl_kern_slot_state state = { 0 };

	STEP(fake, "inspect", err, (void)0);
	programs(s, &state.programs);
	state.attached = attached(s);
	state.persisted = persisted(s);
	state.verdict_left_ms = fake->verdict_ms;
	state.kind = state.attached ? BL_KERN_SLOT_ATTACHED
		     : s->pinned    ? BL_KERN_SLOT_STAGED
				    : BL_KERN_SLOT_EMPTY;
	*ret = state;
	return 0;
}

static int sample(void *kern, enum bl_slot slot, struct bl_kern_sample *ret,
		  struct bl_err *err)
{
	struct fake_kern *fake = kern;
	const struct fake_slot *s = &fake->slot[slot];

	STEP(fake, "sample", err, (void)0);
	*ret = (struct bl_kern_sample){
		.programs = s->pinned,
		.attached = attached(s),
		.run_count = s->seen,
		.run_time_ns = s->seen * fake->ns_per_run,
		.missed = s->missed,
		.memory_bytes = fake->memory_bytes,
		.cpus = 1,
		.sensor = true,
		.seen = s->seen,
		.events = s->events,
		.drops = s->drops,
	};
	return 0;
}

static int events(void *kern, enum bl_slot slot, int timeout_ms, bl_event_fn fn,
		  void *ctx, struct bl_err *err)
{
	struct fake_kern *fake = kern;
	struct fake_slot *s = &fake->slot[slot];
	int count = 0;

	(void)timeout_ms;
	/* An empty ring is looked into often, and takes no step. */
	if (!s->pinned || !fn || s->read < s->events)
		STEP(fake, "events", err, (void)0);
	if (!s->pinned)
		return bl_err_set(err, -ENOENT, "no ring");
	if (!fn)
		return s->events > 0;
	while (s->read < s->events) {
		/* Both slots see the same activity at the same time. */
		struct bl_event e = {
			.size = sizeof(e),
			.generation = s->programs_of,
			.ts_ns = s->since + ++s->read,
		};

		count++;
		if (fn(ctx, &e, sizeof(e)))
			break;
	}
	return count;
}

/* The first report, as the kernel's log has it. */
static void tell_splat(const struct fake_kern *fake, struct bl_kern_splats *s)
{
	const char *tag = "0000000000000000";

	for (int i = 0; !fake->splat_elsewhere && i < BL_SLOT_COUNT; i++)
		if (fake->slot[i].trial || fake->slot[i].held)
			tag = fake->slot[i].tag;
	s->count++;
	snprintf(s->first, sizeof(s->first), "BUG: a bug that was injected");
	s->text_len = (size_t)snprintf(
		s->text, sizeof(s->text),
		"%s\nCall Trace:\n <TASK>\n bpf_prog_%s_it+0x1/0x2\n", s->first,
		tag);
}

static int splats(void *kern, struct bl_kern_splats *state, struct bl_err *err)
{
	struct fake_kern *fake = kern;

	STEP(fake, "splats", err, (void)0);
	if (state->started && fake->splat_after &&
	    fake->probes == fake->splat_after)
		tell_splat(fake, state);
	state->started = true;
	return 0;
}

/* What programs write is in every slot that has the map. */
static void write_maps(struct fake_kern *fake, const struct fake_slot *s)
{
	for (unsigned i = 0; i < s->map_count; i++)
		for (int k = 0; k < BL_SLOT_COUNT; k++)
			for (unsigned n = 0; n < fake->slot[k].map_count; n++)
				if (fake->slot[k].maps[n].id == s->maps[i].id)
					fake->slot[k].maps[n].entries++;
}

/* Whether it is called: of what is dispatched one generation is. */
static bool called(const struct fake_kern *fake, const struct fake_slot *s)
{
	bool trial = false;

	for (int i = 0; i < BL_SLOT_COUNT; i++)
		trial |= fake->slot[i].trial;
	return fake_slot_whole(s) && (!s->entries || s->trial || !trial);
}

/* Something that was attached is no more. */
static void lose_one(struct fake_slot *s)
{
	if (s->held)
		s->held--;
	else
		s->entries--;
}

/* Activity: whatever is attached sees it. The trouble is the newest's. */
static int exercise(void *kern, struct bl_err *err)
{
	struct fake_kern *fake = kern;
	struct fake_slot *newest = NULL;

	STEP(fake, "exercise", err, (void)0);
	fake->probes++;
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		struct fake_slot *s = &fake->slot[i];

		if (!called(fake, s))
			continue;
		if (!s->seen)
			s->since = fake->activity;
		s->seen += fake->events_per_probe;
		write_maps(fake, s);
		s->events += fake->events_per_probe;
		if (!newest || s->held || s->trial ||
		    s->programs_of > newest->programs_of)
			newest = s;
	}
	fake->activity += fake->events_per_probe;
	if (newest) {
		newest->drops += fake->drops_per_probe;
		newest->missed += fake->missed_per_probe;
	}
	if (newest && (newest->held || newest->trial) &&
	    fake->probes == fake->detach_after)
		lose_one(newest);
	return 0;
}

static int boot_id(void *kern, char ret[static BL_KERN_BOOT_ID_LEN],
		   struct bl_err *err)
{
	struct fake_kern *fake = kern;

	STEP(fake, "boot id", err, (void)0);
	snprintf(ret, BL_KERN_BOOT_ID_LEN, "00000000-0000-0000-0000-%012u",
		 fake->boots);
	return 0;
}

const struct bl_kern_ops fake_kern_ops = {
	.check = check,
	.stage = stage,
	.attach = attach,
	.persist = persist,
	.renew = renew,
	.retire = retire,
	.map = map,
	.inspect = inspect,
	.sample = sample,
	.events = events,
	.splats = splats,
	.exercise = exercise,
	.boot_id = boot_id,
};
