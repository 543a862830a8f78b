/* SPDX-License-Identifier: Apache-2.0 */
/* belay check: the gate, for people and for CI. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/gate/gate.h"
#include "loader/gate/report/report.h"
#include "loader/oci/cmd_source.h"
#include "loader/verbs.h"

#define KERNELS_MAX  64
#define BTFS_MAX     64
#define OUTPUTS_MAX  16
#define JOBS_MAX     64
#define SCALE_MAX    1000
#define DEADLINE_MAX 86400 /* seconds */
#define INSNS_MAX    1000000000
#define GROWTH_MAX   100000 /* percent */

static const char usage[] =
	"usage: belay check FILE|oci://… [--kernel NAME|all|host]… [options]\n"
	"\n"
	"Checks a BPF object, a bundle or content in JSON before any host sees it: its\n"
	"form, what it may do, its types and maps, what its content would do; then, in\n"
	"a microVM for each chosen kernel: the verifier, attaching, a workload, and the\n"
	"swap from the previous version. Nothing is loaded on this machine's kernel\n"
	"unless --kernel host asks for it, and then only loaded. Of a bundle of kernel\n"
	"modules, which nobody verifies, each is loaded, exercised and unloaded there.\n"
	"\n"
	"what is asked:\n"
	"  -k, --kernel NAME    a release or its beginning (6.1), all (default), or\n"
	"                       host: the running kernel; can be given again\n"
	"  -p, --profile NAME   what the object may do: observe (default), enforce,\n"
	"                       trusted, or a JSON file that changes one of them\n"
	"      --btf PATH       types of more kernels: a BTF file, a vmlinux, or a\n"
	"                       folder of them; can be given again\n"
	"      --previous FILE  the version that is live, object or bundle: its maps\n"
	"                       are compared and the swap is rehearsed\n"
	"      --baseline FILE  what programs cost the verifier before\n"
	"      --update-baseline\n"
	"                       write the baseline anew, if all was verified\n"
	"      --max-insns N    instructions per program and kernel (default: 500000)\n"
	"      --max-growth P   percent above the baseline (default: 10)\n"
	"      --cpus N         of the largest host, for memory of maps (default: 64)\n"
	"      --scale N        size of the workloads (default: 1)\n"
	"\n"
	"where it comes from, of a bundle in a registry (belay bundle pull):\n" //
	BL_SOURCE_USAGE "\n"
	"how it is told:\n"
	"  -f, --format FORM[=FILE]\n"
	"                       text (default), json, junit, sarif or markdown; to\n"
	"                       FILE if one is named; can be given again\n"
	"      --json           as --format json\n"
	"      --report FILE    as --format json=FILE beside the others, for\n"
	"                       'belay rollout start --checked FILE'\n"
	"      --log-dir DIR    keep consoles and verifier logs there\n"
	"  -j, --jobs N         microVMs at a time (default: one per CPU)\n"
	"      --deadline S     seconds for each kernel (default: 180; of a module 90)\n"
	"  -q, --quiet          no progress\n"
	"\n"
	"exit status: 0 accepted, 1 rejected, 2 undecided (something could not be\n"
	"checked: never a pass), 64 wrong usage\n"
	"\n"
	"examples: belay check sensor.bpf.o --kernel 5.10 --kernel 6.1\n"
	"          belay check new.bundle --previous live.bundle --format sarif=b.sarif\n";

struct args {
	struct bl_gate_opts opts;
	struct bl_source_options source;
	const char *kernels[KERNELS_MAX], *btfs[BTFS_MAX];
	struct bl_report_output outputs[OUTPUTS_MAX];
	size_t output_count;
	bool update, quiet, help;
};

enum {
	OPT_JSON = 256,
	OPT_REPORT,
	OPT_LOG_DIR,
	OPT_DEADLINE,
	OPT_BTF,
	OPT_PREVIOUS,
	OPT_BASELINE,
	OPT_UPDATE,
	OPT_MAX_INSNS,
	OPT_MAX_GROWTH,
	OPT_CPUS,
	OPT_SCALE,
};

static const struct option options[] = {
	{ "kernel", required_argument, NULL, 'k' },
	{ "profile", required_argument, NULL, 'p' },
	{ "btf", required_argument, NULL, OPT_BTF },
	{ "previous", required_argument, NULL, OPT_PREVIOUS },
	{ "baseline", required_argument, NULL, OPT_BASELINE },
	{ "update-baseline", no_argument, NULL, OPT_UPDATE },
	{ "max-insns", required_argument, NULL, OPT_MAX_INSNS },
	{ "max-growth", required_argument, NULL, OPT_MAX_GROWTH },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "scale", required_argument, NULL, OPT_SCALE },
	BL_SOURCE_OPTIONS,
	{ "format", required_argument, NULL, 'f' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ "log-dir", required_argument, NULL, OPT_LOG_DIR },
	{ "jobs", required_argument, NULL, 'j' },
	{ "deadline", required_argument, NULL, OPT_DEADLINE },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* Options that are a whole number from 1 on. */
