/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/decision.h"

#include <errno.h>
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
	[BL_EXPOSURE_EXPOSED] = "exposed",     [BL_EXPOSURE_TRIAL] = "trial",
	[BL_EXPOSURE_COMMITTED] = "committed", [BL_EXPOSURE_FAILED] = "failed",
	[BL_EXPOSURE_BACK] = "back",	       [BL_EXPOSURE_SILENT] = "silent",
	[BL_EXPOSURE_STUCK] = "stuck",
};

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

/* The first thing that is wrong with an exposed host, if any. */
static bool decide_bad(const struct bl_view *v, struct bl_decision *ret)
{
	size_t i;

	for (i = 0; i < v->count; i++) {
		const struct bl_view_host *h = &v->hosts[i];

		ret->host = i;
		switch (h->state) {
		case BL_EXPOSURE_FAILED:
		case BL_EXPOSURE_STUCK:
		case BL_EXPOSURE_BACK: /* nobody told it to: it left */
			decide(ret, BL_DECISION_STOP, "host %s failed: %s",
			       h->name,
			       *h->reason ? h->reason : "it gave no reason");
			return true;
		case BL_EXPOSURE_SILENT:
			decide(ret, BL_DECISION_STOP,
			       "host %s was silent for more than %lld s",
			       h->name, seconds(v->plan->silence_ms));
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
		if (h->state != BL_EXPOSURE_COMMITTED &&
		    open_for_ms(v, h->exposed_ms) > v->plan->trial_ms) {
			decide(ret, BL_DECISION_STOP,
			       "host %s did not end its trial within %lld s",
			       h->name, seconds(v->plan->trial_ms));
			return true;
		}
	}
	return false;
}

static size_t unconfirmed(const struct bl_view *v)
{
	size_t i, n = 0;

	for (i = 0; i < v->count; i++)
		n += v->hosts[i].state != BL_EXPOSURE_COMMITTED;
	return n;
}

static void decide_done(const struct bl_view *v, struct bl_decision *ret)
{
	if (v->gone)
		decide(ret, BL_DECISION_DONE,
		       "%zu host%s took it; left out, not heard of for %lld s: %u",
		       v->count, plural(v->count), seconds(v->plan->gone_ms),
		       v->gone);
	else if (!v->count)
		decide(ret, BL_DECISION_DONE, "%u host%s had it already",
		       v->already, plural(v->already));
	else
		decide(ret, BL_DECISION_DONE, "%zu host%s took it", v->count,
		       plural(v->count));
}

static void decide_forward(const struct bl_view *v, struct bl_decision *ret)
{
	unsigned fleet = (unsigned)v->count + v->waiting;
	unsigned size = bl_plan_wave_size(v->plan, v->wave, fleet);
	const struct bl_wave *w = &v->plan->waves[v->wave];
	size_t open = unconfirmed(v);
	int64_t soaked;

	if (!fleet && !v->already) {
		decide(ret, BL_DECISION_WAIT, "no host of the fleet polls");
		return;
	}
	if (size > v->target) {
		ret->target = size;
		decide(ret, BL_DECISION_EXPOSE, "wave %u is %u of %u hosts",
		       v->wave + 1, size, fleet);
		return;
	}
	if (v->count < size) {
		decide(ret, BL_DECISION_WAIT, "%zu more host%s may take it",
		       size - v->count, plural(size - v->count));
		return;
	}
	if (open) {
		decide(ret, BL_DECISION_WAIT, "%zu host%s still to confirm it",
		       open, plural(open));
		return;
	}
	/* Every host so far is committed: the wave holds, if it stays so. A
	 * clock that was set back soaks anew from now on, not for ever. */
	soaked = v->now_ms - v->commit_ms;
	if (v->count && soaked < w->soak_ms) {
		if (soaked < 0 && v->now_ms - v->listening_ms >= w->soak_ms)
			soaked = w->soak_ms;
		else
			soaked = soaked < 0 ? 0 : soaked;
	}
	if (v->count && soaked < w->soak_ms) {
		decide(ret, BL_DECISION_WAIT, "wave %u soaks, %lld s left",
		       v->wave + 1, seconds(w->soak_ms - soaked + 999));
		return;
	}
	if (v->wave + 1 == v->plan->wave_count || !fleet) {
		decide_done(v, ret);
		return;
	}
	ret->target = bl_plan_wave_size(v->plan, v->wave + 1, fleet);
	if (ret->target < v->target)
		ret->target = v->target;
	decide(ret, BL_DECISION_NEXT_WAVE, "wave %u is %u of %u hosts",
	       v->wave + 2, ret->target, fleet);
}

void bl_decide(const struct bl_view *view, struct bl_decision *ret)
{
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
	if (!decide_bad(view, ret))
		decide_forward(view, ret);
}
