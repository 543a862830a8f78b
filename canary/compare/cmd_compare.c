/* SPDX-License-Identifier: Apache-2.0 */
/* belay compare: the catalogue of faults, each on a fleet, three ways. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/compare/cmd_guest.h"
#include "canary/compare/report.h"
#include "canary/compare/run.h"
#include "canary/compare/shelf.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/term.h"
#include "loader/base/text.h"
#include "loader/verbs.h"

#define NAMES_MAX    64
#define BELAY_MAX    (64u << 20) /* bytes of this program */
#define OVERHEAD_MAX (16u << 20)

static const char usage[] =
	"usage: belay compare [--fault ID]… [--kernel NAME]… [--way A|B|C]…\n"
	"                     [--out DIR] [--faults-dir DIR] [--catalog FILE]\n"
	"                     [--overhead FILE] [--again] [--report-only] [--json]\n"
	"\n"
	"Runs each fault of the catalogue on fleets of microVMs: A a kernel module\n"
	"that is pushed to every host, as it was done in 2024; B the module under\n"
	"belay; C eBPF under belay. Says where each was stopped, and what became of\n"
	"the hosts as seen from outside. scripts/compare-all builds what it needs and\n"
	"runs all of it.\n"
	"\n"
	"  --fault ID         by id or number; can be given again (default: all)\n"
	"  --kernel NAME      as of 'belay check'; can be given again (default: all)\n"
	"  --way A|B|C        can be given again (default: all three)\n"
	"  --out DIR          results and reports; runs that are there and still hold\n"
	"                     are not made again (default: ./build/compare/out)\n"
	"  --faults-dir DIR   the faults as built (default: ./build/compare/faults)\n"
	"  --catalog FILE     (default: catalog.json in the --faults-dir)\n"
	"  --overhead FILE    sensor.overhead.json of scripts/bench sensor\n"
	"  --again            make all runs again\n"
	"  --report-only      make none; write the reports from what is there\n"
	"  --json             the whole result as JSON instead of a table\n"
	"\n"
	"exit status: 0 all as the catalogue expects, 1 something is not, 2 a run\n"
	"that was asked for is not there or could not be made, 64 wrong usage\n"
	"\n"
	"example: belay compare --fault null-dereference --kernel 6.1\n";

struct options {
	const char *faults[NAMES_MAX], *kernels[NAMES_MAX];
	size_t fault_count, kernel_count;
	bool ways[BL_COMPARE_WAYS];
	const char *out, *built, *catalog, *overhead;
	bool again, report_only, json, help;
};

/* A comparison under way. */
struct session {
	const struct options *o;
	struct bl_faults faults;
	char belay[BL_COMPARE_NAME_MAX];
	struct bl_progress progress;
	unsigned done;
	struct bl_catalog catalog;
	const struct bl_kernel **kernels; /* of which runs are wanted */
	size_t kernel_count;
	char at[BL_COMPARE_NAME_MAX + BL_COMPARE_KERNEL_MAX];
};

static int parse_way(const char *name, struct options *o, struct bl_err *err)
{
	enum bl_compare_way way;

	if (!bl_compare_way_find(name, &way))
		return bl_cli_usage(err, "compare",
				    "--way is A, B or C, not '%s'", name);
	o->ways[way] = true;
	return 0;
}

static int parse_name(const char *what, const char **list, size_t *count,
		      struct bl_err *err)
{
	if (*count == NAMES_MAX)
		return bl_cli_usage(err, "compare", "more than %d --%s",
				    NAMES_MAX, what);
	list[(*count)++] = optarg;
	return 0;
}

static int parse_option(int opt, struct options *o, struct bl_err *err)
{
	switch (opt) {
	case 'f':
		return parse_name("fault", o->faults, &o->fault_count, err);
	case 'k':
		return parse_name("kernel", o->kernels, &o->kernel_count, err);
	case 'w':
		return parse_way(optarg, o, err);
	case 'o':
		o->out = optarg;
		return 0;
	case 'd':
		o->built = optarg;
		return 0;
	case 'c':
		o->catalog = optarg;
		return 0;
	case 'v':
		o->overhead = optarg;
		return 0;
	case 'a':
		o->again = true;
		return 0;
	case 'r':
		o->report_only = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	default:
		o->help = true;
		return 0;
	}
}