static const struct count {
	int option;
	unsigned max;
	const char *name, *unit;
} counts[] = {
	{ 'j', JOBS_MAX, "--jobs", "" },
	{ OPT_DEADLINE, DEADLINE_MAX, "--deadline", " seconds" },
	{ OPT_MAX_INSNS, INSNS_MAX, "--max-insns", " instructions" },
	{ OPT_CPUS, BL_MAPS_CPUS_MAX, "--cpus", "" },
	{ OPT_SCALE, SCALE_MAX, "--scale", "" },
};

static void set_count(struct args *a, int option, unsigned n)
{
	switch (option) {
	case 'j':
		a->opts.jobs = n;
		break;
	case OPT_DEADLINE:
		a->opts.deadline_ms = (uint64_t)n * 1000;
		break;
	case OPT_MAX_INSNS:
		a->opts.budget.max_insns = n;
		break;
	case OPT_CPUS:
		a->opts.maps.cpus = n;
		break;
	default:
		a->opts.scale = n;
		break;
	}
}

static int read_count(const struct count *c, struct args *a, struct bl_err *err)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(optarg, &end, 10);
	if (errno || *end || end == optarg || *optarg == '-' || !n ||
	    n > c->max)
		return bl_cli_usage(err, "check", "%s '%s' is not 1 to %u%s",
				    c->name, optarg, c->max, c->unit);
	set_count(a, c->option, (unsigned)n);
	return 0;
}

static int read_growth(struct args *a, struct bl_err *err)
{
	char *end;
	double percent;

	errno = 0;
	percent = strtod(optarg, &end);
	if (errno || *end || end == optarg ||
	    !(percent >= 0 && percent <= GROWTH_MAX))
		return bl_cli_usage(err, "check",
				    "--max-growth '%s' is not 0 to %d percent",
				    optarg, GROWTH_MAX);
	a->opts.budget.max_growth = percent;
	return 0;
}

/* @option is "FORM" or "FORM=FILE"; for --report FORM is given and FILE not. */
static int add_output(struct args *a, const char *option, const char *path,
		      struct bl_err *err)
{
	struct bl_report_output *o = &a->outputs[a->output_count];
	struct bl_err why = { 0 };
	size_t i;

	if (a->output_count == OUTPUTS_MAX)
		return bl_cli_usage(err, "check", "more than %d times --format",
				    OUTPUTS_MAX);
	if (bl_report_output_parse(option, o, &why) < 0)
		return bl_cli_usage(err, "check", "%s", why.text);
	if (path)
		o->path = path;
	for (i = 0; i < a->output_count; i++)
		if (!a->outputs[i].path && !o->path)
			return bl_cli_usage(
				err, "check",
				"%s and %s would both go to standard output: name a file for one, --format %s=FILE",
				a->outputs[i].format->name, o->format->name,
				o->format->name);
	a->output_count++;
	return 0;
}

static int add_word(const char **list, size_t *count, size_t max,
		    const char *option, struct bl_err *err)
{
	if (*count >= max)
		return bl_cli_usage(err, "check", "more than %zu times %s", max,
				    option);
	list[(*count)++] = optarg;
	return 0;
}

static int read_option(int c, struct args *a, struct bl_err *err)
{
	size_t i;

	if (bl_source_option(c, optarg, &a->source))
		return 0;
	for (i = 0; i < BL_ARRAY_SIZE(counts); i++)
		if (counts[i].option == c)
			return read_count(&counts[i], a, err);
	switch (c) {
	case 'k':
		return add_word(a->kernels, &a->opts.kernel_count, KERNELS_MAX,
				"--kernel", err);
	case OPT_BTF:
		return add_word(a->btfs, &a->opts.btf_count, BTFS_MAX, "--btf",
				err);
	case 'p':
		a->opts.profile = optarg;
		return 0;
	case OPT_PREVIOUS:
		a->opts.previous = optarg;
		return 0;
	case OPT_BASELINE:
		a->opts.baseline = optarg;
		return 0;
	case OPT_UPDATE:
		a->update = true;
		return 0;
	case OPT_MAX_GROWTH:
		return read_growth(a, err);
	case OPT_LOG_DIR:
		a->opts.log_dir = optarg;
		return 0;
	case 'f':
		return add_output(a, optarg, NULL, err);
	case OPT_JSON:
		return add_output(a, "json", NULL, err);
	case OPT_REPORT:
		return add_output(a, "json", optarg, err);
	case 'q':
		a->quiet = true;
		return 0;
	case 'h':
		a->help = true;
		return 0;
	default:
		return -1;
	}
}

