/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rehearses an exchange of versions on a kernel: new → previous → new,
 * overlapping as on a host, while a driver does numbered operations (tally.h)
 * as fast as they can be read. For loader/kern only.
 *
 *	     attach previous     detach new   attach new    detach previous
 *	new ════════════════════════╗              ╔═══════════════════════
 *	previous    ╔══════════════════════════════════════════╗
 *	            └ once its events arrive       └ the same
 *
 * It begins with the new version, which the exercise has left attached: before
 * 5.13 a tracing program can be attached once in its life, so that only what
 * comes back has to be loaded again, and only there.
 *
 * Both sensors are told to report connects and nothing else, whatever their
 * content was; they are left so.
 */
#ifndef BL_KERN_SWAP_H
#define BL_KERN_SWAP_H

#include "loader/kern/ask/session.h"

struct bl_swap_part {
	struct bl_session *session; /* loaded; the new version: or attached */
	struct bl_facts *facts;	    /* that its load filled in */
};

/*
 * Fills *ret. 0 also when there is nothing to rehearse or it came to no end
 * (ran is false and why_not says why); -ENOMEM. Leaves both detached. @scale:
 * times the usual number of exchanges; 0 counts as 1 (and is 1 before 5.13).
 */
int bl_swap_rehearse(const struct bl_swap_part *previous,
		     const struct bl_swap_part *next, unsigned scale,
		     struct bl_facts_swap *ret, struct bl_err *err);

#endif
