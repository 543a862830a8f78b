/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/kern_bpf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/kern/boot_id.h"
#include "loader/kern/exercise.h"
#include "loader/kern/kmsg.h"
#include "loader/kern/messages.h"
#include "loader/kern/privilege.h"
#include "loader/kern/slots/dispatch.h"
#include "loader/kern/slots/event_link.h"
#include "loader/kern/slots/instance.h"
#include "loader/kern/slots/replace.h"

#define LSM_LIST "/sys/kernel/security/lsm"

/* Whether this kernel asks the LSM programs that it takes. @rules: why they are
 * needed. */
static int check_lsm(const char *rules, struct bl_err *err)
{
	bl_autobuf struct bl_buf list = { 0 };
	char *save = NULL;

	if (bl_file_read(LSM_LIST, 4096, &list, NULL))
		return bl_err_set(
			err, -EOPNOTSUPP,
			"its content has %s rules, and " LSM_LIST
			" cannot be read, so whether this kernel runs with BPF LSM is not known",
			rules);
	for (char *name = strtok_r(list.data, ",\n", &save); name;
	     name = strtok_r(NULL, ",\n", &save))
		if (!strcmp(name, "bpf"))
			return 0;
	return bl_err_set(
		err, -EOPNOTSUPP,
		"its content has %s rules, and this kernel runs without BPF LSM (no 'bpf' in " LSM_LIST
		"; boot with lsm=…,bpf)",
		rules);
}

static void free_btf(struct btf **btf)
{
	btf__free(*btf);
}

/* Whether it can hash files for a program: since 5.18, and only with IMA. */
static int check_sums(struct bl_err *err)
{
	BL_CLEANUP(free_btf) struct btf *btf = btf__load_vmlinux_btf();
	static const char *const functions[] = { "bpf_ima_file_hash",
						 "ima_file_hash" };

	if (!btf)
		return bl_err_errno(err, -errno,
				    "read the kernel's types (BTF)");
	for (size_t i = 0; i < BL_ARRAY_SIZE(functions); i++) {
		if (btf__find_by_name_kind(btf, functions[i], BTF_KIND_FUNC) >
		    0)
			continue;
		return bl_err_set(
			err, -EOPNOTSUPP,
			"its content has sha256 rules, and this kernel has no %s, so it hashes no files for programs (Linux 5.18 or later, built with IMA, does; give this host content without them)",
			functions[i]);
	}
	return 0;
}

static int check(void *kern, const struct bl_generation *gen,
		 struct bl_err *err)
{
	const struct bl_kern_bpf *k = kern;
	int r = bl_privilege_check(err);

	if (!r)
		r = bl_pin_check(k->pin_dir, err);
	if (!r && gen->denies)
		r = check_lsm("deny", err);
	if (!r && bl_sensor_sums(gen->content))
		r = check_lsm("sha256", err);
	if (!r && bl_sensor_sums(gen->content))
		r = check_sums(err);
	return r ? r : bl_kern_plan_check(gen, err);
}

static int pin_programs(struct bl_kern_bpf *k, enum bl_slot slot,
			struct bl_err *err)
{
	const struct bl_plan *plan = &k->held[slot].plan;
	int r = 0;

	for (unsigned i = 0; !r && i < plan->count; i++)
		r = bl_pin_add(k->pin_dir, slot, BL_PIN_PROG,
			       bpf_program__name(plan->step[i].program),
			       bpf_program__fd(plan->step[i].program), err);
	return r;
}

static int pin_maps(struct bl_kern_bpf *k, enum bl_slot slot,
		    struct bl_err *err)
{
	struct bpf_map *m;
	int r = 0;

	bpf_object__for_each_map (m, k->held[slot].object) {
		if (bpf_map__fd(m) < 0)
			continue;
		r = bl_pin_add(k->pin_dir, slot, BL_PIN_MAP, bpf_map__name(m),
			       bpf_map__fd(m), err);
		if (r)
			return r;
	}
	return 0;
}

