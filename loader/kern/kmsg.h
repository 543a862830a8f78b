/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splats in the kernel's log: what WARN, BUG, Oops, a stall or a hung task
 * leave there.
 */
#ifndef BL_KERN_KMSG_H
#define BL_KERN_KMSG_H

#include <stdbool.h>

#include "loader/kern/ops.h"

#define BL_KMSG_SPLAT_LINES 160 /* many end without saying so */

/*
 * Whether @record, as read from /dev/kmsg ("6,339,5140900,-;text\n…"), is one.
 * If so and @ret is not NULL, its first line goes there. Records that user
 * space wrote are none, whatever they say.
 */
bool bl_kmsg_splat(const char *record, char *ret, unsigned size);

/* Takes one record in: counts it if it is a splat, and keeps the lines of one,
 * up to its end or BL_KMSG_SPLAT_LINES of them. */
void bl_kmsg_note(const char *record, struct bl_kern_splats *state);

/*
 * Counts the splats behind *fd's position. *fd is -1 at first, or when state
 * is new: then /dev/kmsg is opened at its end. The caller closes *fd.
 */
int bl_kmsg_scan(int *fd, struct bl_kern_splats *state, struct bl_err *err);

#endif
