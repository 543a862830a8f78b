/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds a guest's initramfs: a cpio archive (newc, not compressed: unpacking
 * costs a guest without KVM more than reading) in an anonymous file.
 *
 * Folders are made as they are needed; /bin, /sbin, /lib and /lib64 are links
 * into /usr, as Debian has them. What is added twice is there once: the first
 * time wins, so that a caller's own files go in first.
 */
#ifndef BL_LAB_INITRAMFS_H
#define BL_LAB_INITRAMFS_H

#include <stddef.h>
#include <sys/types.h>

#include "loader/base/err.h"

#define BL_INITRAMFS_FILE_MAX (512LL * 1024 * 1024)
#define BL_INITRAMFS_PATH_MAX 1024

struct bl_initramfs;

/* A whole one, with the folders and links of every guest. */
int bl_initramfs_new(struct bl_initramfs **ret, struct bl_err *err);

/* As above, without bytes: it only learns what would be in it, and from which
 * files of the host. Cannot be finished; has an identity. */
int bl_initramfs_new_survey(struct bl_initramfs **ret, struct bl_err *err);

/* More, to be unpacked over @base, which must outlive it: leaves out the
 * folders, libraries and interpreters that @base has; what the caller adds by
 * name replaces what is there. Goes to the descriptor @fd, from where it stands
 * on; it is a duplicate and stays the caller's. */
int bl_initramfs_new_upon(struct bl_initramfs **ret,
			  const struct bl_initramfs *base, int fd,
			  struct bl_err *err);

void bl_initramfs_free(struct bl_initramfs **fs);
#define bl_autoinitramfs __attribute__((cleanup(bl_initramfs_free)))

/* @dst of all these is absolute; -EINVAL for anything with "." or ".." in it,
 * or below /proc, /sys, /dev and /run, which the guest mounts over. */
int bl_initramfs_dir(struct bl_initramfs *fs, const char *dst,
		     struct bl_err *err);
int bl_initramfs_data(struct bl_initramfs *fs, const char *dst, mode_t mode,
		      const void *data, size_t len, struct bl_err *err);
int bl_initramfs_link(struct bl_initramfs *fs, const char *dst,
		      const char *target, struct bl_err *err);

/* A regular file of the host with its permission bits. */
int bl_initramfs_file(struct bl_initramfs *fs, const char *src, const char *dst,
		      struct bl_err *err);

/* As above, and if it is a dynamic executable its loader and libraries; if it
 * is a script, its interpreter unless the guest has that. */
int bl_initramfs_program(struct bl_initramfs *fs, const char *src,
			 const char *dst, struct bl_err *err);

/* busybox (statically linked or not) with a link for each of its applets. */
int bl_initramfs_busybox(struct bl_initramfs *fs, const char *src,
			 struct bl_err *err);

/* A survey's text: a line for each entry. Two that are equal were made of the
 * same files, none of which was written in between (inode, size and times). */
const char *bl_initramfs_identity(const struct bl_initramfs *fs);

/* Ends the archive; the descriptor is the caller's. */
int bl_initramfs_finish(struct bl_initramfs *fs, int *ret_fd,
			struct bl_err *err);

#endif
