/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches a bundle by its digest, going on behind what has come of it before. What
 * comes is given out as it comes and believed by nobody here: whether it has that
 * digest is asked by who has all of it (partial.h).
 *
 * One call is one request: how often and when to try again is the caller's
 * (backoff.h), who may have other work meanwhile.
 */
#ifndef BL_CANARY_DOWNLOAD_H
#define BL_CANARY_DOWNLOAD_H

#include "canary/agent/partial.h"
#include "canary/wire/client.h"

#define BL_DOWNLOAD_MS	     600000 /* one attempt */
#define BL_DOWNLOAD_STALL_MS 20000  /* without a byte: it is broken */

struct bl_download {
	struct bl_client *client;
	const char *digest;
	size_t have;		 /* bytes that are not asked for */
	bool (*stop)(void *ctx); /* as in fetch.h */
	/* Those behind them; what it returns below 0 ends the request. */
	int (*take)(void *ctx, const void *data, size_t len,
		    struct bl_err *err);
	/* Bytes that are here, of how many: 0 if nobody said. */
	void (*progress)(void *ctx, size_t have, size_t total);
	void *ctx;
};

/*
 * *ret_retry_ms, filled whatever happens: the controller: come again no sooner; 0.
 * -EBADMSG: it answered something else; -ERANGE: there are no such bytes; -EFBIG:
 * more than a bundle may have; -ECANCELED: stopped; what take said, or as
 * bl_client_ask.
 */
int bl_download(const struct bl_download *d, int64_t *ret_retry_ms,
		struct bl_err *err);

#endif
