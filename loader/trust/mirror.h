/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TUF repository behind a URL: the fetcher of loader/trust/tuf.h over
 * HTTP(S), for mirrors that nobody trusts.
 *
 *	const struct bl_mirror_opts opts = { .url = "https://mirror/belay" };
 *	BL_CLEANUP(bl_mirror_closep) struct bl_mirror *m = NULL;
 *	r = bl_mirror_open(&opts, &m, err);
 *	r = bl_tuf_refresh(&c, &(struct bl_tuf_fetcher){ bl_mirror_fetch, m }, …);
 *
 * What is fetched is verified by who asked for it, so a mirror can lie in two
 * ways only: by how much it sends and by how long it takes. Invariants:
 *  M1 No more bytes are kept than were asked for: BL_TRUST_ENDLESS.
 *  M2 A file has its time by the bytes that it can have, and everything that one
 *     handle fetches has BL_MIRROR_ALL_MS together, however many files it is:
 *     BL_TRUST_SLOW. So does a connection.
 *  M3 No redirect is followed: BL_TRUST_REDIRECT. Nor does anything else lead to
 *     another machine than the one in the URL (no proxy, no other scheme).
 *  M4 http:// only to this machine, unless asked for: the signatures hold
 *     against who is in between, but he reads which versions a host has.
 */
#ifndef BL_TRUST_MIRROR_H
#define BL_TRUST_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/net/fetch.h"

#define BL_MIRROR_URL_MAX 1024
/* Of a file: so long, and on top of it its bytes at this rate. */
#define BL_MIRROR_FILE_MS    30000
#define BL_MIRROR_BYTES_A_MS 16
#define BL_MIRROR_ALL_MS     (10 * 60 * 1000)

struct bl_mirror;

struct bl_mirror_opts {
	const char *url; /* what metadata/ and targets/ are below */
	bool plaintext;	 /* http:// to another machine, too */
	/* Borrowed; NULLs: the system's authorities, no certificate of ours. */
	struct bl_fetch_tls tls;
	uint64_t file_ms, all_ms; /* 0: as above */
};

/* Whether it is a URL, and not a folder. */
bool bl_mirror_is_url(const char *where);

/* -EINVAL: no URL of a folder; -EPERM: M4. */
int bl_mirror_open(const struct bl_mirror_opts *opts, struct bl_mirror **ret,
		   struct bl_err *err);
void bl_mirror_close(struct bl_mirror *m);
static inline void bl_mirror_closep(struct bl_mirror **m)
{
	bl_mirror_close(*m);
}

/*
 * As struct bl_tuf_fetcher wants it, @ctx a struct bl_mirror. -ENOENT: 404, or
 * 403, as stores of objects say it; BL_TRUST_ENDLESS, BL_TRUST_SLOW,
 * BL_TRUST_REDIRECT; -ECONNREFUSED, -EACCES, -EREMOTEIO, -EINTR as in fetch.h;
 * -EPROTO: another status.
 */
int bl_mirror_fetch(void *ctx, const char *name, size_t max_bytes,
		    struct bl_buf *ret, struct bl_err *err);

#endif