/* What is written must not be what is read. */
static int check_paths(const struct args *a, struct bl_err *err)
{
	const char *read[] = { a->opts.path, a->opts.previous,
			       a->opts.profile };
	size_t i, k;

	for (i = 0; i < a->output_count; i++)
		for (k = 0; k < BL_ARRAY_SIZE(read); k++)
			if (a->outputs[i].path && read[k] &&
			    bl_file_same(a->outputs[i].path, read[k]))
				return bl_cli_usage(
					err, "check",
					"the report would replace %s", read[k]);
	if (a->update && !a->opts.baseline)
		return bl_cli_usage(
			err, "check",
			"--update-baseline needs the file: --baseline FILE");
	return 0;
}

/* 0, or the exit code with the error set. */
static int read_args(int argc, char **argv, struct args *a, struct bl_err *err)
{
	size_t i;
	int c, r;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":k:p:f:j:qh", options, NULL)) !=
	       -1) {
		if (c == ':')
			return bl_cli_usage(err, "check",
					    "option '%s' needs a value",
					    argv[optind - 1]);
		r = read_option(c, a, err);
		if (r < 0)
			return bl_cli_usage(err, "check", "unknown option '%s'",
					    argv[optind - 1]);
		if (r > 0 || a->help)
			return r;
	}
	if (optind == argc)
		return bl_cli_usage(err, "check", "which file? none was given");
	if (optind + 1 != argc)
		return bl_cli_usage(err, "check",
				    "one file was expected, not %d",
				    argc - optind);
	a->opts.path = argv[optind];
	a->opts.kernels = a->kernels;
	a->opts.btfs = a->btfs;
	/* Files are beside what a person reads, not instead of it. */
	for (i = 0; i < a->output_count; i++)
		if (!a->outputs[i].path)
			return check_paths(a, err);
	r = add_output(a, "text", NULL, err);
	return r ? r : check_paths(a, err);
}

static void on_progress(void *ctx, unsigned done, unsigned total,
			const char *text)
{
	struct bl_progress *p = ctx;

	p->total = total;
	if (text)
		bl_progress_step(p, done, "%s", text);
	else
		bl_progress_tick(p);
}

/* A report that cannot be written down is not a pass, whatever it says. */
static int write_report(const struct bl_report *report, const struct args *a,
			struct bl_err *err)
{
	size_t i;
	int r = 0, e;

	for (i = 0; i < a->output_count; i++) {
		struct bl_err why = { 0 };

		e = bl_report_output(report, &a->outputs[i], stdout, &why);
		if (e < 0 && r == 0) {
			r = e;
			*err = why;
		}
	}
	return r < 0 ? BL_EXIT_UNDECIDED : (int)bl_report_exit(report);
}

/* The first one is made from nothing. */
static int update_baseline(const struct bl_report *report, const char *path,
			   struct bl_err *err)
{
	bl_autobaseline struct bl_baseline old = { 0 };
	int r = bl_budget_load(path, &old, err);

	if (r == -ENOENT) {
		*err = (struct bl_err){ 0 };
		r = 0;
	}
	if (r == 0)
		r = bl_budget_update(&old, report, path, err);
	return r < 0 ? BL_EXIT_UNDECIDED : BL_EXIT_OK;
}

int bl_cmd_check(int argc, char **argv, struct bl_err *err)
{
	bl_autoreport struct bl_report report = { 0 };
	struct bl_source_show show;
	struct bl_progress progress;
	struct args a = { .opts.budget = BL_BUDGET_LIMITS,
			  .opts.maps = BL_MAPS_LIMITS };
	const char *baseline;
	int r = read_args(argc, argv, &a, err), code;

	if (r)
		return r;
	if (a.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	/* What is replaced is not what it is held against. */
	baseline = a.opts.baseline;
	if (a.update)
		a.opts.baseline = NULL;
	bl_cli_catch_signals();
	bl_source_show(&show, &a.source);
	show.progress.off = a.quiet;
	a.opts.source = &a.source;
	bl_progress_start(&progress, "check", 0);
	progress.off = a.quiet;
	a.opts.progress = on_progress;
	a.opts.progress_ctx = &progress;
	r = bl_gate_check(&a.opts, &report, err);
	bl_progress_end(&progress);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	code = write_report(&report, &a, err);
	if (a.update && err->text[0] == '\0') {
		r = update_baseline(&report, baseline, err);
		if (r && code == BL_EXIT_OK)
			code = r;
	}
	return code;
}
