/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report/markdown.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

void bl_md_free(struct bl_md *b)
{
	bl_buf_free(&b->text);
}

void bl_md_add(struct bl_md *b, const char *text, size_t len)
{
	if (bl_buf_add(&b->text, text, len) < 0)
		b->failed = true;
}

void bl_md_put(struct bl_md *b, const char *text)
{
	bl_md_add(b, text, strlen(text));
}

void bl_md_printf(struct bl_md *b, const char *fmt, ...)
{
	bl_autofree char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		b->failed = true;
		return;
	}
	bl_md_add(b, text, (size_t)n);
}

/* The longest run of backticks in @text. */
static size_t ticks_in(const char *text, size_t len)
{
	size_t longest = 0, run = 0, i;

	for (i = 0; i < len; i++) {
		run = text[i] == '`' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

static void put_ticks(struct bl_md *b, size_t n)
{
	while (n--)
		bl_md_put(b, "`");
}

static void put_code(struct bl_md *b, const char *text, bool cell)
{
	size_t ticks = ticks_in(text, strlen(text)), len;
	const char *pad = ticks ? " " : "";

	if (!*text)
		return;
	put_ticks(b, ticks + 1);
	bl_md_put(b, pad);
	while (*text) {
		len = strcspn(text, "|\n\t");
		bl_md_add(b, text, len);
		text += len;
		if (!*text)
			break;
		bl_md_put(b, *text != '|' ? " " : cell ? "\\|" : "|");
		text++;
	}
	bl_md_put(b, pad);
	put_ticks(b, ticks + 1);
}

void bl_md_code(struct bl_md *b, const char *text)
{
	put_code(b, text, false);
}

void bl_md_cell_code(struct bl_md *b, const char *text)
{
	put_code(b, text, true);
}

void bl_md_prose(struct bl_md *b, const char *text)
{
	static const char breaker[] = "<!-- -->";

	for (; *text; text++) {
		if (*text == '<')
			bl_md_put(b, "&lt;");
		else if (*text == '&')
			bl_md_put(b, "&amp;");
		else if (*text == '\n' || *text == '\t')
			bl_md_put(b, " ");
		else if (strchr("\\`*_[]|~>", *text))
			bl_md_printf(b, "\\%c", *text);
		else
			bl_md_add(b, text, 1);
		if (*text == '@' || *text == '#' ||
		    strncmp(text, "://", 3) == 0 ||
		    strncasecmp(text, "www.", 4) == 0)
			bl_md_put(b, breaker);
	}
}

void bl_md_block(struct bl_md *b, const char *text, size_t len)
{
	size_t ticks = ticks_in(text, len) + 1;

	ticks = ticks < 3 ? 3 : ticks;
	put_ticks(b, ticks);
	bl_md_put(b, "text\n");
	bl_md_add(b, text, len);
	bl_md_put(b, "\n");
	put_ticks(b, ticks);
	bl_md_put(b, "\n");
}
