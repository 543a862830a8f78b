/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts and time: a heap of what happens next, and what it does. */
#include "canary/simulate/engine.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/ledger.h"
#include "canary/ledger/pairs.h"
#include "canary/ledger/strata.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/* A Monday morning: a plan's freezes are those of its week. */
#define BEGIN_MS INT64_C(1796032800000)
#define LAST_MS	 (INT64_C(60) * 24 * 3600 * 1000)

/* Hosts that nothing is asked of poll this often, those in a trial each
 * second. */
#define IDLE_POLL_MS 30000
#define POLL_MS	     1000
/* The bundle is fetched and loaded. */
#define LOAD_MS		     1000
#define LOAD_MORE_MS	     2000
#define DEFAULT_PROBATION_MS 30000
/* A version that takes its host down does so within this, and the host is
 * there again after that. */
#define CRASH_WITHIN_MS 10000
#define BOOT_MS		40000
#define BOOT_MORE_MS	80000

enum event {
	EVENT_DOWN,   /* a host goes down with it */
	EVENT_UP,     /* it is there again, with the old version */
	EVENT_FAILED, /* and says so */
	EVENT_SILENT, /* it was not heard of for too long */
	EVENT_BACK,   /* a silent one says that it went back */
	EVENT_COMMIT,
	EVENT_UNDECIDED, /* its trial could not be judged: it went back */
	EVENT_COMPARE,	 /* it was measured long enough for a pair */
	EVENT_ARRIVAL,	 /* a host polls that may have it */
	EVENT_TICK,	 /* the rule looks */
};

/* An event is one number, so that millions are a small heap: its time, its
 * kind, its stratum. */
#define EVENT(t, kind, s) \
	((uint64_t)(t) << 12 | (uint64_t)(kind) << 8 | (uint64_t)(s))

struct engine {
	struct sim sim; /* first: what rules see */
	uint64_t *heap;
	size_t count, room;
	double arrival_ms;
	unsigned paired[BL_SIM_STRATA_MAX]; /* hosts used as the other one */
	unsigned faulty; /* the stratum that the fault is on; UINT_MAX: all */
	unsigned down;
	int64_t down_since_ms; /* of the integral */
	int64_t stop_ms;       /* BL_SIM_NEVER */
	int64_t ticked_ms;     /* the rule last looked */
	struct bl_sim_result *ret;
	unsigned gap; /* of points; ticks */
	unsigned since_point;
	bool failed; /* out of memory */
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

double sim_uniform(struct sim *sim)
{
	sim->random += UINT64_C(0x9e3779b97f4a7c15);
	return ((double)(mix(sim->random) >> 11) + 0.5) * 0x1p-53;
}

double sim_time_per_event(struct sim *sim)
{
	/* Log-normal around 2 us: one host in twenty takes twice as long, or
	 * half, by what it is and does. */
	double r = sqrt(-2 * log(sim_uniform(sim)));

	return 2000 * exp(0.35 * r * cos(2 * M_PI * sim_uniform(sim)));
}

struct bl_tally sim_sum(struct sim *sim)
{
	const struct bl_rollout *r = &sim->rollout;
	unsigned i;

