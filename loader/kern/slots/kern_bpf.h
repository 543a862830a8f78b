/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real kernel behind struct bl_kern_ops, through libbpf.
 *
 * Pins, under the folder given to bl_kern_bpf_new (on a BPF file system):
 *
 *	a/prog/NAME	programs of slot a
 *	a/map/NAME	its maps ('.' in a name becomes '_')
 *	a/link/NAME	its links, once they are persisted (of those that overlap)
 *	dispatch/…	of both slots: dispatch.h
 *	replace/…	of both slots: replace.h
 *
 * One instance per process and pin folder. Attaching and persisting works on
 * what the same instance staged; everything else on the pins, whoever made
 * them.
 */
#ifndef BL_KERN_BPF_H
#define BL_KERN_BPF_H

#include "loader/kern/ops.h"

struct bl_kern_bpf;

extern const struct bl_kern_ops bl_kern_bpf_ops;

/* Does not touch the kernel: a machine without BPF can ask for the history. */
int bl_kern_bpf_new(const char *pin_dir, struct bl_kern_bpf **ret,
		    struct bl_err *err);
/* Whether what is in the folder of pins can be belay's at all: -ENODEV, if it
 * is on no BPF file system. */
int bl_kern_bpf_check_pins(const struct bl_kern_bpf *k, struct bl_err *err);
/* Unpins whatever is left of both slots and of what they share, in any state:
 * for who leaves this host. The caller holds the host's lock, and has retired
 * the slots as far as that went. */
int bl_kern_bpf_clear(struct bl_kern_bpf *k, struct bl_err *err);
/* Lets go of links that are held and not pinned: they detach. */
void bl_kern_bpf_free(struct bl_kern_bpf *k);

#endif
