/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times that a person gives an option: 90s, 10m, 1.5h, 250ms, 2d; a number
 * alone is seconds. Pure.
 */
#ifndef BL_BASE_DURATION_H
#define BL_BASE_DURATION_H

#include <stdint.h>

#define BL_DURATION_LEN 32
#define BL_DURATION_FORM                                               \
	"a number above 0, of seconds or with ms, s, m, h or d (90s, " \
	"10m)"

/*
 * Digits, perhaps a point and digits, perhaps a unit; nothing before, between
 * or behind. Less than a millisecond is one. -EINVAL for anything else and for
 * 0, -ERANGE above @max_ms.
 */
int bl_duration_parse(const char *text, uint64_t max_ms, uint64_t *ret_ms);

/* In the largest unit that needs no fraction: "10 min", "90 s", "250 ms".
 * Returns @ret. */
char *bl_duration_text(uint64_t ms, char ret[static BL_DURATION_LEN]);

/* About how long ago, in the largest unit of which there are two: "90 s ago",
 * "35 min ago", "3 d ago". Returns @ret. */
char *bl_duration_ago(int64_t ms, char ret[static BL_DURATION_LEN]);

#endif
