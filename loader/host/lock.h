/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks of a host that say who holds them. flock, so that they die with their
 * holder: a lock file that lies around locks nothing.
 *
 *	lock	who changes this host: apply, rollback, recover
 *	reader	who reads the events of the live generation
 *	keeper	the agent, for as long as it runs
 */
#ifndef BL_HOST_LOCK_H
#define BL_HOST_LOCK_H

#include <stdint.h>

#include "loader/base/err.h"

struct bl_lock_owner {
	int pid; /* 0: nobody, or too early to tell */
	int64_t since_ms;
	char what[32];
};

/*
 * Takes the lock and notes in it who we are. Waits for nobody but who has it for
 * a moment, without a note: somebody who just asks, or takes it just now. 0 and
 * *ret_fd, which holds it until closed; -EBUSY with *ret_owner (may be NULL) when
 * somebody else has it. @what NULL: no note.
 */
int bl_lock_take(const char *path, const char *what, int64_t now_ms,
		 int *ret_fd, struct bl_lock_owner *ret_owner,
		 struct bl_err *err);

/* Gives it back without its note, so that the next one's is not taken for ours. */
void bl_lock_drop(int *fd);

/* Who has it now; pid 0 for nobody. */
int bl_lock_query(const char *path, struct bl_lock_owner *ret,
		  struct bl_err *err);

/* "pid 12 (belay apply) since 2024-…" into @ret. */
void bl_lock_describe(const struct bl_lock_owner *owner, char *ret,
		      unsigned size);

#endif
