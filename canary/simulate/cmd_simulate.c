/* SPDX-License-Identifier: Apache-2.0 */
/* belay simulate: a plan and a fault on a fleet that does not exist. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/decide/wald.h"
#include "canary/simulate/chances.h"
#include "canary/simulate/chart.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/verbs.h"

static const char usage[] =
	"usage: belay simulate [PLAN] [--hosts N] [--fault FAULT] [--seed N]\n"
	"                      [--runs N] [--rule RULE[,RULE]…] [--strata N]\n"
	"                      [--background PERCENT] [--json] [--svg FILE]\n"
	"\n"
	"Rolls a version out by the plan over a simulated fleet, with the functions that\n"
	"a controller decides by: how many hosts get it, how many are down, how soon it\n"
	"is stopped. The same seed gives the same run. Gates of the plan open at once;\n"
	"no host has one of its names, and a first wave of names is passed over.\n"
	"\n"
	"  PLAN             as of 'rollout start --plan' (default: as there)\n"
	"  --hosts N        (default 10000)\n"
	"  --strata N       kinds of hosts; the second one is half as large as the\n"
	"                   first, the third a third (default 12)\n"
	"  --fault FAULT    none, crash (every host), rare:20% (so many hosts),\n"
	"                   stratum:1% (every host of one stratum of that share),\n"
	"                   slow:3 (times as long for an event), undecided:1% (no fault:\n"
	"                   so many hosts cannot judge their trial) (default crash)\n"
	"  --background P   percent of hosts that fail in the rollout for reasons of\n"
	"                   their own (default: the plan's p0_percent)\n"
	"  --seed N         (default 1)\n"
	"  --runs N         so many runs, with the seeds from N on (default 1)\n"
	"  --rule RULE      belay (default), or what others do: all, hawkbit, kayenta,\n"
	"                   flagger (canary/simulate/simulate.h); 'every' of them\n"
	"  --svg FILE       a chart of the first run of each rule\n"
	"  --json           the numbers, and the course of the first run, as JSON\n"
	"\n"
	"example: belay simulate plan.json --hosts 8500000 --fault rare:20% --rule every\n";

struct options {
	struct bl_plan plan;
	struct bl_sim_opts sim;
	const struct bl_sim_rule *rules[BL_SIM_LINES_MAX];
	unsigned rule_count, runs;
	const char *plan_path, *fault, *svg;
	bool background, json, help;
	struct bl_sim_chances chances[BL_SIM_LINES_MAX];
	struct bl_sim_result firsts[BL_SIM_LINES_MAX];
	struct bl_progress progress;
};

static int read_number(const char *text, unsigned long max, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(text, &end, 10);
	return errno || *end || end == text || *text == '-' || *ret > max
		       ? -EINVAL
		       : 0;
}

static int add_rule(struct options *o, const char *name, struct bl_err *err)
{
	const struct bl_sim_rule *rule = bl_sim_rule_find(name);
	unsigned i;

	if (!rule)
		return bl_cli_usage(
			err, "simulate",
			"'%s' is no rule: belay, all, hawkbit, kayenta, flagger or every",
			name);
	for (i = 0; i < o->rule_count; i++)
		if (o->rules[i] == rule)
			return 0;
	o->rules[o->rule_count++] = rule;
	return 0;
}

static int read_rules(struct options *o, const char *text, struct bl_err *err)
{
	bl_autofree char *names = NULL;
	char *at = NULL, *name;
	int r = 0;

	if (strcmp(text, "every") == 0)
		text = "belay,all,hawkbit,kayenta,flagger";
	names = strdup(text);
	if (!names) {
		bl_err_set(err, -ENOMEM, "out of memory");
		return BL_EXIT_UNDECIDED;
	}
	for (name = strtok_r(names, ",", &at); name && !r;
	     name = strtok_r(NULL, ",", &at))
		r = add_rule(o, name, err);
	return r;
}

static int read_background(struct options *o, const char *text,
			   struct bl_err *err)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || *end || !(percent >= 0 && percent <= 50))
		return bl_cli_usage(err, "simulate",
				    "--background '%s' is not 0 to 50 percent",
				    text);
	o->sim.background = percent / 100;
	o->background = true;
	return 0;
}

static const struct option options[] = {
	{ "hosts", required_argument, NULL, 'n' },
	{ "strata", required_argument, NULL, 's' },
	{ "fault", required_argument, NULL, 'f' },
	{ "background", required_argument, NULL, 'b' },
	{ "seed", required_argument, NULL, 'S' },
	{ "runs", required_argument, NULL, 'r' },
	{ "rule", required_argument, NULL, 'R' },
	{ "svg", required_argument, NULL, 'v' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int read_count(int opt, struct options *o, struct bl_err *err)
{
	unsigned long max = opt == 'n'	 ? BL_SIM_HOSTS_MAX
			    : opt == 's' ? BL_SIM_STRATA_MAX
			    : opt == 'r' ? BL_SIM_RUNS_MAX
					 : UINT32_MAX;
	unsigned long n;

	if (read_number(optarg, max, &n) < 0 || (!n && opt != 'S'))
		return bl_cli_usage(err, "simulate",
				    "'%s' is not a number from 1 to %lu",
				    optarg, max);
	if (opt == 'n')
		o->sim.hosts = (unsigned)n;
	else if (opt == 's')
		o->sim.strata = (unsigned)n;
	else if (opt == 'r')
		o->runs = (unsigned)n;
	else
		o->sim.seed = n;
	return 0;
}

static int parse(int argc, char **argv, struct options *o, struct bl_err *err)
{
	int opt, r = 0;

	optind = 0;
	opterr = 0;
	while (!r &&
	       (opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			o->fault = optarg;
			break;
		case 'b':
			r = read_background(o, optarg, err);
			break;
		case 'R':
			r = read_rules(o, optarg, err);
			break;
		case 'v':
			o->svg = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			o->help = true;
			return 0;
		case ':':
		case '?':
			return bl_cli_usage(
				err, "simulate", "%s %s", argv[optind - 1],
				opt == ':' ? "needs a value" : "is unknown");
		default:
			r = read_count(opt, o, err);
		}
	}
	if (r)
		return r;
	if (optind < argc)
		o->plan_path = argv[optind++];
	if (optind < argc)
		return bl_cli_usage(err, "simulate",
				    "'%s' is more than expected", argv[optind]);
	return 0;
}

static bool go_on(void *ctx)
{
	struct options *o = ctx;

	bl_progress_tick(&o->progress);
	return !bl_cli_interrupted();
}

static void on_run(void *ctx, unsigned runs)
{
	struct options *o = ctx;

	/* A log gets ten lines of it, not ten thousand. */
	if (o->runs > 1 && runs % ((o->runs + 9) / 10) == 0)
		bl_progress_step(&o->progress, runs, "runs");
}

