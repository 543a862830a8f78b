/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a comparison found, as compare.json holds it: the catalogue's
 * faults, a run of each fault × kernel × way as far as it was made, and what
 * the sensor costs. Every report is made of this and of nothing else, so that
 * it can be made again from the file.
 *
 *	{ "schema": 1, "made": "2026-11-26 03:00 UTC", "belay": "0.1.0",
 *	  "kernels": [...], "faults": [...], "runs": [...], "overhead": null }
 *
 * Faults are the catalogue's own JSON (catalog.h says what is in it); of them
 * this file needs "id" and what it shows. Overhead is that of `scripts/bench
 * sensor`, or NULL.
 *
 * Pure but for bl_compare_load.
 */
#ifndef BL_CANARY_COMPARE_DOCUMENT_H
#define BL_CANARY_COMPARE_DOCUMENT_H

#include "canary/compare/result.h"

#define BL_COMPARE_SCHEMA	1
#define BL_COMPARE_KERNELS_MAX	16
#define BL_COMPARE_FAULTS_MAX	256
#define BL_COMPARE_RUNS_MAX	4096
#define BL_COMPARE_DOCUMENT_MAX (256u << 20) /* bytes of its JSON */

struct bl_compare {
	char made[BL_COMPARE_NAME_MAX];
	char belay[BL_COMPARE_NAME_MAX];
	char kernels[BL_COMPARE_KERNELS_MAX][BL_COMPARE_KERNEL_MAX];
	size_t kernel_count;
	json_t *faults; /* array of objects with "id" */
	struct bl_compare_result *runs;
	size_t run_count;
	json_t *overhead; /* an object; NULL: not measured */
};

void bl_compare_free(struct bl_compare *c);
#define bl_autocompare __attribute__((cleanup(bl_compare_free)))

/* Moves @run into @c: it is empty then. 0, -ENOMEM, or -E2BIG when there are
 * too many. A run of the same fault, kernel and way is replaced. */
int bl_compare_add(struct bl_compare *c, struct bl_compare_result *run);

/* The run of it; NULL if there is none. */
const struct bl_compare_result *bl_compare_find(const struct bl_compare *c,
						const char *fault,
						const char *kernel,
						enum bl_compare_way way);

/* What a fault's JSON (or another object) says under @key, "" if it is no
 * string. Borrowed. */
const char *bl_compare_fault_text(const json_t *fault, const char *key);

/* The reason that the catalogue gives for not having @fault in that way (its
 * "none"); NULL if it has it. Borrowed. */
const char *bl_compare_fault_none(const json_t *fault, enum bl_compare_way way);

/* Of the runs of one way, on @kernel (NULL: on all). Runs that failed are
 * counted as such and in nothing else. */
struct bl_compare_total {
	unsigned runs, failed;
	unsigned hosts, exposed, lost, crashes, reboots;
	unsigned rejected;	  /* by the gate */
	unsigned crashed, blamed; /* runs with a crash; all of it attributed */
	unsigned as_expected;
	unsigned never; /* runs after which not every host was well */
	int64_t outage_ms, recover_max_ms; /* the latter of those that were */
};
void bl_compare_sum(const struct bl_compare *c, const char *kernel,
		    enum bl_compare_way way, struct bl_compare_total *ret);

/* NULL when out of memory. */
json_t *bl_compare_json(const struct bl_compare *c);

/* Strict; every run's fault and kernel must be listed. -EBADMSG with file, line
 * and field, *ret untouched. */
int bl_compare_parse(const char *name, const char *text, size_t len,
		     struct bl_compare *ret, struct bl_err *err);
int bl_compare_load(const char *path, struct bl_compare *ret,
		    struct bl_err *err);

#endif
