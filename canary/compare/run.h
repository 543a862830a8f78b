/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run: a fault on a kernel, one way, and what became of it.
 *
 *	struct bl_runner runner = { .built = …, .work = …, .kernel = … };
 *	r = bl_run(&runner, fault, way, &result, err);	… for each
 *	bl_runner_free(&runner);
 *
 * A fleet of way B or C is kept for the next run of that kernel while all of
 * its hosts are well and on the version that they began with; else the next run
 * makes a new one. Hosts of B that had the faulty module in their kernel and did
 * not go down are booted anew before that: nobody knows what it left there.
 *
 * A run that could not be made is no error: its result says why (failed). An
 * error is what ends a comparison: -ECANCELED (a signal), -ENOMEM.
 */
#ifndef BL_CANARY_COMPARE_RUN_H
#define BL_CANARY_COMPARE_RUN_H

#include "canary/compare/control.h"
#include "canary/compare/depot.h"
#include "canary/compare/judge.h"
#include "canary/compare/watch.h"

#define BL_RUN_HOSTS 3 /* in a fleet */

/* A fleet of way B or C between runs. */
struct bl_kept {
	struct bl_guests *guests; /* NULL: there is none */
	struct bl_control *control;
	char digest[BL_DIGEST_HEX];	 /* of the version it began with */
	char rollout[BL_ROLLOUT_ID_LEN]; /* to be taken back; "": none */
	bool tainted[BL_RUN_HOSTS];	 /* to be booted anew */
};

struct bl_runner {
	const char *built; /* folder of struct bl_variant_spec */
	const char *work;  /* a folder of its own */
	const struct bl_kernel *kernel;
	const char *belay; /* what results say ran them */
	/* What it is about to do; "", often, while it does it. */
	void (*say)(void *ctx, const char *text);
	void *ctx;
	struct bl_kept kept[BL_COMPARE_WAYS];
};

void bl_runner_free(struct bl_runner *r);
void bl_kept_free(struct bl_kept *k);

/* The version that the fault @f brings: its files in @work. */
int bl_run_variant(const struct bl_runner *r, const struct bl_fault *f,
		   enum bl_compare_way way, struct bl_variant *ret,
		   struct bl_err *err);

/* *ret is zeroed by the caller, and has what was seen even of a failed run. */
int bl_run(struct bl_runner *r, const struct bl_fault *f,
	   enum bl_compare_way way, struct bl_compare_result *ret,
	   struct bl_err *err);

/* --- for the ways --------------------------------------------------------- */

/* What the controller said last of the rollout under way. */
struct bl_run_asked {
	uint64_t at_ms;
	char id[BL_ROLLOUT_ID_LEN];
	bool over, done;
	bool trial; /* a host has it on trial */
	char state[BL_RUN_HOSTS][16];
	const char *want; /* the digest that all are to run */
	uint64_t well_ms; /* since when they are well; 0: they are not */
};

struct bl_run {
	struct bl_runner *runner;
	const struct bl_fault *fault;
	const struct bl_fault_twin *twin;
	enum bl_compare_way way;
	struct bl_variant good, bad; /* bad: the version in question */
	struct bl_watch watch;
	struct bl_judge_case judged; /* all but hosts, count, end and expect */
	struct bl_compare_result *result;
	struct bl_depot *depot; /* way A; else NULL */
	struct bl_run_asked asked;
	pid_t check; /* at the gate; 0: not */
};

void bl_run_say(const struct bl_run *run, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What was live before the fault, as @version: mostly the twin as it is. */
int bl_run_good(const struct bl_run *run, const char *version,
		struct bl_variant *ret, struct bl_err *err);

/* Steps until @done says so: 0; 1 when @ms have passed without. */
int bl_run_until(struct bl_run *run, bool (*done)(struct bl_run *run),
		 int64_t ms, struct bl_err *err);

int bl_run_pushed(struct bl_run *run, struct bl_err *err); /* way A */
int bl_run_kept(struct bl_run *run, struct bl_err *err);   /* ways B and C */

/* `belay check` of the version in question, while the fleet is watched. */
int bl_run_gate(struct bl_run *run, struct bl_err *err);

#endif
