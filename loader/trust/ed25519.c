/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/ed25519.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define PUBLIC crypto_sign_PUBLICKEYBYTES
#define SECRET crypto_sign_SECRETKEYBYTES
#define SEED   crypto_sign_SEEDBYTES
#define SIG    crypto_sign_BYTES

_Static_assert(BL_ED25519_KEY_HEX == 2 * PUBLIC + 1, "32 bytes and a NUL");
_Static_assert(BL_ED25519_KEY_HEX == 2 * SEED + 1, "32 bytes and a NUL");
_Static_assert(BL_ED25519_SIG_HEX == 2 * SIG + 1, "64 bytes and a NUL");

/* Exactly @size bytes of lower-case hexadecimal: one text for one value. */
static bool read_hex(const char *hex, unsigned char *ret, size_t size)
{
	size_t len = 0;

	return hex && strlen(hex) == 2 * size &&
	       strspn(hex, "0123456789abcdef") == 2 * size &&
	       sodium_hex2bin(ret, size, hex, 2 * size, NULL, &len, NULL) ==
		       0 &&
	       len == size;
}

static void from_seed(const unsigned char seed[static SEED],
		      struct bl_ed25519 *ret)
{
	unsigned char public[PUBLIC], secret[SECRET];

	crypto_sign_seed_keypair(public, secret, seed);
	sodium_bin2hex(ret->public, sizeof(ret->public), public, PUBLIC);
	sodium_bin2hex(ret->secret, sizeof(ret->secret), seed, SEED);
	sodium_memzero(secret, sizeof(secret));
}

int bl_ed25519_make(struct bl_ed25519 *ret)
{
	unsigned char seed[SEED];

	if (sodium_init() < 0)
		return -EIO;
	randombytes_buf(seed, sizeof(seed));
	from_seed(seed, ret);
	sodium_memzero(seed, sizeof(seed));
	return 0;
}

int bl_ed25519_of(const char *secret, struct bl_ed25519 *ret)
{
	unsigned char seed[SEED];

	if (sodium_init() < 0)
		return -EIO;
	if (!read_hex(secret, seed, sizeof(seed)))
		return -EINVAL;
	from_seed(seed, ret);
	sodium_memzero(seed, sizeof(seed));
	return 0;
}

int bl_ed25519_sign(const struct bl_ed25519 *key, const void *data, size_t len,
		    char ret_sig[static BL_ED25519_SIG_HEX])
{
	unsigned char seed[SEED], public[PUBLIC], secret[SECRET], sig[SIG];

	if (sodium_init() < 0)
		return -EIO;
	if (!read_hex(key->secret, seed, sizeof(seed)))
		return -EINVAL;
	crypto_sign_seed_keypair(public, secret, seed);
	crypto_sign_detached(sig, NULL, data, len, secret);
	sodium_bin2hex(ret_sig, BL_ED25519_SIG_HEX, sig, SIG);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	return 0;
}

bool bl_ed25519_good(const char *public, const char *sig, const void *data,
		     size_t len)
{
	unsigned char key[PUBLIC], bytes[SIG];

	return sodium_init() >= 0 && read_hex(public, key, sizeof(key)) &&
	       read_hex(sig, bytes, sizeof(bytes)) &&
	       crypto_sign_verify_detached(bytes, data, len, key) == 0;
}

void bl_ed25519_wipe(struct bl_ed25519 *key)
{
	sodium_memzero(key, sizeof(*key));
}

void bl_ed25519_wipe_bytes(void *data, size_t len)
{
	if (data)
		sodium_memzero(data, len);
}
