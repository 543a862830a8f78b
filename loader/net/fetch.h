/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request with a deadline: the only seam to libcurl. The client of the
 * controller and the etcd store are built on it.
 *
 *	r = bl_fetch_open(&f, err);
 *	q = (struct bl_fetch_request){ .method = "GET", .url = url, … };
 *	r = bl_fetch_call(f, &q, &status, &answer, err);
 *
 * No redirects, no proxy unless asked for, no request that is sent twice behind the caller's
 * back: an error says whether the other side may have seen it. A handle keeps
 * its connection for the next request and is used by one thread at a time.
 */
#ifndef BL_NET_FETCH_H
#define BL_NET_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_FETCH_HOST_MAX  256
#define BL_FETCH_VALUE_LEN 128 /* of a header that is read */
#define BL_FETCH_HEADERS   4   /* of a request, beside the usual */
#define BL_FETCH_WANTED	   2   /* of an answer, likewise */

struct bl_fetch;

/* Files in PEM; NULL: the system's authorities, no certificate of ours. */
struct bl_fetch_tls {
	const char *ca, *cert, *key;
	bool anybody; /* whoever answers is trusted */
};

/* An answer but for its body. */
struct bl_fetch_head {
	long status;
	int64_t length;			/* of the body, as said; -1: not said */
	char etag[BL_FETCH_VALUE_LEN];	/* "": none; so is one too long */
	char range[BL_FETCH_VALUE_LEN]; /* Content-Range; "" */
	/* Retry-After, which is seconds or a date; a past one is 0, as is none. */
	int64_t retry_ms;
};

/* A header that is wanted: "" unless it is there and fits. */
struct bl_fetch_wanted {
	const char *name; /* NULL: none */
	char *value;
	size_t size;
};

struct bl_fetch_request {
	const char *method, *url;
	const char *type; /* of the body; NULL: application/json */
	const void *body;
	size_t len;
	const char *headers[BL_FETCH_HEADERS]; /* "Name: value"; NULL: none */
	uint64_t connect_ms, timeout_ms;       /* the second is of all of it */
	uint64_t stall_ms; /* without a byte, in whole seconds; 0: any time */
	size_t answer_max; /* bytes */
	const struct bl_fetch_tls *tls; /* NULL: as if all were NULL */
	struct bl_fetch_wanted wanted[BL_FETCH_WANTED];
	bool proxy; /* of the environment; else none */
	/* The request is given up when this becomes readable; NULL: never. It
	 * is not read from here. */
	const int *wake;
	/* Asked about once a second: whether it is given up. NULL: never. */
	bool (*stop)(void *ctx);
	/* Takes the body of a success piece by piece instead of @ret. An error
	 * ends the transfer and is what bl_fetch_call returns. */
	int (*sink)(void *ctx, const struct bl_fetch_head *head,
		    const void *data, size_t len, struct bl_err *err);
	void *ctx; /* of both */
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
 * -EACCES: TLS: the two do not trust each other, or (with a hint) the other side
 * speaks none; -EINTR: Ctrl-C; -ECANCELED: given up by wake or stop; -EFBIG: more
 * than answer_max; what the sink said.
 */
int bl_fetch_call(struct bl_fetch *f, const struct bl_fetch_request *q,
		  struct bl_fetch_head *ret_head, struct bl_buf *ret,
		  struct bl_err *err);

/*
 * An answer that does not end, taken as it comes. @q as above, a GET: its
 * timeout_ms is of nothing, answer_max of what was not read yet. The request
 * goes out with the first reading.
 */
struct bl_fetch_stream;
int bl_fetch_stream_open(const struct bl_fetch_request *q,
			 struct bl_fetch_stream **ret, struct bl_err *err);
void bl_fetch_stream_close(struct bl_fetch_stream *s);

/*
 * Waits at most @wait_ms for more of it, which is added to @ret: 1, with the
 * answer's status; 0: nothing came. -EPIPE: it ended; or as bl_fetch_call.
 */
int bl_fetch_stream_read(struct bl_fetch_stream *s, uint64_t wait_ms,
			 long *ret_status, struct bl_buf *ret,
			 struct bl_err *err);

struct bl_fetch_url {
	char host[BL_FETCH_HOST_MAX];
	bool https;
	bool bare;     /* nothing behind the port but a slash */
	bool loopback; /* this machine, by an address or "localhost" */
};

/* -EINVAL: no http:// or https:// URL. */
int bl_fetch_url_read(const char *url, struct bl_fetch_url *ret);

/* Where @to leads from @url: it may be relative. Caller frees; NULL: nowhere,
 * or out of memory. */
char *bl_fetch_url_follow(const char *url, const char *to);

/* Whether both are of one server: scheme, host and port (RFC 6454). */
bool bl_fetch_url_same_server(const char *a, const char *b);

#endif