/* Behind its dispatcher, which does not call it yet. */
static int put_dispatched(struct bl_kern_bpf *k, enum bl_slot slot,
			  struct bl_plan_step *s, struct bl_err *err)
{
	BL_CLEANUP(bl_dispatch_close) struct bl_dispatch d = BL_DISPATCH_INIT;
	int r = bl_dispatch_open(k->pin_dir, true, &d, err);

	if (!r)
		r = bl_dispatch_put(&d, &s->hook, slot,
				    s->choice.lease != BL_LEASE_WAIVED,
				    bpf_program__fd(s->program), err);
	return r;
}

/* Makes ready what can be made ready beside a live generation. */
static int put_programs(struct bl_kern_bpf *k, enum bl_slot slot,
			struct bl_err *err)
{
	struct bl_plan *plan = &k->held[slot].plan;
	int r = 0;

	bl_messages_into(NULL);
	for (unsigned i = 0; !r && i < plan->count; i++) {
		struct bl_plan_step *s = &plan->step[i];
		struct bl_err why = { 0 };

		if (s->choice.strategy == BL_STRATEGY_DISPATCH)
			r = put_dispatched(k, slot, s, &why);
		if (r == -EOPNOTSUPP)
			r = bl_plan_refused(s, &why);
		if (!r && s->choice.strategy == BL_STRATEGY_REPLACE)
			r = bl_replace_stage(k->pin_dir, &s->hook, slot,
					     bpf_program__fd(s->program), &why);
		if (r && err)
			*err = why;
	}
	bl_messages_end();
	return r;
}

static int stage(void *kern, enum bl_slot slot, const struct bl_generation *gen,
		 struct bl_kern_staged *ret, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_slot_state state = { 0 };
	bool sensor = false;
	int r = bl_pin_make(k->pin_dir, slot, err);

	if (!r)
		r = bl_kern_load(k, slot, gen, &sensor, err);
	if (!r)
		r = pin_programs(k, slot, err);
	if (!r)
		r = pin_maps(k, slot, err);
	if (!r)
		r = bl_state_copies_make(gen->carry, &k->held[slot].copies,
					 err);
	if (!r)
		r = put_programs(k, slot, err);
	/* As everybody will find them. */
	if (!r)
		r = bl_kern_inspect(k, slot, &state, err);
	if (!r)
		*ret = state.programs;
	return r;
}

/* What attach made must be a link that can be pinned. Before 5.15 kprobes and
 * tracepoints are perf events, which die with the process. */
static int check_link(const struct bpf_link *link, const char *name,
		      struct bl_err *err)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);

	/* The kernel takes a perf event's descriptor for none of its own. */
	if (!bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &len))
		return 0;
	return bl_err_set(
		err, -EOPNOTSUPP,
		"attach %s: this kernel cannot keep it attached without its loader (no link for this kind of program)",
		name);
}

/* Beside whatever else is there. */
static int attach_overlap(struct bl_plan_step *s, struct bl_err *err)
{
	const char *name = bpf_program__name(s->program);

	if (s->hook.kind && s->hook.kind->place != BL_PLACE_TARGET) {
		s->link_fd = bl_hook_link(&s->hook, bpf_program__fd(s->program),
					  err);
		return s->link_fd < 0 ? s->link_fd : 0;
	}
	if (!bl_event_link(s->program, &s->link_fd))
		return 0;
	s->link = bpf_program__attach(s->program);
	if (!s->link && errno == EOPNOTSUPP)
		return bl_err_set(
			err, -EOPNOTSUPP,
			"attach %s: its section '%s' does not say where; belay attaches only what names its hook",
			name, bpf_program__section_name(s->program));
	if (!s->link)
		return bl_err_errno(err, -errno, "attach %s (%s)", name,
				    bpf_program__section_name(s->program));
	return check_link(s->link, name, err);
}

static int attach_one(struct bl_kern_bpf *k, enum bl_slot slot,
		      struct bl_plan_step *s, struct bl_err *err)
{
	switch (s->choice.strategy) {
	case BL_STRATEGY_REPLACE:
		return bl_replace_attach(k->pin_dir, &s->hook, slot,
					 bpf_program__fd(s->program),
					 &s->link_fd, err);
	case BL_STRATEGY_OVERLAP:
		return attach_overlap(s, err);
	default:
		return 0; /* all at once, by the word */
	}
}

