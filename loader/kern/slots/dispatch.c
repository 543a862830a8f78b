/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/dispatch.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/kern/slots/instance.h"
#include "loader/kern/slots/pins.h"

/* Among the maps of hooks, whose names all have a '-'. */
#define STATE "state"

/* Where the kernel cannot be asked for a grace period (nohz_full). */
#define GRACE_MS 50

/* The state */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t in_ms(uint64_t ms)
{
	return now_ns() + ms * 1000000;
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t fetch(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static int make_state(const char *pin_dir, struct bl_err *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	struct bl_dispatch_state first = { .version = BL_DISPATCH_VERSION };
	bl_autoclose int fd = -1;
	__u32 zero = 0;
	int r = bl_pin_make(pin_dir, BL_PIN_DISPATCH, err);

	if (r)
		return r;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "bl_dispatch", sizeof(zero),
			    sizeof(first), 1, &opts);
	if (fd < 0 || bpf_map_update_elem(fd, &zero, &first, BPF_ANY))
		return bl_err_errno(err, -errno, "make the dispatchers' state");
	r = bl_pin_add(pin_dir, BL_PIN_DISPATCH, BL_PIN_MAP, STATE, fd, err);
	return r ? r : BL_TAKE_FD(fd);
}

int bl_dispatch_open(const char *pin_dir, bool make, struct bl_dispatch *ret,
		     struct bl_err *err)
{
	struct bl_dispatch d = { .pin_dir = pin_dir };
	struct bl_err why = { 0 };
	void *at;

	d.state_fd =
		bl_pin_get(pin_dir, BL_PIN_DISPATCH, BL_PIN_MAP, STATE, &why);
	if (d.state_fd == -ENOENT && make)
		d.state_fd = make_state(pin_dir, &why);
	if (d.state_fd == -ENOENT && !make) {
		d.state_fd = -1;
		*ret = d;
		return 0;
	}
	if (d.state_fd < 0)
		return bl_err_set(err, d.state_fd, "%s", why.text);
	at = mmap(NULL, sizeof(*d.state), PROT_READ | PROT_WRITE, MAP_SHARED,
		  d.state_fd, 0);
	if (at == MAP_FAILED) {
		bl_err_errno(err, -errno, "map the dispatchers' state");
		close(d.state_fd);
		return -EIO;
	}
	d.state = at;
	if (d.state->version != BL_DISPATCH_VERSION) {
		bl_dispatch_close(&d);
		bl_err_set(
			err, -EPROTO,
			"the dispatchers in %s/dispatch are of another version of belay",
			pin_dir);
		bl_err_hint(
			err,
			"roll back to nothing with the belay that made them, or reboot");
		return -EPROTO;
	}
	*ret = d;
	return 0;
}

void bl_dispatch_close(struct bl_dispatch *d)
{
	if (d->state)
		munmap(d->state, sizeof(*d->state));
	if (d->state_fd >= 0)
		close(d->state_fd);
	*d = (struct bl_dispatch)BL_DISPATCH_INIT;
}

struct bl_dispatch_word bl_dispatch_now(const struct bl_dispatch *d)
{
	return bl_dispatch_unpack(d->state ? fetch(&d->state->word) : 0);
}

bool bl_dispatch_on_trial(const struct bl_dispatch *d, enum bl_slot slot)
{
	return d->state && bl_dispatch_now(d).trial == (int)slot &&
	       now_ns() < fetch(&d->state->trial_until_ns);
}

uint64_t bl_dispatch_verdict_left_ms(const struct bl_dispatch *d)
{
	uint64_t until = d->state ? fetch(&d->state->verdict_until_ns) : 0;
	uint64_t now = now_ns();

	return until > now ? (until - now + 999999) / 1000000 : 0;
}

/* Runs */

struct runs_of {
	enum bl_slot slot;
	struct bl_kern_runs sum;
};

static int add_runs(void *ctx, const struct bl_dispatch_view *v,
		    struct bl_err *err)
{
	struct runs_of *r = ctx;

	(void)err;
	if (!bl_dispatch_id(v, r->slot))
		return 0;
	r->sum.count += v->runs;
	r->sum.time_ns += v->time_ns;
	r->sum.missed += v->missed;
	return 0;
}

/* What is counted from here on is @slot's. */
static void set_base(struct bl_dispatch *d, enum bl_slot slot)
{
	struct runs_of r = { .slot = slot };

	if (bl_dispatch_each(d, add_runs, &r, NULL))
		return;
	d->state->base[slot].runs = r.sum.count;
	d->state->base[slot].time_ns = r.sum.time_ns;
	d->state->base[slot].missed = r.sum.missed;
}

/* A dispatcher that was made anew counts from 0. */
static uint64_t since(uint64_t now, uint64_t base)
{
	return now > base ? now - base : 0;
}

int bl_dispatch_runs(const struct bl_dispatch *d, enum bl_slot slot,
		     struct bl_kern_runs *ret, struct bl_err *err)
{
	struct runs_of of = { .slot = slot };
	int r = bl_dispatch_each(d, add_runs, &of, err);

	if (r || !d->state)
		return r;
	ret->count = since(of.sum.count, d->state->base[slot].runs);
	ret->time_ns = since(of.sum.time_ns, d->state->base[slot].time_ns);
	ret->missed = since(of.sum.missed, d->state->base[slot].missed);
	return 0;
}

/* Switches. A lease is written before the word that makes it matter. */

static void set_word(struct bl_dispatch *d, struct bl_dispatch_word w)
{
	store(&d->state->word, bl_dispatch_pack(w));
}

int bl_dispatch_renew(struct bl_dispatch *d, enum bl_slot slot,
		      uint64_t trial_ms, uint64_t verdict_ms)
{
	struct bl_dispatch_word w = bl_dispatch_now(d);

	if (!d->state)
		return 0;
	if (trial_ms && w.trial == (int)slot && !bl_dispatch_on_trial(d, slot))
		return -ETIME;
	if (trial_ms && w.trial == (int)slot)
		store(&d->state->trial_until_ns, in_ms(trial_ms));
	if (verdict_ms && (w.trial == (int)slot || w.live == (int)slot))
		store(&d->state->verdict_until_ns, in_ms(verdict_ms));
	return 0;
}

void bl_dispatch_trial(struct bl_dispatch *d, enum bl_slot slot,
		       uint64_t trial_ms, uint64_t verdict_ms)
{
	if (!d->state)
		return;
	set_base(d, slot);
	store(&d->state->verdict_until_ns, in_ms(verdict_ms));
	store(&d->state->trial_until_ns, in_ms(trial_ms));
	set_word(d, (struct bl_dispatch_word){ bl_dispatch_now(d).live,
					       (int)slot });
}

/* What was counted while another one was on trial is not @slot's. */
static void shift_base(struct bl_dispatch *d, enum bl_slot trial,
		       enum bl_slot slot)
{
	struct bl_kern_runs runs = { 0 };

	if (bl_dispatch_runs(d, trial, &runs, NULL))
		return;
	d->state->base[slot].runs += runs.count;
	d->state->base[slot].time_ns += runs.time_ns;
	d->state->base[slot].missed += runs.missed;
}

/* A trial that is not of @slot is of its successor, and was committed, or
 * nobody would take @slot away. */
void bl_dispatch_off(struct bl_dispatch *d, enum bl_slot slot, int to)
{
	struct bl_dispatch_word w = bl_dispatch_now(d);
	bool ended = w.trial == (int)slot;

	if (!d->state)
		return;
	if (w.live == (int)slot || (w.trial >= 0 && !ended))
		w.live = to;
	w.trial = BL_DISPATCH_NOBODY;
	set_word(d, w);
	if (ended && w.live >= 0 && w.live != (int)slot)
		shift_base(d, slot, (enum bl_slot)w.live);
}

/* One hook */

static int map_of(struct bl_dispatch *d, const char *name, struct bl_err *err)
{
	bl_autoclose int fd =
		bl_pin_get(d->pin_dir, BL_PIN_DISPATCH, BL_PIN_MAP, name, err);
	int r;

	if (fd != -ENOENT)
		return BL_TAKE_FD(fd);
	fd = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "bl_dispatch",
			    sizeof(__u32), sizeof(__u32), BL_DISPATCH_ENTRIES,
			    NULL);
	if (fd < 0)
		return bl_err_errno(err, -errno, "make a program array");
	r = bl_pin_add(d->pin_dir, BL_PIN_DISPATCH, BL_PIN_MAP, name, fd, err);
	return r ? r : BL_TAKE_FD(fd);
}

