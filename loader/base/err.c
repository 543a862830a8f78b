/* SPDX-License-Identifier: Apache-2.0 */
#define BL_ERR_IMPLEMENTATION
#include "loader/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Line feed and tab stay: logs are quoted in errors. The rest could move a
 * terminal's cursor or set its title, U+0080 to U+009F as well (CSI among them).
 * Other bytes of UTF-8 are left alone. */
static void defuse(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		unsigned char next = (unsigned char)text[1];

		if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
			*text = '?';
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			text[0] = text[1] = '?';
	}
}

int bl_err_set(struct bl_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->hint[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	defuse(err->text);
	return code;
}

int bl_err_errno(struct bl_err *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t used;

	if (!err)
		return code;
	err->code = code;
	err->hint[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		 strerror(-code));
	defuse(err->text);
	return code;
}

int bl_err_wrap(struct bl_err *err, int code, const char *fmt, ...)
{
	char old[BL_ERR_TEXT_MAX];
	va_list ap;
	size_t used;

	if (!err)
		return code;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
	defuse(err->text);
	err->code = code;
	return code;
}

void bl_err_hint(struct bl_err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	defuse(err->hint);
}
