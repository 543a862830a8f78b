/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the events of the kernel module: maps its rings (kmod/abi.h), one for
 * each CPU, and gives what is in them to a function.
 *
 *	bl_kmod_reader_open → bl_kmod_reader_events … → bl_kmod_reader_close
 *
 * The module has one reader at a time: it is -EBUSY for the second. As long as
 * a reader is open the module cannot be unloaded, but its hooks can be taken
 * out (bl_kmod_arm). A reader that is closed leaves its place to the next: what
 * it has not read is still there. Single-threaded.
 */
#ifndef BL_KERN_KMOD_RING_H
#define BL_KERN_KMOD_RING_H

#include <stdint.h>

#include "loader/base/err.h"
#include "loader/kern/ops.h"

struct bl_kmod_reader;

int bl_kmod_reader_open(struct bl_kmod_reader **ret, struct bl_err *err);
void bl_kmod_reader_close(struct bl_kmod_reader *r);

static inline void bl_kmod_reader_closep(struct bl_kmod_reader **r)
{
	bl_kmod_reader_close(*r);
}

/* Readable when there may be events; the reader's own. */
int bl_kmod_reader_fd(const struct bl_kmod_reader *r);

/*
 * As bl_kern_ops.events: what is there, or the first to come within
 * @timeout_ms (0: do not wait). Returns how many events were read; -EINTR on a
 * signal; -EBADMSG for a ring that holds no events, which is skipped over.
 */
int bl_kmod_reader_events(struct bl_kmod_reader *r, int timeout_ms,
			  bl_event_fn fn, void *ctx, struct bl_err *err);

/* Events since load that found their ring full. */
uint64_t bl_kmod_reader_lost(const struct bl_kmod_reader *r);

#endif
