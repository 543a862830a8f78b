/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t bl_clock_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int64_t bl_clock_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

char *bl_clock_iso(int64_t wall_ms, char ret_text[static BL_TIME_ISO_LEN])
{
	time_t s;
	struct tm tm;

	if (wall_ms < 0) /* a clock before 1970 was never set */
		wall_ms = 0;
	s = (time_t)(wall_ms / 1000);

	gmtime_r(&s, &tm);
	snprintf(ret_text, BL_TIME_ISO_LEN,
		 "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000u,
		 (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u,
		 (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u,
		 (unsigned)tm.tm_sec % 100u, (unsigned)(wall_ms % 1000));
	return ret_text;
}

void bl_clock_sleep_ms(uint64_t ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1000),
			       .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}