	for (i = 0; i < r->stratum_count; i++) {
		const struct bl_stratum *s = &r->strata[i];

		sim->tallies[i] = (struct bl_tally){
			.name = sim->names[i],
			.waiting = sim->waiting[i],
			.open = s->exposed - s->good - s->bad,
			.good = s->good,
			.bad = s->bad,
		};
	}
	return bl_tally_sum(sim->tallies, r->stratum_count);
}

static void push(struct engine *e, double t_ms, enum event kind, unsigned s)
{
	uint64_t event = EVENT((int64_t)t_ms, kind, s);
	size_t i = e->count, up;

	if (e->count == e->room) {
		size_t room = e->room ? 2 * e->room : 4096;
		uint64_t *heap = realloc(e->heap, room * sizeof(*heap));

		if (!heap) {
			e->failed = true;
			return;
		}
		e->heap = heap;
		e->room = room;
	}
	e->count++;
	for (; i; i = up) {
		up = (i - 1) / 4;
		if (e->heap[up] <= event)
			break;
		e->heap[i] = e->heap[up];
	}
	e->heap[i] = event;
}

static uint64_t pop(struct engine *e)
{
	uint64_t top = e->heap[0], last = e->heap[--e->count];
	size_t i = 0, child, c, end;

	for (;; i = child) {
		child = 4 * i + 1;
		if (child >= e->count)
			break;
		end = child + 4 < e->count ? child + 4 : e->count;
		for (c = child + 1; c < end; c++)
			if (e->heap[c] < e->heap[child])
				child = c;
		if (e->heap[child] >= last)
			break;
		e->heap[i] = e->heap[child];
	}
	e->heap[i] = last;
	return top;
}

static bool running(const struct engine *e)
{
	return e->sim.rollout.state == BL_ROLLOUT_RUNNING;
}

/* When the next host comes by that may have it. */
static void arm(struct engine *e, double from_ms)
{
	struct sim *sim = &e->sim;
	double sum = 0;
	unsigned s;

	sim->held = true;
	for (s = 0; s < sim->rollout.stratum_count; s++)
		if (sim->waiting[s] && sim->opts->rule->may(sim, s))
			sum += sim->waiting[s];
	if (sum <= 0)
		return;
	sim->held = false;
	e->arrival_ms = from_ms - log(sim_uniform(sim)) * IDLE_POLL_MS / sum;
	push(e, e->arrival_ms, EVENT_ARRIVAL, 0);
}

/* It goes down at the exposure's fate, or is committed. */
static void expose(struct engine *e, unsigned s)
{
	struct sim *sim = &e->sim;
	const struct bl_sim_opts *o = sim->opts;
	int64_t probation = o->plan->probation_ms ? o->plan->probation_ms
						  : DEFAULT_PROBATION_MS;
	double t = e->arrival_ms + LOAD_MS + LOAD_MORE_MS * sim_uniform(sim);
	enum event end = EVENT_COMMIT;
	double p = 0;

	sim->waiting[s]--;
	sim->rollout.exposed++;
	sim->rollout.unconfirmed++;
	sim->rollout.strata[s].exposed++;
	if (o->fault == BL_SIM_CRASH)
		p = o->size;
	else if (o->fault == BL_SIM_STRATUM && s == e->faulty)
		p = 1;
	if (o->fault == BL_SIM_UNDECIDED && o->rule->judges &&
	    sim_uniform(sim) < o->size)
		end = EVENT_UNDECIDED;
	if ((p > 0 && sim_uniform(sim) < p) ||
	    (o->background > 0 && sim_uniform(sim) < o->background))
		push(e, t + CRASH_WITHIN_MS * sim_uniform(sim), EVENT_DOWN, s);
	else
		push(e, t + (double)probation + POLL_MS * sim_uniform(sim), end,
		     s);
}

static void on_arrival(struct engine *e)
{
	struct sim *sim = &e->sim;
	double sum = 0, at;
	unsigned s, last = UINT_MAX;

	if (!running(e))
		return;
	for (s = 0; s < sim->rollout.stratum_count; s++)
		if (sim->waiting[s] && sim->opts->rule->may(sim, s)) {
			sum += sim->waiting[s];
			last = s;
		}
	at = sum * sim_uniform(sim);
	for (s = 0; s < last && last != UINT_MAX; s++) {
		if (!sim->waiting[s] || !sim->opts->rule->may(sim, s))
			continue;
		at -= sim->waiting[s];
		if (at <= 0)
			break;
	}
	if (last != UINT_MAX)
		expose(e, s);
	arm(e, e->arrival_ms);
}

static void count_down(struct engine *e, int by)
{
	int64_t now_ms = e->sim.now_ms;

	e->ret->down_hours +=
		(double)e->down * (double)(now_ms - e->down_since_ms) / 3600000;
	e->down_since_ms = now_ms;
	e->down += (unsigned)by;
	if (e->down > e->ret->most_down)
		e->ret->most_down = e->down;
}

/* One exposure of @s is known to be bad, from now on. */
static void know_bad(struct engine *e, unsigned s)
{
	if (e->ret->first_sign_ms == BL_SIM_NEVER)
		e->ret->first_sign_ms = e->sim.now_ms - BEGIN_MS;
	bl_strata_move(&e->sim.rollout.strata[s], BL_EXPOSURE_TRIAL,
		       BL_EXPOSURE_FAILED);
	e->sim.dirty = true;
}

static void on_down(struct engine *e, unsigned s)
{
	struct sim *sim = &e->sim;
	double now = (double)sim->now_ms, up, report;
	double silent = now + (double)sim->opts->plan->silence_ms +
			(double)bl_decision_slack_ms(sim->opts->plan);

	/* It was told to go back before it could. */
	if (e->stop_ms != BL_SIM_NEVER &&
	    now > (double)e->stop_ms + POLL_MS * sim_uniform(sim))
		return;
	e->ret->went_down++;
	count_down(e, 1);
	up = now + BOOT_MS + BOOT_MORE_MS * sim_uniform(sim);
	report = up + POLL_MS * sim_uniform(sim);
	push(e, up, EVENT_UP, s);
	if (report < silent) {
		push(e, report, EVENT_FAILED, s);
	} else {
		push(e, silent, EVENT_SILENT, s);
		push(e, report, EVENT_BACK, s);
	}
}

static bool compared(const struct engine *e)
{
	const struct bl_sim_opts *o = e->sim.opts;

	return running(e) && (o->fault == BL_SIM_SLOW ||
			      o->plan->guarded[BL_GUARD_TIME_PER_EVENT]);
}

/* A pair for the guard metric: this host and one of its stratum without it. */
static void pair(struct engine *e, unsigned s)
{
	struct sim *sim = &e->sim;
	const struct bl_plan *plan = sim->opts->plan;
	struct bl_pairs *p = &sim->pairs[BL_GUARD_TIME_PER_EVENT];
	double slow = sim->opts->fault == BL_SIM_SLOW ? sim->opts->size : 1;
	double value, other;

	if (!running(e) || e->paired[s] >= sim->waiting[s])
		return;
	sim->dirty = true;
	e->paired[s]++;
	value = slow * sim_time_per_event(sim);
	other = sim_time_per_event(sim);
	sim->slow[sim->samples % SIM_SAMPLE] = value;
	sim->other[sim->samples++ % SIM_SAMPLE] = other;
	p->pairs++;
	p->worse +=
		bl_guard_worse(BL_GUARD_TIME_PER_EVENT, value, other,
			       plan->guard_percent[BL_GUARD_TIME_PER_EVENT]);
}

static void on_known(struct engine *e, enum event kind, unsigned s)
{
	struct sim *sim = &e->sim;

	switch (kind) {
	case EVENT_FAILED:
		know_bad(e, s);
		sim->rollout.unconfirmed--;
		break;
	case EVENT_SILENT:
		know_bad(e, s);
		return; /* it goes on counting against the cap */
	case EVENT_BACK:
		sim->rollout.unconfirmed--;
		break;
	case EVENT_UNDECIDED:
		bl_strata_move(&sim->rollout.strata[s], BL_EXPOSURE_TRIAL,
			       BL_EXPOSURE_UNDECIDED);
		sim->rollout.undecided++;
		sim->rollout.unconfirmed--;
		sim->dirty = true;
		break;
	case EVENT_COMMIT:
		bl_strata_move(&sim->rollout.strata[s], BL_EXPOSURE_TRIAL,
			       BL_EXPOSURE_COMMITTED);
		sim->rollout.unconfirmed--;
		sim->rollout.commit_ms = sim->now_ms;
		sim->dirty = true;
		if (compared(e))
			push(e, (double)(sim->now_ms + BL_PAIRS_AFTER_MS),
			     EVENT_COMPARE, s);
		break;
	default:
		return;
	}
	if (sim->held && running(e))
		arm(e, (double)sim->now_ms);
}

/* Keeps at most BL_SIM_POINTS: when they are full, every other one. */
static void keep_point(struct engine *e)
{
	struct bl_sim_result *ret = e->ret;
	const struct bl_rollout *r = &e->sim.rollout;
	unsigned i, back = r->undecided;

	if (!ret->points || ++e->since_point < e->gap)
		return;
	e->since_point = 0;
	if (ret->point_count == BL_SIM_POINTS) {
		for (i = 0; i < BL_SIM_POINTS / 2; i++)
			ret->points[i] = ret->points[2 * i + 1];
		ret->point_count = BL_SIM_POINTS / 2;
		e->gap *= 2;
	}
	for (i = 0; i < r->stratum_count; i++)
		back += r->strata[i].bad;
	ret->points[ret->point_count++] = (struct bl_sim_point){
		.t_ms = e->sim.now_ms - BEGIN_MS,
		.exposed = r->exposed,
		.down = e->down,
		.has_it = running(e) || r->state == BL_ROLLOUT_DONE
				  ? r->exposed - back
				  : 0,
	};
}

static void on_tick(struct engine *e)
{
	struct sim *sim = &e->sim;

	if (running(e) && (sim->dirty || sim->now_ms - e->ticked_ms >=
						 sim->opts->rule->wake_ms)) {
		sim->dirty = false;
		e->ticked_ms = sim->now_ms;
		sim->opts->rule->tick(sim);
		if (sim->rollout.state == BL_ROLLOUT_STOPPING)
			e->stop_ms = sim->now_ms;
		else if (sim->held && running(e))
			arm(e, (double)sim->now_ms);
	}
	keep_point(e);
	if (running(e) || e->down)
		push(e, (double)(sim->now_ms + sim->opts->rule->tick_ms),
		     EVENT_TICK, 0);
}

/* Strata as fleets have them: the second one half as large as the first, the
 * third a third. */
static void make_strata(struct engine *e)
{
	const struct bl_sim_opts *o = e->sim.opts;
	struct sim *sim = &e->sim;
	double sum = 0, part = o->hosts;
	unsigned i, left = o->hosts, n, many = o->strata;

	if (o->fault == BL_SIM_STRATUM && many > 1) {
		e->faulty = --many;
		n = (unsigned)(o->size * o->hosts + 0.5);
		sim->waiting[many] = n ? n : 1;
		left -= sim->waiting[many];
		part = left;
	} else if (o->fault == BL_SIM_STRATUM) {
		e->faulty = 0;
	}
	for (i = 0; i < many; i++)
		sum += 1.0 / (i + 1);
	for (i = many; i-- > 0;) {
		n = i ? (unsigned)(part / sum / (i + 1)) : left;
		if (!n && left > many)
			n = 1;
		n = n < left ? n : left;
		sim->waiting[i] = n;
		left -= n;
	}
	sim->rollout.stratum_count = o->strata;
	for (i = 0; i < o->strata; i++) {
		sim->rollout.strata[i].key = i + 1;
		snprintf(sim->names[i], sizeof(sim->names[i]), "stratum %u",
			 i + 1);
	}
}

static int step(struct engine *e)
{
	uint64_t event = pop(e);
	enum event kind = (enum event)(event >> 8 & 15);
	unsigned s = event & 255;

	e->sim.now_ms = (int64_t)(event >> 12);
	if (e->sim.now_ms - BEGIN_MS > LAST_MS)
		return -ETIME;
	switch (kind) {
	case EVENT_ARRIVAL:
		on_arrival(e);
		break;
	case EVENT_TICK:
		if (e->sim.opts->go_on && !e->sim.opts->go_on(e->sim.opts->ctx))
			return -EINTR;
		on_tick(e);
		break;
	case EVENT_DOWN:
		on_down(e, s);
		break;
	case EVENT_UP:
		count_down(e, -1);
		break;
	case EVENT_COMPARE:
		pair(e, s);
		break;
	case EVENT_FAILED:
	case EVENT_SILENT:
	case EVENT_BACK:
	case EVENT_COMMIT:
	case EVENT_UNDECIDED:
		on_known(e, kind, s);
		break;
	}
	return e->failed ? -ENOMEM : 0;
}

static void conclude(struct engine *e)
{
	const struct bl_rollout *r = &e->sim.rollout;
	struct bl_sim_result *ret = e->ret;
	unsigned i;

	ret->stopped = e->stop_ms != BL_SIM_NEVER;
	if (ret->stopped)
		ret->stop_ms = e->stop_ms - BEGIN_MS;
	ret->end_ms = e->sim.now_ms - BEGIN_MS;
	ret->exposed = r->exposed;
	ret->undecided = r->undecided;
	ret->holds = e->sim.holds;
	ret->wave = r->wave;
	for (i = 0; i < r->stratum_count; i++)
		if (r->strata[i].exposed > ret->most_of_a_stratum)
			ret->most_of_a_stratum = r->strata[i].exposed;
	bl_text_copy(ret->reason, sizeof(ret->reason), e->sim.reason);
}

static int check(const struct bl_sim_opts *o, struct bl_err *err)
{
	if (!o->hosts || o->hosts > BL_SIM_HOSTS_MAX || !o->strata ||
	    o->strata > BL_SIM_STRATA_MAX || o->strata > o->hosts)
		return bl_err_set(
			err, -EINVAL,
			"a fleet has 1 to %d hosts in 1 to %d strata, and no stratum without a host",
			BL_SIM_HOSTS_MAX, BL_SIM_STRATA_MAX);
	if (o->plan->waves[0].names.count && o->plan->wave_count == 1)
		return bl_err_set(
			err, -EINVAL,
			"the plan's only wave is of names, and no simulated host has one of them; add a wave by percent");
	return 0;
}

int bl_sim_run(const struct bl_sim_opts *opts, struct bl_sim_result *ret,
	       struct bl_err *err)
{
	bl_autofree struct engine *e = calloc(1, sizeof(*e));
	bl_autosim struct bl_sim_result result = {
		.first_sign_ms = BL_SIM_NEVER,
		.stop_ms = BL_SIM_NEVER,
	};
	int r = check(opts, err);

