/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/decide/decision.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

static const char *const rollout_names[] = {
	[BL_ROLLOUT_RUNNING] = "running", [BL_ROLLOUT_STOPPING] = "stopping",
	[BL_ROLLOUT_STOPPED] = "stopped", [BL_ROLLOUT_ABORTING] = "aborting",
	[BL_ROLLOUT_ABORTED] = "aborted", [BL_ROLLOUT_DONE] = "done",
};

static const char *const exposure_names[] = {
	[BL_EXPOSURE_EXPOSED] = "exposed",
	[BL_EXPOSURE_TRIAL] = "trial",
	[BL_EXPOSURE_COMMITTED] = "committed",
	[BL_EXPOSURE_FAILED] = "failed",
	[BL_EXPOSURE_BACK] = "back",
	[BL_EXPOSURE_SILENT] = "silent",
	[BL_EXPOSURE_STUCK] = "stuck",
	[BL_EXPOSURE_UNDECIDED] = "undecided",
};

static const char *const decision_names[] = {
	[BL_DECISION_WAIT] = "wait",	  [BL_DECISION_EXPOSE] = "expose",
	[BL_DECISION_NEXT_WAVE] = "next", [BL_DECISION_SILENT] = "silent",
	[BL_DECISION_STUCK] = "stuck",	  [BL_DECISION_STOP] = "stop",
	[BL_DECISION_HOLD] = "hold",	  [BL_DECISION_DONE] = "done",
	[BL_DECISION_END] = "end",	  [BL_DECISION_PAUSE] = "pause",
	[BL_DECISION_RESUME] = "resume",  [BL_DECISION_APPROVE] = "approve",
	[BL_DECISION_ABORT] = "abort",
};

const char *bl_decision_name(enum bl_decision_kind kind)
{
	return decision_names[kind];
}

bool bl_decision_is_act(enum bl_decision_kind kind)
{
	return kind >= BL_DECISION_PAUSE && kind < BL_DECISION_KINDS;
}

const char *bl_rollout_state_name(enum bl_rollout_state state)
{
	return rollout_names[state];
}

const char *bl_exposure_state_name(enum bl_exposure_state state)
{
	return exposure_names[state];
}

