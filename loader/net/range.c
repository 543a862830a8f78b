/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/net/range.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Digits at *@at, and on past them. */
static bool read_size(const char **at, size_t *ret)
{
	const char *p = *at;
	size_t n = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		size_t digit = (size_t)(*p - '0');

		if (n > (SIZE_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*at = p;
	*ret = n;
	return true;
}

static bool read_word(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncasecmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

enum bl_range_ask bl_range_asked(const char *header, size_t total,
				 size_t *ret_at, size_t *ret_len)
{
	size_t first, last = SIZE_MAX;
	const char *p = header;

	*ret_at = 0;
	*ret_len = total;
	if (!p || !read_word(&p, "bytes=") || !read_size(&p, &first) ||
	    !read_word(&p, "-"))
		return BL_RANGE_WHOLE;
	if (*p && (!read_size(&p, &last) || *p || last < first))
		return BL_RANGE_WHOLE;
	if (first >= total) {
		*ret_len = 0;
		return BL_RANGE_BEYOND;
	}
	*ret_at = first;
	*ret_len = (last < total ? last + 1 : total) - first;
	return BL_RANGE_PART;
}

int bl_range_read(const char *header, struct bl_range *ret)
{
	size_t first, last, total;
	const char *p = header;

	if (!read_word(&p, "bytes ") || !read_size(&p, &first) ||
	    !read_word(&p, "-") || !read_size(&p, &last) ||
	    !read_word(&p, "/") || !read_size(&p, &total) || *p)
		return -EINVAL;
	if (first > last || last >= total)
		return -EINVAL;
	*ret = (struct bl_range){ first, last - first + 1, total };
	return 0;
}

void bl_range_write(const struct bl_range *range, char ret[static BL_RANGE_LEN])
{
	if (range->len)
		snprintf(ret, BL_RANGE_LEN, "bytes %zu-%zu/%zu", range->at,
			 range->at + range->len - 1, range->total);
	else
		snprintf(ret, BL_RANGE_LEN, "bytes */%zu", range->total);
}
