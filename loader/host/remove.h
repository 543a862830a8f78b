/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belay leaves this host: no pin, no program, no map, no file.
 *
 * First the kernel, then the files, the journal before the other ones: whoever
 * dies in between has either all of it back at the next recover, or needs only
 * say it once more. It works on what is there, however little, and whether or
 * not the journal can be read. Nobody else of belay may work here meanwhile:
 * not apply and the like, no reader of events, no keeper.
 *
 * What is not belay's own in its folders stays, and so do they then; the
 * caller is told.
 */
#ifndef BL_HOST_REMOVE_H
#define BL_HOST_REMOVE_H

#include <stdbool.h>

#include "loader/host/host.h"

struct bl_removed {
	bool anything;			/* was here */
	struct bl_host_generation live; /* before; "" if not known */
	unsigned pins, files;
	char kept[BL_REASON_LEN]; /* "DIR/NAME is not belay's", or "" */
};

/* What is here, without touching it. */
int bl_host_remove_look(const struct bl_host_config *config,
			struct bl_removed *ret, struct bl_err *err);

/*
 * Removes it. -EBUSY: another belay works here, and err says which. On any
 * other error part of it may be gone; say it again once the reason is.
 */
int bl_host_remove(const struct bl_host_config *config, struct bl_removed *ret,
		   struct bl_err *err);

#endif
