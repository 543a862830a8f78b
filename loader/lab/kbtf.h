/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BTF of a kernel: its description of its own types, as bytes. What they
 * mean is the gate's to know.
 */
#ifndef BL_LAB_KBTF_H
#define BL_LAB_KBTF_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/lab/catalog.h"

#define BL_KBTF_MAX (64u << 20) /* bytes of BTF */

/*
 * Adds the BTF of a catalogue kernel to *ret. It is taken out of the image once
 * and then lies beside it as "vmlinux.btf", where that can be written. -ENOENT
 * when the kernel has none, otherwise as reading and unpacking the image.
 */
int bl_kernel_btf(const struct bl_kernel *k, struct bl_buf *ret,
		  struct bl_err *err);

/*
 * Adds the BTF in the file @path to *ret: it may be BTF, an ELF file with a
 * section .BTF (vmlinux), a bzImage, or any of them compressed, also in a tar
 * archive whose first file it is. Nothing is taken for granted of the file.
 * -EBADMSG when there is none in it, otherwise as bl_file_read.
 */
int bl_kbtf_read(const char *path, struct bl_buf *ret, struct bl_err *err);

/* The section .BTF of an ELF file. False when there is none inside of it. */
bool bl_kbtf_find(const void *elf, size_t len, size_t *ret_at, size_t *ret_len);

#endif
