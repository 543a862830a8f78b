/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/hosts/NAME/poll: the one path that is asked thousands of times a
 * second. A part of api.c. */
#ifndef BL_CANARY_API_POLL_H
#define BL_CANARY_API_POLL_H

#include "canary/controller/api.h"

/* As bl_api_handle, @name being the host that polls. */
void bl_api_poll(struct bl_store *store, const struct bl_request *q,
		 const char *name, int64_t now_ms, struct bl_response *ret);

#endif
