/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins: DIR/HOME/KIND/NAME on a BPF file system. A home is a slot, or what both
 * slots share. For loader/kern only.
 */
#ifndef BL_KERN_PINS_H
#define BL_KERN_PINS_H

#include <stddef.h>

#include "loader/kern/ops.h"

/* hook: a slot's programs once more, by the hook whose link they share. */
enum bl_pin_kind {
	BL_PIN_LINK,
	BL_PIN_HOOK,
	BL_PIN_PROG,
	BL_PIN_MAP,
	BL_PIN_KINDS
};

/* The first two are the slots. */
enum bl_pin_home {
	BL_PIN_SLOT_A = BL_SLOT_A,
	BL_PIN_SLOT_B = BL_SLOT_B,
	BL_PIN_DISPATCH, /* dispatchers, their arrays, their state */
	BL_PIN_REPLACE,	 /* links that are given one program after another */
	BL_PIN_HOMES,
};

/* "DIR/HOME/KIND". NULL: out of memory. Caller frees. */
char *bl_pin_dir(const char *dir, unsigned home, enum bl_pin_kind kind);
char *bl_pin_path(const char *dir, unsigned home, enum bl_pin_kind kind,
		  const char *name);

/* Whether @path is on a BPF file system, or will be once it is made. -ENODEV
 * with a hint if not. */
int bl_pin_check(const char *path, struct bl_err *err);

/* Makes the folders of a home. -ENODEV: not on a BPF file system. */
int bl_pin_make(const char *dir, unsigned home, struct bl_err *err);

/* Pins @fd as @name. */
int bl_pin_add(const char *dir, unsigned home, enum bl_pin_kind kind,
	       const char *name, int fd, struct bl_err *err);

/* Opens a pin: a descriptor, -ENOENT, -errno. */
int bl_pin_get(const char *dir, unsigned home, enum bl_pin_kind kind,
	       const char *name, struct bl_err *err);

/* Unpins one. What is not there is fine. */
int bl_pin_drop(const char *dir, unsigned home, enum bl_pin_kind kind,
		const char *name, struct bl_err *err);

/* Unpins all of a home, links first, and removes its folders. What is not
 * there is fine. */
int bl_pin_clear(const char *dir, unsigned home, struct bl_err *err);

/*
 * Calls @fn with an open descriptor for every pin of this kind, in the order of
 * their names (the kernel's own order is another on every kernel). Stops when
 * @fn returns non-zero, and returns that. A missing folder has no pins.
 */
typedef int (*bl_pin_fn)(void *ctx, const char *name, int fd,
			 struct bl_err *err);
int bl_pin_each(const char *dir, unsigned home, enum bl_pin_kind kind,
		bl_pin_fn fn, void *ctx, struct bl_err *err);

#endif
