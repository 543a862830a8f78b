/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pins of a slot: DIR/{prog,map,link}/NAME on a BPF file system. Only
 * kern_*.c uses it.
 */
#ifndef BL_KERN_PINS_H
#define BL_KERN_PINS_H

#include <stddef.h>

#include "loader/kern/ops.h"

enum bl_pin_kind { BL_PIN_LINK, BL_PIN_PROG, BL_PIN_MAP, BL_PIN_KINDS };

/* "DIR/SLOT/KIND". NULL: out of memory. Caller frees. */
char *bl_pin_dir(const char *dir, enum bl_slot slot, enum bl_pin_kind kind);
char *bl_pin_path(const char *dir, enum bl_slot slot, enum bl_pin_kind kind,
		  const char *name);

/* Whether @path is on a BPF file system, or will be once it is made. -ENODEV
 * with a hint if not. */
int bl_pin_check(const char *path, struct bl_err *err);

/* Makes the folders of a slot. -ENODEV: not on a BPF file system. */
int bl_pin_make(const char *dir, enum bl_slot slot, struct bl_err *err);

/* Pins @fd as @name. */
int bl_pin_add(const char *dir, enum bl_slot slot, enum bl_pin_kind kind,
	       const char *name, int fd, struct bl_err *err);

/* Opens a pin: a descriptor, -ENOENT, -errno. */
int bl_pin_get(const char *dir, enum bl_slot slot, enum bl_pin_kind kind,
	       const char *name, struct bl_err *err);

/* Unpins all of a slot, links first, and removes its folders. What is not
 * there is fine. */
int bl_pin_clear(const char *dir, enum bl_slot slot, struct bl_err *err);

/*
 * Calls @fn with an open descriptor for every pin of this kind, in the order of
 * their names (the kernel's own order is another on every kernel). Stops when
 * @fn returns non-zero, and returns that. A missing folder has no pins.
 */
typedef int (*bl_pin_fn)(void *ctx, const char *name, int fd,
			 struct bl_err *err);
int bl_pin_each(const char *dir, enum bl_slot slot, enum bl_pin_kind kind,
		bl_pin_fn fn, void *ctx, struct bl_err *err);

#endif
