/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the running kernel can check signatures of BPF programs itself: from
 * 6.18 on a program may be loaded with a signature and a keyring that knows its
 * key (union bpf_attr has keyring_id), and a security module may refuse those
 * without. What can be signed is a loader program, whose instructions are the
 * same on every kernel; belay's programs are relocated for the kernel that they
 * meet, and no libbpf before 1.7 passes a signature on. So belay loads without
 * one, on every kernel, and its own check counts (trust/vouch.h).
 *
 * Determined from the kernel's own description of its types, never from its
 * version: what was backported counts, and what was left out does not.
 */
#ifndef BL_KERN_SIGNING_H
#define BL_KERN_SIGNING_H

#include "loader/object/btf.h"

enum bl_kern_signing {
	BL_KERN_SIGNING_UNKNOWN, /* the kernel does not describe itself */
	BL_KERN_SIGNING_UNABLE,
	BL_KERN_SIGNING_ABLE,
};

/* Pure; @kernel: its types. UNKNOWN if bpf() is not among them. */
enum bl_kern_signing bl_kern_signing_of(const struct bl_btf *kernel);

/* Of the running kernel. Some ten milliseconds. */
enum bl_kern_signing bl_kern_signing(void);

#endif
