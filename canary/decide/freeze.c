/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/decide/freeze.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define DAY_MIN	 (24 * 60)
#define WEEK_MIN (7 * DAY_MIN)
#define MIN_MS	 60000
/* 1 January 1970 was a Thursday. */
#define EPOCH_WEEK_MIN (3 * DAY_MIN)

static const char days[][4] = {
	"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"
};

/* Days since 1970 of a date of the Gregorian calendar, and back; the year
 * begins in March, so that the day that is sometimes there is its last. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	m += m <= 2 ? 9 : -3;
	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 1 -
	       719468;
}

static void date_of(int64_t day, int *ret_y, int *ret_m, int *ret_d)
{
	int64_t y = 1970 + day / 366, m = 12;

	while (days_of(y + 1, 1, 1) <= day)
		y++;
	while (days_of(y, m, 1) > day)
		m--;
	*ret_y = (int)y;
	*ret_m = (int)m;
	*ret_d = (int)(day - days_of(y, m, 1) + 1);
}

static int read_week(const char *text, int64_t *ret_min)
{
	unsigned hour, minute;
	int used = 0;
	size_t i;

	if (strlen(text) != 9 ||
	    sscanf(text + 3, " %2u:%2u%n", &hour, &minute, &used) != 2 ||
	    used != 6 || hour > 24 || minute > 59 || (hour == 24 && minute))
		return -EINVAL;
	for (i = 0; i < BL_ARRAY_SIZE(days); i++)
		if (strncmp(text, days[i], 3) == 0) {
			*ret_min = ((int64_t)i * DAY_MIN + hour * 60 + minute) %
				   WEEK_MIN;
			return 0;
		}
	return -EINVAL;
}

static int read_date(const char *text, int64_t *ret_min)
{
	unsigned y, m, d, hour, minute;
	int64_t day;
	int used = 0, back[3];

	if (strlen(text) != 16 ||
	    sscanf(text, "%4u-%2u-%2u %2u:%2u%n", &y, &m, &d, &hour, &minute,
		   &used) != 5 ||
	    used != 16 || y < 1970 || m < 1 || m > 12 || hour > 24 ||
	    minute > 59 || (hour == 24 && minute))
		return -EINVAL;
	day = days_of(y, m, d);
	/* No 30 February. */
	date_of(day, &back[0], &back[1], &back[2]);
	if (d < 1 || back[1] != (int)m || back[2] != (int)d)
		return -EINVAL;
	*ret_min = day * DAY_MIN + hour * 60 + minute;
	return 0;
}

int bl_freeze_parse(const char *text, struct bl_freeze *ret)
{
	const char *to = strstr(text, " - ");
	struct bl_freeze f = { 0 };
	char from[24];

	if (!to || (size_t)(to - text) >= sizeof(from))
		return -EINVAL;
	memcpy(from, text, (size_t)(to - text));
	from[to - text] = '\0';
	to += 3;
	if (read_week(from, &f.from_min) == 0 &&
	    read_week(to, &f.to_min) == 0 && f.from_min != f.to_min)
		f.weekly = true;
	else if (read_date(from, &f.from_min) < 0 ||
		 read_date(to, &f.to_min) < 0 || f.from_min >= f.to_min)
		return -EINVAL;
	*ret = f;
	return 0;
}

static void text_of(bool weekly, int64_t min, char *ret, size_t size)
{
	int y, m, d, minute = (int)(min % DAY_MIN);

	if (weekly) {
		snprintf(ret, size, "%s %02d:%02d", days[min / DAY_MIN],
			 minute / 60, minute % 60);
		return;
	}
	date_of(min / DAY_MIN, &y, &m, &d);
	snprintf(ret, size, "%04d-%02d-%02d %02d:%02d", y, m, d, minute / 60,
		 minute % 60);
}

void bl_freeze_text(const struct bl_freeze *f,
		    char ret[static BL_FREEZE_TEXT_LEN])
{
	char from[20], to[20];

	text_of(f->weekly, f->from_min, from, sizeof(from));
	text_of(f->weekly, f->to_min, to, sizeof(to));
	snprintf(ret, BL_FREEZE_TEXT_LEN, "%s - %s", from, to);
}

bool bl_freeze_covers(const struct bl_freeze *f, int64_t now_ms,
		      int64_t *ret_until_ms)
{
	int64_t now_min = now_ms / MIN_MS, in, length;

	if (!f->weekly) {
		if (now_min < f->from_min || now_min >= f->to_min)
			return false;
		*ret_until_ms = f->to_min * MIN_MS;
		return true;
	}
	length = (f->to_min - f->from_min + WEEK_MIN) % WEEK_MIN;
	in = (now_min + EPOCH_WEEK_MIN - f->from_min + WEEK_MIN) % WEEK_MIN;
	if (in >= length)
		return false;
	*ret_until_ms = (now_min - in + length) * MIN_MS;
	return true;
}