/* The one write comes last: what can fail has not failed then. */
static int attach(void *kern, enum bl_slot slot, struct bl_err *err)
{
	BL_CLEANUP(bl_dispatch_close) struct bl_dispatch d = BL_DISPATCH_INIT;
	struct bl_kern_bpf *k = kern;
	struct bl_kern_held *held = &k->held[slot];
	int r;

	if (!held->object)
		return bl_err_set(err, -EINVAL, "attach: nothing was staged");
	r = bl_state_copy(k->pin_dir, slot, &held->copies, err);
	if (r)
		return r;
	if (k->stats_fd < 0)
		k->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (k->stats_fd < 0)
		return bl_err_errno(err, -errno, "measure run time");
	r = bl_dispatch_open(k->pin_dir, false, &d, err);
	held->attached = true;
	bl_messages_into(NULL);
	for (unsigned i = 0; !r && i < held->plan.count; i++)
		r = attach_one(k, slot, &held->plan.step[i], err);
	bl_messages_end();
	if (!r)
		bl_dispatch_trial(&d, slot, BL_KERN_TRIAL_LEASE_MS,
				  BL_KERN_VERDICT_LEASE_MS);
	return r;
}

static int renew(void *kern, enum bl_slot slot, uint64_t trial_ms,
		 uint64_t verdict_ms, struct bl_err *err)
{
	BL_CLEANUP(bl_dispatch_close) struct bl_dispatch d = BL_DISPATCH_INIT;
	struct bl_kern_bpf *k = kern;
	int r = bl_dispatch_open(k->pin_dir, false, &d, err);

	if (!r && bl_dispatch_renew(&d, slot, trial_ms, verdict_ms))
		r = bl_err_set(
			err, -ETIME,
			"the lease of the trial ran out: belay did not run for %d s, and the host went back by itself",
			BL_KERN_TRIAL_LEASE_MS / 1000);
	return r;
}