/*
 * The function that the program at @prog_fd belongs to, as the kernel numbers
 * it. Kernels from 6.0 on say so; before, its name is looked up, as libbpf did.
 * @ret_btf: a descriptor for the numbering, 0 for that of the kernel itself.
 */
static int attach_id(const struct bl_hook *hook, int prog_fd, __u32 *ret_id,
		     int *ret_btf)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int id;

	if (hook->kind->type != BPF_PROG_TYPE_TRACING &&
	    hook->kind->type != BPF_PROG_TYPE_LSM)
		return 0;
	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return -errno;
	if (info.attach_btf_id) {
		int fd = bpf_btf_get_fd_by_id(info.attach_btf_obj_id);

		if (fd < 0)
			return fd;
		*ret_id = info.attach_btf_id;
		*ret_btf = fd;
		return 0;
	}
	id = libbpf_find_vmlinux_btf_id(hook->target, hook->kind->attach);
	if (id > 0)
		*ret_id = (__u32)id;
	return id > 0 ? 0 : id;
}

static int load(struct bl_dispatch *d, const struct bl_hook *hook, int prog_fd,
		int map_fd, struct bl_err *err)
{
	struct bl_dispatch_code code = { .state_fd = d->state_fd,
					 .array_fd = map_fd,
					 .verdict = hook->kind->verdict,
					 .neutral = hook->kind->neutral };
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	struct bpf_insn insns[BL_DISPATCH_INSNS_MAX];
	size_t count = bl_dispatch_code(&code, insns);
	bl_autoclose int btf = -1;
	__u32 id = 0;
	int fd = attach_id(hook, prog_fd, &id, &btf);

	if (!fd) {
		opts.attach_btf_id = id;
		opts.attach_btf_obj_fd = btf > 0 ? (__u32)btf : 0;
		opts.expected_attach_type = hook->kind->attach;
		opts.prog_flags = hook->flags;
		fd = bpf_prog_load(hook->kind->type, "bl_dispatch", "GPL",
				   insns, count, &opts);
	}
	if (fd < 0)
		return bl_err_errno(err, -EOPNOTSUPP,
				    "load the dispatcher of %s/%s (%s)",
				    hook->kind->name, hook->target,
				    strerror(-fd));
	return fd;
}

