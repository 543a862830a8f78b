/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a verdict costs: the objects of other people's packages on one kernel,
 * beside veristat in the same VM; and belay's own sensor on every kernel of the
 * catalogue, from warm VMs and from cold ones.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/bench/bench.h"
#include "tests/bench/peer.h"

#define KERNEL	   "6.1" /* the one that every catalogue has */
#define SET_TURNS  3
#define WARM_TURNS 7
#define WARM_MS	   5000 /* to reach */
#define PEER_SHARE 3.0	/* to reach: a third of veristat's time */

static const char sensor[] = BENCH_BUILD "/bpf/sensor.bpf.o";

static double median_of(const double *values, unsigned n)
{
	double copy[PEER_TURNS_MAX];

	for (unsigned i = 0; i < n; i++)
		copy[i] = values[i];
	return bench_median(copy, n);
}

static void bench_set(const struct bl_catalog *catalog)
{
	BL_CLEANUP(peer_set_free) struct peer_set set = { 0 };
	BL_CLEANUP(peer_result_free) struct peer_result res = { 0 };
	bl_autofree char *what = NULL, *how = NULL;
	const struct bl_kernel *kernel;
	struct bl_err err = { 0 };
	int r;

	r = peer_set_load(&set, &err);
	if (r == -ENOENT) {
		printf("skipped: the set beside veristat: %s (%s)\n", err.text,
		       err.hint);
		return;
	}
	bench_need(r, &err);
	bench_need(bl_catalog_pick(catalog, bench_kernel(KERNEL), &kernel,
				   &err),
		   &err);
	fprintf(stderr, "%zu objects on %s, minutes for each of %u turns\n",
		set.count, kernel->release, bench_runs(SET_TURNS));
	bench_need(peer_run(&set, &kernel, 1, bench_runs(SET_TURNS), 1, &res,
			    &err),
		   &err);
	what = bl_path("verify %zu objects, %zu programs, in one VM of %s",
		       set.count, res.count, kernel->release);
	how = bl_path(
		"%s, started once with all objects, as veristat; wall time in the guest, its boot excluded on both sides",
		peer_ours());
	bench_need(what && how ? 0 : -ENOMEM, &err);
	bench_timed(
		&(struct bench_pair){
			.what = what,
			.peer = set.veristat,
			.to_reach_ms = median_of(res.theirs_ms, res.turns) /
				       PEER_SHARE,
			.how = how },
		res.ours_ms, res.theirs_ms, res.turns);
}

static void bench_sensor(const struct bl_catalog *catalog)
{
	const char *warm[] = { BENCH_BELAY, "check",  sensor, "--kernel",
			       "all",	    "--json", NULL };
	const char *cold[] = { "env",	    "BELAY_LAB_WARM=0",
			       BENCH_BELAY, "check",
			       sensor,	    "--kernel",
			       "all",	    "--json",
			       NULL };
	bl_autofree char *what =
		bl_path("belay check of the sensor on %zu kernels, warm",
			catalog->count);
	struct bl_err err = { .text = "out of memory" };

	bench_need(what ? 0 : -ENOMEM, &err);
	bench_compare(&(struct bench_pair){
		.what = what,
		.ours = bench_command,
		.ours_ctx = warm,
		.peer = "cold VMs (BELAY_LAB_WARM=0)",
		.theirs = bench_command,
		.theirs_ctx = cold,
		.to_reach_ms = WARM_MS,
		.turns = WARM_TURNS,
		.how = "wall time of the whole command, every check, one VM per kernel; what warm VMs start from was made before the first turn" });
}

int main(int argc, char **argv)
{
	bl_autocatalog struct bl_catalog catalog = { 0 };
	struct bl_err err = { 0 };

	bench_open("gate", argc, argv);
	bench_need(bl_catalog_load(&catalog, &err), &err);
	bench_sensor(&catalog);
	bench_set(&catalog);
	return bench_close();
}
