/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches a bundle by its digest, going on from what came of it before
 * (partial.h), and gives it out only if it has that digest. What was here and
 * turns out to be something else is dropped, and all of it fetched once more.
 *
 * One call is one attempt: how often and when to try again is the caller's
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
	struct bl_partial *partial; /* open; says which bundle */
	bool (*stop)(void *ctx);    /* as in fetch.h */
	/* Bytes that are here, of how many: 0 if nobody said. */
	void (*progress)(void *ctx, size_t have, size_t total);
	void *ctx;
};

/* Filled whatever happens. */
struct bl_download_result {
	size_t came;	  /* bytes, in this attempt, but for what was dropped */
	int64_t retry_ms; /* the controller: come again no sooner; 0 */
};

/*
 * The bundle's bytes to @ret. -EBADMSG: it arrived damaged, twice; -ECANCELED:
 * stopped; of the file system (-ENOSPC), or as bl_client_ask.
 */
int bl_download(const struct bl_download *d, struct bl_buf *ret,
		struct bl_download_result *ret_result, struct bl_err *err);

#endif