static int run(struct options *o, struct bl_err *err)
{
	unsigned i;
	int r = 0;

	o->sim.plan = &o->plan;
	o->sim.go_on = go_on;
	o->sim.ctx = o;
	o->sim.series = o->svg || o->json;
	for (i = 0; !r && i < o->rule_count; i++) {
		o->sim.rule = o->rules[i];
		bl_progress_start(&o->progress, bl_sim_rule_name(o->rules[i]),
				  o->runs);
		r = bl_sim_chances(&o->sim, o->runs, on_run, o, &o->chances[i],
				   &o->firsts[i], err);
		bl_progress_end(&o->progress);
	}
	return r;
}

static int write_chart(const struct options *o, struct bl_err *err)
{
	struct bl_sim_line lines[BL_SIM_LINES_MAX];
	bl_autobuf struct bl_buf svg = { 0 };
	char title[160];
	unsigned i;

	for (i = 0; i < o->rule_count; i++)
		lines[i] = (struct bl_sim_line){ bl_sim_rule_name(o->rules[i]),
						 &o->firsts[i] };
	snprintf(title, sizeof(title), "belay simulate: %u hosts, fault %s",
		 o->sim.hosts, o->fault);
	if (bl_sim_chart(title, o->sim.hosts, lines, o->rule_count, &svg) < 0)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(o->svg, svg.data, svg.len, 0644, err);
}

/* What Wald expects of the plan's first rate alone, if alpha were not split. */
static double wald_expected(const struct bl_plan *plan)
{
	const struct bl_wald w = { .p0 = plan->p0_percent / 100,
				   .p1 = bl_plan_rate(plan, 0),
				   .alpha = plan->alpha,
				   .beta = plan->beta };

	return w.p1 > 0 ? bl_wald_expected(&w) : 0;
}

/* [seconds, ever exposed, down, running it] */
static json_t *course_json(const struct bl_sim_result *r)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < r->point_count; i++) {
		const struct bl_sim_point *p = &r->points[i];

		json_array_append_new(list, json_pack("[f,I,I,I]",
						      (double)p->t_ms / 1000,
						      (json_int_t)p->exposed,
						      (json_int_t)p->down,
						      (json_int_t)p->has_it));
	}
	return list;
}

static int print_json(const struct options *o)
{
	json_t *rules = json_array();
	json_t *doc;
	char *text;
	unsigned i;

	for (i = 0; i < o->rule_count; i++) {
		json_t *rule = bl_sim_chances_json(&o->chances[i]);

		json_object_set_new(rule, "rule",
				    json_string(bl_sim_rule_name(o->rules[i])));
		json_object_set_new(rule, "first_run",
				    json_string(o->firsts[i].reason));
		json_object_set_new(rule, "course", course_json(&o->firsts[i]));
		json_array_append_new(rules, rule);
	}
	doc = json_pack("{s:I,s:I,s:I,s:s,s:f,s:I,s:f,s:o,s:o}", "schema",
			(json_int_t)1, "hosts", (json_int_t)o->sim.hosts,
			"strata", (json_int_t)o->sim.strata, "fault", o->fault,
			"background_percent", o->sim.background * 100, "seed",
			(json_int_t)o->sim.seed, "wald_expected",
			wald_expected(&o->plan), "plan", bl_plan_json(&o->plan),
			"rules", rules);
	text = bl_json_dump(doc);
	if (!text)
		return BL_EXIT_UNDECIDED;
	fputs(text, stdout);
	free(text);
	return BL_EXIT_OK;
}

