/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks of thin code. Pure code gets its time as a parameter. */
#ifndef BL_BASE_CLOCK_H
#define BL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define BL_TIME_ISO_LEN 25 /* "2024-07-19T04:09:00.000Z" and NUL */

/* Milliseconds of CLOCK_BOOTTIME: goes on during suspend, never back. */
uint64_t bl_clock_mono_ms(void);

/* Milliseconds since 1970 of CLOCK_REALTIME: for people, never for deadlines. */
int64_t bl_clock_wall_ms(void);

/* Writes @wall_ms as UTC, ISO 8601 with milliseconds; returns @ret_text. */
char *bl_clock_iso(int64_t wall_ms, char ret_text[static BL_TIME_ISO_LEN]);

/* Sleeps; returns early on a signal. */
void bl_clock_sleep_ms(uint64_t ms);

#endif
