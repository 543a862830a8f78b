/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures by ed25519 (RFC 8032), from libsodium: the only file of this room
 * that knows it. Keys and signatures are lower-case hexadecimal, as TUF writes
 * them. A pair holds a secret: wipe it with bl_ed25519_wipe.
 */
#ifndef BL_TRUST_ED25519_H
#define BL_TRUST_ED25519_H

#include <stdbool.h>
#include <stddef.h>

#define BL_ED25519_KEY_HEX 65  /* 64 digits and NUL */
#define BL_ED25519_SIG_HEX 129 /* 128 digits and NUL */

struct bl_ed25519 {
	char public[BL_ED25519_KEY_HEX];
	char secret[BL_ED25519_KEY_HEX]; /* the seed */
};

/* A new pair from the system's randomness. -EIO: libsodium cannot start. */
int bl_ed25519_make(struct bl_ed25519 *ret);

/* The pair of a secret. -EINVAL: no 64 digits of 0-9 and a-f. */
int bl_ed25519_of(const char *secret, struct bl_ed25519 *ret);

int bl_ed25519_sign(const struct bl_ed25519 *key, const void *data, size_t len,
		    char ret_sig[static BL_ED25519_SIG_HEX]);

/* Whether @sig is @public's over the bytes. Never true of what is malformed,
 * nor of a key of small order, with which anything verifies. */
bool bl_ed25519_good(const char *public, const char *sig, const void *data,
		     size_t len);

void bl_ed25519_wipe(struct bl_ed25519 *key);

/* Wipes any other copy of a secret; not left out by a compiler. */
void bl_ed25519_wipe_bytes(void *data, size_t len);

#endif