/* 1 or 0; -errno where that could not be found out. */
static int has_link(const struct bl_dispatch *d, const char *name,
		    struct bl_err *err)
{
	bl_autoclose int fd =
		bl_pin_get(d->pin_dir, BL_PIN_DISPATCH, BL_PIN_LINK, name, err);

	if (fd == -ENOENT)
		return 0;
	return fd < 0 ? fd : bl_dispatch_link_works(fd);
}

static int drop(const struct bl_dispatch *d, const char *name,
		const enum bl_pin_kind *kinds, size_t count, struct bl_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < count; i++)
		r = bl_pin_drop(d->pin_dir, BL_PIN_DISPATCH, kinds[i], name,
				err);
	return r;
}

static int drop_program(const struct bl_dispatch *d, const char *name,
			struct bl_err *err)
{
	static const enum bl_pin_kind kinds[] = { BL_PIN_LINK, BL_PIN_PROG };

	return drop(d, name, kinds, BL_ARRAY_SIZE(kinds), err);
}

static int drop_hook(const struct bl_dispatch *d, const char *name,
		     struct bl_err *err)
{
	static const enum bl_pin_kind kinds[] = { BL_PIN_LINK, BL_PIN_PROG,
						  BL_PIN_MAP };

	return drop(d, name, kinds, BL_ARRAY_SIZE(kinds), err);
}

/* The dispatcher, attached. A program without its link is what a death left, or
 * its place went away (a cgroup, an interface): made anew. */
static int dispatcher(struct bl_dispatch *d, const struct bl_hook *hook,
		      int prog_fd, int map_fd, struct bl_err *err)
{
	bl_autoclose int fd = -1, link = -1;
	int r = has_link(d, hook->name, err);

	if (r)
		return r < 0 ? r : 0;
	r = drop_program(d, hook->name, err);
	if (r)
		return r;
	fd = load(d, hook, prog_fd, map_fd, err);
	if (fd < 0)
		return fd;
	r = bl_pin_add(d->pin_dir, BL_PIN_DISPATCH, BL_PIN_PROG, hook->name, fd,
		       err);
	if (r)
		return r;
	link = bl_hook_link(hook, fd, err);
	if (link < 0)
		return link;
	return bl_pin_add(d->pin_dir, BL_PIN_DISPATCH, BL_PIN_LINK, hook->name,
			  link, err);
}

static uint32_t entry_id(int map_fd, __u32 entry)
{
	__u32 id = 0;

	return bpf_map_lookup_elem(map_fd, &entry, &id) ? 0 : id;
}

static bool used(int map_fd)
{
	for (__u32 i = 0; i < BL_DISPATCH_ENTRIES; i++)
		if (entry_id(map_fd, i))
			return true;
	return false;
}

int bl_dispatch_put(struct bl_dispatch *d, const struct bl_hook *hook,
		    enum bl_slot slot, bool leased, int prog_fd,
		    struct bl_err *err)
{
	__u32 entry = bl_dispatch_entry(slot, leased);
	bl_autoclose int map_fd = map_of(d, hook->name, err);
	int r;

