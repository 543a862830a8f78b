/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests: SHA-256 in lower-case hexadecimal. A bundle is known by the digest
 * of its file; a digest that came from outside is checked with
 * bl_digest_valid before it becomes a path or a key.
 */
#ifndef BL_BUNDLE_DIGEST_H
#define BL_BUNDLE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define BL_DIGEST_HEX 65 /* 64 digits and NUL */

/* The digest of @len bytes at @data (NULL is fine when @len is 0). 0, or -EIO
 * when libsodium cannot start. */
int bl_digest(const void *data, size_t len, char ret_hex[static BL_DIGEST_HEX]);

/* The same of bytes that come piece by piece: start, any number of add, end. */
struct bl_digest_run {
	_Alignas(16) unsigned char state[128]; /* of libsodium */
};
void bl_digest_start(struct bl_digest_run *run);
void bl_digest_add(struct bl_digest_run *run, const void *data, size_t len);
void bl_digest_end(struct bl_digest_run *run,
		   char ret_hex[static BL_DIGEST_HEX]);

/* Exactly 64 of [0-9a-f]. NULL is not valid. */
bool bl_digest_valid(const char *hex);

#endif
