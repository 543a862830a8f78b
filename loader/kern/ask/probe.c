/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/ask/probe.h"

#include "loader/base/cleanup.h"
#include "loader/kern/ask/exercise_run.h"
#include "loader/kern/ask/module_run.h"
#include "loader/kern/ask/session.h"
#include "loader/kern/ask/swap.h"

const char *bl_probe_step_name(enum bl_probe_step step)
{
	static const char *const names[] = {
		[BL_PROBE_LOAD] = "load",
		[BL_PROBE_ATTACH] = "attach",
		[BL_PROBE_EXERCISE] = "exercise",
		[BL_PROBE_SWAP] = "swap",
	};

	return names[step];
}

struct run {
	const struct bl_probe *probe;
	struct bl_session *now, *previous;
	struct bl_facts facts;
	struct bl_facts before; /* of previous; only its load */
};

static int load(struct run *run, struct bl_err *err)
{
	return bl_session_load(run->now, &run->facts, err);
}

static int attach(struct run *run, struct bl_err *err)
{
	return bl_session_attach(run->now, &run->facts, err);
}

static int exercise(struct run *run, struct bl_err *err)
{
	return bl_exercise_run(run->now, run->probe->scale, &run->facts, err);
}

static int swap(struct run *run, struct bl_err *err)
{
	struct bl_swap_part next = { run->now, &run->facts };
	struct bl_swap_part previous = { .facts = &run->before };
	int r = bl_session_open(&run->probe->previous, &run->previous, err);

	if (r == 0)
		r = bl_session_load(run->previous, &run->before, err);
	previous.session = run->previous;
	return r < 0 ? r
		     : bl_swap_rehearse(&previous, &next, run->probe->scale,
					&run->facts.swap, err);
}

static int (*const steps[BL_PROBE_STEPS])(struct run *, struct bl_err *) = {
	[BL_PROBE_LOAD] = load,
	[BL_PROBE_ATTACH] = attach,
	[BL_PROBE_EXERCISE] = exercise,
	[BL_PROBE_SWAP] = swap,
};

static void run_free(struct run *run)
{
	bl_session_close(run->now);
	bl_session_close(run->previous);
	bl_facts_free(&run->facts);
	bl_facts_free(&run->before);
}

int bl_kern_probe(const struct bl_probe *p, struct bl_err *err)
{
	BL_CLEANUP(run_free) struct run run = { .probe = p };
	unsigned step;
	int r;

	if (p->module)
		return bl_module_probe(p, err);
	r = bl_session_open(&p->now, &run.now, err);
	if (r == 0)
		run.now->only_load = p->last == BL_PROBE_LOAD;
	for (step = 0; r == 0 && step <= p->last; step++) {
		r = steps[step](&run, err);
		if (r == 0)
			r = p->told(p->ctx, step, &run.facts, err);
	}
	return r;
}
