/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sensor that is a kernel module behind struct bl_kern_ops: two slots of
 * which one is in the kernel (kmod_slot.h has what a slot is).
 *
 * Which of them, the kernel itself says: by the generation that the module was
 * loaded with, and its build id. So any process can go on where another died:
 * retire of one slot puts the other one in again if it was in before.
 *
 * The exchange is the one moment in which neither is called (ops.h); attach
 * notes how long it took. Whoever reads the events of the one that goes lets go
 * of it as soon as its hooks are out (kmod/main.c: POLLHUP); what this process
 * had not read yet is kept for the next call of events.
 *
 * One instance per process. splats, exercise and boot_id are the machine's, and
 * not in the table (both.h).
 */
#ifndef BL_KERN_KMOD_KERN_H
#define BL_KERN_KMOD_KERN_H

#include "loader/kern/kmod/kmod_kernel.h"
#include "loader/kern/ops.h"

/* What stands in the kernel's log once no other module of the name is in any
 * more, and before this one's hooks are; with the number of its generation. */
#define BL_KMOD_SAID "belay: module of generation %u is in"

struct bl_kern_kmod;

extern const struct bl_kern_ops bl_kern_kmod_ops;

/* Slots in the folder @dir. Touches nothing. */
int bl_kern_kmod_new(const char *dir, const struct bl_kmod_kernel *kernel,
		     void *ctx, struct bl_kern_kmod **ret, struct bl_err *err);
void bl_kern_kmod_free(struct bl_kern_kmod *k);

/* Whether there is a module in @slot: 1, 0, -errno. */
int bl_kern_kmod_has(const struct bl_kern_kmod *k, enum bl_slot slot,
		     struct bl_err *err);

/* Takes out what is in the kernel and empties both slots, in any state. */
int bl_kern_kmod_leave(struct bl_kern_kmod *k, struct bl_err *err);

/* Whether events of @slot can be read, be they of one that is gone. */
bool bl_kern_kmod_reads(const struct bl_kern_kmod *k, enum bl_slot slot);

#endif
