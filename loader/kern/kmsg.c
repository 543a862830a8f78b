/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

#define KMSG		"/dev/kmsg"
#define RECORD_MAX	8192 /* CONSOLE_EXT_LOG_MAX */
#define END		"---[ end"
#define RECORDS_AT_ONCE 65536 /* a log that floods must not hold us up */

/* A splat's first line. "WARNING: CPU: 0 PID: …" until 6.x, "WARNING: FILE at
 * FUNCTION, CPU#0: …" since. */
static const char *const prefixes[] = {
	"WARNING: ",
	"BUG: ",
	"BUG ", /* slab's: "BUG kmalloc-64 (Tainted: …): Redzone overwritten" */
	"kernel BUG at ",
	"Oops",
	"general protection fault",
	"Unable to handle kernel",
	"Internal error: ",
	"Kernel panic",
	"INFO: task ",
	"INFO: rcu",
	"rcu: INFO: rcu",
	"watchdog: BUG: ",
	"stack segment: ",
	"invalid opcode: ",
	"divide error: ",
	"UBSAN: ",
};

/* What the kernel said in @record; NULL if it was not the kernel. */
static const char *kernels_text(const char *record)
{
	const char *text = strchr(record, ';');
	char *end;
	unsigned long priority = strtoul(record, &end, 10);

	/* The facility is above the three bits of the level; 0 is the kernel,
	 * and nobody else can claim that. */
	if (!text || end == record || *end != ',' || priority >> 3)
		return NULL;
	return text + 1;
}

bool bl_kmsg_splat(const char *record, char *ret, unsigned size)
{
	const char *text = kernels_text(record);

	for (size_t i = 0; text && i < BL_ARRAY_SIZE(prefixes); i++) {
		if (strncmp(text, prefixes[i], strlen(prefixes[i])) != 0)
			continue;
		if (ret)
			snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"),
				 text);
		return true;
	}
	return false;
}

static void keep_line(struct bl_kern_splats *s, const char *text)
{
	size_t len = strcspn(text, "\n");

	if (len + 1 > sizeof(s->text) - s->text_len)
		return;
	memcpy(s->text + s->text_len, text, len);
	s->text[s->text_len + len] = '\n';
	s->text_len += len + 1;
}

void bl_kmsg_note(const char *record, struct bl_kern_splats *s)
{
	const char *text = kernels_text(record);
	char line[BL_KERN_SPLAT_LEN];

	if (!text)
		return;
	if (bl_kmsg_splat(record, line, sizeof(line))) {
		if (!s->count++)
			memcpy(s->first, line, sizeof(line));
		s->open = true;
		s->lines = 0;
	}
	if (!s->open)
		return;
	keep_line(s, text);
	if (strncmp(text, END, strlen(END)) == 0 ||
	    ++s->lines == BL_KMSG_SPLAT_LINES)
		s->open = false;
}

static int open_at_end(int *fd, struct bl_err *err)
{
	if (*fd < 0)
		*fd = open(KMSG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 || lseek(*fd, 0, SEEK_END) < 0)
		return bl_err_errno(err, -errno, "open " KMSG);
	return 0;
}

int bl_kmsg_scan(int *fd, struct bl_kern_splats *state, struct bl_err *err)
{
	char record[RECORD_MAX + 1];
	int r;

	if (!state->started || *fd < 0) {
		r = open_at_end(fd, err);
		if (!r)
			state->started = true;
		return r;
	}
	for (unsigned i = 0; i < RECORDS_AT_ONCE; i++) {
		ssize_t n = read(*fd, record, RECORD_MAX);

		if (n < 0 && errno == EAGAIN)
			return 0;
		/* EPIPE: records were overwritten; it goes on behind them. */
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n <= 0)
			return bl_err_errno(err, n ? -errno : -EIO,
					    "read " KMSG);
		record[n] = 0;
		bl_kmsg_note(record, state);
	}
	return 0;
}
