/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmod/kmod_left.h"

#include <string.h>

#include "bpf/event.h"

/* Each lies at a multiple of this, behind its length. */
#define ALIGN 8
#define HEAD  8

int bl_kmod_left_add(void *ctx, const struct bl_event *event, size_t len)
{
	static const char zeros[ALIGN];
	struct bl_kmod_left *left = ctx;
	uint64_t head = len;
	size_t pad = (ALIGN - len % ALIGN) % ALIGN;
	size_t before = left->events.len;

	if (before + HEAD + len + pad > BL_KMOD_LEFT_MAX)
		return 1;
	if (bl_buf_add(&left->events, &head, HEAD) ||
	    bl_buf_add(&left->events, event, len) ||
	    bl_buf_add(&left->events, zeros, pad)) {
		left->events.len = before;
		return 1;
	}
	return 0;
}

bool bl_kmod_left_any(const struct bl_kmod_left *left)
{
	return left->at < left->events.len;
}

int bl_kmod_left_read(struct bl_kmod_left *left, bl_event_fn fn, void *ctx)
{
	int count = 0;
	bool stop = false;

	while (!stop && bl_kmod_left_any(left)) {
		const char *at = left->events.data + left->at;
		uint64_t len;

		memcpy(&len, at, HEAD);
		left->at += HEAD + (len + ALIGN - 1) / ALIGN * ALIGN;
		stop = fn(ctx, (const void *)(at + HEAD), len) != 0;
		count++;
	}
	if (!bl_kmod_left_any(left))
		bl_kmod_left_free(left);
	return count;
}

void bl_kmod_left_free(struct bl_kmod_left *left)
{
	bl_buf_free(&left->events);
	left->at = 0;
}
