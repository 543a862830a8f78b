/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report put in order for a reader: what several kernels say about the same
 * place becomes one group, and what kernels say about programs a table.
 *
 *	bl_autofold struct bl_fold fold = { 0 };
 *
 *	r = bl_fold_build(report, &fold);
 *	for (i = 0; i < fold.group_count; i++)
 *		…fold.members[fold.groups[i].first + 0 … count - 1]
 *
 * Pure. Everything is borrowed from the report, which must outlive the fold.
 *
 * Invariants:
 *  - every finding is a member of exactly one group;
 *  - groups are in the order of the checks (report_checks.h), in a check the
 *    graver verdict first, then as they were found; members in the order of
 *    the report's kernels;
 *  - members of a group share check, program, file, line, verdict and status,
 *    and the shape of their message (the message with its numbers left out);
 *    but what verifiers say of one line of a program is one group, since each
 *    kernel words it otherwise.
 */
#ifndef BL_GATE_REPORT_FOLD_H
#define BL_GATE_REPORT_FOLD_H

#include "loader/base/buf.h"
#include "loader/gate/finding.h"

struct bl_fold_group {
	size_t first, count; /* in members */
	/* Of several, the one to show: the last with a verifier's log, since
	 * later kernels explain more. */
	const struct bl_finding *shown;
};

struct bl_fold_program {
	const char *name, *section;
	bool optional;
	size_t kernels; /* that accept it and found nothing graver */
	bool all;	/* accepted by every kernel of the report */
};

/* What a kernel said about a program. */
struct bl_fold_cell {
	size_t program, kernel;		 /* indices of both */
	/* Of the verifier, of a module its load; NULL: none. */
	const struct bl_finding *answer;
	/* The gravest of all other checks of the pair; NULL: all passed. */
	const struct bl_finding *trouble;
};

struct bl_fold {
	const struct bl_report *report;
	const struct bl_finding **members;
	struct bl_fold_group *groups;
	size_t group_count;
	struct bl_fold_program *programs; /* that some kernel was asked about */
	size_t program_count;
	struct bl_fold_cell *cells; /* by program, then kernel */
	size_t cell_count;
	/* Of each kernel of the report what became of it: the gravest finding
	 * of the check "kernel"; NULL if that passed. */
	const struct bl_finding **outcomes;
	size_t rejections; /* groups that reject */
	size_t undecided;  /* groups that are undecided */
	size_t warnings;
};

/* 0 or -ENOMEM with *ret untouched. */
int bl_fold_build(const struct bl_report *r, struct bl_fold *ret);

#define bl_autofold __attribute__((cleanup(bl_fold_free)))
void bl_fold_free(struct bl_fold *f);

/* The cell of a program and a kernel; NULL: nothing was said. */
const struct bl_fold_cell *bl_fold_cell(const struct bl_fold *f, size_t program,
					size_t kernel);

/* What a table says in it: "ok 1234", "ok 1234, budget", "rejected", "panic",
 * "?". Writes at most @size bytes. Returns how grave it is. */
enum bl_verdict bl_fold_say(const struct bl_fold *f, size_t program,
			    size_t kernel, char *ret, size_t size);

/*
 * Names of the kernels of a group: "6.1.0-56, 6.12.95+deb12"; more than @max
 * of them are counted: "6.1.0-56, … and 3 more". "" if the group is about no
 * kernel. Appends to @ret; 0 or -ENOMEM.
 */
int bl_fold_kernels(const struct bl_fold *f, const struct bl_fold_group *g,
		    size_t max, struct bl_buf *ret);

/* How many members of @g from @at on say the same words: usually one wording of
 * several kernels. At least 1. */
size_t bl_fold_run(const struct bl_fold *f, const struct bl_fold_group *g,
		   size_t at);

/*
 * Why the report is undecided although no finding is: which kernels accepted no
 * program, or that nothing was asked. Appends nothing if that is not so. 0 or
 * -ENOMEM.
 */
int bl_fold_unproven(const struct bl_fold *f, struct bl_buf *ret);

/* The message with its kernel's name and its numbers left out. Appends. */
int bl_fold_shape(const struct bl_finding *f, struct bl_buf *ret);

/* Bytes of @release without its flavour: 8 of "6.1.0-37-cloud-amd64". */
int bl_fold_short(const char *release);

#endif