static void print_row(struct bl_table *t, const struct bl_sim_rule *rule,
		      const struct bl_sim_chances *c)
{
	bl_table_row(t);
	bl_table_cell(t, BL_STYLE_PLAIN, "%s", bl_sim_rule_name(rule));
	bl_table_cell(t, BL_STYLE_PLAIN, "%u of %u", c->stopped, c->runs);
	bl_table_cell(t, BL_STYLE_PLAIN, "%.10g", c->exposed_mean);
	bl_table_cell(t, BL_STYLE_PLAIN, "%u", c->exposed_p99);
	bl_table_cell(t, BL_STYLE_PLAIN, "%u", c->exposed_max);
	bl_table_cell(t, BL_STYLE_PLAIN, "%u", c->stratum_max);
	bl_table_cell(t, BL_STYLE_PLAIN, "%u", c->most_down);
	bl_table_cell(t, BL_STYLE_PLAIN, "%.3g", c->down_hours_mean);
	if (c->stopped)
		bl_table_cell(t, BL_STYLE_PLAIN, "%.1f s (p99 %.1f)",
			      c->decide_mean_s, c->decide_p99_s);
	else
		bl_table_cell(t, BL_STYLE_PLAIN, "-");
}

/* A rollout that is held waits for people, which is no time of its own. */
static void print_holds(const struct options *o)
{
	if (o->sim.fault != BL_SIM_UNDECIDED)
		return;
	for (unsigned i = 0; i < o->rule_count; i++) {
		const struct bl_sim_chances *c = &o->chances[i];

		if (!bl_sim_rule_judges(o->rules[i]))
			printf("%s: n/a, it judges no trial: such a host keeps the version\n",
			       bl_sim_rule_name(o->rules[i]));
		else
			printf("%s: %.10g hosts undecided, without it; held %.10g times for an operator (%u at most), who resumes after %d min\n",
			       bl_sim_rule_name(o->rules[i]), c->undecided_mean,
			       c->holds_mean, c->holds_max,
			       BL_SIM_OPERATOR_MS / 60000);
	}
}

static void print(const struct options *o)
{
	static const char *const heads[] = { "rule",	      "stopped",
					     "exposed: mean", "p99",
					     "most",	      "a stratum",
					     "down at once",  "hours down",
					     "sign to stop" };
	bl_autotable struct bl_table *t = bl_table_new(BL_ARRAY_SIZE(heads));
	unsigned i;

	if (!t)
		return;
	printf("%u hosts in %u strata, fault %s, %g %% fail anyway, seed %llu\n",
	       o->sim.hosts, o->sim.strata, o->fault, o->sim.background * 100,
	       (unsigned long long)o->sim.seed);
	bl_table_row(t);
	for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", heads[i]);
	for (i = 0; i < o->rule_count; i++)
		print_row(t, o->rules[i], &o->chances[i]);
	bl_table_print(t, stdout, "");
	print_holds(o);
	if (o->plan.p0_percent > 0 && o->plan.ladder_count)
		printf("Wald expects %.1f hosts, one at a time, to find a rate of %g %%\n",
		       wald_expected(&o->plan), o->plan.ladder_percent[0]);
	for (i = 0; i < o->rule_count; i++)
		printf("%s, first run: %s after %.0f s: %s\n",
		       bl_sim_rule_name(o->rules[i]),
		       o->firsts[i].stopped ? "stopped" : "done",
		       (double)(o->firsts[i].stopped ? o->firsts[i].stop_ms
						     : o->firsts[i].end_ms) /
			       1000,
		       o->firsts[i].reason);
}

static int simulate(struct options *o, int argc, char **argv,
		    struct bl_err *err)
{
	int r = parse(argc, argv, o, err);

	if (r)
		return r;
	if (o->help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	if (bl_sim_fault_parse(o->fault, &o->sim, err) < 0)
		return BL_EXIT_USAGE;
	r = o->plan_path ? bl_plan_load(o->plan_path, &o->plan, err) : 0;
	if (r < 0)
		return bl_cli_exit_of_file(r);
	if (!o->background)
		o->sim.background = o->plan.p0_percent / 100;
	if (!o->rule_count)
		add_rule(o, "belay", err);
	bl_cli_catch_signals();
	r = run(o, err);
	if (!r && o->svg)
		r = write_chart(o, err);
	if (r == -EINVAL)
		return BL_EXIT_USAGE;
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	if (o->json)
		return print_json(o);
	print(o);
	return BL_EXIT_OK;
}

int bl_cmd_simulate(int argc, char **argv, struct bl_err *err)
{
	struct options o = {
		.sim = { .hosts = 10000, .strata = 12, .seed = 1 },
		.fault = "crash",
		.runs = 1,
	};
	unsigned i;
	int r;

	bl_plan_default(&o.plan);
	r = simulate(&o, argc, argv, err);
	for (i = 0; i < BL_SIM_LINES_MAX; i++)
		bl_sim_result_free(&o.firsts[i]);
	return r;
}
