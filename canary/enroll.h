/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a host comes by its certificate: an operator makes a token for its name,
 * the host shows it once with a request for its key, and gets a certificate
 * that says that name. The store has the token's digest alone, and the token is
 * gone from it before a certificate leaves: of two who show it one is too late.
 *
 * A token is text for one command line:
 *
 *	NAME.SECRET.FINGERPRINT
 *
 * The fingerprint is that of the authority's certificate: with it the host knows
 * its fleet's controller from whoever answers in its place.
 */
#ifndef BL_CANARY_ENROLL_H
#define BL_CANARY_ENROLL_H

#include "canary/api.h"
#include "canary/pki.h"
#include "loader/base/json.h"

#define BL_TOKEN_SECRET	   33 /* 32 hex digits and NUL */
#define BL_TOKEN_MAX	   (BL_NAME_MAX + BL_TOKEN_SECRET + BL_DIGEST_HEX + 2)
#define BL_TOKEN_VALID_S   3600
#define BL_TOKEN_VALID_MAX (7 * 24 * 3600)
#define BL_TOKENS_MAX	   20000

struct bl_token_parts {
	char name[BL_NAME_MAX + 1];
	char secret[BL_TOKEN_SECRET];
	char fingerprint[BL_DIGEST_HEX];
};

/* -EINVAL: no token. */
int bl_token_parse(const char *text, struct bl_token_parts *ret,
		   struct bl_err *err);

/*
 * The API's calls (api.h): the request's body to the answer's. -EPERM: a token
 * that is not known, was used or is too old. -ENOTSUP: the controller speaks no
 * TLS.
 */
int bl_enroll_token(struct bl_store *store, const struct bl_request *q,
		    int64_t now_ms, json_t **ret, struct bl_err *err);
int bl_enroll_ca(struct bl_store *store, const struct bl_request *q,
		 int64_t now_ms, json_t **ret, struct bl_err *err);
int bl_enroll_redeem(struct bl_store *store, const struct bl_request *q,
		     int64_t now_ms, json_t **ret, struct bl_err *err);
int bl_enroll_renew(struct bl_store *store, const struct bl_request *q,
		    int64_t now_ms, json_t **ret, struct bl_err *err);

#endif
