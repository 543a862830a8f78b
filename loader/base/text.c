/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/text.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 sequence at @s (at most @left), 0 if none. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
	size_t len, i;
	unsigned long c;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (len > left)
		return 0;
	c = s[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) ||
	    c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	/* U+0080..U+009F are control characters too (CSI among them). */
	if (len == 2 && c < 0xa0)
		return 0;
	return len;
}

char *bl_text_clean(const char *text)
{
	size_t len = text ? strlen(text) : 0;
	size_t i = 0, n, k;
	char *copy = malloc(len + 1);

	if (!copy)
		return NULL;
	while (i < len) {
		const unsigned char *s = (const unsigned char *)text + i;

		n = utf8_len(s, len - i);
		if (n == 0 || (n == 1 && *s != '\n' && *s != '\t' &&
			       (*s < 0x20 || *s == 0x7f))) {
			copy[i++] = '?';
			continue;
		}
		for (k = 0; k < n; k++)
			copy[i + k] = text[i + k];
		i += n;
	}
	copy[len] = '\0';
	return copy;
}

void bl_text_copy(char *ret, size_t size, const char *text)
{
	size_t used = 0, left = text ? strlen(text) : 0;

	while (left) {
		size_t n = utf8_len((const unsigned char *)text, left);
		size_t len = n ? n : 1;

		if (used + len >= size)
			break;
		if (!n)
			ret[used] = '?';
		else if (n == 1)
			ret[used] = *text < ' ' || *text == 0x7f ? ' ' : *text;
		else
			memcpy(ret + used, text, n);
		used += len;
		text += len;
		left -= len;
	}
	ret[used] = '\0';
}
