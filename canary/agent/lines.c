/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/lines.h"

#include "loader/base/text.h"

void bl_lines_end(struct bl_lines *l, void (*take)(void *ctx, const char *line),
		  void *ctx)
{
	char clean[BL_LINES_LEN];

	l->raw[l->len] = '\0';
	bl_text_copy(clean, sizeof(clean), l->raw);
	l->len = 0;
	if (*clean)
		take(ctx, clean);
}

void bl_lines_add(struct bl_lines *l, const char *data, size_t len,
		  void (*take)(void *ctx, const char *line), void *ctx)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] == '\n')
			bl_lines_end(l, take, ctx);
		else if (l->len < sizeof(l->raw) - 1)
			/* What would end it here is no character, either. */
			l->raw[l->len++] = data[i] ? data[i] : '\x01';
}
