/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries the entries of maps over from the other slot, as loader/object/carry
 * decided. Only kern_bpf.c uses it:
 *
 *	bl_state_share		between open and load of the new object
 *	bl_state_copies_make	the names that are left to copy
 *	bl_state_copy		just before the new programs are attached
 *
 * A shared map is pinned in both slots and is one object of the kernel, which
 * lives until the last pin, program and descriptor is gone: retiring one slot
 * takes nothing from the other.
 */
#ifndef BL_KERN_STATE_MAPS_H
#define BL_KERN_STATE_MAPS_H

#include "loader/kern/ops.h"
#include "loader/object/carry.h"

struct bpf_object;

/* Maps of one slot that begin with the entries of the other's. */
struct bl_state_copies {
	char **names;
	size_t count;
	bool back; /* the way back: what cannot be copied begins empty */
};

void bl_state_copies_free(struct bl_state_copies *c);

/* Gives the maps of @object that are kept to the load, from the pins of the
 * slot that @slot is not. @carry may be NULL. */
int bl_state_share(const char *pin_dir, enum bl_slot slot,
		   struct bpf_object *object, const struct bl_carry *carry,
		   struct bl_err *err);

/* -ENOMEM. @carry may be NULL. */
int bl_state_copies_make(const struct bl_carry *carry,
			 struct bl_state_copies *ret, struct bl_err *err);

/*
 * Copies the entries, between pins. What is longer now ends in zeros; what only
 * the kernel can put into a value (locks, timers, pointers) begins anew, as
 * does the order of an LRU. -E2BIG when a map has no room, -EAGAIN when its
 * entries come and go faster than they can be listed.
 */
int bl_state_copy(const char *pin_dir, enum bl_slot slot,
		  const struct bl_state_copies *copies, struct bl_err *err);

/* bl_kern_ops.map */
int bl_kern_map(void *kern, enum bl_slot slot, const char *name,
		struct bl_map_fact *ret, struct bl_err *err);

#endif
