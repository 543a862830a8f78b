/* SPDX-License-Identifier: Apache-2.0 */
/* What clients may take, with what was not given filled in, and no more than
 * the process may have. A part of http.c. */
#ifndef BL_CANARY_HTTP_LIMITS_H
#define BL_CANARY_HTTP_LIMITS_H

#include "canary/controller/bodies.h"
#include "canary/controller/http.h"

/* @given: NULL is none. *l is zero-initialised. */
void bl_http_limits_set(struct bl_http_limits *l,
			const struct bl_http_limits *given);

/* What of requests is kept, by @l, which is set. */
void bl_http_limits_bodies(const struct bl_http_limits *l,
			   struct bl_bodies *ret);

#endif
