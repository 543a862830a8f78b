/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/gate/candidate.h"
#include "loader/gate/choice.h"
#include "loader/gate/content/contract.h"
#include "loader/gate/content/replay.h"
#include "loader/gate/content/rules.h"
#include "loader/gate/core/btf_set.h"
#include "loader/gate/core/core.h"
#include "loader/gate/kernel/logs.h"
#include "loader/gate/kernel/swap.h"
#include "loader/gate/kernel/verify.h"
#include "loader/gate/maps/abi.h"
#include "loader/gate/maps/state.h"
#include "loader/gate/module/module.h"
#include "loader/gate/policy/policy.h"
#include "loader/kern/sensor.h"

#define DEADLINE_MS (180 * 1000)
/* A module is not verified, which is what may take long; and a hang of it is to
 * be told from a verdict that takes long in a time that somebody waits. */
#define MODULE_DEADLINE_MS (90 * 1000)

/* One check under way. */
struct gate {
	struct bl_gate_opts opts; /* with the defaults filled in */
	struct bl_candidate now, previous;
	struct bl_choice choice;
	struct bl_profile profile;
	struct bl_baseline baseline;
	char *log_dir;
	struct bl_report report;
};

static void gate_free(struct gate *g)
{
	bl_report_free(&g->report);
	bl_candidate_free(&g->now);
	bl_candidate_free(&g->previous);
	bl_choice_free(&g->choice);
	bl_profile_free(&g->profile);
	bl_baseline_free(&g->baseline);
	free(g->log_dir);
}

/* --- the steps -------------------------------------------------------------- */

static int content(struct gate *g, struct bl_err *err)
{
	const struct bl_candidate *c = &g->now;
	int r;

	(void)err;
	r = bl_report_note(&g->report, BL_VERDICT_PASS, "content", NULL,
			   "%u rules, %u of them deny", c->content_info.rules,
			   c->content_info.denies);
	if (r == 0)
		r = bl_rules_check(c->content_name, bl_buf_str(c->json),
				   c->json->len, c->bin.data, c->bin.len,
				   &g->report);
	if (r == 0)
		r = bl_replay_check(c->content_name, bl_buf_str(c->json),
				    c->json->len, c->bin.data, c->bin.len,
				    &g->report);
	return r;
}

static int policy(struct gate *g, struct bl_err *err)
{
	(void)err;
	return bl_policy_check(&g->now.object, &g->profile,
			       g->now.content_info.denies > 0, &g->report);
}

static int contract(struct gate *g, struct bl_err *err)
{
	(void)err;
	return bl_contract_check(&g->now.object, g->now.bin.data,
				 g->now.bin.len, &g->report);
}

static int maps(struct gate *g, struct bl_err *err)
{
	struct bl_maps_limits limits = g->opts.maps;

	(void)err;
	if (!limits.max_bytes)
		limits = BL_MAPS_LIMITS;
	return bl_maps_check(&g->now.object, &limits, &g->report);
}

static const struct bl_carry_rules *words_of(const struct bl_candidate *c)
{
	return c->kind == BL_CANDIDATE_BUNDLE ? &c->bundle.manifest.state
					      : NULL;
}

static int abi(struct gate *g, struct bl_err *err)
{
	(void)err;
	return bl_abi_check(&g->now.object, &g->previous.object,
			    words_of(&g->now), &g->report);
}

/* Words are a manifest's; an object alone is no update yet. */
static int state(struct gate *g, struct bl_err *err)
{
	const struct bl_candidate *now = &g->now, *previous = &g->previous;
	bool other = words_of(previous) &&
		     strcmp(now->bundle.manifest.name,
			    previous->bundle.manifest.name) != 0;

	(void)err;
	return bl_state_check(&now->object, &previous->object, words_of(now),
			      other, &g->report);
}

/* Every kernel's types, without booting one. */
static int core(struct gate *g, struct bl_err *err)
{
	BL_CLEANUP(bl_btf_set_free) struct bl_btf_set set = { 0 };
	struct bl_btf_want want = {
		.kernels = g->choice.kernels,
		.kernel_count = g->choice.count,
		.host = g->choice.host,
		.paths = g->opts.btfs,
		.path_count = g->opts.btf_count,
	};
	int r = bl_btf_set_fill(&want, &set, err);

	return r < 0 ? r
		     : bl_core_check(&g->now.object, set.list, set.count,
				     &g->report);
}

static int changes(struct gate *g, struct bl_err *err)
{
	(void)err;
	return bl_swap_compare(&g->now.object, &g->previous.object, &g->report);
}

/* What each kernel is asked: a workload, and a swap if there is something to
 * swap from. */
