/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gate found, and the report that collects it.
 *
 * A finding is one result of one check, about one program, kernel or file. A
 * report is all findings about one file; its verdict follows from them and is
 * never stored apart from them, so that the two cannot disagree.
 *
 * Usage: zero-initialise a report, add findings, ask for the verdict, print it
 * with report_text.h or report_json.h, free it.
 *
 * Invariants:
 *  - any rejecting finding rejects the report; otherwise any undecided one
 *    leaves it undecided; otherwise it is accepted;
 *  - a report in which nothing was checked is undecided: an empty list is
 *    never a pass. Of an object or a bundle, at least one kernel was asked and
 *    each that was asked accepted at least one program;
 *  - the strings of a finding are its own, never NULL ("" for none), UTF-8, and
 *    without control characters but newline and tab: they may come from a
 *    stranger's file and go to a terminal.
 */
#ifndef BL_GATE_FINDING_H
#define BL_GATE_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/cli.h"
#include "loader/base/err.h"
#include "loader/bundle/digest.h"
#include "loader/kern/facts.h"

enum bl_verdict {
	BL_VERDICT_PASS,
	BL_VERDICT_WARN,      /* worth a look; does not stop anything */
	BL_VERDICT_UNDECIDED, /* could not be checked: never a pass */
	BL_VERDICT_REJECT,
};

/* What a kernel said about a program. */
enum bl_status {
	BL_STATUS_NONE, /* the finding is not about a load */
	BL_STATUS_ACCEPTED,
	BL_STATUS_REJECTED, /* the verifier, or the kernel panicked over it */
	BL_STATUS_MISSING,  /* hook, BTF, map or program type not there */
	BL_STATUS_REFUSED,  /* privilege or lockdown */
	BL_STATUS_UNKNOWN,  /* no answer */
};

struct bl_finding {
	enum bl_verdict verdict;
	enum bl_status status;
	bool optional; /* a program that its loader switches on (SEC "?…") */
	struct bl_effort effort; /* of the verifier */
	uint32_t line;		 /* of the source; 0: not known */
	char *check;	/* "object", "policy", "core", "verifier", … */
	char *program;	/* its C name */
	char *section;	/* its ELF section: "lsm/file_open" */
	char *kernel;	/* release; "host" for the running one */
	char *message;	/* one sentence for a person */
	char *hint;	/* what to do about it */
	char *file;	/* source file of the line */
	char *source;	/* text of that line */
	char *log;	/* last lines of the verifier's log */
	char *log_path; /* the whole log or console, for a person to open */
};

/* One kernel of a check. */
struct bl_report_kernel {
	char *name;		    /* release, or "host" */
	char *log_path;		    /* its console; "" on the running kernel */
	uint64_t boot_ms, total_ms; /* 0: not booted by us */
};

struct bl_report {
	char *path; /* as given by the user */
	char *kind; /* "object", "bundle", "content" or "unknown" */
	char digest[BL_DIGEST_HEX]; /* SHA-256 of the file; "" if unread */
	struct bl_finding *findings;
	size_t count;
	struct bl_report_kernel *kernels;
	size_t kernel_count;
	uint64_t total_ms; /* how long the check took */
};

#define BL_REPORT_FINDINGS_MAX 65536
#define BL_REPORT_KERNELS_MAX  256

#define bl_autoreport __attribute__((cleanup(bl_report_free)))
void bl_report_free(struct bl_report *r);

/* 0 or -ENOMEM with an empty report. */
int bl_report_init(struct bl_report *r, const char *path, const char *kind);

/*
 * Copies *f (NULL strings become "") to the end of the report. 0, -ENOMEM or
 * -E2BIG. The caller passes errors on: a lost finding must not become a pass.
 */
int bl_report_add(struct bl_report *r, const struct bl_finding *f);

/* As above, for a finding that is no more than a sentence. */
int bl_report_note(struct bl_report *r, enum bl_verdict verdict,
		   const char *check, const char *kernel, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Copies *k to the end of the report's kernels. 0, -ENOMEM or -E2BIG. */
int bl_report_add_kernel(struct bl_report *r, const struct bl_report_kernel *k);

/* By the invariants above; never BL_VERDICT_WARN. @kernel NULL: all findings,
 * otherwise those of one kernel. */
enum bl_verdict bl_report_verdict(const struct bl_report *r,
				  const char *kernel);

/* 0, 1 or 2 for PASS, REJECT and UNDECIDED. */
enum bl_exit bl_report_exit(const struct bl_report *r);

/* "pass", "warn", "undecided", "reject"; and "accepted", "rejected", "missing",
 * "refused", "unknown", "" for a status. */
const char *bl_verdict_name(enum bl_verdict v);
const char *bl_status_name(enum bl_status s);

/* "accepted", "rejected" or "undecided": the verdict of a report in words. */
const char *bl_report_word(enum bl_verdict v);

#endif
