/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/both.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/kern/kmod/kern_kmod.h"
#include "loader/kern/slots/kern_bpf.h"

struct bl_kern_both {
	const struct bl_kern_ops *bpf_ops;
	void *bpf;
	struct bl_kern_bpf *own_bpf; /* made by us, or NULL */
	char *pin_dir;		     /* of it */
	struct bl_kern_kmod *kmod;
};

/* Who an operation goes to. */
struct part {
	const struct bl_kern_ops *ops;
	void *kern;
};

static struct part part_of(const struct bl_kern_both *m, bool module)
{
	return module ? (struct part){ &bl_kern_kmod_ops, m->kmod }
		      : (struct part){ m->bpf_ops, m->bpf };
}

/* Of what is in the slot. */
static int find(const struct bl_kern_both *m, enum bl_slot slot,
		struct part *ret, struct bl_err *err)
{
	int r = bl_kern_kmod_has(m->kmod, slot, err);

	if (r < 0)
		return r;
	*ret = part_of(m, r > 0);
	return 0;
}

static int check(void *kern, const struct bl_generation *gen,
		 struct bl_err *err)
{
	struct part p = part_of(kern, gen->module_count);

	return p.ops->check(p.kern, gen, err);
}

static int stage(void *kern, enum bl_slot slot, const struct bl_generation *gen,
		 struct bl_kern_staged *ret, struct bl_err *err)
{
	struct part p = part_of(kern, gen->module_count);

	return p.ops->stage(p.kern, slot, gen, ret, err);
}

static int attach(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct part p;
	int r = find(kern, slot, &p, err);

	return r ? r : p.ops->attach(p.kern, slot, err);
}

static int persist(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct part p;
	int r = find(kern, slot, &p, err);

	return r ? r : p.ops->persist(p.kern, slot, err);
}

/*
 * Programs of both slots have one lease for what they may refuse, so that to
 * renew it for the one on trial keeps that of the live one. A module has its own:
 * across kinds both are renewed, unless what is live had run out of it.
 */
static void renew_other(struct bl_kern_both *m, enum bl_slot slot,
			const struct part *p, uint64_t verdict_ms)
{
	enum bl_slot other = slot == BL_SLOT_A ? BL_SLOT_B : BL_SLOT_A;
	struct bl_kern_slot_state state = { 0 };
	struct part o;

	if (!verdict_ms || find(m, other, &o, NULL) || o.kern == p->kern)
		return;
	if (!o.ops->inspect(o.kern, other, &state, NULL) &&
	    state.verdict_left_ms)
		o.ops->renew(o.kern, other, 0, verdict_ms, NULL);
}

static int renew(void *kern, enum bl_slot slot, uint64_t trial_ms,
		 uint64_t verdict_ms, struct bl_err *err)
{
	struct part p;
	int r = find(kern, slot, &p, err);

	if (!r)
		r = p.ops->renew(p.kern, slot, trial_ms, verdict_ms, err);
	if (!r)
		renew_other(kern, slot, &p, verdict_ms);
	return r;
}

/* Programs first: those of the other slot take over for good by that, before
 * the module goes that was called beside them. */
static int retire(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct bl_kern_both *m = kern;
	int r = m->bpf_ops->retire(m->bpf, slot, err);

	return r ? r : bl_kern_kmod_ops.retire(m->kmod, slot, err);
}

static int map(void *kern, enum bl_slot slot, const char *name,
	       struct bl_map_fact *ret, struct bl_err *err)
{
	struct part p;
	int r = find(kern, slot, &p, err);

	return r ? r : p.ops->map(p.kern, slot, name, ret, err);
}

static int inspect(void *kern, enum bl_slot slot,
		   struct bl_kern_slot_state *ret, struct bl_err *err)
{
	struct part p;
	int r = find(kern, slot, &p, err);

	return r ? r : p.ops->inspect(p.kern, slot, ret, err);
}

