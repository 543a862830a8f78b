/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plan for millions of hosts promises, on simulated ones: who gets a bad
 * version, how soon it is stopped, how often a good one is. Beside the rules of
 * others on the same fleet (canary/simulate/simulate.h has their sources).
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "canary/decide/wald.h"
#include "canary/simulate/chances.h"
#include "loader/base/cleanup.h"
#include "tests/bench/bench.h"

#define FLEET	    8500000
#define STRATA	    12
#define GOOD_FLEET  10000
#define OTHERS_GOOD 100000
#define OTHERS_RUNS 200

static struct bl_plan plan;
static unsigned runs;

static struct bl_sim_chances chances(const char *rule, const char *fault,
				     unsigned hosts, unsigned count)
{
	struct bl_sim_opts opts = { .plan = &plan,
				    .rule = bl_sim_rule_find(rule),
				    .hosts = hosts,
				    .strata = STRATA,
				    .background = plan.p0_percent / 100,
				    .seed = 1 };
	bl_autosim struct bl_sim_result first = { 0 };
	struct bl_sim_chances c;
	struct bl_err err = { 0 };

	bench_need(bl_sim_fault_parse(fault, &opts, &err), &err);
	bench_need(bl_sim_chances(&opts, count, NULL, NULL, &c, &first, &err),
		   &err);
	return c;
}

static void row(const char *what, const char *unit, double value,
		double to_reach, const char *how)
{
	bench_add(&(struct bench_value){ .what = what,
					 .unit = unit,
					 .better = "lower",
					 .value = value,
					 .to_reach = to_reach,
					 .how = how });
}

static void crash(void)
{
	struct bl_sim_chances c = chances("belay", "crash", FLEET, runs);

	row("crash of every host: most of a stratum", "hosts", c.stratum_max, 2,
	    "the most of all runs");
	row("crash of every host: first sign to stop", "s", c.decide_max_s, 0,
	    "the longest of all runs, simulated time");
}

static void rare(void)
{
	const struct bl_wald w = { plan.p0_percent / 100, 0.2, plan.alpha,
				   plan.beta };
	struct bl_sim_chances c = chances("belay", "rare:20%", FLEET, runs);

	row("crash of 20 %: exposed, mean", "hosts", c.exposed_mean,
	    1.2 * bl_wald_expected(&w) + STRATA,
	    "goal: 1.2 times what Wald expects, and the first wave's width");
	row("crash of 20 %: exposed, p99", "hosts", c.exposed_p99, 38 + STRATA,
	    "goal: 38 and the first wave's width");
}

static void stratum(void)
{
	struct bl_sim_chances c = chances("belay", "stratum:1%", FLEET, runs);

	bench_add(&(struct bench_value){
		.what = "fault of a stratum of 1 %: found in the first wave",
		.unit = "%",
		.better = "higher",
		.value = 100.0 * c.first_wave / c.runs,
		.to_reach = 100,
		.how = "of all runs" });
}

static void good(void)
{
	struct bl_sim_chances c = chances("belay", "none", GOOD_FLEET, runs);

	row("good version stopped", "per 10000 runs",
	    10000.0 * c.stopped / c.runs, 10000 * plan.alpha,
	    "10,000 hosts, 0.1 % of which fail anyway; goal: alpha");
}

static void slow(void)
{
	struct bl_sim_chances c = chances("belay", "slow:3", FLEET, runs);

	row("three times as slow: exposed, mean", "hosts", c.exposed_mean, 0,
	    "stopped by its guard, time_per_event");
	row("three times as slow: never stopped", "per 10000 runs",
	    10000.0 * (c.runs - c.stopped) / c.runs, 0, "");
}

static void beside(const char *rule, const char *fault)
{
	struct bl_sim_chances ours = chances("belay", fault, FLEET, 100);
	struct bl_sim_chances theirs = chances(rule, fault, FLEET, 1);
	char what[96];

	snprintf(what, sizeof(what), "%s: exposed, beside %s", fault, rule);
	bench_add(&(struct bench_value){ .what = what,
					 .unit = "hosts",
					 .better = "lower",
					 .value = ours.exposed_mean,
					 .peer = rule,
					 .peer_value = theirs.exposed_mean,
					 .how = "8.5 M hosts" });
}

static void beside_good(const char *rule)
{
	struct bl_sim_chances ours =
		chances("belay", "none", OTHERS_GOOD, OTHERS_RUNS);
	struct bl_sim_chances theirs =
		chances(rule, "none", OTHERS_GOOD, OTHERS_RUNS);
	char what[96];

	snprintf(what, sizeof(what), "good version stopped, beside %s", rule);
	bench_add(&(struct bench_value){
		.what = what,
		.unit = "%",
		.better = "lower",
		.value = 100.0 * ours.stopped / ours.runs,
		.peer = rule,
		.peer_value = 100.0 * theirs.stopped / theirs.runs,
		.how = "100,000 hosts, 0.1 % of which fail anyway; 200 runs" });
}

static void whole_fleet(void)
{
	clock_t begun = clock();
	struct bl_sim_chances c = chances("belay", "none", FLEET, 1);

	if (c.exposed_max == FLEET)
		row("a good version to 8.5 M simulated hosts", "s",
		    (double)(clock() - begun) / CLOCKS_PER_SEC, 0,
		    "one run, every host of it, time of one processor");
}

int main(int argc, char **argv)
{
	static const char *const others[] = { "all", "hawkbit", "kayenta",
					      "flagger" };
	struct bl_err err = { 0 };
	size_t i;

	bench_open("rollout", argc, argv);
	runs = bench_runs(10000);
	bench_need(bl_plan_load(BENCH_SOURCE "/canary/simulate/careful.json",
				&plan, &err),
		   &err);
	crash();
	rare();
	stratum();
	good();
	slow();
	for (i = 0; i < BL_ARRAY_SIZE(others); i++) {
		beside(others[i], "crash");
		beside(others[i], "rare:20%");
	}
	for (i = 1; i < BL_ARRAY_SIZE(others); i++)
		beside_good(others[i]);
	whole_fleet();
	return bench_close();
}