static void stop_stats(struct bl_kern_bpf *k)
{
	if (k->stats_fd >= 0)
		close(k->stats_fd);
	k->stats_fd = -1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Lets go of what this process holds: what is not pinned detaches. */
static void let_go(struct bl_kern_held *held)
{
	for (unsigned i = 0; i < held->plan.count; i++) {
		bpf_link__destroy(held->plan.step[i].link);
		close_fd(&held->plan.step[i].link_fd);
	}
	bpf_object__close(held->object);
	bl_state_copies_free(&held->copies);
	held->object = NULL;
	held->plan.count = 0;
	held->attached = false;
}

/*
 * What is pinned is the host's: an open link would keep it attached after
 * another process retired the slot. Destroying a libbpf link of a perf event
 * also disables the event, which would silence it, so these are only closed.
 */
static void hand_over(struct bl_kern_held *held)
{
	for (unsigned i = 0; i < held->plan.count; i++) {
		struct bpf_link *link = held->plan.step[i].link;

		if (!link)
			continue;
		bpf_link__disconnect(link);
		close(bpf_link__fd(link));
	}
	let_go(held);
}

static int persist_one(struct bl_kern_bpf *k, enum bl_slot slot,
		       const struct bl_plan_step *s, struct bl_err *err)
{
	int fd = s->link ? bpf_link__fd(s->link) : s->link_fd;

	if (fd < 0) /* a dispatcher's, or a link that was there before */
		return 0;
	if (s->choice.strategy == BL_STRATEGY_REPLACE)
		return bl_replace_persist(k->pin_dir, &s->hook, fd, err);
	return bl_pin_add(k->pin_dir, slot, BL_PIN_LINK,
			  bpf_program__name(s->program), fd, err);
}

static int persist(void *kern, enum bl_slot slot, struct bl_err *err)
{
	BL_CLEANUP(bl_dispatch_close) struct bl_dispatch d = BL_DISPATCH_INIT;
	struct bl_kern_bpf *k = kern;
	struct bl_kern_held *held = &k->held[slot];
	int r = bl_dispatch_open(k->pin_dir, false, &d, err);

	for (unsigned i = 0; !r && i < held->plan.count; i++)
		r = persist_one(k, slot, &held->plan.step[i], err);
	if (r)
		return r;
	/* Until the other slot is retired: the commit is yet to be written. */
	if (bl_dispatch_renew(&d, slot, BL_KERN_TRIAL_LEASE_MS,
			      BL_KERN_VERDICT_LEASE_MS))
		return bl_err_set(err, -ETIME,
				  "the lease of the trial ran out");
	hand_over(held);
	stop_stats(k);
	return 0;
}

/*
 * The kernel goes back first, by one write; then the links that were given to
 * this slot, then what only this process held. What is left is no more than
 * pins. The ring stays open for whoever reads it in this process: what is in it
 * came about before.
 */
static int retire(void *kern, enum bl_slot slot, struct bl_err *err)
{
	BL_CLEANUP(bl_dispatch_close) struct bl_dispatch d = BL_DISPATCH_INIT;
	struct bl_kern_bpf *k = kern;
	enum bl_slot other = slot == BL_SLOT_A ? BL_SLOT_B : BL_SLOT_A;
	struct bl_kern_slot_state state = { 0 };
	int r = bl_dispatch_open(k->pin_dir, false, &d, err);

	if (!r)
		r = bl_kern_inspect(k, other, &state, err);
	if (!r)
		bl_dispatch_off(&d, slot,
				state.programs.count ? (int)other
						     : BL_DISPATCH_NOBODY);
	if (!r)
		r = bl_replace_back(k->pin_dir, slot, err);
	let_go(&k->held[slot]);
	stop_stats(k);
	if (!r)
		r = bl_dispatch_clear(&d, slot, err);
	return r ? r : bl_pin_clear(k->pin_dir, slot, err);
}

int bl_kern_bpf_check_pins(const struct bl_kern_bpf *k, struct bl_err *err)
{
	return bl_pin_check(k->pin_dir, err);
}

int bl_kern_bpf_clear(struct bl_kern_bpf *k, struct bl_err *err)
{
	int r = bl_kern_bpf_check_pins(k, err);

	for (unsigned home = 0; !r && home < BL_PIN_HOMES; home++)
		r = bl_pin_clear(k->pin_dir, home, err);
	return r;
}

static int splats(void *kern, struct bl_kern_splats *state, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;

	return bl_kmsg_scan(&k->kmsg_fd, state, err);
}

static int exercise(void *kern, struct bl_err *err)
{
	(void)kern;
	return bl_exercise(err);
}

static int boot_id(void *kern, char ret[static BL_KERN_BOOT_ID_LEN],
		   struct bl_err *err)
{
	(void)kern;
	return bl_boot_id(ret, err);
}

const struct bl_kern_ops bl_kern_bpf_ops = {
	.check = check,
	.stage = stage,
	.attach = attach,
	.renew = renew,
	.persist = persist,
	.retire = retire,
	.map = bl_kern_map,
	.inspect = bl_kern_inspect,
	.sample = bl_kern_sample,
	.events = bl_kern_events,
	.splats = splats,
	.exercise = exercise,
	.boot_id = boot_id,
};

int bl_kern_bpf_new(const char *pin_dir, struct bl_kern_bpf **ret,
		    struct bl_err *err)
{
	struct bl_kern_bpf *k = calloc(1, sizeof(*k));

	if (!k || !(k->pin_dir = strdup(pin_dir))) {
		free(k);
		return bl_err_errno(err, -ENOMEM, "kernel");
	}
	k->stats_fd = k->kmsg_fd = -1;
	*ret = k;
	return 0;
}

void bl_kern_bpf_free(struct bl_kern_bpf *k)
{
	if (!k)
		return;
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		bl_kern_reader_close(&k->readers[i]);
		let_go(&k->held[i]);
	}
	stop_stats(k);
	close_fd(&k->kmsg_fd);
	free(k->pin_dir);
	free(k);
}
