/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process gives up for good: another user, capabilities, system calls.
 * The only seam to libseccomp.
 *
 *	bl_sandbox_user("belay-agent", &user, err)	while it may still look
 *	bl_sandbox_become(&user, err)
 *	bl_sandbox_keep(0, err)				no capability
 *	bl_sandbox_filter(rules, count, EPERM, err)	last: it may forbid these
 *
 * Invariants:
 *  - nothing here can be taken back by the process, nor by what it starts;
 *  - what could not be given up is an error, never a note: the caller ends.
 *
 * Before any thread: each of these is of the calling thread, and of threads and
 * processes that it starts later.
 */
#ifndef BL_BASE_SANDBOX_H
#define BL_BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/base/err.h"

struct bl_sandbox_user {
	uid_t uid;
	gid_t gid;
};

/* By its name, or by "UID:GID". -ENOENT: there is none; -EINVAL: it is root. */
int bl_sandbox_user(const char *name, struct bl_sandbox_user *ret,
		    struct bl_err *err);

/* Real, effective and saved, without other groups. Needs root. */
int bl_sandbox_become(const struct bl_sandbox_user *user, struct bl_err *err);

/* A capability's bit; those above 63 do not exist. */
#define BL_SANDBOX_CAP(cap) (UINT64_C(1) << (cap))

/* What this process may now: the effective set. */
int bl_sandbox_caps(uint64_t *ret, struct bl_err *err);

/* Keeps of its capabilities those of @caps, also for what it executes. */
int bl_sandbox_keep(uint64_t caps, struct bl_err *err);

/* No new privileges by executing anything (PR_SET_NO_NEW_PRIVS). */
int bl_sandbox_no_new(struct bl_err *err);

/* Its memory is nobody's to read: no core, no debugger, no /proc/PID/mem. */
int bl_sandbox_hide(struct bl_err *err);

/*
 * When this machine has no memory left, the kernel ends this process before those
 * that have less than @score, of -1000 to 1000 (/proc/PID/oom_score_adj). Who has
 * more already keeps it. While it may still write there.
 */
int bl_sandbox_first_to_die(int score, struct bl_err *err);

enum bl_sandbox_match {
	BL_MATCH_ANY,
	BL_MATCH_EQUAL, /* the argument is value */
	BL_MATCH_MASK,	/* its bits of mask are value */
};

struct bl_sandbox_if {
	enum bl_sandbox_match match;
	unsigned arg; /* from 0 */
	uint64_t value, mask;
};

/* A system call by its name; all conditions must hold. What several rules of one
 * call say is taken together: it is enough that one of them holds. */
struct bl_sandbox_rule {
	const char *name;
	int error; /* what it ends with; 0: it is allowed */
	struct bl_sandbox_if when[3];
};

/*
 * From here on calls end as the rules say, all others with @otherwise (an errno;
 * 0: they are allowed). After bl_sandbox_no_new. -EINVAL: no call has that name;
 * -ENOSYS: this kernel has no such filters.
 */
int bl_sandbox_filter(const struct bl_sandbox_rule *rules, size_t count,
		      int otherwise, struct bl_err *err);

#endif
