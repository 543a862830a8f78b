/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM boots: the parts of its initramfs, found on this host. */
#ifndef BL_LAB_IMAGE_H
#define BL_LAB_IMAGE_H

#include "loader/base/err.h"
#include "loader/lab/initramfs.h"
#include "loader/lab/vm.h"

/*
 * A guest is made of two archives. The base is the same for every run: frame,
 * init, busybox and belay (the running program, or $BELAY_GUEST_BINARY: tests
 * are not belay). The job is what one run adds: the files of its spec, its
 * command, modules. A cold guest's kernel unpacks one after the other; a warm
 * guest has unpacked the base when it was saved, and receives the job.
 */

/* What the base would hold, to tell whether a saved guest has the same. */
int bl_image_survey(struct bl_initramfs **ret, struct bl_err *err);

/* The base, not finished yet: the job is added upon it or upon a survey. */
int bl_image_base(struct bl_initramfs **ret, struct bl_err *err);

/* Adds the job to the descriptor @fd, which is the caller's. */
int bl_image_job(const struct bl_vm_spec *spec, const char *mark,
		 const struct bl_initramfs *base, int fd, struct bl_err *err);

/* Both, for a cold guest, in an anonymous file. */
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
