/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have the version, and when it ends: belay's own decision, and the
 * rules of others (simulate.h names their sources). */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/ledger.h"
#include "canary/simulate/engine.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

#define SECOND_MS 1000
#define MINUTE_MS 60000

__attribute__((format(printf, 2, 3))) static void stop(struct sim *sim,
						       const char *fmt, ...)
{
	va_list ap;

	sim->rollout.state = BL_ROLLOUT_STOPPING;
	va_start(ap, fmt);
	vsnprintf(sim->reason, sizeof(sim->reason), fmt, ap);
	va_end(ap);
}

/* For those that have no end of their own: everybody has it, or failed. */
static void end_if_all(struct sim *sim, const struct bl_tally *sum)
{
	if (sum->waiting || sum->open || sim->rollout.state)
		return;
	sim->rollout.state = BL_ROLLOUT_DONE;
	snprintf(sim->reason, sizeof(sim->reason), "%u hosts took it, %u bad",
		 sum->good, sum->bad);
}

static bool belay_may(const struct sim *sim, unsigned s)
{
	return bl_ledger_may(&sim->rollout, &sim->rollout.strata[s],
			     sim->now_ms);
}

/* As bl_controller_tick does: the view, the decision, the record. */
static void belay_tick(struct sim *sim)
{
	/* Stands for all that could not judge it, which are alike. */
	static const struct bl_view_host one = {
		.name = "one",
		.state = BL_EXPOSURE_UNDECIDED,
		.exposed_ms = 1,
		.reason = "its trial could not be judged",
	};
	struct bl_rollout *r = &sim->rollout;
	struct bl_decision d;

	if (r->paused_ms && sim->now_ms - r->paused_ms >= BL_SIM_OPERATOR_MS)
		r->paused_ms = 0;
	do {
		struct bl_tally sum = sim_sum(sim);
		struct bl_view view = {
			.plan = &r->plan,
			.state = r->state,
			.wave = r->wave,
			.target = r->target,
			.widened = r->widened,
			.approved = r->approved,
			.paused = r->paused_ms != 0,
			.undecided = r->undecided,
			.held = r->held,
			.commit_ms = r->commit_ms,
			.now_ms = sim->now_ms,
			.hosts = &one,
			.count = r->undecided ? 1 : 0,
			.strata = sim->tallies,
			.stratum_count = r->stratum_count,
			.waiting = sum.waiting,
		};

		memcpy(view.pairs, sim->pairs, sizeof(view.pairs));
		bl_decide(&view, &d);
		bl_ledger_decided(r, &d, sim->now_ms);
		sim->holds += d.kind == BL_DECISION_HOLD;
	} while (d.kind == BL_DECISION_EXPOSE ||
		 d.kind == BL_DECISION_NEXT_WAVE);
	if (r->state != BL_ROLLOUT_RUNNING)
		bl_text_copy(sim->reason, sizeof(sim->reason), d.reason);
}

static bool all_may(const struct sim *sim, unsigned s)
{
	(void)sim;
	(void)s;
	return true;
}

static void all_tick(struct sim *sim)
{
	struct bl_tally sum = sim_sum(sim);

	end_if_all(sim, &sum);
}

/* The others hand out to whoever comes, up to a number. */
static bool number_may(const struct sim *sim, unsigned s)
{
	(void)s;
	return sim->rollout.exposed < sim->rollout.target;
}

#define HAWKBIT_GROUPS 10

