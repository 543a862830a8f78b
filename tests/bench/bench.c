/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/base/proc.h"
#include "loader/base/term.h"

#define RUNS_MAX 1001
#define RUNS	 21

static struct {
	const char *name, *dir, *kernel, *only;
	unsigned runs; /* 0: not said */
	json_t *rows;
	char *work;
} bench;

void bench_need(int r, const struct bl_err *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench %s: %s\n", bench.name, err->text);
	exit(EXIT_FAILURE);
}

static void usage(int code)
{
	fprintf(code ? stderr : stdout,
		"usage: bench_%s [--runs N] [--kernel K] [--only PART] [--dir DIR]\n",
		bench.name);
	exit(code);
}

static unsigned runs_of(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n < 1 || n > RUNS_MAX)
		usage(64);
	return (unsigned)n;
}

void bench_open(const char *name, int argc, char **argv)
{
	static const struct option options[] = {
		{ "runs", required_argument, NULL, 'r' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "only", required_argument, NULL, 'o' },
		{ "dir", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	bench.name = name;
	bench.dir = ".";
	bench.rows = json_array();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			bench.runs = runs_of(optarg);
		else if (c == 'k')
			bench.kernel = optarg;
		else if (c == 'o')
			bench.only = optarg;
		else if (c == 'd')
			bench.dir = optarg;
		else
			usage(c == 'h' ? 0 : 64);
	}
	if (optind != argc)
		usage(64);
}

unsigned bench_runs(unsigned otherwise)
{
	return bench.runs ? bench.runs : otherwise;
}

const char *bench_kernel(const char *otherwise)
{
	return bench.kernel ? bench.kernel : otherwise;
}

bool bench_wants(const char *part)
{
	return !bench.only || strcmp(bench.only, part) == 0;
}

const char *bench_dir(void)
{
	return bench.dir;
}

static void remove_work(void)
{
	bl_file_rmtree(bench.work, NULL);
}

const char *bench_work(void)
{
	struct bl_err err = { .text = "out of memory" };

	if (bench.work)
		return bench.work;
	bench.work = bl_path("%s/%s.work", bench.dir, bench.name);
	bench_need(bench.work ? 0 : -1, &err);
	bench_need(bl_file_rmtree(bench.work, &err), &err);
	bench_need(bl_file_mkdirs(bench.work, 0755, &err), &err);
	atexit(remove_work);
	return bench.work;
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static double turn_ms(bench_fn fn, void *ctx)
{
	struct bl_err err = { 0 };
	double start = now_ms();
	int r = fn(ctx, &err);
	double end = now_ms();

	bench_need(r, &err);
	return end - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static json_t *real_or_null(bool there, double v)
{
	return there ? json_real(v) : json_null();
}

void bench_add(const struct bench_value *v)
{
	bool peer = v->peer != NULL;
	json_t *row = json_pack(
		"{s:s, s:f, s:s, s:o, s:s, s:s?, s:o, s:o, s:s}", "what",
		v->what, "value", v->value, "unit", v->unit, "to_reach",
		real_or_null(v->to_reach > 0, v->to_reach), "better", v->better,
		"peer", v->peer, "peer_value",
		real_or_null(peer, v->peer_value), "ratio",
		real_or_null(peer && v->peer_value > 0,
			     v->value / v->peer_value),
		"how", v->how);
	struct bl_err err = { .text = "out of memory" };

	bench_need(row ? json_array_append_new(bench.rows, row) : -1, &err);
	fprintf(stderr, "%s: %.*f %s\n", v->what, v->value >= 1000 ? 0 : 2,
		v->value, v->unit);
}

void bench_timed(const struct bench_pair *p, double *ours, double *theirs,
		 unsigned n)
{
	double value = bench_median(ours, n);
	double peer = theirs ? bench_median(theirs, n) : 0;
	bl_autofree char *how =
		bl_path("%s; median of %u turns, ours %.2f to %.2f ms", p->how,
			n, ours[0], ours[n - 1]);

	bench_add(&(struct bench_value){ .what = p->what,
					 .unit = "ms",
					 .better = "lower",
					 .value = value,
					 .to_reach = p->to_reach_ms,
					 .peer = theirs ? p->peer : NULL,
					 .peer_value = peer,
					 .how = how ? how : p->how });
}

void bench_compare(const struct bench_pair *p)
{
	static double ours[RUNS_MAX], theirs[RUNS_MAX];
	unsigned runs = bench_runs(p->turns ? p->turns : RUNS), i;
	struct bl_progress progress;

	/* One turn each that does not count warms caches up. */
	bl_progress_start(&progress, p->what, runs);
	progress.off = !isatty(STDERR_FILENO);
	for (i = 0; i <= runs; i++) {
		ours[i ? i - 1 : 0] = turn_ms(p->ours, p->ours_ctx);
		if (p->peer)
			theirs[i ? i - 1 : 0] =
				turn_ms(p->theirs, p->theirs_ctx);
		bl_progress_step(&progress, i, "turn %u", i);
	}
	bl_progress_end(&progress);
	bench_timed(p, ours, p->peer ? theirs : NULL, runs);
}

int bench_command(void *ctx, struct bl_err *err)
{
	return bl_proc_check(ctx, NULL, err);
}

static void number_cell(struct bl_table *t, const json_t *row, const char *key,
			const char *unit)
{
	const json_t *v = json_object_get(row, key);

	if (json_is_null(v))
		bl_table_cell(t, BL_STYLE_DIM, "-");
	else
		bl_table_cell(t, BL_STYLE_PLAIN, "%.*f%s%s",
			      json_number_value(v) >= 1000 ? 0 : 2,
			      json_number_value(v), *unit ? " " : "", unit);
}

static void print_table(void)
{
	static const char *const heads[] = {
		"what", "value", "to reach", "ratio", "peer", "compared with"
	};
	bl_autotable struct bl_table *t = bl_table_new(BL_ARRAY_SIZE(heads));
	json_t *row;
	size_t i;

	if (!t)
		return;
	bl_table_row(t);
	for (i = 0; i < BL_ARRAY_SIZE(heads); i++)
		bl_table_cell(t, BL_STYLE_PLAIN, "%s", heads[i]);
	json_array_foreach (bench.rows, i, row) {
		const char *unit =
			json_string_value(json_object_get(row, "unit"));
		const char *peer =
			json_string_value(json_object_get(row, "peer"));

		bl_table_row(t);
		bl_table_cell(t, BL_STYLE_PLAIN, "%s",
			      json_string_value(json_object_get(row, "what")));
		number_cell(t, row, "value", unit);
		number_cell(t, row, "to_reach", unit);
		number_cell(t, row, "ratio", "");
		number_cell(t, row, "peer_value", unit);
		bl_table_cell(t, BL_STYLE_DIM, "%s", peer ? peer : "");
	}
	bl_table_print(t, stdout, "");
}

int bench_close(void)
{
	bl_autofree char *path = bl_path("%s/%s.json", bench.dir, bench.name);
	bl_autofree char *text = bl_json_dump(json_incref(bench.rows));
	struct bl_err err = { .text = "out of memory" };

	bench_need(path && text ? 0 : -1, &err);
	bench_need(bl_file_mkdirs(bench.dir, 0755, &err), &err);
	bench_need(bl_file_write(path, text, strlen(text), 0644, &err), &err);
	print_table();
	printf("\n%s\n", path);
	json_decref(bench.rows);
	return EXIT_SUCCESS;
}
