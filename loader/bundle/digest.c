/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/digest.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

_Static_assert(BL_DIGEST_HEX == 2 * crypto_hash_sha256_BYTES + 1,
	       "a digest is a SHA-256 in hexadecimal");

int bl_digest(const void *data, size_t len, char ret_hex[static BL_DIGEST_HEX])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	if (sodium_init() < 0)
		return -EIO;
	crypto_hash_sha256(hash, len ? data : (const void *)"", len);
	sodium_bin2hex(ret_hex, BL_DIGEST_HEX, hash, sizeof(hash));
	return 0;
}

bool bl_digest_valid(const char *hex)
{
	return hex && strlen(hex) == BL_DIGEST_HEX - 1 &&
	       strspn(hex, "0123456789abcdef") == BL_DIGEST_HEX - 1;
}