static int sample(void *kern, enum bl_slot slot, struct bl_kern_sample *ret,
		  struct bl_err *err)
{
	struct part p;
	int r = find(kern, slot, &p, err);

	return r ? r : p.ops->sample(p.kern, slot, ret, err);
}

/* A slot that is empty by now may have left something to be read. */
static int events(void *kern, enum bl_slot slot, int timeout_ms, bl_event_fn fn,
		  void *ctx, struct bl_err *err)
{
	struct bl_kern_both *m = kern;
	struct part p = part_of(m, bl_kern_kmod_reads(m->kmod, slot));

	return p.ops->events(p.kern, slot, timeout_ms, fn, ctx, err);
}

static int splats(void *kern, struct bl_kern_splats *state, struct bl_err *err)
{
	struct bl_kern_both *m = kern;

	return m->bpf_ops->splats(m->bpf, state, err);
}

static int exercise(void *kern, struct bl_err *err)
{
	struct bl_kern_both *m = kern;

	return m->bpf_ops->exercise(m->bpf, err);
}

static int boot_id(void *kern, char ret[static BL_KERN_BOOT_ID_LEN],
		   struct bl_err *err)
{
	struct bl_kern_both *m = kern;

	return m->bpf_ops->boot_id(m->bpf, ret, err);
}

const struct bl_kern_ops bl_kern_both_ops = {
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

int bl_kern_both_of(const struct bl_kern_ops *bpf_ops, void *bpf,
		    const char *module_dir, const struct bl_kmod_kernel *kmod,
		    void *kmod_ctx, struct bl_kern_both **ret,
		    struct bl_err *err)
{
	struct bl_kern_both *m = calloc(1, sizeof(*m));
	int r = m ? bl_kern_kmod_new(module_dir, kmod, kmod_ctx, &m->kmod, err)
		  : bl_err_errno(err, -ENOMEM, "kernel");

	if (r) {
		bl_kern_both_free(m);
		return r;
	}
	m->bpf_ops = bpf_ops;
	m->bpf = bpf;
	*ret = m;
	return 0;
}

int bl_kern_both_new(const char *pin_dir, const char *module_dir,
		     struct bl_kern_both **ret, struct bl_err *err)
{
	struct bl_kern_bpf *bpf = NULL;
	struct bl_kern_both *m = NULL;
	int r = bl_kern_bpf_new(pin_dir, &bpf, err);

	if (!r)
		r = bl_kern_both_of(&bl_kern_bpf_ops, bpf, module_dir,
				    &bl_kmod_this, NULL, &m, err);
	if (r) {
		bl_kern_bpf_free(bpf);
		return r;
	}
	m->own_bpf = bpf;
	m->pin_dir = strdup(pin_dir);
	if (!m->pin_dir) {
		bl_kern_both_free(m);
		return bl_err_errno(err, -ENOMEM, "kernel");
	}
	*ret = m;
	return 0;
}

void bl_kern_both_free(struct bl_kern_both *m)
{
	if (!m)
		return;
	bl_kern_bpf_free(m->own_bpf);
	bl_kern_kmod_free(m->kmod);
	free(m->pin_dir);
	free(m);
}

/* Retiring is what knows how to end one; whatever that did not take, every pin
 * that is left goes all the same. */
static int leave_bpf(struct bl_kern_both *m, struct bl_err *err)
{
	int r = bl_kern_bpf_check_pins(m->own_bpf, err);

	if (r == -ENODEV)
		return bl_err_set(
			err, r,
			"%s is on no BPF file system: what is in there is not belay's",
			m->pin_dir);
	for (int slot = 0; !r && slot < BL_SLOT_COUNT; slot++)
		m->bpf_ops->retire(m->bpf, (enum bl_slot)slot, NULL);
	return r ? r : bl_kern_bpf_clear(m->own_bpf, err);
}

int bl_kern_both_leave(struct bl_kern_both *m, bool pins, struct bl_err *err)
{
	int r = pins ? leave_bpf(m, err) : 0;

	return r ? r : bl_kern_kmod_leave(m->kmod, err);
}