static void hawkbit_tick(struct sim *sim)
{
	struct bl_tally sum = sim_sum(sim);
	unsigned group =
		(sim->opts->hosts + HAWKBIT_GROUPS - 1) / HAWKBIT_GROUPS;
	/* Groups one after the other: those before were more good than bad. */
	unsigned before = sim->step ? (sim->step - 1) * group : 0;
	unsigned settled = sum.good + sum.bad;

	if (!sim->step) {
		sim->step = 1;
	} else if (sum.bad >= group / 2 + sim->failed_checks) {
		stop(sim, "half of group %u failed", sim->step);
		return;
	} else if (sim->step < HAWKBIT_GROUPS &&
		   (sum.good + sim->failed_checks >= before + group / 2 ||
		    settled >= before + group)) {
		sim->failed_checks = sum.bad; /* of the groups before */
		sim->step++;
	}
	sim->rollout.target = sim->step * group;
	end_if_all(sim, &sum);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The U statistic's z, and the ratio of the medians: how much longer hosts with
 * the version take. */
static double mann_whitney(const struct sim *sim, double *ret_ratio)
{
	unsigned n = sim->samples < SIM_SAMPLE ? sim->samples : SIM_SAMPLE;
	double a[SIM_SAMPLE], b[SIM_SAMPLE], u = 0;
	unsigned i, j;

	*ret_ratio = 1;
	if (n < 2)
		return 0;
	memcpy(a, sim->slow, n * sizeof(*a));
	memcpy(b, sim->other, n * sizeof(*b));
	qsort(a, n, sizeof(*a), by_value);
	qsort(b, n, sizeof(*b), by_value);
	for (i = 0, j = 0; i < n; i++) {
		while (j < n && b[j] < a[i])
			j++;
		u += j;
	}
	*ret_ratio = a[n / 2] / b[n / 2];
	return (u - (double)n * n / 2) /
	       sqrt((double)n * n * (2.0 * n + 1) / 12);
}

/* How many of @n hosts without the version are bad. */
static unsigned others_bad(struct sim *sim, unsigned n)
{
	double p = sim->opts->background;
	unsigned bad = 0;
	double at = 0;

	if (p <= 0)
		return 0;
	for (;;) {
		/* Whom the next bad one is after. */
		at += 1 + floor(log(sim_uniform(sim)) / log1p(-p));
		if (at > n)
			return bad;
		bad++;
	}
}

#define KAYENTA_WINDOWS 3
#define KAYENTA_Z	2.326 /* 98 %, both sides */
#define KAYENTA_EFFECT	1.25

/* Mann-Whitney of ones and zeros: two rates, by the normal approximation that
 * ties leave of it. */
static bool rates_differ(double n, double bad, double other)
{
	double p = (bad + other) / (2 * n);
	double sd = sqrt(p * (1 - p) * 2 / n);

	return sd > 0 && (bad - other) / n / sd > KAYENTA_Z &&
	       bad > KAYENTA_EFFECT * other;
}

static void kayenta_tick(struct sim *sim)
{
	struct bl_tally sum = sim_sum(sim);
	unsigned canary = (sim->opts->hosts + 99) / 100;
	double ratio, z;

	if (!sim->due_ms) {
		sim->rollout.target = canary;
		sim->due_ms = sim->now_ms + 10 * MINUTE_MS;
	}
	if (sim->now_ms >= sim->due_ms && sim->step < KAYENTA_WINDOWS) {
		sim->step++;
		sim->due_ms += 10 * MINUTE_MS;
		z = mann_whitney(sim, &ratio);
		if (rates_differ(canary, sum.bad, others_bad(sim, canary))) {
			stop(sim, "window %u: %u of %u hosts are bad",
			     sim->step, sum.bad, canary);
			return;
		}
		if (z > KAYENTA_Z && ratio > KAYENTA_EFFECT) {
			stop(sim, "window %u: %.2f times as long for an event",
			     sim->step, ratio);
			return;
		}
		if (sim->step == KAYENTA_WINDOWS)
			sim->rollout.target = sim->opts->hosts;
	}
	end_if_all(sim, &sum);
}

#define FLAGGER_CHECKS 5
#define FLAGGER_STEPS  5 /* of 10 %, to 50 % */

static void flagger_tick(struct sim *sim)
{
	const struct bl_plan *plan = sim->opts->plan;
	struct bl_tally sum = sim_sum(sim);
	double tolerated =
		1 + plan->guard_percent[BL_GUARD_TIME_PER_EVENT] / 100;
	double ratio;

	if (!sim->step) {
		sim->step = 1;
		sim->due_ms = sim->now_ms + MINUTE_MS;
	} else if (sim->step <= FLAGGER_STEPS && sim->now_ms >= sim->due_ms) {
		sim->due_ms += MINUTE_MS;
		mann_whitney(sim, &ratio);
		if (sum.bad * 100.0 > bl_tally_exposed(&sum) ||
		    (plan->guarded[BL_GUARD_TIME_PER_EVENT] &&
		     ratio > tolerated))
			sim->failed_checks++;
		else
			sim->step++;
		if (sim->failed_checks == FLAGGER_CHECKS) {
			stop(sim, "%u checks failed: %u of %u hosts are bad",
			     sim->failed_checks, sum.bad,
			     bl_tally_exposed(&sum));
			return;
		}
	}
	sim->rollout.target = sim->opts->hosts;
	if (sim->step <= FLAGGER_STEPS)
		sim->rollout.target =
			(unsigned)((double)sim->opts->hosts * sim->step / 10);
	end_if_all(sim, &sum);
}

static const struct bl_sim_rule rules[] = {
	{ "belay", belay_may, belay_tick, 500, 5 * SECOND_MS, true },
	{ "all", all_may, all_tick, SECOND_MS, MINUTE_MS, false },
	{ "hawkbit", number_may, hawkbit_tick, SECOND_MS, MINUTE_MS, false },
	{ "kayenta", number_may, kayenta_tick, SECOND_MS, SECOND_MS, false },
	{ "flagger", number_may, flagger_tick, SECOND_MS, SECOND_MS, false },
};

const struct bl_sim_rule *bl_sim_rule_find(const char *name)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

const char *bl_sim_rule_name(const struct bl_sim_rule *rule)
{
	return rule->name;
}

bool bl_sim_rule_judges(const struct bl_sim_rule *rule)
{
	return rule->judges;
}
