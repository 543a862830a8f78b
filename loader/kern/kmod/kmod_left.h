/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that were left in the rings of a module that went, for whoever reads
 * them afterwards. For loader/kern/kmod only.
 */
#ifndef BL_KERN_KMOD_LEFT_H
#define BL_KERN_KMOD_LEFT_H

#include "loader/base/buf.h"
#include "loader/kern/ops.h"

#define BL_KMOD_LEFT_MAX (16U << 20) /* bytes; what is more is lost */

/* Zero-initialise. */
struct bl_kmod_left {
	struct bl_buf events;
	size_t at; /* read up to here */
};

/* A bl_event_fn; its @left is a struct bl_kmod_left. */
int bl_kmod_left_add(void *left, const struct bl_event *event, size_t len);

bool bl_kmod_left_any(const struct bl_kmod_left *left);

/* As bl_kern_ops.events: how many. */
int bl_kmod_left_read(struct bl_kmod_left *left, bl_event_fn fn, void *ctx);

void bl_kmod_left_free(struct bl_kmod_left *left);

#endif
