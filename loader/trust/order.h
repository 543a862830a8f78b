/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One order to one host, signed by the fleet's online key: what moves a host in a
 * fleet whose controller decides poll by poll.
 *
 *	{ "signatures": [ { "keyid": "…", "sig": "…" } ],
 *	  "signed": { "_type": "order", "spec_version": "1.0.31",
 *		"version": 3530000000000, "expires": "2026-11-26T09:15:00Z",
 *		"host": "web-1", "order": "apply", "rollout": "r7",
 *		"digest": "…", "override": "", "probation_ms": 0,
 *		"reason": "" } }
 *
 * What is TUF's: the envelope, the canonical form that is signed, keys by their
 * names, a threshold, a version that grows and an expiry, and that the release
 * role ("targets") says by a delegation called "fleet" who signs it; the release's
 * list says what can be named in it. Where it differs, and why: it stands in no
 * snapshot. For TUF the orders of 10,000 hosts would be as many delegated files,
 * all of them stated in a snapshot that is signed again with each order and
 * fetched by each host. What a snapshot is for, that nobody is shown an old file
 * for the new one, a host does here by itself, since it is the only reader: it
 * remembers the version of the last one (O4), and it lives for minutes (O3).
 * So an order is for one host alone, and cannot assign patterns (fleet.h).
 *
 * Invariants, for whoever has the network, the controller or its key:
 *  O1 An order moves the host whose name is in it, no other.
 *  O2 It names what the release role lists right now, if it is to be applied. A
 *     thief of the key chooses among these, never below the floor (vouch.h).
 *  O3 It expires, at most BL_TOLD_VALID_MAX_S ahead: who had the key once has
 *     no orders left when it was replaced.
 *  O4 No order that was carried out, and none before it, counts again. Its version
 *     is a time, and none that is far ahead is taken: a thief of the key cannot
 *     leave a host with a version that no order reaches any more.
 *  O5 To go back is ordered by the same key, but needs no fresh metadata: a host
 *     whose mirror is frozen takes nothing new, and can be taken back.
 */
#ifndef BL_TRUST_ORDER_H
#define BL_TRUST_ORDER_H

#include "loader/base/file.h"
#include "loader/bundle/digest.h"
#include "loader/trust/keys.h"
#include "loader/trust/metadata.h"

#define BL_TOLD_BYTES_MAX   8192
#define BL_TOLD_ROLLOUT_LEN 65
#define BL_TOLD_TEXT_LEN    256
#define BL_TOLD_VALID_S	    900 /* as the controller signs it */
#define BL_TOLD_VALID_MAX_S 86400
#define BL_TOLD_AHEAD_MS    (INT64_C(86400) * 1000)

struct bl_told {
	bool rollback; /* to leave the digest; else to apply it */
	char host[BL_NAME_MAX + 1];
	char rollout[BL_TOLD_ROLLOUT_LEN];
	char digest[BL_DIGEST_HEX];
	char override_reason[BL_TOLD_TEXT_LEN]; /* "": none */
	char reason[BL_TOLD_TEXT_LEN];		/* of a rollback */
	int64_t probation_ms;			/* 0: the bundle's */
	int64_t version;			/* bl_told_version */
	int64_t expires_s;
};

/* Orders of a rollout come after all of those before it, and its way back after
 * its way there. @start_ms: wall clock, when it began. */
int64_t bl_told_version(int64_t start_ms, bool rollback);

/* Signs it. NULL: out of memory, or libsodium cannot start. */
json_t *bl_told_sign(const struct bl_told *order, const struct bl_key *key);

/* What @meta (of kind BL_META_ORDER) says. Believes nobody. */
void bl_told_read(const struct bl_meta *meta, struct bl_told *ret);

/* What a host knows when it is told something. */
struct bl_told_to {
	const char *host;
	int64_t now_ms;
	int64_t version; /* of the last one that was taken; 0: none */
	bool ended;	 /* it was carried out, well or not */
};

/*
 * O1 to O4: whether @release (verified targets that delegate to the fleet role)
 * and what @to knows let this order be carried out. Pure.
 *
 * BL_TRUST_MALFORMED, BL_TRUST_KIND, BL_TRUST_SPEC: it is no order;
 * BL_TRUST_SIGNATURE: not of the fleet's key; BL_TRUST_DEPUTY: O1;
 * BL_TRUST_ASSIGNED: O2; BL_TRUST_EXPIRED: O3; BL_TRUST_REPLAY: O4.
 */
int bl_told_check(const struct bl_meta *release, const struct bl_told_to *to,
		  const void *data, size_t len, struct bl_told *ret,
		  struct bl_err *err);

#endif
