/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the controller has to do with signatures (loader/trust): it serves a
 * repository that somebody else signs, as it lies there, and it signs its own
 * orders with the fleet's key. It verifies nothing and needs to be believed in
 * nothing: hosts do that for themselves.
 *
 *	GET /v1/trust/metadata/NAME
 *	GET /v1/trust/targets/NAME
 *
 * so https://CONTROLLER/v1/trust is a mirror for any TUF client that shows a
 * host's or an operator's certificate. Files are opened for each request, so what
 * was published counts at once; names are those of TUF (bl_name_valid), links
 * are not followed, and nothing else of the folder can be asked for. What is large
 * is not read to be answered: it goes out by its descriptor, and its ETag is that
 * of the file, not of what is in it.
 */
#ifndef BL_CANARY_API_TRUST_H
#define BL_CANARY_API_TRUST_H

#include "canary/controller/api.h"

struct bl_key;

struct bl_api_trust {
	const char *repo;	  /* a folder; NULL: none is served */
	const struct bl_key *key; /* the fleet's; NULL: orders are unsigned */
};

/* The file that the request's path names, at least "/v1/trust/" long. */
void bl_api_trust_file(const struct bl_request *q, struct bl_response *ret);

/* @order as JSON for @host, signed if there is a key. NULL: out of memory. */
json_t *bl_api_order(const struct bl_api_trust *trust,
		     const struct bl_order *order, const char *host,
		     int64_t now_ms);

#endif
