/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte string. Zero-initialise it (struct bl_buf b = {0}), add to
 * it, free it with bl_buf_free. data is always NUL-terminated behind len once
 * anything was added, so text can be used as a C string.
 */
#ifndef BL_BASE_BUF_H
#define BL_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct bl_buf {
	char *data;
	size_t len;  /* bytes used, without the closing NUL */
	size_t size; /* bytes allocated */
};

#define bl_autobuf __attribute__((cleanup(bl_buf_free)))

void bl_buf_free(struct bl_buf *b);

/* Both: 0, or -ENOMEM with *b unchanged. */
int bl_buf_add(struct bl_buf *b, const void *data, size_t len);
int bl_buf_printf(struct bl_buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Makes room for @more bytes behind len; *b is otherwise unchanged. */
int bl_buf_reserve(struct bl_buf *b, size_t more);

/* The text, "" when nothing was added. Never NULL. */
const char *bl_buf_str(const struct bl_buf *b);

#endif
