/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel inside a bzImage. Unpacking itself costs a guest without KVM up to
 * two seconds; QEMU starts an unpacked kernel directly (PVH).
 */
#ifndef BL_LAB_VMLINUX_H
#define BL_LAB_VMLINUX_H

#include <stddef.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/lab/catalog.h"

#define BL_VMLINUX_MAX (512u * 1024 * 1024)

/* Unpacks the ELF in the bzImage @data. -EBADMSG if there is none. */
int bl_vmlinux_extract(const void *data, size_t len, struct bl_buf *ret,
		       struct bl_err *err);

/*
 * The path that QEMU boots: vmlinux next to the kernel's image, unpacked once,
 * or the image itself where that cannot be. Caller frees. NULL: no memory.
 */
char *bl_vmlinux_path(const struct bl_kernel *k);

#endif
