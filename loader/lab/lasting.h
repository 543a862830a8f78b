/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives a guest: its disks and the store that its dying kernel writes
 * to. With these, the next boot of a host is the next VM with the same files.
 *
 *	disk	a raw file with an ext4 in it, /dev/vda and on (virtio-blk)
 *	pstore	a file behind an ACPI error record store: what the kernel said
 *		last is a file below /sys/fs/pstore after the next boot
 *
 * How honest a power cut is: QEMU is killed, or the guest resets itself without
 * a sync, and what only the guest's own memory held is gone: pages that nobody
 * flushed, a journal that was not committed. A write that had reached the disk
 * device stays, though the guest had not flushed it, for this host's kernel has
 * it; a real disk may lose that one too. Writes in flight may be lost, and in
 * any order. (cache=unsafe: a flush is not passed on, which changes nothing
 * for the guest as long as this host stays up, and saves most of the time.)
 *
 * Two VMs cannot have one disk at once: QEMU locks it, and the second is LOST
 * with its words.
 */
#ifndef BL_LAB_LASTING_H
#define BL_LAB_LASTING_H

#include <stdbool.h>

#include "loader/base/err.h"
#include "loader/lab/guest.h"
#include "loader/lab/vm.h"

#define BL_LASTING_DISK_BYTES	(64u * 1024 * 1024) /* of a new one */
#define BL_LASTING_PSTORE_BYTES (256u * 1024)	    /* always */
#define BL_LASTING_MODULES_MAX	4		    /* and a NULL */

/* A disk, a pstore or a watchdog: how it ends is of interest, so it has a
 * monitor; and it starts cold. */
bool bl_lasting_any(const struct bl_vm_spec *s);

/* -EINVAL for more than BL_VM_DISKS_MAX disks, or a folder that the guest
 * cannot have: it must be absolute, of letters, digits and "._-/". */
int bl_lasting_check(const struct bl_vm_spec *s, struct bl_err *err);

/* Makes the files that are not there: a disk with an empty ext4 (needs mke2fs:
 * -ENOENT), a pstore of zeroes. -EFBIG for a pstore of another size. */
int bl_lasting_make(const struct bl_vm_spec *s, struct bl_err *err);

/* The kernel modules that the guest needs, besides what it has built in. */
void bl_lasting_modules(const struct bl_vm_spec *s,
			const char *ret[static BL_LASTING_MODULES_MAX + 1]);

/* The best watchdog that guests of @k can have: hardware, if it has a driver. */
enum bl_vm_watchdog bl_lasting_watchdog(const struct bl_kernel *k);

/* Adds "vda:/MOUNT vdb:/MOUNT" for the guest's init. -ENOMEM. */
int bl_lasting_mounts(const struct bl_vm_spec *s, struct bl_buf *out);

/* QEMU's options for all of it, copied from @s. -ENOMEM. */
int bl_lasting_argv(const struct bl_vm_spec *s, struct bl_argv *ret);

#endif
