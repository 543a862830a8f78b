/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few lines of a verifier's log that explain a rejection: where the
 * register that it is about got its value, the instruction at which it stopped,
 * and why. A log may be megabytes; these are what a person reads first.
 *
 * Pure. Any bytes will do; what is not found is left out.
 */
#ifndef BL_KERN_VLOG_LINES_H
#define BL_KERN_VLOG_LINES_H

#include <stddef.h>

#define BL_VLOG_LINES_MAX 4

struct bl_vlog_lines {
	struct {
		const char *text; /* in the log, not terminated */
		size_t len;
	} line[BL_VLOG_LINES_MAX]; /* in the order of the log */
	size_t count;
};

void bl_vlog_lines(const char *log, struct bl_vlog_lines *ret);

#endif
