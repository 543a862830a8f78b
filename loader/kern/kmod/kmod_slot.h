/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a slot holds of a module: all that it takes to put it into this kernel,
 * in files that a reboot takes away, as it does the module.
 *
 *	DIR/a/module.ko		the one of the bundle that fits
 *	DIR/a/content.bin	if the bundle has content
 *	DIR/a/record.json	struct bl_kmod_slot, and which boot this was
 *	DIR/a/tried		once it was to be put in
 *
 * A slot is there as a whole or not at all, whenever its writer dies: it is made
 * beside and renamed. One that another boot left is none: DIR is on a tmpfs
 * (/run), but nothing depends on that. For loader/kern/kmod only.
 */
#ifndef BL_KERN_KMOD_SLOT_H
#define BL_KERN_KMOD_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/content.h"
#include "loader/base/err.h"
#include "loader/kern/ops.h"

#define BL_KMOD_SLOT_KO	     "module.ko"
#define BL_KMOD_SLOT_CONTENT "content.bin"
/* Bytes of it: as much as the module takes (kmod/content.c). */
#define BL_KMOD_CONTENT_MAX                                                  \
	(sizeof(struct bl_content_hdr) +                                     \
	 (size_t)BL_CONTENT_BUCKETS_MAX * sizeof(struct bl_content_bucket) + \
	 (size_t)BL_CONTENT_RULES_MAX * BL_CONTENT_NAME_MAX)

struct bl_kmod_slot {
	uint32_t number;	   /* of the generation */
	bool denies;		   /* to be loaded so that it can refuse */
	char tag[BL_KERN_TAG_LEN]; /* of its build id */
	bool tried;		   /* it was in the kernel, or was to be */
};

/* "DIR/a/NAME". NULL: out of memory. Caller frees. */
char *bl_kmod_slot_path(const char *dir, enum bl_slot slot, const char *name);

/* Whether slots can be kept in @dir: it is, or can be made, a folder that only
 * this user may write. -EPERM. */
int bl_kmod_slot_check(const char *dir, struct bl_err *err);

/* Makes the slot of @of and @gen's content. It is empty before. */
int bl_kmod_slot_make(const char *dir, enum bl_slot slot,
		      const struct bl_kmod_slot *of,
		      const struct bl_kern_module *ko,
		      const struct bl_generation *gen, struct bl_err *err);

/* 1 with *ret, 0 if the slot holds none, -errno. */
int bl_kmod_slot_read(const char *dir, enum bl_slot slot,
		      struct bl_kmod_slot *ret, struct bl_err *err);

/* Notes that it is about to be put in. */
int bl_kmod_slot_tried(const char *dir, enum bl_slot slot, struct bl_err *err);

/* Empties the slot, whatever is left of it. */
int bl_kmod_slot_drop(const char *dir, enum bl_slot slot, struct bl_err *err);

#endif
