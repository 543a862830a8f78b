/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts that say what something was made of. They are compared whole, so the
 * hash only needs to spread: it names a folder, it proves nothing. Pure.
 */
#ifndef BL_LAB_IDENTITY_H
#define BL_LAB_IDENTITY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "loader/base/buf.h"

/* Adds inode, size and times: any write to the file changes them. -ENOMEM. */
int bl_identity_stat(struct bl_buf *out, const struct stat *st);

/* FNV-1a, 64 bits. */
uint64_t bl_identity_hash(const void *data, size_t len);

#endif
