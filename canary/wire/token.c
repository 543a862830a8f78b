/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/wire/token.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "loader/base/file.h"

static bool is_hex(const char *text, size_t len)
{
	return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

/* From the right: a host's name may have dots in it. */
int bl_token_parse(const char *text, struct bl_token_parts *ret,
		   struct bl_err *err)
{
	char copy[BL_TOKEN_MAX] = "";
	char *fingerprint, *secret = NULL;
	struct bl_token_parts parts;

	if (strlen(text) < sizeof(copy))
		memcpy(copy, text, strlen(text) + 1);
	fingerprint = strrchr(copy, '.');
	if (fingerprint) {
		*fingerprint++ = '\0';
		secret = strrchr(copy, '.');
	}
	if (secret)
		*secret++ = '\0';
	if (!secret || !bl_name_valid(copy) ||
	    !is_hex(secret, BL_TOKEN_SECRET - 1) ||
	    !bl_digest_valid(fingerprint)) {
		bl_err_set(err, -EINVAL, "that is no token, or not all of it");
		bl_err_hint(err, "'belay host token NAME' makes one");
		return -EINVAL;
	}
	memcpy(parts.name, copy, strlen(copy) + 1);
	memcpy(parts.secret, secret, BL_TOKEN_SECRET);
	memcpy(parts.fingerprint, fingerprint, BL_DIGEST_HEX);
	*ret = parts;
	return 0;
}
