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
#include "loader/kern/kmod/kmod_refusal.h"

/* What this kernel asks of a module, and of the one at @path (NULL: none) for
 * which kernel it is. */
void bl_kmod_facts_of(const char *path, struct bl_kmod_facts *ret);

/* Loads the module in the file @path with @params ("deny=1 arm=0"). On failure
 * err says why this kernel does not take it, and what to do. */
int bl_kmod_load(const char *path, const char *params, struct bl_err *err);

/* -EBUSY while somebody reads its events; its hooks may be out long before
 * (bl_kmod_arm). -EIO: it crashed as it was loaded or unloaded, and only a reboot
 * takes it out. -ENOENT when it is not loaded. */
int bl_kmod_unload(struct bl_err *err);

bool bl_kmod_loaded(void);

/* Content in binary form takes the place of what there was, at once.
 * -EBADMSG: the module does not take it; -EOPNOTSUPP: it denies, and the module
 * was loaded without deny=1. The old one is in force then. */
int bl_kmod_content(const void *bin, size_t len, struct bl_err *err);

/* Hooks in or out, whatever readers do. When they are out nothing of it runs
 * any more. */
int bl_kmod_arm(bool armed, struct bl_err *err);

/* From now on its content may refuse for @ms, then no more. */
int bl_kmod_lease(uint64_t ms, struct bl_err *err);
/* UINT64_MAX: it was never said. */
int bl_kmod_lease_left(uint64_t *ret_ms, struct bl_err *err);

/* Whether its hooks are timed, and how often and how long they ran meanwhile. */
int bl_kmod_time(bool on, struct bl_err *err);
int bl_kmod_times(uint64_t *ret_runs, uint64_t *ret_ns, struct bl_err *err);

/* The sum over all CPUs, since it was loaded. */
int bl_kmod_stats(struct bl_stats *ret, struct bl_err *err);

#endif