static int parse(int argc, char **argv, struct options *o, struct bl_err *err)
{
	static const struct option options[] = {
		{ "fault", required_argument, NULL, 'f' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "way", required_argument, NULL, 'w' },
		{ "out", required_argument, NULL, 'o' },
		{ "faults-dir", required_argument, NULL, 'd' },
		{ "catalog", required_argument, NULL, 'c' },
		{ "overhead", required_argument, NULL, 'v' },
		{ "again", no_argument, NULL, 'a' },
		{ "report-only", no_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt, r = 0;

	optind = 0;
	opterr = 0;
	while (!r && !o->help &&
	       (opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == ':' || opt == '?')
			return opt == '?' && optopt
				       ? bl_cli_usage(err, "compare",
						      "-%c is unknown", optopt)
				       : bl_cli_usage(err, "compare", "%s %s",
						      argv[optind - 1],
						      opt == ':'
							      ? "needs a value"
							      : "is unknown");
		r = parse_option(opt, o, err);
	}
	if (!r && !o->help && optind < argc)
		return bl_cli_usage(err, "compare",
				    "'%s' is more than expected", argv[optind]);
	if (!o->ways[BL_COMPARE_A] && !o->ways[BL_COMPARE_B] &&
	    !o->ways[BL_COMPARE_C])
		memset(o->ways, true, sizeof(o->ways));
	return r;
}

/* Results are of this program: its version and what it was built to. */
static int read_belay(struct session *s, struct bl_err *err)
{
	bl_autobuf struct bl_buf self = { 0 };
	char digest[BL_DIGEST_HEX];
	int r = bl_file_read("/proc/self/exe", BELAY_MAX, &self, err);

	if (!r)
		r = bl_digest(self.data, self.len, digest);
	if (!r)
		snprintf(s->belay, sizeof(s->belay), "%s %.16s", BL_VERSION,
			 digest);
	return r;
}

/* --- running -------------------------------------------------------------- */

static bool is_wanted(const struct session *s, const struct bl_fault *f)
{
	for (size_t i = 0; i < s->o->fault_count; i++)
		if (bl_faults_find(&s->faults, s->o->faults[i]) == f)
			return true;
	return !s->o->fault_count;
}

static void say(void *ctx, const char *text)
{
	struct session *s = ctx;

	if (*text)
		bl_progress_step(&s->progress, s->done, "%s %s", s->at, text);
	else
		bl_progress_tick(&s->progress);
}

/* Whether what is on the shelf still holds. */
static bool is_made(const struct session *s, const struct bl_runner *runner,
		    const struct bl_fault *f, enum bl_compare_way way)
{
	bl_autocompare_result struct bl_compare_result have = { 0 };
	BL_CLEANUP(bl_variant_free) struct bl_variant v = { 0 };

	if (s->o->again ||
	    bl_shelf_load(s->o->out, f->id, runner->kernel->release, way, &have,
			  NULL) < 0 ||
	    bl_run_variant(runner, f, way, &v, NULL) < 0)
		return false;
	v.digest[32] = '\0'; /* as much as a result has of it */
	return bl_shelf_current(&have, s->belay, v.digest);
}

static void tell(struct session *s, const struct bl_compare_result *r)
{
	if (r->failed)
		bl_progress_step(&s->progress, s->done, "%s: not made: %s",
				 s->at, r->failed);
	else
		bl_progress_step(
			&s->progress, s->done,
			"%s: stopped by %s, past the gate %s; %u of %u hosts lost, %.1f s%s",
			s->at, bl_compare_stop_name(r->stopped_by),
			bl_compare_stop_name(r->past_gate), r->lost, r->hosts,
			(double)r->took_ms / 1000,
			r->as_expected ? "" : "; NOT AS EXPECTED");
}

static int run_one(struct session *s, struct bl_runner *runner,
		   const struct bl_fault *f, enum bl_compare_way way,
		   struct bl_err *err)
{
	bl_autocompare_result struct bl_compare_result result = { 0 };
	int r;

	snprintf(s->at, sizeof(s->at), "%s %s %s", runner->kernel->release,
		 bl_compare_way_name(way), f->id);
	if (is_made(s, runner, f, way)) {
		s->done++;
		return 0;
	}
	r = bl_run(runner, f, way, &result, err);
	if (!r)
		r = bl_shelf_save(s->o->out, &result, err);
	if (r)
		return r;
	s->done++;
	tell(s, &result);
	return 0;
}

/* All faults one way on a kernel, one after the other on one fleet. */
static int run_way(struct session *s, const struct bl_kernel *kernel,
		   enum bl_compare_way way, struct bl_err *err)
{
	bl_autofree char *work = bl_path("%s/work", s->o->out);
	BL_CLEANUP(bl_runner_free)
	struct bl_runner runner = {
		.built = s->o->built,
		.work = work,
		.kernel = kernel,
		.belay = s->belay,
		.say = say,
		.ctx = s,
	};
	int r = work ? 0 : bl_err_set(err, -ENOMEM, "out of memory");

	for (size_t i = 0; !r && i < s->faults.count; i++) {
		const struct bl_fault *f = &s->faults.fault[i];

		if (is_wanted(s, f) && !bl_fault_twin(f, way)->none)
			r = run_one(s, &runner, f, way, err);
	}
	return r;
}

/* There are modules only for kernels whose headers there are. */
static bool has_way(const struct session *s, const struct bl_kernel *kernel,
		    enum bl_compare_way way)
{
	bl_autofree char *dir = bl_path("%s/%s", s->o->built, kernel->release);

	return s->o->ways[way] &&
	       (way == BL_COMPARE_C || (dir && access(dir, F_OK) == 0));
}

/* Calls @fn for each run that is wanted, until it says no. */
static bool each_wanted(const struct session *s,
			bool (*fn)(void *ctx, const struct bl_fault *f,
				   const struct bl_kernel *k,
				   enum bl_compare_way way),
			void *ctx)
{
	for (size_t k = 0; k < s->kernel_count; k++)
		for (unsigned w = 0; w < BL_COMPARE_WAYS; w++)
			for (size_t i = 0; i < s->faults.count; i++) {
				const struct bl_fault *f = &s->faults.fault[i];

				if (has_way(s, s->kernels[k], w) &&
				    is_wanted(s, f) &&
				    !bl_fault_twin(f, w)->none &&
				    !fn(ctx, f, s->kernels[k], w))
					return false;
			}
	return true;
}

static bool count_it(void *ctx, const struct bl_fault *f,
		     const struct bl_kernel *k, enum bl_compare_way way)
{
	(void)f;
	(void)k;
	(void)way;
	++*(unsigned *)ctx;
	return true;
}

static int select_kernels(struct session *s, struct bl_err *err)
{
	static const char *const all[] = { "all" };
	const struct options *o = s->o;
	int r = bl_catalog_load(&s->catalog, err);

	return r ? r
		 : bl_catalog_select(&s->catalog,
				     o->kernel_count ? o->kernels : all,
				     o->kernel_count ? o->kernel_count : 1,
				     &s->kernels, &s->kernel_count, err);
}

/* A kernel for which nobody built modules is not left out without a word. */
static void tell_skipped(struct session *s)
{
	for (size_t k = 0; k < s->kernel_count; k++)
		if ((s->o->ways[BL_COMPARE_A] || s->o->ways[BL_COMPARE_B]) &&
		    !has_way(s, s->kernels[k], BL_COMPARE_A) &&
		    !has_way(s, s->kernels[k], BL_COMPARE_B))
			bl_progress_step(&s->progress, 0,
					 "%s: there are no modules for it in "
					 "%s: ways A and B are left out",
					 s->kernels[k]->release, s->o->built);
}

static int run_all(struct session *s, struct bl_err *err)
{
	bl_autofree char *work = bl_path("%s/work", s->o->out);
	unsigned wanted = 0;
	int r = select_kernels(s, err);

	if (r)
		return r;
	each_wanted(s, count_it, &wanted);
	if (!wanted) {
		bl_err_set(err, -ENOENT,
			   "%s: nothing there of what was asked for",
			   s->o->built);
		bl_err_hint(
			err,
			"scripts/compare-all builds the faults for a kernel");
		return -ENOENT;
	}
	bl_progress_start(&s->progress, "compare", wanted);
	tell_skipped(s);
	for (size_t k = 0; !r && k < s->kernel_count; k++)
		for (unsigned w = 0; !r && w < BL_COMPARE_WAYS; w++)
			if (has_way(s, s->kernels[k], w))
				r = run_way(s, s->kernels[k], w, err);
	bl_progress_end(&s->progress);
	if (work)
		bl_file_rmtree(work, NULL);
	return r;
}

/* --- reporting ------------------------------------------------------------ */

static int add_overhead(const struct options *o, struct bl_compare *all,
			struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r = bl_json_load(o->overhead, OVERHEAD_MAX, &doc, err);

	if (!r && !json_is_object(doc.root))
		r = bl_json_fail(&doc, "", err, "is no object");
	if (!r)
		all->overhead = json_incref(doc.root);
	return r;
}

/* What the exit status is made of: all that is reported, and of what was
 * asked for that which is not. */
struct tally {
	const struct bl_compare *all;
	unsigned missing, failed, unexpected;
	const char *first; /* why there is no result */
};

static bool look_for(void *ctx, const struct bl_fault *f,
		     const struct bl_kernel *k, enum bl_compare_way way)
{
	struct tally *t = ctx;

	t->missing += !bl_compare_find(t->all, f->id, k->release, way);
	return true;
}

static int conclude(const struct session *s, const struct bl_compare *all,
		    struct bl_err *err)
{
	struct tally t = { .all = all };

	each_wanted(s, look_for, &t);
	for (size_t i = 0; i < all->run_count; i++) {
		const struct bl_compare_result *r = &all->runs[i];

		t.failed += r->failed != NULL;
		t.unexpected += !r->failed && !r->as_expected;
		if (r->failed && !t.first)
			t.first = r->failed;
	}
	if (!all->run_count)
		bl_err_set(err, -ENOENT, "%s: there are no runs", s->o->out);
	else if (t.missing)
		bl_err_set(err, -ENOENT, "%u runs are not there", t.missing);
	else if (t.failed)
		bl_err_set(err, -EIO,
			   "%u of %zu runs could not be made; the first: %s",
			   t.failed, all->run_count, t.first);
	else
		return t.unexpected ? BL_EXIT_REJECTED : BL_EXIT_OK;
	bl_err_hint(err, "the same command without --report-only makes them");
	return BL_EXIT_UNDECIDED;
}

static int print(const struct options *o, const struct bl_compare *all,
		 struct bl_err *err)
{
	bl_autofree char *text = NULL;

	if (!o->json) {
		if (bl_compare_print_text(all, stdout) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
		printf("%s/compare.html has the stories and the logs\n",
		       o->out);
		return 0;
	}
	text = bl_compare_dump(bl_compare_json(all));
	if (!text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	fputs(text, stdout);
	return 0;
}

static int report(const struct session *s, struct bl_err *err)
{
	bl_autocompare struct bl_compare all = { 0 };
	char when[BL_TIME_ISO_LEN];
	int r = bl_shelf_collect(s->o->out, &s->faults, &all, err);

	bl_clock_iso(bl_clock_wall_ms(), when);
	snprintf(all.made, sizeof(all.made), "%.10s %.5s UTC", when, when + 11);
	bl_text_copy(all.belay, sizeof(all.belay), s->belay);
	if (!r && s->o->overhead)
		r = add_overhead(s->o, &all, err);
	if (!r)
		r = bl_shelf_report(s->o->out, &all, err);
	if (!r)
		r = print(s->o, &all, err);
	return r ? BL_EXIT_UNDECIDED : conclude(s, &all, err);
}

static int compare(struct session *s, struct bl_err *err)
{
	bl_autofree char *catalog =
		s->o->catalog ? strdup(s->o->catalog)
			      : bl_path("%s/catalog.json", s->o->built);
	struct bl_err e = { 0 };
	int r = catalog ? bl_faults_load(catalog, &s->faults, err)
			: bl_err_set(err, -ENOMEM, "out of memory");

	if (r == -ENOENT)
		bl_err_hint(err,
			    "scripts/compare-all builds the faults (or name "
			    "where they are with --faults-dir)");
	for (size_t i = 0; !r && i < s->o->fault_count; i++)
		if (!bl_faults_find(&s->faults, s->o->faults[i]))
			return bl_cli_usage(err, "compare",
					    "there is no fault '%s' in %s",
					    s->o->faults[i], catalog);
	if (!r)
		r = read_belay(s, err);
	if (!r && !s->o->report_only)
		r = run_all(s, &e);
	if (r == -ECANCELED) {
		bl_err_set(err, r, "interrupted");
		bl_err_hint(err,
			    "the same command goes on where this one ended");
	} else if (r && *e.text) {
		*err = e;
	}
	return r ? BL_EXIT_UNDECIDED : report(s, err);
}

int bl_cmd_compare(int argc, char **argv, struct bl_err *err)
{
	struct options o = { .out = "build/compare/out",
			     .built = "build/compare/faults" };
	struct session s = { .o = &o };
	int r;

	if (argc > 1 && strcmp(argv[1], "beat") == 0)
		return bl_cmd_compare_beat();
	if (argc > 1 && strcmp(argv[1], "line") == 0)
		return bl_cmd_compare_line(argc - 1, argv + 1, err);
	r = parse(argc, argv, &o, err);
	if (r)
		return r;
	if (o.help) {
		fputs(usage, stdout);
		return BL_EXIT_OK;
	}
	bl_cli_catch_signals();
	r = compare(&s, err);
	bl_faults_free(&s.faults);
	bl_catalog_free(&s.catalog);
	free(s.kernels);
	return r;
}
