/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes over a guest's second serial port, and how it is framed. Pure.
 *
 *	…anything…  MARK "start\n"  the command's output  MARK "exit=007\n"
 *
 * Among that anything may be BL_JOB_READY (job.h).
 *
 * MARK is a random token of this one VM that its command does not know, so the
 * output may hold any bytes. MARK "fail=TEXT\n" in place of either says that
 * the guest itself could not go on.
 *
 * Usage: zero-initialise, set mark, feed what arrives, read state. When the
 * port closes, bl_stream_flush hands out what was held back because it looked
 * like the start of a mark.
 */
#ifndef BL_LAB_STREAM_H
#define BL_LAB_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/buf.h"

#define BL_STREAM_MARK_LEN 40
#define BL_STREAM_FAIL_MAX 200

enum bl_stream_state {
	BL_STREAM_BOOTING, /* no start yet */
	BL_STREAM_RUNNING,
	BL_STREAM_ENDED,  /* exit_status is set */
	BL_STREAM_FAILED, /* fail is set */
};

struct bl_stream {
	bool ready; /* the guest waits for its job: it said BL_JOB_READY */
	size_t ready_at;
	char mark[BL_STREAM_MARK_LEN + 1];
	enum bl_stream_state state;
	int exit_status;
	char fail[BL_STREAM_FAIL_MAX + 1];
	struct bl_buf held;
};

void bl_stream_free(struct bl_stream *s);

/* Back to the beginning, with the same mark. */
void bl_stream_reset(struct bl_stream *s);

/* Takes @len bytes; what of them is output is added to *out. -ENOMEM. */
int bl_stream_feed(struct bl_stream *s, const void *data, size_t len,
		   struct bl_buf *out);

/* No more will come. */
int bl_stream_flush(struct bl_stream *s, struct bl_buf *out);

#endif
