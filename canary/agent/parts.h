/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two parts of an agent and what each may:
 *
 *	host part	the kernel, the journal, the state folder. Listens to
 *			nobody, talks to nobody but the talker (pair.h).
 *	talker		the network. Another user, no capability, no file to
 *			write, nothing to execute: a pipe and some memory that it
 *			was given for what it fetches are all that it can fill.
 *
 *	bl_parts_begin(&opts, &user, err)	the host part, before all else
 *	bl_parts_confine_talker(user, dir, err)	the talker, before all else
 *
 * Invariants:
 *  - each is confined before it has a thread and before it reads anything from
 *    outside; what could not be given up ends it;
 *  - without root both stay who they are, and give up the rest all the same;
 *  - the key of this host's certificate is read by the talker; of the others on
 *    this machine by root alone.
 */
#ifndef BL_CANARY_PARTS_H
#define BL_CANARY_PARTS_H

#include "loader/base/sandbox.h"

/* The talker's user when belay runs as root. */
#define BL_PARTS_USER "belay-agent"

/* What a talker can have of its host at most. */
#define BL_PARTS_TALKER_MEMORY (256u << 20) /* bytes of addresses */
#define BL_PARTS_TALKER_STACK  (1u << 20)   /* of each thread, of these */
#define BL_PARTS_TALKER_FILES  64
#define BL_PARTS_TALKER_SCORE  500 /* as in /proc/PID/oom_score_adj */

struct bl_parts_opts {
	const char *user;    /* of the talker; NULL: BL_PARTS_USER, if root */
	const char *tls_dir; /* NULL: as bl_pki_dir */
	bool fleet;	     /* there will be a talker */
	bool files; /* it writes where another user's folders are (metrics) */
};

/*
 * Makes this process the host part. *ret is who the talker is to be; uid 0: who
 * this process is. -ENOENT: there is no such user.
 */
int bl_parts_begin(const struct bl_parts_opts *opts,
		   struct bl_sandbox_user *ret, struct bl_err *err);

/*
 * Lets @user read host.key and pass the folder of it: what is not there is left
 * alone. As root.
 */
int bl_parts_share_key(const char *tls_dir, const struct bl_sandbox_user *user,
		       struct bl_err *err);

/*
 * Makes this process the talker, in @tls_dir, where its certificate is. @user
 * NULL: as whoever it runs. It ends when the thread that started it does.
 */
int bl_parts_confine_talker(const struct bl_sandbox_user *user,
			    const char *tls_dir, struct bl_err *err);

#endif
