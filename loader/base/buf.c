/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bl_buf_free(struct bl_buf *b)
{
	free(b->data);
	*b = (struct bl_buf){ 0 };
}

int bl_buf_reserve(struct bl_buf *b, size_t more)
{
	size_t need, size = b->size ? b->size : 256;
	char *p;

	if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
		return -ENOMEM;
	need = b->len + more + 1;
	if (need <= b->size)
		return 0;
	while (size < need)
		size *= 2;
	p = realloc(b->data, size);
	if (!p)
		return -ENOMEM;
	p[b->len] = '\0';
	b->data = p;
	b->size = size;
	return 0;
}

int bl_buf_add(struct bl_buf *b, const void *data, size_t len)
{
	int r = bl_buf_reserve(b, len);

	if (r < 0)
		return r;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int bl_buf_printf(struct bl_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = bl_buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

const char *bl_buf_str(const struct bl_buf *b)
{
	return b->data ? b->data : "";
}