static int parse(const char *const *names, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

int bl_rollout_state_parse(const char *name, enum bl_rollout_state *ret)
{
	int r = parse(rollout_names, BL_ARRAY_SIZE(rollout_names), name);

	if (r < 0)
		return r;
	*ret = (enum bl_rollout_state)r;
	return 0;
}

int bl_exposure_state_parse(const char *name, enum bl_exposure_state *ret)
{
	int r = parse(exposure_names, BL_ARRAY_SIZE(exposure_names), name);

	if (r < 0)
		return r;
	*ret = (enum bl_exposure_state)r;
	return 0;
}

int64_t bl_decision_slack_ms(const struct bl_plan *plan)
{
	return plan->silence_ms / 8;
}

bool bl_decision_silent(const struct bl_plan *plan, int64_t heard_ms,
			int64_t listening_ms, int64_t now_ms)
{
	if (heard_ms > now_ms || heard_ms < listening_ms)
		heard_ms = listening_ms;
	return now_ms - heard_ms >
	       plan->silence_ms + bl_decision_slack_ms(plan);
}

__attribute__((format(printf, 3, 4))) static void
decide(struct bl_decision *ret, enum bl_decision_kind kind, const char *fmt,
       ...)
{
	va_list ap;

	ret->kind = kind;
	va_start(ap, fmt);
	vsnprintf(ret->reason, sizeof(ret->reason), fmt, ap);
	va_end(ap);
}

static bool silent(const struct bl_view *v, const struct bl_view_host *h)
{
	return bl_decision_silent(v->plan, h->heard_ms, v->listening_ms,
				  v->now_ms);
}

/* Time since @since_ms in which a host could have reported: while nobody
 * listened, nobody could. */
static int64_t open_for_ms(const struct bl_view *v, int64_t since_ms)
{
	return v->now_ms - (since_ms > v->listening_ms && since_ms <= v->now_ms
				    ? since_ms
				    : v->listening_ms);
}

static long long seconds(int64_t ms)
{
	return (long long)(ms / 1000);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* Going back: every exposed host is told at its next poll; those that say
 * nothing or cannot are named and not waited for. */
static void decide_return(const struct bl_view *v, struct bl_decision *ret)
{
	size_t i, open = 0, lost = 0;

	for (i = 0; i < v->count; i++) {
		const struct bl_view_host *h = &v->hosts[i];

		switch (h->state) {
		case BL_EXPOSURE_FAILED:
		case BL_EXPOSURE_BACK:
		case BL_EXPOSURE_UNDECIDED:
			continue;
		case BL_EXPOSURE_SILENT:
		case BL_EXPOSURE_STUCK:
			lost++;
			continue;
		case BL_EXPOSURE_EXPOSED:
		case BL_EXPOSURE_TRIAL:
		case BL_EXPOSURE_COMMITTED:
			break;
		}
		ret->host = i;
		if (silent(v, h)) {
			decide(ret, BL_DECISION_SILENT,
			       "not heard of for %lld s, may still run it",
			       seconds(v->plan->silence_ms));
			return;
		}
		if (open_for_ms(v, v->stop_ms) > v->plan->trial_ms) {
			decide(ret, BL_DECISION_STUCK,
			       "polls, and did not go back within %lld s",
			       seconds(v->plan->trial_ms));
			return;
		}
		open++;
	}
	if (open)
		decide(ret, BL_DECISION_WAIT, "%zu host%s still to go back",
		       open, plural(open));
	else if (lost)
		decide(ret, BL_DECISION_END,
		       "%zu host%s may still run it: told at the next poll",
		       lost, plural(lost));
	else
		decide(ret, BL_DECISION_END, "every exposed host is back");
}

static bool is_bad(enum bl_exposure_state state)
{
	return state == BL_EXPOSURE_FAILED || state == BL_EXPOSURE_BACK ||
	       state == BL_EXPOSURE_SILENT || state == BL_EXPOSURE_STUCK;
}

static const char *why(const struct bl_view_host *h)
{
	return *h->reason ? h->reason : "it gave no reason";
}

/* The first thing that is wrong with an exposed host, if any. What a plan
 * tolerates is marked, and left to the sums. */
static bool decide_bad(const struct bl_view *v, struct bl_decision *ret)
{
	bool tolerant = v->plan->p0_percent > 0;
	size_t i;

	for (i = 0; i < v->count; i++) {
		const struct bl_view_host *h = &v->hosts[i];

		if (tolerant && is_bad(h->state))
			continue;
		ret->host = i;
		switch (h->state) {
		case BL_EXPOSURE_FAILED:
		case BL_EXPOSURE_STUCK:
		case BL_EXPOSURE_BACK: /* nobody told it to: it left */
			decide(ret, BL_DECISION_STOP, "host %s failed: %s",
			       h->name, why(h));
			return true;
		case BL_EXPOSURE_SILENT:
			decide(ret, BL_DECISION_STOP,
			       "host %s was silent for more than %lld s",
			       h->name, seconds(v->plan->silence_ms));
			return true;
		case BL_EXPOSURE_UNDECIDED:
			if (v->plan->undecided != BL_UNDECIDED_STOP)
				continue;
			decide(ret, BL_DECISION_STOP,
			       "host %s is undecided: %s", h->name, why(h));
			return true;
		case BL_EXPOSURE_EXPOSED:
		case BL_EXPOSURE_TRIAL:
		case BL_EXPOSURE_COMMITTED:
			break;
		}
		if (silent(v, h)) {
			decide(ret, BL_DECISION_SILENT,
			       "not heard of for more than %lld s",
			       seconds(v->plan->silence_ms));
			return true;
		}
		if (h->state == BL_EXPOSURE_COMMITTED ||
		    open_for_ms(v, h->exposed_ms) <= v->plan->trial_ms)
			continue;
		if (tolerant)
			decide(ret, BL_DECISION_STUCK,
			       "did not end its trial within %lld s",
			       seconds(v->plan->trial_ms));
		else
			decide(ret, BL_DECISION_STOP,
			       "host %s did not end its trial within %lld s",
			       h->name, seconds(v->plan->trial_ms));
		return true;
	}
	ret->host = 0;
	return false;
}

/* Whether the sums say that the version is bad. */
static bool decide_rates(const struct bl_view *v, const struct bl_tally *strata,
			 size_t count, struct bl_decision *ret)
{
	enum bl_guard_metric m = bl_rates_guard(v->plan, v->pairs);
	struct bl_rates_verdict r;

	bl_rates_judge(v->plan, strata, count, &r);
	if (r.bad && v->plan->p0_percent <= 0) {
		decide(ret, BL_DECISION_STOP,
		       "%u of %u exposed host%s %s bad: none is tolerated",
		       r.count, r.of, plural(r.of),
		       r.count == 1 ? "is" : "are");
		return true;
	}
	if (r.bad) {
		decide(ret, BL_DECISION_STOP,
		       "%u of %u exposed hosts %s bad (%.80s): a rate of %g %% is 10^%.1f times as likely as the tolerated %g %%, 10^%.1f is enough",
		       r.count, r.of, r.count == 1 ? "is" : "are",
		       r.stratum == BL_RATES_FLEET ? "all strata"
						   : strata[r.stratum].name,
		       r.rate * 100, r.llr / M_LN10, v->plan->p0_percent,
		       r.bound / M_LN10);
		return true;
	}
	if (m == BL_GUARD_METRICS)
		return false;
	decide(ret, BL_DECISION_STOP,
	       "%s: %u of %u hosts are more than %g %% worse than one without the version: 10^%.1f to one, 10^%.1f is enough",
	       bl_guard_name(m), v->pairs[m].worse, v->pairs[m].pairs,
	       v->plan->guard_percent[m],
	       bl_guard_log_e(v->pairs[m].worse, v->pairs[m].pairs) / M_LN10,
	       -log10(bl_rates_guard_alpha(v->plan)));
	return true;
}

/* A host could not be judged, and nobody has seen it yet. Which is named: the one
 * that was exposed last. */
static bool decide_undecided(const struct bl_view *v, struct bl_decision *ret)
{
	unsigned more = v->undecided - v->held;
	const struct bl_view_host *last = NULL;
	size_t i;

	if (v->undecided <= v->held || v->paused)
		return false;
	for (i = 0; i < v->count; i++) {
		const struct bl_view_host *h = &v->hosts[i];

		if (h->state != BL_EXPOSURE_UNDECIDED ||
		    (last && last->exposed_ms >= h->exposed_ms))
			continue;
		last = h;
		ret->host = i;
	}
	decide(ret, BL_DECISION_HOLD, "%u host%s could not judge it%s%s: %s",
	       more, plural(more), last ? ", as " : "", last ? last->name : "",
	       last ? why(last) : "see belay rollout status");
	return true;
}

static void decide_done(const struct bl_view *v, const struct bl_tally *all,
			struct bl_decision *ret)
{
	unsigned took = bl_tally_exposed(all) - all->bad;
	char bad[64] = "", left_out[64] = "", undecided[64] = "";

	if (all->bad)
		snprintf(bad, sizeof(bad), "; %u bad, which is tolerated",
			 all->bad);
	if (v->undecided)
		snprintf(undecided, sizeof(undecided),
			 "; %u undecided, without it", v->undecided);
	if (v->left_out)
		snprintf(left_out, sizeof(left_out),
			 "; left out by the plan: %u", v->left_out);
	if (v->gone)
		decide(ret, BL_DECISION_DONE,
		       "%u host%s took it; left out, not heard of for %lld s: %u%s%s%s",
		       took, plural(took), seconds(v->plan->gone_ms), v->gone,
		       left_out, bad, undecided);
	else if (!bl_tally_exposed(all))
		decide(ret, BL_DECISION_DONE, "%u host%s had it already%s%s",
		       v->already, plural(v->already), left_out, undecided);
	else
		decide(ret, BL_DECISION_DONE, "%u host%s took it%s%s%s", took,
		       plural(took), left_out, bad, undecided);
}

static unsigned wave_size(const struct bl_view *v, unsigned wave,
			  const struct bl_tally *strata, size_t count)
{
	const struct bl_wave *w = &v->plan->waves[wave];
	struct bl_tally all = bl_tally_sum(strata, count);
	unsigned n = 0;
	size_t i;

	if (w->names.count)
		return v->named;
	if (!w->per_stratum)
		return bl_plan_wave_size(v->plan, wave,
					 bl_tally_exposed(&all) + all.waiting);
	/* So many good ones: one that is bad is replaced. */
	for (i = 0; i < count; i++) {
		unsigned has = bl_tally_exposed(&strata[i]) + strata[i].waiting;
		unsigned wants = w->per_stratum + strata[i].bad;

		n += wants < has ? wants : has;
	}
	return n;
}

/* The view's strata, or the one that stands for them. */
static const struct bl_tally *strata_of(const struct bl_view *v,
					struct bl_tally *one, size_t *ret_count)
{
	size_t i;

	*ret_count = v->stratum_count;
	if (v->strata)
		return v->strata;
	*one = (struct bl_tally){ .name = "all hosts", .waiting = v->waiting };
	for (i = 0; i < v->count; i++) {
		if (is_bad(v->hosts[i].state))
			one->bad++;
		else if (v->hosts[i].state == BL_EXPOSURE_COMMITTED)
			one->good++;
		else if (v->hosts[i].state != BL_EXPOSURE_UNDECIDED)
			one->open++;
	}
	*ret_count = 1;
	return one;
}

unsigned bl_decision_wave_size(const struct bl_view *view, unsigned wave)
{
	struct bl_tally one;
	size_t count;
	const struct bl_tally *strata = strata_of(view, &one, &count);

	return wave_size(view, wave, strata, count);
}

/* Whether @wave may not begin now, or the present one not grow. */
static bool decide_held(const struct bl_view *v, unsigned wave,
			struct bl_decision *ret)
{
	int64_t until_ms;

	if (bl_plan_frozen(v->plan, v->now_ms, &until_ms)) {
		decide(ret, BL_DECISION_WAIT,
		       "the plan freezes it, %lld min left",
		       (long long)((until_ms - v->now_ms + 59999) / 60000));
		return true;
	}
	if (v->plan->waves[wave].gate && v->approved <= wave) {
		decide(ret, BL_DECISION_WAIT,
		       "wave %u waits for an operator (belay rollout approve)",
		       wave + 1);
		return true;
	}
	return false;
}

/* Time that a wave which holds has still to soak; 0: none. */
static int64_t soak_left_ms(const struct bl_view *v)
{
	int64_t soak_ms = v->plan->waves[v->wave].soak_ms;
	int64_t soaked = v->now_ms - v->commit_ms;

	/* A clock that was set back soaks anew from now on, not for ever. */
	if (soaked < 0)
		soaked = v->now_ms - v->listening_ms >= soak_ms ? soak_ms : 0;
	return soaked < soak_ms ? soak_ms - soaked : 0;
}

static void decide_next(const struct bl_view *v, const struct bl_tally *strata,
			size_t count, struct bl_decision *ret)
{
	struct bl_tally all = bl_tally_sum(strata, count);
	unsigned fleet = bl_tally_exposed(&all) + all.waiting;
	unsigned next = wave_size(v, v->wave + 1, strata, count);
	unsigned needed = bl_rates_widen(v->plan, v->wave, &all, next);

	if (needed) {
		if (decide_held(v, v->wave, ret))
			return;
		ret->target = needed > v->target ? needed : v->target;
		ret->widened = needed;
		decide(ret, BL_DECISION_EXPOSE,
		       "wave %u widens to %u hosts: a bad rate of %g %% is not excluded yet",
		       v->wave + 1, needed,
		       bl_plan_rate(v->plan, v->wave) * 100);
		return;
	}
	if (decide_held(v, v->wave + 1, ret))
		return;
	ret->target = next > v->target ? next : v->target;
	decide(ret, BL_DECISION_NEXT_WAVE, "wave %u is %u of %u hosts",
	       v->wave + 2, ret->target, fleet);
}

/* More may have it, and none takes it. A cap that is reached by hosts which are
 * given up stays so, until they are heard of: people are to know. */
static void decide_more(const struct bl_view *v, const struct bl_tally *all,
			unsigned more, struct bl_decision *ret)
{
	unsigned lost = v->unconfirmed > all->open ? v->unconfirmed - all->open
						   : 0;

	if (v->unconfirmed < v->plan->cap)
		decide(ret, BL_DECISION_WAIT, "%u more host%s may take it",
		       more, plural(more));
	else if (!lost)
		decide(ret, BL_DECISION_WAIT,
		       "the cap of %u is reached, %u more host%s wait%s",
		       v->plan->cap, more, plural(more), more == 1 ? "s" : "");
	else
		decide(ret, BL_DECISION_WAIT,
		       "the cap of %u is reached, %u more host%s wait%s: %u silent or stuck count%s until heard of",
		       v->plan->cap, more, plural(more), more == 1 ? "s" : "",
		       lost, lost == 1 ? "s" : "");
}

/* The hosts that a first wave names are the canary: where none of them has the
 * version, nobody has seen it, and resuming does not change that. */
static bool decide_unseen(const struct bl_view *v, const struct bl_tally *all,
			  struct bl_decision *ret)
{
	char names[80], could_not[48] = "";

	if (v->wave || !v->plan->waves[0].names.count || all->good ||
	    v->named_already)
		return false;
	bl_plan_wave_text(v->plan, 0, names, sizeof(names));
	if (v->undecided)
		snprintf(could_not, sizeof(could_not),
			 ", %u could not judge it", v->undecided);
	decide(ret, BL_DECISION_WAIT,
	       "wave 1 waits for a host that it names (%s): %s took it%s; if none comes, belay rollout abort, and a plan that names others",
	       names, all->bad ? "no good one" : "none", could_not);
	return true;
}

static void decide_forward(const struct bl_view *v,
			   const struct bl_tally *strata, size_t count,
			   struct bl_decision *ret)
{
	struct bl_tally all = bl_tally_sum(strata, count);
	unsigned exposed = bl_tally_exposed(&all);
	unsigned fleet = exposed + all.waiting;
	unsigned size = wave_size(v, v->wave, strata, count);
	unsigned wide = v->widened < fleet ? v->widened : fleet;
	int64_t soak_ms;

	if (size < wide)
		size = wide;
	if (!fleet && !v->already && !v->undecided) {
		decide(ret, BL_DECISION_WAIT, "no host of the fleet polls");
		return;
	}
	if (size > v->target) {
		if (decide_held(v, v->wave, ret))
			return;
		ret->target = size;
		decide(ret, BL_DECISION_EXPOSE, "wave %u is %u of %u hosts",
		       v->wave + 1, size, fleet);
		return;
	}
	if (exposed < size) {
		decide_more(v, &all, size - exposed, ret);
		return;
	}
	if (all.open) {
		decide(ret, BL_DECISION_WAIT, "%u host%s still to confirm it",
		       all.open, plural(all.open));
		return;
	}
	if (decide_unseen(v, &all, ret))
		return;
	/* Every host so far is committed: the wave holds, if it stays so. */
	soak_ms = soak_left_ms(v);
	if (exposed && soak_ms)
		decide(ret, BL_DECISION_WAIT, "wave %u soaks, %lld s left",
		       v->wave + 1, seconds(soak_ms + 999));
	else if (v->wave + 1 == v->plan->wave_count || !fleet)
		decide_done(v, &all, ret);
	else
		decide_next(v, strata, count, ret);
}

static void decide_paused(const struct bl_tally *strata, size_t count,
			  struct bl_decision *ret)
{
	struct bl_tally all = bl_tally_sum(strata, count);

	if (all.open)
		decide(ret, BL_DECISION_WAIT,
		       "paused: %u host%s still to confirm it, no other gets it",
		       all.open, plural(all.open));
	else
		decide(ret, BL_DECISION_WAIT,
		       "paused: no other host gets it (belay rollout resume)");
}

void bl_decide(const struct bl_view *view, struct bl_decision *ret)
{
	struct bl_tally one;
	const struct bl_tally *strata;
	size_t count;

	*ret = (struct bl_decision){ .target = view->target };
	switch (view->state) {
	case BL_ROLLOUT_STOPPED:
	case BL_ROLLOUT_ABORTED:
	case BL_ROLLOUT_DONE:
		decide(ret, BL_DECISION_WAIT, "over");
		return;
	case BL_ROLLOUT_STOPPING:
	case BL_ROLLOUT_ABORTING:
		decide_return(view, ret);
		return;
	case BL_ROLLOUT_RUNNING:
		break;
	}
	strata = strata_of(view, &one, &count);
	if (decide_bad(view, ret) || decide_rates(view, strata, count, ret) ||
	    decide_undecided(view, ret))
		return;
	if (view->paused)
		decide_paused(strata, count, ret);
	else
		decide_forward(view, strata, count, ret);
}
