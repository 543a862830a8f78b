/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define DIGITS_MAX 12 /* before the point; behind it they may go on */

static const struct {
	const char *suffix, *words;
	uint64_t ms;
} units[] = {
	{ "d", "d", 86400000 }, { "h", "h", 3600000 }, { "m", "min", 60000 },
	{ "s", "s", 1000 },	{ "ms", "ms", 1 },     { "", NULL, 1000 },
};

static size_t read_digits(const char *text, double *ret, double *ret_scale)
{
	size_t n = strspn(text, "0123456789");

	*ret = 0;
	*ret_scale = 1;
	for (size_t i = 0; i < n && i < DIGITS_MAX; i++) {
		*ret = 10 * *ret + (text[i] - '0');
		*ret_scale *= 10;
	}
	return n;
}

int bl_duration_parse(const char *text, uint64_t max_ms, uint64_t *ret_ms)
{
	double value, fraction, scale, ms = 0;
	size_t n = read_digits(text, &value, &scale);

	if (!n || n > DIGITS_MAX)
		return n ? -ERANGE : -EINVAL;
	text += n;
	if (*text == '.') {
		n = read_digits(++text, &fraction, &scale);
		if (!n)
			return -EINVAL;
		value += fraction / scale;
		text += n;
	}
	for (size_t i = 0; i < BL_ARRAY_SIZE(units); i++)
		if (!strcmp(text, units[i].suffix))
			ms = value * (double)units[i].ms;
	if (!(ms > 0))
		return -EINVAL;
	if (ms > (double)max_ms)
		return -ERANGE;
	*ret_ms = ms < 1 ? 1 : (uint64_t)(ms + 0.5);
	return 0;
}

char *bl_duration_text(uint64_t ms, char ret[static BL_DURATION_LEN])
{
	size_t i = 0;

	/* Down to ms, which divides all. */
	while (!ms || ms % units[i].ms) {
		if (units[i].ms == 1 || (!ms && units[i].ms == 1000))
			break;
		i++;
	}
	snprintf(ret, BL_DURATION_LEN, "%" PRIu64 " %s", ms / units[i].ms,
		 units[i].words);
	return ret;
}

char *bl_duration_ago(int64_t ms, char ret[static BL_DURATION_LEN])
{
	static const struct {
		int64_t s;
		const char *name;
	} ages[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	int64_t s = ms > 0 ? ms / 1000 : 0;
	size_t i = 0;

	while (i + 1 < BL_ARRAY_SIZE(ages) && s < 2 * ages[i].s)
		i++;
	snprintf(ret, BL_DURATION_LEN, "%lld %s ago",
		 (long long)(s / ages[i].s), ages[i].name);
	return ret;
}
