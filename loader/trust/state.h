/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host trusts, in a folder:
 *
 *	root.json	the newest root that was verified; put there by hand, once
 *	trusted.json	timestamp, snapshot, targets and delegated roles of the
 *			last update that was whole, byte by byte as they came
 *
 * Each is replaced at once and durably (loader/base/file.h). The second is one
 * file on purpose: a reader, or a host after a power cut, finds one update or
 * the next, never the timestamp of one with the snapshot of another.
 */
#ifndef BL_TRUST_STATE_H
#define BL_TRUST_STATE_H

#include <jansson.h>
#include <sys/types.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_TRUST_ROOT_FILE "root.json"
#define BL_TRUST_FILE	   "trusted.json"
#define BL_TRUST_FILE_MAX  (64u << 20)

/*
 * Who writes holds the lock and looks first whether another process was there
 * with something newer, which stays. Closing the descriptor unlocks.
 */
int bl_trust_state_lock(const char *dir, int *ret_fd, struct bl_err *err);

struct bl_trust_state {
	struct bl_buf root;
	json_t *files; /* role → text; empty before the first update */
};

void bl_trust_state_free(struct bl_trust_state *s);

/* -ENOENT: the folder has no root.json. -EBADMSG: trusted.json is not what
 * bl_trust_state_save wrote. */
int bl_trust_state_load(const char *dir, struct bl_trust_state *ret,
			struct bl_err *err);

int bl_trust_state_save_root(const char *dir, const void *data, size_t len,
			     struct bl_err *err);
/* BL_TRUST_ENDLESS: it would be too large to be loaded; nothing was written. */
int bl_trust_state_save(const char *dir, const json_t *files,
			struct bl_err *err);

#endif
