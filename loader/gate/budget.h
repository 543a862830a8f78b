/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "budget": what each accepted program costs each kernel's verifier, held
 * against an absolute limit and against a baseline: the costs that somebody
 * reviewed and committed. It reads the report's "verifier" findings and asks no
 * kernel itself.
 *
 *	struct bl_budget_limits limits = BL_BUDGET_LIMITS;
 *	bl_autobaseline struct bl_baseline base = { 0 };
 *
 *	r = bl_budget_load("baseline.json", &base, err);
 *	…
 *	r = bl_budget_check(&base, &limits, report);
 *	…with --update-baseline:
 *	r = bl_budget_update(&base, report, "baseline.json", err);
 *
 * What is found, by program P and kernel K of the report:
 *
 *	more instructions than the limit                  reject
 *	more than the baseline's, beyond growth and slack reject
 *	fewer than the baseline's                         pass, noted
 *	accepted, but the cost is not known               undecided
 *	in the baseline, not in the object: vanished      reject
 *	accepted in the baseline; now K lacks what the
 *	  optional P needs: lost                          reject
 *	in the baseline, and K gave no answer about it    undecided
 *	rejected, refused or unknown now                  nothing: "verifier"
 *	                                                  stops it already
 *	accepted, not in the baseline: new                warn
 *	K asked, not in the baseline                      warn
 *	K asked, another release of its line in it        warn; compared
 *	K in the baseline, not asked                      warn; undecided if all
 *	                                                  kernels were asked for
 *
 * Kernels: an entry is of a release. A release that is not in the baseline is
 * compared with the newest one of the same line (major.minor) and flavour
 * (6.1.0-57-cloud-amd64 with 6.1.0-56-cloud-amd64): a point update must not
 * switch the check off. The running kernel ("host") is held against the limit,
 * but is in no baseline: another machine's "host" is another kernel.
 *
 * Slack: growth of up to BL_BUDGET_SLACK instructions is no rejection. Small
 * programs grow by a large percentage when a compiler changes its mind; a
 * hundred instructions are a five-thousandth of the default limit. A growth of
 * 0 % asks for the exact figure: no slack then.
 *
 * The file has one line per program and kernel, in a fixed order, so that a
 * diff shows what changed:
 *
 *	{
 *	  "schema": 1,
 *	  "programs": [
 *	    {"program": "on_exec", "kernel": "6.1.0-56-cloud-amd64",
 *	     "insns": 812, "states": 40, "peak_states": 12, "stack_bytes": 64},
 *	    …
 */
#ifndef BL_GATE_BUDGET_H
#define BL_GATE_BUDGET_H

#include "loader/base/buf.h"
#include "loader/gate/finding.h"

#define BL_BUDGET_MAX_INSNS  UINT64_C(500000)
#define BL_BUDGET_MAX_GROWTH 10.0 /* percent */
#define BL_BUDGET_SLACK	     100u /* instructions */

#define BL_BASELINE_FILE_MAX	(16u << 20) /* bytes */
#define BL_BASELINE_ENTRIES_MAX BL_REPORT_FINDINGS_MAX

struct bl_budget_limits {
	uint64_t max_insns; /* 0: the default */
	double max_growth;  /* percent of the baseline's */
	bool all_kernels;   /* the user asked for all that there are */
};

#define BL_BUDGET_LIMITS                                              \
	((struct bl_budget_limits){ .max_insns = BL_BUDGET_MAX_INSNS, \
				    .max_growth = BL_BUDGET_MAX_GROWTH })

/* What a program cost a kernel when the baseline was written. */
struct bl_baseline_entry {
	char *program, *kernel;
	struct bl_effort effort; /* insns > 0; no time: it is never the same */
};

/* Sorted by program, then kernel; each pair once. */
struct bl_baseline {
	struct bl_baseline_entry *entries;
	size_t count;
};

#define bl_autobaseline __attribute__((cleanup(bl_baseline_free)))
void bl_baseline_free(struct bl_baseline *b);

/*
 * Adds at least one finding to *report. @base NULL: only the limit counts. 0 or
 * as bl_report_add.
 */
int bl_budget_check(const struct bl_baseline *base,
		    const struct bl_budget_limits *limits,
		    struct bl_report *report);

/* Reads the file. -ENOENT, -EBADMSG (names line and field), -EFBIG, -ENOMEM. */
int bl_budget_load(const char *path, struct bl_baseline *ret,
		   struct bl_err *err);

/*
 * Writes what the report's kernels accepted to @path, durably. Entries of @old
 * (may be NULL) for kernels that were not asked stay, but for programs that the
 * object has no more; those for an asked kernel, or for the release that it
 * stands in for, are replaced. -EINVAL when the
 * report does not bear a baseline: a program that was rejected or undecided, a
 * cost that is not known, no lab kernel. Nothing is written then.
 */
int bl_budget_update(const struct bl_baseline *old,
		     const struct bl_report *report, const char *path,
		     struct bl_err *err);

/* The parts of the above that touch no file. @ret of bl_baseline_print gets
 * text added. */
int bl_baseline_parse(const char *name, const char *text, size_t len,
		      struct bl_baseline *ret, struct bl_err *err);
int bl_baseline_print(const struct bl_baseline *b, struct bl_buf *ret);
int bl_baseline_merge(const struct bl_baseline *old,
		      const struct bl_report *report, struct bl_baseline *ret,
		      struct bl_err *err);

/* The entry, NULL if there is none. */
const struct bl_baseline_entry *bl_baseline_find(const struct bl_baseline *b,
						 const char *program,
						 const char *kernel);

/* The release in @b that @kernel is compared with (by the rule above),
 * borrowed; NULL if there is none. */
const char *bl_baseline_kernel(const struct bl_baseline *b, const char *kernel);

#endif
