/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether those who release have signed a bundle: what a host asks before it
 * loads one. The folder is that of state.h; the host's agent keeps it fresh
 * (fresh.h), or somebody does (belay trust status DIR --repo REPO), since expiry
 * counts.
 *
 * Invariants:
 *  V1 A folder with a root.json is a host that wants signatures: nothing is
 *     loaded there of which this says no, or cannot say anything.
 *  V2 Only the release role's own list counts: what the fleet or another
 *     delegated role lists vouches for nothing.
 *  V3 What is released with a lower serial than what is live is old: it would be
 *     a downgrade by somebody else's order. The serial of what is live is that
 *     of the list or that with which it was let in, the higher one: to withdraw
 *     it opens no way to older ones (floor.h). (A host's own way back, a
 *     rollback to what it committed before, does not ask here; where nothing is
 *     live there is no floor.)
 */
#ifndef BL_TRUST_VOUCH_H
#define BL_TRUST_VOUCH_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

/* 1: the folder has a root.json, 0: it has none; -errno: that cannot be told. */
int bl_vouch_wanted(const char *dir, struct bl_err *err);

/*
 * @digest and @len: of the bundle's file; @live: the digest of what is live,
 * NULL for nothing. 0, or a code of fault.h: BL_TRUST_UNLISTED, BL_TRUST_EXPIRED,
 * BL_TRUST_ROLLBACK; -ENOENT: no repository was asked yet.
 */
int bl_vouch(const char *dir, const char *digest, size_t len, const char *live,
	     int64_t now_s, struct bl_err *err);

/* Whether the list that is kept has it: as bl_vouch begins, without its floor, and
 * nothing is noted. For who could ask for a newer list first. */
int bl_vouch_listed(const char *dir, const char *digest, size_t len,
		    int64_t now_s, struct bl_err *err);

/* The serial with which that bundle was let in; 0: it was not, by this folder.
 * Needs no lock. -EBADMSG: what was noted is damaged. */
int bl_vouch_noted(const char *dir, const char *digest, int64_t *ret_serial,
		   struct bl_err *err);

#endif
