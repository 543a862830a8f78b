/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers' text: names in objects, what a kernel quoted of them. */
#ifndef BL_BASE_TEXT_H
#define BL_BASE_TEXT_H

#include <stddef.h>

/*
 * A copy that is safe to print and to put into JSON: well-formed UTF-8 without
 * control characters but newline and tab; each byte that is not becomes '?'.
 * NULL is "". NULL when out of memory. Caller frees.
 */
char *bl_text_clean(const char *text);

/*
 * The same into @size bytes at @ret, on one line: cut at a whole character,
 * newline and tab become spaces, too.
 */
void bl_text_copy(char *ret, size_t size, const char *text);

#endif