static struct bl_probe probe_of(const struct gate *g)
{
	const struct bl_candidate *now = &g->now, *previous = &g->previous;
	struct bl_probe p = {
		.now = { .name = now->object_name,
			 .object = now->object.copy,
			 .len = now->object.len,
			 .generation = 1 },
		.last = BL_PROBE_EXERCISE,
		.scale = g->opts.scale,
	};

	if (now->has_content) {
		p.now.content = now->bin.data;
		p.now.content_len = now->bin.len;
	}
	if (previous->has_object) {
		p.previous.name = previous->object_name;
		p.previous.object = previous->object.copy;
		p.previous.len = previous->object.len;
		p.previous.generation = 2;
		p.last = BL_PROBE_SWAP;
	}
	return p;
}

/* Room for the logs, if nobody said where. */
static int logs(struct gate *g, const char **ret, struct bl_err *err)
{
	int r = 0;

	if (!g->opts.log_dir)
		r = bl_gate_new_log_dir(&g->log_dir, err);
	*ret = g->log_dir ? g->log_dir : g->opts.log_dir;
	return r;
}

static int kernels(struct gate *g, struct bl_err *err)
{
	struct bl_gate_target target = {
		.opts = &g->opts,
		.object = &g->now.object,
		.probe = probe_of(g),
		.limits = g->now.kind == BL_CANDIDATE_BUNDLE
				  ? g->now.bundle.manifest.exercise
				  : bl_exercise_defaults(),
		.kernels = g->choice.kernels,
		.kernel_count = g->choice.count,
		.host = g->choice.host,
	};
	int r = logs(g, &target.log_dir, err);

	if (r < 0)
		return r;
	r = bl_gate_verify(&target, &g->report, err);
	/* What types alone could not decide, a kernel's answer does. */
	if (r == 0)
		r = bl_core_settle(&g->report);
	if (r == 0 && g->now.content_info.denies)
		bl_gate_require_lsm(&g->report);
	if (r == 0 && bl_sensor_wants(g->now.bin.data, BL_EVENT_DNS))
		bl_gate_require_dns(&g->report);
	if (r == 0 && bl_sensor_sums(g->now.bin.data))
		bl_gate_require_sums(&g->report);
	return r;
}

/* The same of a bundle of modules: what can be asked of files, and what not. */
static int modules(struct gate *g, struct bl_err *err)
{
	int r = bl_module_check_files(&g->now, &g->report);

	(void)err;
	return r < 0 ? r
		     : bl_module_not_asked(g->opts.previous != NULL,
					   &g->report);
}

/* Each kernel is asked about its own; those without one are answered already. */
static int module_kernels(struct gate *g, struct bl_err *err)
{
	size_t count = g->choice.count, with = 0;
	bl_autofree struct bl_gate_module *list =
		calloc(count + 1, sizeof(*list));
	bl_autofree const struct bl_kernel **kernels =
		calloc(count + 1, sizeof(*kernels));
	struct bl_gate_target target = {
		.opts = &g->opts,
		.modules = list,
		.limits = g->now.bundle.manifest.exercise,
		.kernels = kernels,
	};
	int r;

	if (!list || !kernels)
		return -ENOMEM;
	r = bl_module_cover(&g->now, &g->choice, list, &g->report);
	for (size_t i = 0; i < count; i++) {
		if (!list[i].file)
			continue;
		list[with] = list[i];
		kernels[with++] = g->choice.kernels[i];
	}
	if (r < 0 || !with)
		return r;
	target.kernel_count = with;
	target.probe = probe_of(g);
	target.probe.last = BL_PROBE_SWAP;
	r = logs(g, &target.log_dir, err);
	return r < 0 ? r : bl_gate_verify(&target, &g->report, err);
}

static int budget(struct gate *g, struct bl_err *err)
{
	struct bl_budget_limits limits = g->opts.budget;

	(void)err;
	limits.all_kernels = g->choice.all;
	return bl_budget_check(g->opts.baseline ? &g->baseline : NULL, &limits,
			       &g->report);
}

/* What a step looks at; it is taken where all of that is there. */
enum { OBJECT = 1, CONTENT = 2, PREVIOUS = 4, MANIFEST = 8, MODULES = 16 };

static const struct {
	unsigned needs;
	const char *doing; /* for the error when it cannot be done */
	int (*run)(struct gate *g, struct bl_err *err);
} steps[] = {
	{ CONTENT, "judging its content", content },
	{ MODULES, "reading its modules", modules },
	{ MODULES, "trying its modules on kernels", module_kernels },
	{ OBJECT, "applying the policy", policy },
	{ OBJECT | CONTENT, "holding its content against its object",
	  contract },
	{ OBJECT, "looking for its types in kernels", core },
	{ OBJECT, "measuring its maps", maps },
	{ OBJECT | PREVIOUS, "comparing maps with the previous", abi },
	{ OBJECT | PREVIOUS | MANIFEST, "deciding on the state of the previous",
	  state },
	{ OBJECT | PREVIOUS, "comparing with the previous", changes },
	{ OBJECT, "asking the kernels", kernels },
	{ OBJECT, "comparing with the budget", budget },
};

