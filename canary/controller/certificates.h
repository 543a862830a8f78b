/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API's calls that are about certificates (api.h), by path: those of
 * enroll.h and revoke.h.
 */
#ifndef BL_CANARY_CERTIFICATES_H
#define BL_CANARY_CERTIFICATES_H

#include "canary/controller/api.h"
#include "loader/base/json.h"

/* @name is the one in the path, "" if there is none. *ret_status as in HTTP.
 * Errors as of the function called; -ENOENT: no call of this kind. */
int bl_certificates_call(struct bl_store *store, const struct bl_request *q,
			 const char *name, int64_t now_ms, unsigned *ret_status,
			 json_t **ret, struct bl_err *err);

#endif
