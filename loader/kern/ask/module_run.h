/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel module on the running kernel, step by step as an object is (probe.h):
 *
 *	load      into the kernel without its hooks, and its content into it
 *	attach    its hooks in
 *	exercise  the workload; and is the machine still usable?
 *	swap      its hooks out and in; all of it out and in again, twice, as when
 *	          one version makes room for the next; in between, work that
 *	          whatever it left behind would see
 *
 * For loader/kern only. Nothing verifies a module: whatever it does wrong, the
 * kernel does. So this is for guests that may go down; the steps are told one
 * by one, and the one that was not told is where it went down. A kernel that
 * stands still is made to panic, so that it says where.
 *
 * Its time per event is what the module says of itself (kmod.h), since no kernel
 * times it. Its memory is its image and what the kernel has more of afterwards
 * than before it was loaded, that no process and no file has.
 */
#ifndef BL_KERN_MODULE_RUN_H
#define BL_KERN_MODULE_RUN_H

#include "loader/kern/ask/probe.h"

/* As bl_kern_probe; p->module is not NULL. */
int bl_module_probe(const struct bl_probe *p, struct bl_err *err);

#endif
