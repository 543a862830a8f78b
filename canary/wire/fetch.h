/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request with a deadline: the only seam to libcurl. The client of the
 * controller and the etcd store are built on it.
 *
 *	r = bl_fetch_open(&f, err);
 *	q = (struct bl_fetch_request){ .method = "GET", .url = url, … };
 *	r = bl_fetch_call(f, &q, &status, &answer, err);
 *
 * No redirects, no proxy, no request that is sent twice behind the caller's
 * back: an error says whether the other side may have seen it. A handle keeps
 * its connection for the next request and is used by one thread at a time.
 */
#ifndef BL_CANARY_FETCH_H
#define BL_CANARY_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_FETCH_HOST_MAX 256

struct bl_fetch;

/* Files in PEM; NULL: the system's authorities, no certificate of ours. */
struct bl_fetch_tls {
	const char *ca, *cert, *key;
	bool anybody; /* whoever answers is trusted */
};

struct bl_fetch_request {
	const char *method, *url;
	const char *type; /* of the body; NULL: application/json */
	const void *body;
	size_t len;
	uint64_t connect_ms, timeout_ms; /* the second is of all of it */
	size_t answer_max;		 /* bytes */
	const struct bl_fetch_tls *tls;	 /* NULL: as if all were NULL */
};

int bl_fetch_open(struct bl_fetch **ret, struct bl_err *err);
void bl_fetch_close(struct bl_fetch *f);
static inline void bl_fetch_closep(struct bl_fetch **f)
{
	bl_fetch_close(*f);
}

/*
 * 0 with any status that came. -ECONNREFUSED: nothing was sent; -EREMOTEIO: it
 * was sent and no whole answer came, so that it may have been carried out;
 * -EACCES: TLS: the two do not trust each other; -EINTR: Ctrl-C.
 */
int bl_fetch_call(struct bl_fetch *f, const struct bl_fetch_request *q,
		  long *ret_status, struct bl_buf *ret, struct bl_err *err);

struct bl_fetch_url {
	char host[BL_FETCH_HOST_MAX];
	bool https;
	bool bare;     /* nothing behind the port but a slash */
	bool loopback; /* this machine, by an address or "localhost" */
};

/* -EINVAL: no http:// or https:// URL. */
int bl_fetch_url_read(const char *url, struct bl_fetch_url *ret);

#endif
