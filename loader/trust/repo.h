/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side that signs: a TUF repository in a folder, which any web server or
 * mirror can serve as it is.
 *
 *	REPO/metadata/	1.root.json …, N.targets.json, N.fleet.json,
 *			N.snapshot.json, timestamp.json
 *	REPO/targets/	HASH.NAME
 *	KEYS/		private keys (keys.h), and what their holder trusts
 *			(state.h): root.json, trusted.json
 *
 *	r = bl_repo_open("REPO", "KEYS", &keys, now_s, &repo, err);
 *	r = bl_repo_add(&repo, "sensor-2.bundle", data, len, err);
 *	r = bl_repo_publish(&repo, err);
 *
 * Invariants:
 *  R1 What is signed again was verified before, from the root in KEYS, as a
 *     host would: who can write into REPO cannot have his words signed.
 *  R2 Each change is a new version in a new file; timestamp.json is replaced
 *     last but for a root, and what it does not speak of is not there yet.
 *  R3 While keys are replaced, metadata is signed by old and new ones as far as
 *     they are in the ring, so that a client between two files sees no break.
 *  R4 bl_repo_publish returns 0 only after a client has taken what it wrote.
 *  R5 What waits for signatures (repo_pending.c) gets another one only if a key of
 *     its role signed it before, and it is the next version: so who can write
 *     into REPO gets none by that either.
 */
#ifndef BL_TRUST_REPO_H
#define BL_TRUST_REPO_H

#include "loader/trust/keys.h"
#include "loader/trust/tuf.h"

/* For how long each role's word counts, in days. */
#define BL_REPO_ROOT_DAYS      365
#define BL_REPO_TARGETS_DAYS   90
#define BL_REPO_FLEET_DAYS     30
#define BL_REPO_SNAPSHOT_DAYS  14
#define BL_REPO_TIMESTAMP_DAYS 2

#define BL_REPO_WAITING_MAX 2		 /* files that wait: root, targets */
#define BL_REPO_TARGET_MAX  (256u << 20) /* bytes */

enum bl_repo_role {
	BL_REPO_TARGETS,
	BL_REPO_FLEET,
	BL_REPO_SNAPSHOT,
	BL_REPO_TIMESTAMP,
	BL_REPO_ROOT,
	BL_REPO_ROLES,
};

const char *bl_repo_role_name(enum bl_repo_role role);
/* -EINVAL: there is no such role. */
int bl_repo_role_parse(const char *name, enum bl_repo_role *ret);

struct bl_repo {
	char *dir, *anchor;
	struct bl_tuf tuf;
	struct bl_keys *keys; /* borrowed */
	int64_t now_s;
	json_t *body[BL_REPO_ROLES]; /* NULL: it has no fleet */
	bool changed[BL_REPO_ROLES];
	/* Signed by others already, and not to be stamped any more; NULL: not. */
	char *cosigned[BL_REPO_ROLES];
};

void bl_repo_close(struct bl_repo *r);

struct bl_repo_shape {
	unsigned root_keys, root_threshold;
	unsigned release_keys, release_threshold;
	bool no_fleet; /* targets delegate to nobody */
};

/*
 * A new repository, with new keys in @keys_dir (made, 0700): version 1 of all,
 * which list nothing. -EEXIST: there is one, or the folder of keys has some.
 */
int bl_repo_init(const char *dir, const char *keys_dir,
		 const struct bl_repo_shape *shape, int64_t now_s,
		 struct bl_err *err);

/*
 * Reads and verifies it from @anchor's root.json. Expired metadata is taken:
 * it is there to be renewed. Errors of tuf.h.
 */
int bl_repo_open(const char *dir, const char *anchor, struct bl_keys *keys,
		 int64_t now_s, struct bl_repo *ret, struct bl_err *err);

/* Adds or replaces a target. Its bytes are written at once: nobody looks for
 * them before they are listed. BL_TRUST_ASSIGNED: hosts run other bytes of this
 * name. */
int bl_repo_add(struct bl_repo *r, const char *name, const void *data,
		size_t len, struct bl_err *err);

/* No longer listed, and so no longer assignable. BL_TRUST_UNLISTED: it was
 * not. */
int bl_repo_withdraw(struct bl_repo *r, const char *name, struct bl_err *err);

/* These hosts run @name (fleet.h); none: nobody does. -ENOENT: there is no fleet. */
int bl_repo_assign(struct bl_repo *r, const char *name,
		   const char *const *hosts, size_t count, struct bl_err *err);

/* A new version with a new expiry, saying the same. */
void bl_repo_renew(struct bl_repo *r, enum bl_repo_role role);

/* As many new keys for a role as it has; the old ones count no longer. Their
 * files are in the anchor once bl_repo_publish has signed with them. */
int bl_repo_rotate(struct bl_repo *r, enum bl_repo_role role,
		   struct bl_err *err);

/* Signs and writes what was changed. BL_TRUST_SIGNATURE: keys are missing;
 * BL_TRUST_ASSIGNED: it would break A1 of fleet.h; -ENOENT: a role was renewed that
 * it does not have. Then nothing was written. */
int bl_repo_publish(struct bl_repo *r, struct bl_err *err);

/*
 * Where m of n keys must sign and are with different people: instead of
 * bl_repo_publish. What was changed of the root and of targets is signed with the
 * keys at hand and waits in REPO/pending; nothing else is written, and no host sees
 * it. -EEXIST: something waits already; -ENOTSUP: something else was changed, too
 * (the fleet's list).
 */
int bl_repo_propose(struct bl_repo *r, struct bl_err *err);

/* What waits, as far as anybody signed it. */
struct bl_repo_pending {
	enum bl_repo_role role;
	struct bl_meta meta;
	char digest[BL_DIGEST_HEX]; /* of the bytes that are signed */
	size_t signed_by, threshold;
};
void bl_repo_pending_free(struct bl_repo_pending *p);

/* -ENOENT: nothing of @role waits; BL_TRUST_ROLLBACK, BL_TRUST_GAP: it is not of
 * the next version; BL_TRUST_SIGNATURE: R5. */
int bl_repo_pending(const struct bl_repo *r, enum bl_repo_role role,
		    struct bl_repo_pending *ret, struct bl_err *err);

/*
 * Adds the signatures of the keys at hand to all that waits, and publishes it if
 * that is enough: 1. 0: others must sign, too; @err says who (it is no failure).
 * @digests: of all that is to be signed. -ENOENT: nothing waits.
 * BL_TRUST_UNEXPECTED: other than @digests waits (anything, if @count is 0), and
 * nothing was signed. BL_TRUST_SIGNATURE: enough have signed, and the keys of
 * snapshot and timestamp are not at hand; or as bl_repo_pending.
 */
int bl_repo_cosign(struct bl_repo *r, const char *const *digests, size_t count,
		   struct bl_err *err);

/* Nothing waits any more. */
int bl_repo_drop(struct bl_repo *r, struct bl_err *err);

#endif
