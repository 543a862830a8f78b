/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM boots: the parts of its initramfs, found on this host. */
#ifndef BL_LAB_IMAGE_H
#define BL_LAB_IMAGE_H

#include "loader/base/err.h"
#include "loader/lab/vm.h"

/*
 * Builds the initramfs of @spec into an anonymous file. The belay in it is the
 * running program, or $BELAY_GUEST_BINARY (tests are not belay).
 */
int bl_image_build(const struct bl_vm_spec *spec, const char *mark, int *ret_fd,
		   struct bl_err *err);

/* Path of the host's busybox. -ENOENT with what to install. Caller frees. */
int bl_image_busybox(char **ret, struct bl_err *err);

/*
 * "tcg", or "kvm" if $BELAY_LAB_ACCEL asks for it and the kernel at @image gets
 * anywhere under it: /dev/kvm may be there and a guest never boot.
 */
const char *bl_image_accel(const char *image);

#endif
