/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/cmd_guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "canary/compare/line.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/selftest.h"

/* One write: others write to the same port, and may not come between. */
static int put(const char *text, size_t len)
{
	return write(STDOUT_FILENO, text, len) == (ssize_t)len ? 0 : -EIO;
}

int bl_cmd_compare_beat(void)
{
	for (;;) {
		uint64_t next = bl_clock_mono_ms() + BL_BEAT_MS, now;
		char line[BL_ERR_TEXT_MAX + 16];
		struct bl_err why = { 0 };
		int len = bl_selftest(NULL, &why) == 0
				  ? snprintf(line, sizeof(line),
					     "@beat ok %llu\n",
					     (unsigned long long)
						     bl_clock_mono_ms())
				  : snprintf(line, sizeof(line),
					     "@beat bad %s\n", why.text);

		if (put(line, (size_t)len) < 0)
			return BL_EXIT_UNDECIDED;
		now = bl_clock_mono_ms();
		if (now < next)
			bl_clock_sleep_ms(next - now);
	}
}

int bl_cmd_compare_line(int argc, char **argv, struct bl_err *err)
{
	bl_autobuf struct bl_buf line = { 0 };
	char piece[4096];
	ssize_t n;
	int r;

	if (argc != 2)
		return bl_cli_usage(err, "compare", "line wants a PREFIX");
	r = bl_buf_printf(&line, "%s ", argv[1]);
	while (!r && line.len < BL_LINE_MAX &&
	       (n = read(STDIN_FILENO, piece, sizeof(piece))) > 0)
		r = bl_buf_add(&line, piece, (size_t)n);
	if (r)
		return BL_EXIT_UNDECIDED;
	if (line.len >= BL_LINE_MAX)
		line.len = BL_LINE_MAX - 1;
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] == '\n')
			line.data[i] = BL_LINE_BREAK;
	r = bl_buf_add(&line, "\n", 1);
	return r || put(line.data, line.len) < 0 ? BL_EXIT_UNDECIDED
						 : BL_EXIT_OK;
}
