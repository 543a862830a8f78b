/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times in which no host may get a version: written in a plan, all in UTC,
 *
 *	"Fri 16:00 - Mon 06:00"			every week
 *	"2026-12-23 00:00 - 2027-01-02 00:00"	once
 *
 * The end does not belong to it. Pure: no I/O, no clock, no time zone.
 */
#ifndef BL_CANARY_FREEZE_H
#define BL_CANARY_FREEZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BL_FREEZE_TEXT_LEN 48

struct bl_freeze {
	bool weekly;
	/* Minutes since Monday 00:00 (to may be before from), or since 1970. */
	int64_t from_min, to_min;
};

/* -EINVAL: neither of the two forms, or nothing lies between. */
int bl_freeze_parse(const char *text, struct bl_freeze *ret);
/* As bl_freeze_parse takes it. */
void bl_freeze_text(const struct bl_freeze *f,
		    char ret[static BL_FREEZE_TEXT_LEN]);

/* Whether @now_ms lies in it; then its end goes to @ret_until_ms. */
bool bl_freeze_covers(const struct bl_freeze *f, int64_t now_ms,
		      int64_t *ret_until_ms);

#endif
