/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client trusts, and what it takes up: the decisions of the client
 * workflow (TUF specification 1.0.x, section 5). Pure: bytes and the time of
 * the update go in, once, and nothing else is asked.
 *
 *	BL_CLEANUP(bl_trusted_free) struct bl_trusted t = { .now_s = now };
 *	bl_trusted_root(&t, …)	the one that came with the host, then N+1, N+2 …
 *	bl_trusted_seen(&t, …)	timestamp and snapshot of the last update
 *	bl_trusted_timestamp, _snapshot, _targets, in this order
 *
 * Invariants:
 *  C1 A function that fails has changed nothing in *t.
 *  C2 A root is taken only if the root before it and it itself say so, and only
 *     the next version (5.3).
 *  C3 Nothing is taken that is older than what was seen, has expired, or is not
 *     what the role above it speaks of (5.4 to 5.6).
 *  C4 What was seen counts against a rollback while the present root's keys
 *     vouch for it. After a rotation of these keys it does not: whoever stole
 *     them may have written any version (5.3.11).
 */
#ifndef BL_TRUST_TRUSTED_H
#define BL_TRUST_TRUSTED_H

#include "loader/trust/metadata.h"

#define BL_TRUSTED_ROLES_MAX 32 /* delegated roles of one search */

struct bl_trusted {
	int64_t now_s; /* seconds since 1970, when the update began */
	struct bl_meta root;
	struct bl_meta seen_timestamp, seen_snapshot;
	struct bl_meta timestamp, snapshot, targets;
	struct bl_trusted_role {
		/* Borrowed of the role that delegates: its body, and the name
		 * there. Two that delegate to one name have keys of their own
		 * for it. */
		const json_t *by;
		const char *name;
		struct bl_meta meta;
	} delegated[BL_TRUSTED_ROLES_MAX];
	size_t delegated_count;
};

void bl_trusted_free(struct bl_trusted *t);

/* The first root is believed (it must sign itself); each one after it is
 * checked by C2. Expired ones are steps on the way. */
int bl_trusted_root(struct bl_trusted *t, const void *data, size_t len,
		    struct bl_err *err);

/* Metadata of the update before, as it was stored; passed over if it is
 * nothing that the present root vouches for. */
void bl_trusted_seen(struct bl_trusted *t, enum bl_meta_kind kind,
		     const void *data, size_t len);

int bl_trusted_timestamp(struct bl_trusted *t, const void *data, size_t len,
			 struct bl_err *err);
int bl_trusted_snapshot(struct bl_trusted *t, const void *data, size_t len,
			struct bl_err *err);

/*
 * "targets" with @by NULL, or a role that @by (targets taken before)
 * delegates to, called @role there. One that is there already is left.
 */
int bl_trusted_targets(struct bl_trusted *t, const char *role,
		       const struct bl_meta *by, const void *data, size_t len,
		       struct bl_err *err);

/* Metadata of "targets" (@by NULL), or of a role as @by delegates to it; NULL:
 * not taken yet by the keys that @by names. */
const struct bl_meta *bl_trusted_role(const struct bl_trusted *t,
				      const struct bl_meta *by,
				      const char *role);

/* Bytes that the file of a role can have, by what the role above says, and
 * its version there. BL_TRUST_MIX: the snapshot does not know it. */
int bl_trusted_expect(const struct bl_trusted *t, const char *role,
		      struct bl_meta_file *ret, struct bl_err *err);

/* Whether these bytes are that target. BL_TRUST_ENDLESS, BL_TRUST_PACKAGE. */
int bl_trusted_package(const struct bl_meta_target *target, const void *data,
		       size_t len, struct bl_err *err);

#endif
