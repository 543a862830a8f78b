/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same objects, the same kernel, the same VM: belay's verify and veristat,
 * by turns, what both say of every program and how long they took.
 *
 *	struct peer_set set;
 *	peer_set_load(&set, &err);		(scripts/objects filled it)
 *	peer_run(&set, kernels, n, turns, jobs, results, &err);
 *
 * What is timed is wall time in the guest, by its own clock, from the start of
 * the first process to the end of the last: the boot is in neither figure, the
 * start of processes is in both. Each is started once, with all objects, and
 * writes what it says to a file in memory; the files are read out after the
 * last turn.
 */
#ifndef BL_TESTS_BENCH_PEER_H
#define BL_TESTS_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"
#include "loader/lab/catalog.h"

#define PEER_TURNS_MAX	 101
#define PEER_OBJECTS_MAX 200 /* with veristat's files, below BL_VM_FILES_MAX */
#define PEER_MEM_MIB	 2048

struct peer_set {
	char *dir;
	char **objects; /* names in dir, sorted */
	size_t count;
	char *veristat; /* "veristat 0.4-1", as scripts/objects noted */
};

/* -ENOENT with a hint when scripts/objects has not run. */
int peer_set_load(struct peer_set *ret, struct bl_err *err);
void peer_set_free(struct peer_set *s);

struct peer_side {
	bool there;    /* it named this program */
	bool accepted; /* and said yes */
	uint64_t insns, states, peak_states;
	char *why;   /* ours only: status and message */
	char *notes; /* ours only: what it assumed of the object */
};

enum peer_match {
	PEER_AGREE,
	PEER_COUNTS, /* one verdict, but not the same number of instructions */
	PEER_VERDICT,
	PEER_ONLY_OURS,
	PEER_ONLY_THEIRS,
};

struct peer_program {
	char *object, *name;
	struct peer_side ours, theirs;
};

struct peer_result {
	const struct bl_kernel *kernel;
	struct peer_program *programs; /* by object, then name */
	size_t count;
	unsigned turns;
	double ours_ms[PEER_TURNS_MAX], theirs_ms[PEER_TURNS_MAX];
};

void peer_result_free(struct peer_result *r);

/* The command that verifies objects in the guest, for the bench's words. */
const char *peer_ours(void);

enum peer_match peer_match(const struct peer_program *p);
const char *peer_match_name(enum peer_match m);

/*
 * Fills @results, one per kernel, each from one VM, at most @jobs VMs at a
 * time. -EIO when a guest did not come to its end.
 */
int peer_run(const struct peer_set *set, const struct bl_kernel *const *kernels,
	     size_t count, unsigned turns, unsigned jobs,
	     struct peer_result *results, struct bl_err *err);

#endif
