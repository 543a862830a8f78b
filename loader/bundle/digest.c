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

_Static_assert(sizeof(struct bl_digest_run) >= sizeof(crypto_hash_sha256_state),
	       "a state of libsodium fits");

static crypto_hash_sha256_state *state_of(struct bl_digest_run *run)
{
	return (void *)run->state;
}

void bl_digest_start(struct bl_digest_run *run)
{
	crypto_hash_sha256_init(state_of(run));
}

void bl_digest_add(struct bl_digest_run *run, const void *data, size_t len)
{
	if (len)
		crypto_hash_sha256_update(state_of(run), data, len);
}

void bl_digest_end(struct bl_digest_run *run,
		   char ret_hex[static BL_DIGEST_HEX])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256_final(state_of(run), hash);
	sodium_bin2hex(ret_hex, BL_DIGEST_HEX, hash, sizeof(hash));
}

bool bl_digest_valid(const char *hex)
{
	return hex && strlen(hex) == BL_DIGEST_HEX - 1 &&
	       strspn(hex, "0123456789abcdef") == BL_DIGEST_HEX - 1;
}
