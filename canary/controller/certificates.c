/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/certificates.h"

#include <errno.h>
#include <string.h>

#include "canary/controller/enroll.h"
#include "canary/controller/revoke.h"
#include "loader/base/cleanup.h"

static const struct {
	const char *path;
	unsigned status;
	int (*call)(struct bl_store *store, const struct bl_request *q,
		    int64_t now_ms, json_t **ret, struct bl_err *err);
} calls[] = {
	{ "/v1/ca", 200, bl_enroll_ca },
	{ "/v1/tokens", 201, bl_enroll_token },
	{ "/v1/enroll", 201, bl_enroll_redeem },
	{ "/v1/renew", 201, bl_enroll_renew },
	{ "/v1/revoked", 200, bl_revoke_list },
};

int bl_certificates_call(struct bl_store *store, const struct bl_request *q,
			 const char *name, int64_t now_ms, unsigned *ret_status,
			 json_t **ret, struct bl_err *err)
{
	static const char operators[] = "/v1/operators/";
	bool is_operator = strncmp(q->path, operators, sizeof(operators) - 1) ==
			   0;
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(calls); i++) {
		if (strcmp(q->path, calls[i].path) != 0)
			continue;
		*ret_status = calls[i].status;
		return calls[i].call(store, q, now_ms, ret, err);
	}
	if (!*name)
		return bl_err_set(err, -ENOENT, "there is no such path");
	*ret_status = 200;
	return bl_revoke(store, q,
			 is_operator ? BL_ROLE_OPERATOR : BL_ROLE_HOST, name,
			 now_ms, ret, err);
}
