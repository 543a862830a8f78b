/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/stream.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "loader/lab/job.h"

/* A mark and its text are complete within this many bytes. */
#define FRAME_MAX (BL_STREAM_MARK_LEN + BL_STREAM_FAIL_MAX + 8)

void bl_stream_free(struct bl_stream *s)
{
	bl_buf_free(&s->held);
}

void bl_stream_reset(struct bl_stream *s)
{
	struct bl_stream fresh = { 0 };

	memcpy(fresh.mark, s->mark, sizeof(fresh.mark));
	bl_stream_free(s);
	*s = fresh;
}

static void held_drop(struct bl_stream *s, size_t n)
{
	s->held.len -= n;
	memmove(s->held.data, s->held.data + n, s->held.len);
}

/* Hands out the first @n held bytes; before the start they are noise. */
static int emit(struct bl_stream *s, size_t n, struct bl_buf *out)
{
	int r = 0;

	if (!n)
		return 0;
	if (s->state == BL_STREAM_RUNNING)
		r = bl_buf_add(out, s->held.data, n);
	if (!r)
		held_drop(s, n);
	return r;
}

/* How many of the held bytes come before a mark, or what may become one. */
static size_t before_mark(const struct bl_stream *s)
{
	const char *data = s->held.data;
	size_t at = 0;

	while (at < s->held.len) {
		const char *p = memchr(data + at, s->mark[0], s->held.len - at);
		size_t left, n = strlen(s->mark);

		if (!p)
			return s->held.len;
		at = (size_t)(p - data);
		left = s->held.len - at;
		if (memcmp(p, s->mark, left < n ? left : n) == 0)
			return at;
		at++;
	}
	return s->held.len;
}

/* Three digits, at most 255; -1 for anything else. */
static int status_of(const char *s)
{
	int i, status = 0;

	for (i = 0; i < 3; i++) {
		if (!isdigit((unsigned char)s[i]))
			return -1;
		status = status * 10 + (s[i] - '0');
	}
	return s[3] || status > 255 ? -1 : status;
}

/* @line is what stands behind a mark, without the newline. */
static bool frame(struct bl_stream *s, const char *line)
{
	if (strcmp(line, "start") == 0 && s->state == BL_STREAM_BOOTING) {
		s->state = BL_STREAM_RUNNING;
		return true;
	}
	if (strncmp(line, "exit=", 5) == 0 && status_of(line + 5) >= 0 &&
	    s->state == BL_STREAM_RUNNING) {
		s->exit_status = status_of(line + 5);
		s->state = BL_STREAM_ENDED;
		return true;
	}
	if (strncmp(line, "fail=", 5) == 0) {
		size_t n = strnlen(line + 5, BL_STREAM_FAIL_MAX);

		memcpy(s->fail, line + 5, n);
		s->fail[n] = '\0';
		s->state = BL_STREAM_FAILED;
		return true;
	}
	return false;
}

/* At a mark: takes the frame. 1: go on, 0: wait for more, or -ENOMEM. */
static int take_frame(struct bl_stream *s, struct bl_buf *out)
{
	char line[FRAME_MAX + 1];
	size_t mark = strlen(s->mark), len;
	const char *nl;
	int r;

	nl = memchr(s->held.data, '\n', s->held.len);
	if (!nl && s->held.len <= FRAME_MAX)
		return 0;
	len = nl ? (size_t)(nl - s->held.data) : FRAME_MAX + 1;
	if (len >= mark && len <= FRAME_MAX) {
		memcpy(line, s->held.data + mark, len - mark);
		line[len - mark] = '\0';
		if (nl && frame(s, line)) {
			held_drop(s, len + 1);
			return 1;
		}
	}
	r = emit(s, 1, out); /* not a frame after all */
	return r < 0 ? r : 1;
}

/* Only its first byte can begin it again in the middle. */
static void look_for_ready(struct bl_stream *s, const char *data, size_t len)
{
	static const char text[] = BL_JOB_READY;

	for (size_t i = 0; i < len && !s->ready; i++) {
		s->ready_at = data[i] == text[s->ready_at] ? s->ready_at + 1
							   : data[i] == *text;
		s->ready = !text[s->ready_at];
	}
}

int bl_stream_feed(struct bl_stream *s, const void *data, size_t len,
		   struct bl_buf *out)
{
	int r = bl_buf_add(&s->held, data, len);

	assert(s->mark[0]);
	if (s->state == BL_STREAM_BOOTING)
		look_for_ready(s, data, len);
	while (!r && s->held.len && s->state < BL_STREAM_ENDED) {
		r = emit(s, before_mark(s), out);
		if (r < 0 || s->held.len < strlen(s->mark))
			break;
		r = take_frame(s, out);
		if (r == 0)
			break;
		r = r < 0 ? r : 0;
	}
	if (s->state >= BL_STREAM_ENDED)
		s->held.len = 0;
	return r;
}

int bl_stream_flush(struct bl_stream *s, struct bl_buf *out)
{
	int r = emit(s, s->held.len, out);

	s->held.len = 0;
	return r;
}
