/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes from a URL, over as many requests as it takes: redirects are followed,
 * what broke off goes on where it did (Range), a server that is busy is asked
 * again. For registry.c and source.c.
 *
 * Invariants:
 *  H1 Never more bytes than @max, however many are said or sent; never longer
 *     than BL_TRANSFER_MS in all, or BL_TRANSFER_STALL_MS without one.
 *  H2 https only; http only if it was asked for, from this machine, and never
 *     out of https.
 *  H3 Credentials go to the server that asked for them and to no other, wherever
 *     it redirects to.
 */
#ifndef BL_OCI_TRANSFER_H
#define BL_OCI_TRANSFER_H

#include "loader/bundle/digest.h"
#include "loader/net/fetch.h"

#define BL_TRANSFER_MS	     600000
#define BL_TRANSFER_STALL_MS 20000
#define BL_TRANSFER_TRIES    4 /* in turn that bring nothing */
#define BL_TRANSFER_CONNECTS 2 /* the same, to where nobody answers */
#define BL_REDIRECTS_MAX     5

/* Of all transfers for one bundle. */
struct bl_transfer_options {
	const char *ca;	 /* a file in PEM; NULL: the system's authorities */
	bool plain_http; /* http:// to this machine is fine */
	uint64_t limit_ms, stall_ms; /* of H1; 0: as they are there */
	/* Bytes that are here, of how many: 0 if nobody said. May be NULL. */
	void (*progress)(void *ctx, size_t have, size_t total);
	void *ctx;
};

struct bl_transfer {
	const struct bl_transfer_options *options;
	struct bl_fetch *fetch;
	uint64_t end_ms; /* by bl_clock_mono_ms; 0: it has not begun */
	/* Called with the 401's WWW-Authenticate: makes *ret_authorization, what
	 * is sent after it ("Authorization: …"; malloc). NULL: nobody knows. */
	int (*authorize)(void *ctx, const char *challenge,
			 char **ret_authorization, struct bl_err *err);
	void *ctx;
	char *authorization; /* NULL: none is sent */
};

/* One thing that is fetched. */
struct bl_transfer_ask {
	const char *url;
	const char *what;   /* for messages */
	const char *accept; /* NULL: anything */
	size_t size;	    /* that it must have; 0: any up to max */
	size_t max;
	const char *authorization; /* instead of the transfer's; NULL */
	bool quiet;		   /* no progress of it */
};

int bl_transfer_open(const struct bl_transfer_options *options,
		     struct bl_transfer *ret, struct bl_err *err);
void bl_transfer_close(struct bl_transfer *t);

/*
 * The bytes to *ret (empty before) and their digest. -EBADMSG: more or fewer
 * than they must be; -EFBIG; -ENOENT: 404; -EACCES: not without a login, or TLS;
 * -EREMOTEIO: it did not come; -EPERM: it leads where H2 does not; -ETIME: H1;
 * -EINTR.
 */
int bl_transfer_get(struct bl_transfer *t, const struct bl_transfer_ask *ask,
		    struct bl_buf *ret, char ret_digest[static BL_DIGEST_HEX],
		    struct bl_err *err);

#endif
