/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This machine's kernel behind struct bl_kern_ops: each slot holds eBPF
 * programs (slots/kern_bpf.h) or a kernel module (kmod/kern_kmod.h), and every
 * operation goes to whichever it is. What is staged decides by what it is made
 * of.
 *
 * The two meet when one kind gives way to the other: they overlap, both called
 * while the trial lasts. retire goes to both: the programs of one slot are told
 * that the module of the other is gone, and the other way round.
 *
 * One instance per process and pair of folders.
 */
#ifndef BL_KERN_BOTH_H
#define BL_KERN_BOTH_H

#include "loader/kern/kmod/kmod_kernel.h"
#include "loader/kern/ops.h"

struct bl_kern_both;

extern const struct bl_kern_ops bl_kern_both_ops;

/* eBPF pins in @pin_dir, modules in @module_dir. Touches no kernel: a machine
 * without either can ask for the history. */
int bl_kern_both_new(const char *pin_dir, const char *module_dir,
		     struct bl_kern_both **ret, struct bl_err *err);

/* The same over models, for tests: @bpf is borrowed. */
int bl_kern_both_of(const struct bl_kern_ops *bpf_ops, void *bpf,
		    const char *module_dir, const struct bl_kmod_kernel *kmod,
		    void *kmod_ctx, struct bl_kern_both **ret,
		    struct bl_err *err);

/* As bl_kern_bpf_free; a module stays where it is. */
void bl_kern_both_free(struct bl_kern_both *m);
static inline void bl_kern_both_freep(struct bl_kern_both **m)
{
	bl_kern_both_free(*m);
}

/*
 * For who leaves this host: both slots, and what is left of either kind, in any
 * state. @pins: there is something in @pin_dir; -ENODEV if that is on no BPF
 * file system, so that it is not belay's. The caller holds the host's lock.
 */
int bl_kern_both_leave(struct bl_kern_both *m, bool pins, struct bl_err *err);

#endif
