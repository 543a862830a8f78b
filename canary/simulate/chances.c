/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/simulate/chances.h"

#include <errno.h>
#include <stdlib.h>

#include "loader/base/cleanup.h"

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The smallest value that at least this part of all is not above. */
static double quantile(const double *sorted, unsigned count, double part)
{
	unsigned i = (unsigned)(part * count);

	if (!count)
		return 0;
	return sorted[i < count ? i : count - 1];
}

static double mean(const double *values, unsigned count)
{
	double sum = 0;
	unsigned i;

	for (i = 0; i < count; i++)
		sum += values[i];
	return count ? sum / count : 0;
}

static void add(struct bl_sim_chances *c, const struct bl_sim_result *r,
		double *exposed, double *decide)
{
	exposed[c->runs++] = r->exposed;
	c->down_mean += r->went_down;
	c->down_hours_mean += r->down_hours;
	c->end_mean_s += (double)r->end_ms / 1000;
	c->undecided_mean += r->undecided;
	c->holds_mean += r->holds;
	if (r->holds > c->holds_max)
		c->holds_max = r->holds;
	if (r->most_of_a_stratum > c->stratum_max)
		c->stratum_max = r->most_of_a_stratum;
	if (r->most_down > c->most_down)
		c->most_down = r->most_down;
	if (!r->stopped)
		return;
	/* A guard metric stops what nobody was bad of: decided at once. */
	decide[c->stopped++] =
		r->first_sign_ms == BL_SIM_NEVER
			? 0
			: (double)(r->stop_ms - r->first_sign_ms) / 1000;
	c->first_wave += r->wave == 0;
	c->stop_mean_s += (double)r->stop_ms / 1000;
}

static void conclude(struct bl_sim_chances *c, double *exposed, double *decide)
{
	c->exposed_mean = mean(exposed, c->runs);
	c->decide_mean_s = mean(decide, c->stopped);
	qsort(exposed, c->runs, sizeof(*exposed), by_size);
	qsort(decide, c->stopped, sizeof(*decide), by_size);
	c->exposed_p50 = (unsigned)quantile(exposed, c->runs, 0.5);
	c->exposed_p99 = (unsigned)quantile(exposed, c->runs, 0.99);
	c->exposed_max = (unsigned)quantile(exposed, c->runs, 1);
	c->decide_p99_s = quantile(decide, c->stopped, 0.99);
	c->decide_max_s = quantile(decide, c->stopped, 1);
	c->undecided_mean /= c->runs;
	c->holds_mean /= c->runs;
	c->down_mean /= c->runs;
	c->down_hours_mean /= c->runs;
	c->end_mean_s /= c->runs;
	if (c->stopped)
		c->stop_mean_s /= c->stopped;
}

int bl_sim_chances(const struct bl_sim_opts *opts, unsigned runs,
		   void (*done)(void *ctx, unsigned runs), void *ctx,
		   struct bl_sim_chances *ret, struct bl_sim_result *ret_first,
		   struct bl_err *err)
{
	bl_autofree double *exposed = calloc(runs + 1, sizeof(*exposed));
	bl_autofree double *decide = calloc(runs + 1, sizeof(*decide));
	bl_autosim struct bl_sim_result first = { 0 };
	struct bl_sim_chances c = { 0 };
	struct bl_sim_opts one = *opts;
	int r = 0;

	if (!exposed || !decide)
		return bl_err_set(err, -ENOMEM, "out of memory");
	while (!r && c.runs < runs) {
		bl_autosim struct bl_sim_result result = { 0 };

		r = bl_sim_run(&one, &result, err);
		if (r < 0)
			return r;
		add(&c, &result, exposed, decide);
		if (c.runs == 1) {
			first = result;
			result.points = NULL;
		}
		one.seed++;
		one.series = false;
		if (done)
			done(ctx, c.runs);
	}
	conclude(&c, exposed, decide);
	*ret = c;
	*ret_first = first;
	first.points = NULL;
	return 0;
}

json_t *bl_sim_chances_json(const struct bl_sim_chances *c)
{
	return json_pack(
		"{s:I,s:I,s:I,s:f,s:I,s:I,s:I,s:I,s:f,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I}",
		"runs", (json_int_t)c->runs, "stopped", (json_int_t)c->stopped,
		"stopped_in_first_wave", (json_int_t)c->first_wave,
		"exposed_mean", c->exposed_mean, "exposed_p50",
		(json_int_t)c->exposed_p50, "exposed_p99",
		(json_int_t)c->exposed_p99, "exposed_max",
		(json_int_t)c->exposed_max, "exposed_of_a_stratum_max",
		(json_int_t)c->stratum_max, "went_down_mean", c->down_mean,
		"down_at_once_max", (json_int_t)c->most_down, "down_hours_mean",
		c->down_hours_mean, "decide_mean_s", c->decide_mean_s,
		"decide_p99_s", c->decide_p99_s, "decide_max_s",
		c->decide_max_s, "stop_mean_s", c->stop_mean_s, "end_mean_s",
		c->end_mean_s, "undecided_mean", c->undecided_mean, "held_mean",
		c->holds_mean, "held_max", (json_int_t)c->holds_max);
}
