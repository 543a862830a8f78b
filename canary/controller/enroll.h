/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a host comes by its certificate: an operator makes a token for its name,
 * the host shows it once with a request for its key, and gets a certificate
 * that says that name. The store has the token's digest alone, and the token is
 * gone from it before a certificate leaves: of two who show it one is too late.
 */
#ifndef BL_CANARY_ENROLL_H
#define BL_CANARY_ENROLL_H

#include "canary/controller/api.h"
#include "canary/wire/pki.h"
#include "canary/wire/token.h"
#include "loader/base/json.h"

#define BL_TOKENS_MAX 20000
/* Of a body with a request for a certificate in it, and what JSON adds. */
#define BL_ENROLL_BYTES_MAX (BL_PKI_PEM_MAX + 4096)

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
