/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server around api.h: with TLS anywhere, without on the loopback only,
 * since what it says is what hosts load into their kernels, and plain HTTP tells
 * it to anyone. Who a client is, its certificate says (peer.h); one that shows
 * none, or one that does not count, is answered with the reason.
 *
 * One thread serves all connections without ever waiting for one, so a slow
 * client holds up nobody; what polls have to say is written once for all that
 * came in the same round (polls.h); limits below bound what clients can make it keep, and
 * for how long (callers.h). Requests are handled one at a time under a lock that
 * bl_http_tick takes too.
 */
#ifndef BL_CANARY_HTTP_H
#define BL_CANARY_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "canary/store/store.h"

#define BL_HTTP_PORT	    7443
#define BL_HTTP_CONNECTIONS 16384 /* or what the process may have open */
#define BL_HTTP_FILES_KEPT  64	  /* of these, for the store and others */
/* libmicrohttpd's for a connection; the half of it is touched. */
#define BL_HTTP_CONNECTION_BYTES (16 * 1024)
#define BL_HTTP_IDLE_S		 15 /* without a byte, and nothing asked yet */
#define BL_HTTP_KEEP_S		 90 /* likewise, after a first answer */
#define BL_HTTP_HEAD_MAX_MS	 30000 /* from the connection to the headers */
#define BL_HTTP_REQUEST_MAX_MS	 60000 /* from its headers to the answer's end */
#define BL_HTTP_PEER_MS		 60000 /* a certificate is looked at again */
/* Bytes of all bodies under way: of operators' large ones, and of those who show
 * no certificate (bodies.h). */
#define BL_HTTP_BODIES_MAX    (128u << 20)
#define BL_HTTP_STRANGERS_MAX (4u << 20)

struct bl_http;
struct bl_pki;
struct bl_api_trust;

/* What is used until bl_http_stop and stays the caller's. */
struct bl_http_tls {
	const struct bl_pki *pki;
	const char *cert, *key; /* the controller's, PEM */
};

/* What a client may take; 0: as above. */
struct bl_http_limits {
	unsigned connections, idle_s, keep_s;
	uint64_t head_ms, request_ms;
	size_t bodies, strangers, answers; /* bytes */
	/* What it serves and signs with beside; NULL: nothing. Stays the
	 * caller's until bl_http_stop. */
	const struct bl_api_trust *trust;
};

/* Reads "ADDRESS:PORT" ("127.0.0.1:7443", "[::1]:0", "localhost:80"). -EINVAL
 * when malformed, -EPERM when it is not a loopback address and there is no
 * @tls. */
int bl_http_address(const char *text, bool tls, struct sockaddr_storage *ret,
		    struct bl_err *err);

/* Serves @store, which stays the caller's, until bl_http_stop. @tls NULL: plain
 * HTTP, whose clients are all of this machine. */
int bl_http_start_limited(const struct sockaddr_storage *address,
			  struct bl_store *store, const struct bl_http_tls *tls,
			  const struct bl_http_limits *limits,
			  struct bl_http **ret, struct bl_err *err);
static inline int bl_http_start(const struct sockaddr_storage *address,
				struct bl_store *store,
				const struct bl_http_tls *tls,
				struct bl_http **ret, struct bl_err *err)
{
	return bl_http_start_limited(address, store, tls, NULL, ret, err);
}
void bl_http_stop(struct bl_http *http);

/* "127.0.0.1:7443", with the port that port 0 became. */
const char *bl_http_listens(const struct bl_http *http);

/* How often since the last call it could not be written down who was heard, or
 * what hosts count; the newest reason to @err. */
unsigned bl_http_unwritten(struct bl_http *http, struct bl_err *err);

/* Cuts who took too long; bl_decider_tick between two requests; news for who
 * watches. To be called every BL_TICK_MS. */
int bl_http_tick(struct bl_http *http, struct bl_err *err);

#endif
