/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somewhere to attach programs whose section names no place, because their
 * loader chooses it: a cgroup of our own, the loopback device, a clock event.
 * For guests of the lab; for loader/kern only.
 */
#ifndef BL_KERN_PLACES_H
#define BL_KERN_PLACES_H

#include <bpf/libbpf.h>

struct bl_places;

/*
 * Attaches @prog to a place of its kind. 0 with *ret_link, which is NULL for
 * kinds that have no links (tc: bl_places_leave detaches them). -EOPNOTSUPP:
 * no place for this kind; other errors are the kernel's. *places is made when
 * it is NULL.
 */
int bl_places_attach(struct bl_places **places, const struct bpf_program *prog,
		     struct bpf_link **ret_link);

/* Detaches what has no link and forgets the places. NULL is fine. */
void bl_places_leave(struct bl_places **places);

#endif
