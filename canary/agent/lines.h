/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stranger writes to a pipe, as lines for a log. Pure.
 *
 *	bl_lines_add(&lines, data, len, take, ctx);	whatever was read
 *	bl_lines_end(&lines, take, ctx);		a last one without an end
 *
 * A line is printable, has at most BL_LINES_LEN - 1 bytes (what is longer is cut)
 * and at least one. How many of them are printed is for @take to say.
 */
#ifndef BL_CANARY_LINES_H
#define BL_CANARY_LINES_H

#include <stddef.h>

#define BL_LINES_LEN 256

struct bl_lines { /* zero-initialise */
	char raw[BL_LINES_LEN];
	size_t len;
};

void bl_lines_add(struct bl_lines *l, const char *data, size_t len,
		  void (*take)(void *ctx, const char *line), void *ctx);
void bl_lines_end(struct bl_lines *l, void (*take)(void *ctx, const char *line),
		  void *ctx);

#endif
