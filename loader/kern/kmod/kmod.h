/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor as a kernel module (kmod/): loaded, given content, armed, asked,
 * unloaded. Its events are read by kmod_ring.h.
 *
 *	bl_kmod_load(file, "arm=0") → bl_kmod_content → bl_kmod_arm(true)
 *	… bl_kmod_stats …
 *	bl_kmod_arm(false) → bl_kmod_unload
 *
 * There is one at a time on a host, under the name and the paths of
 * kmod/abi.h. All: 0, or -errno with err set.
 */
#ifndef BL_KERN_KMOD_H
#define BL_KERN_KMOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/err.h"

/* Loads the module in the file @path with @params ("deny=1 arm=0"). On failure
 * err says why this kernel does not take it, and what to do. */
int bl_kmod_load(const char *path, const char *params, struct bl_err *err);

/* -EBUSY while somebody reads its events; its hooks may be out long before
 * (bl_kmod_arm). -ENOENT when it is not loaded. */
int bl_kmod_unload(struct bl_err *err);

bool bl_kmod_loaded(void);

/* Content in binary form takes the place of what there was, at once.
 * -EBADMSG: the module does not take it; -EOPNOTSUPP: it denies, and the module
 * was loaded without deny=1. The old one is in force then. */
int bl_kmod_content(const void *bin, size_t len, struct bl_err *err);

/* Hooks in or out, whatever readers do. When they are out nothing of it runs
 * any more. */
int bl_kmod_arm(bool armed, struct bl_err *err);

/* The sum over all CPUs, since it was loaded. */
int bl_kmod_stats(struct bl_stats *ret, struct bl_err *err);

#endif