static int take_steps(struct gate *g, struct bl_err *err)
{
	unsigned have = (g->now.has_object ? OBJECT : 0) |
			(g->now.has_content ? CONTENT : 0) |
			(g->previous.has_object ? PREVIOUS : 0) |
			(words_of(&g->now) ? MANIFEST : 0) |
			(g->now.has_modules ? MODULES : 0);
	struct bl_err why = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < BL_ARRAY_SIZE(steps); i++)
		if ((steps[i].needs & ~have) == 0)
			r = steps[i].run(g, &why);
	if (r == 0)
		return 0;
	if (!why.text[0])
		return bl_err_errno(err, r, "%s", steps[i - 1].doing);
	if (err)
		*err = why;
	return r;
}

/* --- what is needed before -------------------------------------------------- */

static int open_previous(struct gate *g, struct bl_err *err)
{
	const char *path = g->opts.previous;
	int r;

	if (!path)
		return 0;
	r = bl_candidate_read(path, g->opts.source, &g->previous, err);
	if (r == 0)
		r = bl_candidate_open(&g->previous, err);
	if (r == 0 && !g->previous.has_object && !g->previous.has_modules)
		r = bl_err_set(err, -EINVAL, "there is no object in %s", path);
	return r < 0 ? bl_err_wrap(err, r, "--previous") : 0;
}

/* All that can be wrong with what was asked for is told before a VM starts. */
static int prepare(struct gate *g, struct bl_err *err)
{
	int r = open_previous(g, err);

	if (r == 0)
		r = bl_profile_load(g->opts.profile, &g->profile, err);
	if (r == 0 && g->opts.baseline)
		r = bl_budget_load(g->opts.baseline, &g->baseline, err);
	if (r == 0 && g->now.kind != BL_CANDIDATE_CONTENT)
		r = bl_choose(g->opts.kernels, g->opts.kernel_count, &g->choice,
			      err);
	return r;
}

static bool is_rejection(int r)
{
	return r == -EBADMSG || r == -EFBIG;
}

/* A file that is not in order is rejected, with the reason. */
static int open_now(struct gate *g, struct bl_err *err)
{
	struct bl_candidate *c = &g->now;
	struct bl_err why = { 0 };
	int r = bl_candidate_open(c, &why);

	if (is_rejection(r))
		r = bl_report_note(&g->report, BL_VERDICT_REJECT,
				   c->failed_check, NULL,
				   why.hint[0] ? "%s (%s)" : "%s", why.text,
				   why.hint);
	else if (r == 0 && c->kind == BL_CANDIDATE_BUNDLE)
		r = bl_report_note(&g->report, BL_VERDICT_PASS, "bundle", NULL,
				   "bundle %s %s", c->bundle.manifest.name,
				   c->bundle.manifest.version);
	return r < 0 ? bl_err_errno(err, r, "checking %s", c->path) : 0;
}

static int check(struct gate *g, struct bl_err *err)
{
	struct bl_candidate *c = &g->now;
	int r = g->opts.bytes
			? bl_candidate_copy(g->opts.path, g->opts.bytes, c, err)
			: bl_candidate_read(g->opts.path, g->opts.source, c,
					    err);

	if (r < 0)
		return r;
	r = bl_report_init(&g->report, c->path,
			   bl_candidate_kind_name(c->kind));
	if (r < 0)
		return bl_err_set(err, r, "out of memory");
	memcpy(g->report.digest, c->digest, sizeof(c->digest));
	r = open_now(g, err);
	if (!g->opts.deadline_ms)
		g->opts.deadline_ms = c->has_modules ? MODULE_DEADLINE_MS
						     : DEADLINE_MS;
	if (r == 0 && (c->has_object || c->has_modules))
		r = prepare(g, err);
	return r < 0 ? r : take_steps(g, err);
}

int bl_gate_check(const struct bl_gate_opts *opts, struct bl_report *ret,
		  struct bl_err *err)
{
	BL_CLEANUP(gate_free) struct gate g = { .opts = *opts };
	uint64_t start = bl_clock_mono_ms();
	int r;

	if (!g.opts.profile)
		g.opts.profile = "observe";
	r = check(&g, err);
	if (r < 0)
		return r;
	g.report.total_ms = bl_clock_mono_ms() - start;
	*ret = g.report;
	g.report = (struct bl_report){ 0 };
	return 0;
}
