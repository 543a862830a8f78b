/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/probe.h"

#include "loader/base/cleanup.h"
#include "loader/kern/session.h"

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
	struct bl_session *now;
	struct bl_facts facts;
};

static int load(struct run *run, struct bl_err *err)
{
	return bl_session_load(run->now, &run->facts, err);
}

static int attach(struct run *run, struct bl_err *err)
{
	return bl_session_attach(run->now, &run->facts, err);
}

static int (*const steps[])(struct run *, struct bl_err *) = {
	[BL_PROBE_LOAD] = load,
	[BL_PROBE_ATTACH] = attach,
};

static void run_free(struct run *run)
{
	bl_session_close(run->now);
	bl_facts_free(&run->facts);
}

int bl_kern_probe(const struct bl_probe *p, struct bl_err *err)
{
	BL_CLEANUP(run_free) struct run run = { .probe = p };
	unsigned step;
	int r = bl_session_open(&p->now, &run.now, err);

	for (step = 0; r == 0 && step <= p->last; step++) {
		r = steps[step](&run, err);
		if (r == 0)
			r = p->told(p->ctx, step, &run.facts, err);
	}
	return r;
}
