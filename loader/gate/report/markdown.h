/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as Markdown of the GitHub kind. What a stranger wrote goes through one
 * of code, prose and block: it is shown as it is and can neither become markup
 * nor call people, link or refer to other issues.
 *
 * Zero-initialise, add, look at failed once, free.
 */
#ifndef BL_GATE_MARKDOWN_H
#define BL_GATE_MARKDOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/buf.h"

struct bl_md {
	struct bl_buf text;
	bool failed; /* out of memory: text is not whole */
};

#define bl_automd __attribute__((cleanup(bl_md_free)))
void bl_md_free(struct bl_md *b);

/* Markup of our own, as it is. */
void bl_md_add(struct bl_md *b, const char *text, size_t len);
void bl_md_put(struct bl_md *b, const char *text);
void bl_md_printf(struct bl_md *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* As code within a line, however many backticks are in it; line breaks become
 * blanks. Nothing for "". */
void bl_md_code(struct bl_md *b, const char *text);

/* The same in a table, where a bar would end the cell even in code. */
void bl_md_cell_code(struct bl_md *b, const char *text);

/* As prose within a line or a cell: no markup, mention, reference or link. */
void bl_md_prose(struct bl_md *b, const char *text);

/* As a block of code; its fence is longer than any that is in it. */
void bl_md_block(struct bl_md *b, const char *text, size_t len);

#endif