	if (map_fd < 0)
		return map_fd;
	r = dispatcher(d, hook, prog_fd, map_fd, err);
	if (!r && bpf_map_update_elem(map_fd, &entry, &prog_fd, BPF_ANY))
		r = bl_err_errno(err, errno == EINVAL ? -EOPNOTSUPP : -errno,
				 "put a program behind the dispatcher of %s/%s",
				 hook->kind->name, hook->target);
	if (r && !used(map_fd))
		drop_hook(d, hook->name, NULL);
	return r;
}

/* All hooks */

bool bl_dispatch_link_works(int fd)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) || !info.prog_id)
		return false;
	if (info.type == BPF_LINK_TYPE_CGROUP)
		return info.cgroup.cgroup_id != 0;
	if (info.type == BPF_LINK_TYPE_XDP)
		return info.xdp.ifindex != 0;
	return true;
}

bool bl_dispatch_link_lost(int fd)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       !bl_dispatch_link_works(fd);
}

uint32_t bl_dispatch_id(const struct bl_dispatch_view *v, enum bl_slot slot)
{
	uint32_t leased = v->ids[bl_dispatch_entry(slot, true)];

	return leased ? leased : v->ids[bl_dispatch_entry(slot, false)];
}

struct each {
	const struct bl_dispatch *d;
	bl_dispatch_fn fn;
	void *ctx;
};

static int view(void *ctx, const char *name, int fd, struct bl_err *err)
{
	const struct each *e = ctx;
	struct bl_dispatch_view v = { .name = name };
	struct bl_kern_runs runs = { 0 };
	bl_autoclose int prog = -1, link = -1;

	if (!strcmp(name, STATE))
		return 0;
	for (__u32 i = 0; i < BL_DISPATCH_ENTRIES; i++)
		v.ids[i] = entry_id(fd, i);
	link = bl_pin_get(e->d->pin_dir, BL_PIN_DISPATCH, BL_PIN_LINK, name,
			  NULL);
	v.linked = link >= 0 && bl_dispatch_link_works(link);
	v.lost = link >= 0 && bl_dispatch_link_lost(link);
	prog = bl_pin_get(e->d->pin_dir, BL_PIN_DISPATCH, BL_PIN_PROG, name,
			  NULL);
	if (prog >= 0)
		bl_kern_program_of(name, prog, NULL, &runs, NULL);
	v.runs = runs.count;
	v.time_ns = runs.time_ns;
	v.missed = runs.missed;
	return e->fn(e->ctx, &v, err);
}

int bl_dispatch_each(const struct bl_dispatch *d, bl_dispatch_fn fn, void *ctx,
		     struct bl_err *err)
{
	struct each e = { d, fn, ctx };

	return bl_pin_each(d->pin_dir, BL_PIN_DISPATCH, BL_PIN_MAP, view, &e,
			   err);
}

/* Taking away */

/* Whoever read the word before this call has made its tail call after it. */
static void grace_period(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		bl_clock_sleep_ms(GRACE_MS);
}

struct clearing {
	const struct bl_dispatch *d;
	enum bl_slot slot;
	bool entries; /* it has some */
	bool any;     /* hooks that others need */
};

static int look(void *ctx, const struct bl_dispatch_view *v, struct bl_err *err)
{
	struct clearing *c = ctx;

	(void)err;
	c->entries |= bl_dispatch_id(v, c->slot) != 0;
	return 0;
}

static int clear_hook(void *ctx, const char *name, int fd, struct bl_err *err)
{
	struct clearing *c = ctx;

	if (!strcmp(name, STATE))
		return 0;
	for (int leased = 0; leased < 2; leased++) {
		__u32 entry = bl_dispatch_entry(c->slot, leased);

		if (bpf_map_delete_elem(fd, &entry) && errno != ENOENT)
			return bl_err_errno(err, -errno,
					    "take a program from %s", name);
	}
	if (!used(fd))
		return drop_hook(c->d, name, err);
	c->any = true;
	return 0;
}

int bl_dispatch_clear(struct bl_dispatch *d, enum bl_slot slot,
		      struct bl_err *err)
{
	struct clearing c = { .d = d, .slot = slot };
	int r = bl_dispatch_each(d, look, &c, err);

	if (r)
		return r;
	if (c.entries)
		grace_period();
	r = bl_pin_each(d->pin_dir, BL_PIN_DISPATCH, BL_PIN_MAP, clear_hook, &c,
			err);
	if (!r && !c.any)
		r = bl_pin_clear(d->pin_dir, BL_PIN_DISPATCH, err);
	return r;
}
