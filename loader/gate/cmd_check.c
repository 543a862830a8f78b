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
#include "loader/gate/report_json.h"
#include "loader/gate/report_text.h"
#include "loader/verbs.h"

#define KERNELS_MAX  64
#define JOBS_MAX     64
#define DEADLINE_MAX 86400 /* seconds */

static const char usage[] =
	"usage: belay check FILE [--kernel NAME|all|host]… [options]\n"
	"\n"
	"Checks a BPF object, a bundle or content in JSON: its form, what belay lets\n"
	"it do, and every program with the verifier of every chosen kernel, each in\n"
	"a microVM of its own. Nothing is loaded on this machine's kernel unless\n"
	"--kernel host asks for it.\n"
	"\n"
	"  -k, --kernel NAME    a release or its beginning (6.1), all (default), or\n"
	"                       host: the running kernel; can be given again\n"
	"  -p, --profile NAME   what the object may do: observe (default), enforce,\n"
	"                       trusted, or a JSON file that changes one of them\n"
	"      --json           print the report as JSON\n"
	"      --report FILE    write the report as JSON to FILE as well, for\n"
	"                       'belay rollout start --checked FILE'\n"
	"      --log-dir DIR    keep consoles and verifier logs there\n"
	"  -j, --jobs N         microVMs at a time (default: one per CPU)\n"
	"      --deadline S     seconds for each kernel (default: 180)\n"
	"  -q, --quiet          no progress\n"
	"\n"
	"exit status: 0 accepted, 1 rejected, 2 undecided (something could not be\n"
	"checked: never a pass), 64 wrong usage\n"
	"\n"
	"example: belay check sensor.bpf.o --kernel 5.10 --kernel 6.1\n";

struct args {
	struct bl_gate_opts opts;
	const char *kernels[KERNELS_MAX];
	const char *report;
	bool json, quiet, help;
};

enum { OPT_JSON = 256, OPT_REPORT, OPT_LOG_DIR, OPT_DEADLINE };

static const struct option options[] = {
	{ "kernel", required_argument, NULL, 'k' },
	{ "profile", required_argument, NULL, 'p' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ "log-dir", required_argument, NULL, OPT_LOG_DIR },
	{ "jobs", required_argument, NULL, 'j' },
	{ "deadline", required_argument, NULL, OPT_DEADLINE },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* A whole number of 1 to @max, 0 if it is none. */
static unsigned number(const char *text, unsigned max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || n > max)
		return 0;
	return (unsigned)n;
}

static int read_option(int c, struct args *a, struct bl_err *err)
{
	unsigned n;

	switch (c) {
	case 'k':
		if (a->opts.kernel_count >= KERNELS_MAX)
			return bl_cli_usage(err, "check",
					    "more than %d times --kernel",
					    KERNELS_MAX);
		a->kernels[a->opts.kernel_count++] = optarg;
		return 0;
	case 'j':
		a->opts.jobs = number(optarg, JOBS_MAX);
		if (!a->opts.jobs)
			return bl_cli_usage(err, "check",
					    "--jobs '%s' is not 1 to %d",
					    optarg, JOBS_MAX);
		return 0;
	case 'p':
		a->opts.profile = optarg;
		return 0;
	case OPT_DEADLINE:
		n = number(optarg, DEADLINE_MAX);
		if (!n)
			return bl_cli_usage(
				err, "check",
				"--deadline '%s' is not 1 to %d seconds",
				optarg, DEADLINE_MAX);
		a->opts.deadline_ms = (uint64_t)n * 1000;
		return 0;
	case OPT_LOG_DIR:
		a->opts.log_dir = optarg;
		return 0;
	case OPT_REPORT:
		a->report = optarg;
		return 0;
	case OPT_JSON:
		a->json = true;
		return 0;
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

/* 0, or the exit code with the error set. */
static int read_args(int argc, char **argv, struct args *a, struct bl_err *err)
{
	int c, r;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":k:p:j:qh", options, NULL)) !=
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
	if (a->report && bl_file_same(a->report, a->opts.path))
		return bl_cli_usage(err, "check",
				    "--report %s would replace what is checked",
				    a->report);
	a->opts.kernels = a->kernels;
	return 0;
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
static int print_report(const struct bl_report *report, const struct args *a,
			struct bl_err *err)
{
	bl_autofree char *text = bl_report_to_json(report);

	if (!text) {
		bl_err_set(err, -ENOMEM,
			   "the report cannot be written: out of memory");
		return BL_EXIT_UNDECIDED;
	}
	if (a->json)
		fputs(text, stdout);
	else
		bl_report_print(report, stdout);
	if (a->report &&
	    bl_file_write(a->report, text, strlen(text), 0644, err) < 0)
		return BL_EXIT_UNDECIDED;
	return bl_report_exit(report);
}

int bl_cmd_check(int argc, char **argv, struct bl_err *err)
{
	bl_autoreport struct bl_report report = { 0 };
	struct bl_progress progress;
	struct args a = { 0 };
	int r = read_args(argc, argv, &a, err);

	if (r)
		return r;
	if (a.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	bl_cli_catch_signals();
	bl_progress_start(&progress, "check", 0);
	progress.off = a.quiet;
	a.opts.progress = on_progress;
	a.opts.progress_ctx = &progress;
	r = bl_gate_check(&a.opts, &report, err);
	bl_progress_end(&progress);
	if (r < 0)
		return BL_EXIT_UNDECIDED;
	return print_report(&report, &a, err);
}
