/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what a failed load left behind: the verifier's log, libbpf's messages
 * and an errno. Pure; the wording differs from kernel to kernel and is tested
 * with logs of each.
 */
#ifndef BL_KERN_VLOG_H
#define BL_KERN_VLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/kern/facts.h"

#define BL_VLOG_LINE_MAX 1024

struct bl_vlog {
	struct bl_effort effort;       /* of the totals at its end */
	int64_t insn;		       /* where it went wrong; -1: not said */
	char reason[BL_VLOG_LINE_MAX]; /* the line that says why; "" if none */
	char file[BL_VLOG_LINE_MAX];   /* of the last source line ("" before
					  Linux 6.9, which print no file) */
	uint32_t line;
	char source[BL_VLOG_LINE_MAX]; /* text of the last source line */
};

/* @log may be huge and need not end with a newline. */
void bl_vlog_read(const char *log, struct bl_vlog *ret);

/* What is known of a load that failed. */
struct bl_vlog_case {
	int code;	      /* negative errno */
	const char *log;      /* verifier's; "" if it said nothing */
	const char *messages; /* libbpf's, one a line */
	int type_known;	      /* kernel knows the program's (or map's) type: 1,
				 0, negative: cannot tell */
	bool optional;	      /* a loader can do without the program */
};

/* Names the case: a status and a sentence of at most @size bytes. */
enum bl_load_status bl_vlog_classify(const struct bl_vlog_case *c,
				     char *ret_why, size_t size);

/*
 * libbpf's last word of @messages (its own, one a line) that is more than an
 * echo of the failure; without its prefix, at most @size bytes; "" if there is
 * none.
 */
void bl_vlog_said(const char *messages, char *ret, size_t size);

/* The last lines of @log: at most @lines of them and @bytes. Points into it. */
const char *bl_vlog_tail(const char *log, size_t lines, size_t bytes);

/*
 * The part that a person wants to read first: at most @lines before the totals
 * at the end; from Linux 7.3 the kernel's own diagnosis without its history.
 * Points into @log; *ret_len bytes.
 */
const char *bl_vlog_excerpt(const char *log, size_t lines, size_t *ret_len);

/* The index of the instruction that a line of a log shows; -1: shows none. */
int64_t bl_vlog_insn(const char *line, size_t len);

/* Whether a line says how the verifier went on, not why it stopped. */
bool bl_vlog_is_chatter(const char *line, size_t len);

/* Whether a line opens the paragraphs in which Linux 7.3 explains itself. */
bool bl_vlog_is_diagnosis(const char *line);

#endif