	if (r < 0)
		return r;
	if (opts->series)
		result.points = calloc(BL_SIM_POINTS, sizeof(*result.points));
	if (!e || (opts->series && !result.points))
		return bl_err_set(err, -ENOMEM, "out of memory");
	e->ret = &result;
	e->gap = 1;
	e->faulty = UINT_MAX;
	e->stop_ms = BL_SIM_NEVER;
	e->down_since_ms = BEGIN_MS;
	e->sim.opts = opts;
	/* Mixed, so that the next seed is not the same sequence, one on. */
	e->sim.random = mix(opts->seed + 1);
	e->sim.now_ms = BEGIN_MS;
	e->sim.dirty = true;
	e->sim.held = true;
	e->sim.rollout.plan = *opts->plan;
	/* Operators let every wave begin at once. */
	e->sim.rollout.approved = opts->plan->wave_count;
	/* Nobody has a name: a wave of names is left to a real fleet. */
	e->sim.rollout.wave = opts->plan->waves[0].names.count ? 1 : 0;
	make_strata(e);
	push(e, (double)BEGIN_MS, EVENT_TICK, 0);
	while (!r && e->count)
		r = step(e);
	free(e->heap);
	if (r == -EINTR)
		return bl_err_set(err, r, "interrupted");
	if (r == -ETIME)
		return bl_err_set(
			err, r,
			"the rollout is not over after 60 days: %u of %u hosts were exposed, and it waited for an operator %u times",
			e->sim.rollout.exposed, opts->hosts, e->sim.holds);
	if (r < 0)
		return bl_err_set(err, r, "out of memory");
	conclude(e);
	*ret = result;
	result.points = NULL;
	return 0;
}

void bl_sim_result_free(struct bl_sim_result *r)
{
	free(r->points);
	*r = (struct bl_sim_result){ 0 };
}
