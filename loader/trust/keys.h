/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys as files, one each, readable by their owner only:
 *
 *	KEYS/targets-1f0a33c2.key
 *	{ "role": "targets", "keytype": "ed25519", "scheme": "ed25519",
 *	  "keyval": { "private": "…", "public": "…" } }
 *
 * The digits in the name are the first of the key's TUF name. Keys of several
 * folders (offline media, say) are loaded one after the other into one ring.
 * A ring holds secrets: BL_CLEANUP(bl_keys_wipe).
 */
#ifndef BL_TRUST_KEYS_H
#define BL_TRUST_KEYS_H

#include <jansson.h>

#include "loader/base/err.h"
#include "loader/bundle/digest.h"
#include "loader/trust/ed25519.h"
#include "loader/trust/metadata.h"

#define BL_KEYS_MAX	 64
#define BL_KEYS_FILE_MAX 4096 /* bytes */
#define BL_KEYS_ROLE_LEN 65

struct bl_key {
	char role[BL_KEYS_ROLE_LEN]; /* what it was made for: for people */
	char id[BL_DIGEST_HEX];
	bool unwritten; /* made, and in no file yet */
	struct bl_ed25519 pair;
};

struct bl_keys {
	struct bl_key key[BL_KEYS_MAX];
	size_t count;
};

void bl_keys_wipe(struct bl_keys *keys);

/* Adds every *.key of the folder. -EPERM: others can read one of them. */
int bl_keys_load(const char *dir, struct bl_keys *ring, struct bl_err *err);

/* Adds one file, which must have been made for @role. -EPERM: it was made for
 * another one, is another user's, or others can read it. */
int bl_keys_load_one(const char *path, const char *role, struct bl_keys *ring,
		     struct bl_err *err);

/* Makes one and adds it. It is in memory only: a key that nothing is signed with
 * must not lie around. */
int bl_keys_make(const char *role, struct bl_keys *ring, struct bl_err *err);

/* Writes the files of those that were made, durably, 0600. */
int bl_keys_write(const char *dir, struct bl_keys *ring, struct bl_err *err);

/* As metadata has it. NULL: out of memory. */
json_t *bl_key_public(const struct bl_key *key);

/*
 * The text of @body with the signatures of all keys of the ring that one of
 * @by (NULL: none) names for @role. Caller frees.
 */
int bl_keys_sign(const struct bl_keys *ring, const json_t *body,
		 const struct bl_meta *const by[2], const char *role,
		 char **ret, struct bl_err *err);

#endif
