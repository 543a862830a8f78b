/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of a file over HTTP (RFC 9110, section 14): what a request asks for
 * and what an answer says that it is. Pure; both sides use it.
 *
 * Of all that a Range header may say only "bytes=N-" and "bytes=N-M" are
 * understood. The rest is answered with the whole, as a server always may.
 */
#ifndef BL_NET_RANGE_H
#define BL_NET_RANGE_H

#include <stddef.h>

#define BL_RANGE_LEN 80 /* any of these headers as text */

enum bl_range_ask {
	BL_RANGE_WHOLE,	 /* 200: nothing was asked, or nothing understood */
	BL_RANGE_PART,	 /* 206 */
	BL_RANGE_BEYOND, /* 416: it begins behind the end */
};

/* What @header (NULL: none) asks of @total bytes. Where and how many goes to
 * @ret_at and @ret_len, for BL_RANGE_WHOLE all of them, else 0. */
enum bl_range_ask bl_range_asked(const char *header, size_t total,
				 size_t *ret_at, size_t *ret_len);

/* "bytes 5-9/10": ten bytes, of which these are five. */
struct bl_range {
	size_t at, len, total;
};

/* Reads a Content-Range. -EINVAL: anything but the above, whose sums are
 * right. */
int bl_range_read(const char *header, struct bl_range *ret);

/* Writes one; @len 0: that there is nothing there, which goes with BL_RANGE_BEYOND. */
void bl_range_write(const struct bl_range *range,
		    char ret[static BL_RANGE_LEN]);

#endif
