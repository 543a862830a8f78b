/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of faults, tests/faults/catalog.json: what each is, what of it
 * is built for either twin, how it is brought to a host, where it ought to be
 * stopped. tests/faults/README.md says what the words mean.
 *
 *	BL_CLEANUP(bl_faults_free) struct bl_faults faults = { 0 };
 *	r = bl_faults_load(path, &faults, err);
 *	for (i = 0; i < faults.count; i++)
 *		twin = bl_fault_twin(&faults.fault[i], way);
 *
 * Strict: an unknown key or word is an error with file, line and field. All
 * strings belong to the catalogue. Pure but for bl_faults_load.
 */
#ifndef BL_CANARY_COMPARE_CATALOG_H
#define BL_CANARY_COMPARE_CATALOG_H

#include "canary/compare/result.h"

#define BL_FAULTS_MAX	    64
#define BL_FAULTS_BYTES_MAX (1u << 20)
#define BL_FAULT_LATER_MAX  2

enum bl_fault_inject {
	BL_INJECT_BUNDLE,
	BL_INJECT_CONTENT,
	BL_INJECT_TRUNCATED,
	BL_INJECT_FLIPPED,
	BL_INJECT_OLDER,
	BL_INJECT_TOMBSTONED,
	BL_INJECT_POWER_CUT,
	BL_INJECT_AGENT_LOOP,
};

/* What of a fault there is for one twin. */
struct bl_fault_twin {
	const char *none;    /* why there is nothing; NULL: there is, and */
	const char *variant; /* its name; "sensor": the twin as it is */
	const char *content; /* a file's name; NULL: the twin's own */
	const char *before;  /* what is live before it; NULL: the twin */
	bool unload;	     /* it comes when the variant is taken out */
};

/* Where it ought to be stopped. Gate: NOWHERE and UNAFFECTED let it through. */
struct bl_fault_lines {
	enum bl_compare_stop gate, past;
};

struct bl_fault_expect {
	const char *since; /* on kernels from this one on; NULL: on all */
	bool said[BL_COMPARE_WAYS];
	struct bl_fault_lines lines[BL_COMPARE_WAYS]; /* of A only past */
};

struct bl_fault {
	const char *id, *number, *title;
	enum bl_fault_inject inject;
	struct bl_fault_twin module, ebpf;
	/* Of later the last one that knows of a kernel holds for it. */
	struct bl_fault_expect expect, later[BL_FAULT_LATER_MAX];
	size_t later_count;
	const json_t *json; /* its entry, for reports */
};

struct bl_faults {
	struct bl_json_doc doc;
	struct bl_fault fault[BL_FAULTS_MAX];
	size_t count;
};

void bl_faults_free(struct bl_faults *f);

/* -EBADMSG names file, line and field; *ret (zeroed by the caller) is whole or
 * untouched. */
int bl_faults_parse(const char *name, const char *text, size_t len,
		    struct bl_faults *ret, struct bl_err *err);
int bl_faults_load(const char *path, struct bl_faults *ret, struct bl_err *err);

/* By its id or its number; NULL: there is none. */
const struct bl_fault *bl_faults_find(const struct bl_faults *f,
				      const char *name);

/* What of it there is for @way. */
const struct bl_fault_twin *bl_fault_twin(const struct bl_fault *f,
					  enum bl_compare_way way);

/* Where it ought to be stopped on the kernel @release; false: nothing is said,
 * since there is nothing of it for that way. */
bool bl_fault_lines(const struct bl_fault *f, const char *release,
		    enum bl_compare_way way, struct bl_fault_lines *ret);

#endif
