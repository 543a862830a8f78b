/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token is text for one command line:
 *
 *	NAME.SECRET.FINGERPRINT
 *
 * The fingerprint is that of the authority's certificate: with it the host knows
 * its fleet's controller from whoever answers in its place.
 */
#ifndef BL_CANARY_TOKEN_H
#define BL_CANARY_TOKEN_H

#include "canary/wire/pki.h"

#define BL_TOKEN_SECRET	   33 /* 32 hex digits and NUL */
#define BL_TOKEN_MAX	   (BL_NAME_MAX + BL_TOKEN_SECRET + BL_DIGEST_HEX + 2)
#define BL_TOKEN_VALID_S   3600
#define BL_TOKEN_VALID_MAX (7 * 24 * 3600)

struct bl_token_parts {
	char name[BL_NAME_MAX + 1];
	char secret[BL_TOKEN_SECRET];
	char fingerprint[BL_DIGEST_HEX];
};

/* -EINVAL: no token. */
int bl_token_parse(const char *text, struct bl_token_parts *ret,
		   struct bl_err *err);

#endif
