/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of benches. A bench is a program bench_NAME.c whose main() opens
 * the frame, measures, and closes it; closing prints a table and writes
 * DIR/NAME.json, a list of rows as scripts/bench documents them.
 *
 *	int main(int argc, char **argv)
 *	{
 *		bench_open("bundle", argc, argv);
 *		bench_compare(&(struct bench_pair){ .what = "open", … });
 *		return bench_close();
 *	}
 *
 * Rules: a row exists only if it was measured in this run. What is compared
 * runs by turns, ours and the peer's, so that a busy machine slows both; the
 * value is the median of all turns. Anything that fails ends the bench with
 * exit 1 and no file.
 */
#ifndef BL_TESTS_BENCH_H
#define BL_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/err.h"

/* One turn of the thing measured. Returns 0, or -errno with @err set. */
typedef int (*bench_fn)(void *ctx, struct bl_err *err);

struct bench_pair {
	const char *what;
	bench_fn ours;
	void *ours_ctx;
	const char *peer; /* what it is compared with; NULL: nothing */
	bench_fn theirs;
	void *theirs_ctx;
	double to_reach_ms; /* 0: no goal */
	unsigned turns;	    /* unless --runs says otherwise; 0: 21 */
	const char *how;    /* what a turn does, on both sides */
};

/* A value that is no time: a size, a count. */
struct bench_value {
	const char *what, *unit, *better; /* "lower" or "higher" */
	double value;
	double to_reach;  /* 0: no goal */
	const char *peer; /* NULL: none */
	double peer_value;
	const char *how;
};

/* Options: --runs N (turns), --kernel K, --only PART (of those benches that have
 * parts), --dir DIR (default "."). */
void bench_open(const char *name, int argc, char **argv);

/* What the options say: --runs or @otherwise; --kernel or @otherwise; --dir. */
unsigned bench_runs(unsigned otherwise);
const char *bench_kernel(const char *otherwise);
const char *bench_dir(void);
/* Whether --only says that part, or nothing. */
bool bench_wants(const char *part);

/* An empty folder for files, DIR/NAME.work; removed when the bench ends, or by
 * the next one if this one is interrupted. */
const char *bench_work(void);

/* Measures and adds a row in milliseconds, lower is better. */
void bench_compare(const struct bench_pair *p);

/* Sorts; the middle, or the mean of the two in the middle. */
double bench_median(double *values, unsigned n);

/* Adds a row from times that something else took (in a guest, by its clock):
 * @n of each; @theirs may be NULL. Sorts them. */
void bench_timed(const struct bench_pair *p, double *ours, double *theirs,
		 unsigned n);

/* Says it on stderr, too, as it comes. */
void bench_add(const struct bench_value *v);

/* A bench_fn: runs the argv (const char *const *, absolute tool or from PATH)
 * that @ctx is, and wants status 0. */
int bench_command(void *ctx, struct bl_err *err);

/* Ends the bench with exit 1 if r < 0. */
void bench_need(int r, const struct bl_err *err);

/* Prints, writes, returns main's status. */
int bench_close(void);

#endif
