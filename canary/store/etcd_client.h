/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to an etcd of one or several members: whoever answers is asked, and
 * asked next, too.
 *
 * A read is asked of every member before it fails. A write is sent once: when
 * it may have arrived it is not sent again, since a second one would see the
 * first one's changes and call itself the loser. After a round in which nobody
 * answered, calls fail at once for BL_ETCD_REST_MS, so that a controller that
 * lost its etcd still has time for its clients.
 */
#ifndef BL_CANARY_ETCD_CLIENT_H
#define BL_CANARY_ETCD_CLIENT_H

#include "canary/store/etcd_wire.h"
#include "loader/net/fetch.h"

#define BL_ETCD_MEMBERS_MAX 16
#define BL_ETCD_REST_MS	    500
#define BL_ETCD_CONNECT_MS  1000
#define BL_ETCD_TIMEOUT_MS  5000

struct bl_etcd_client;

struct bl_etcd_client_opts {
	const char *urls;    /* "URL[,URL…]" */
	uint64_t timeout_ms; /* of one request to one member */
	struct bl_fetch_tls tls;
};

/* -EINVAL: no such URLs. -EPERM: plain HTTP to another machine. Says nothing
 * about whether anybody is there. */
int bl_etcd_client_open(const struct bl_etcd_client_opts *opts,
			struct bl_etcd_client **ret, struct bl_err *err);
void bl_etcd_client_close(struct bl_etcd_client *c);

enum bl_etcd_call {
	BL_ETCD_READ,
	BL_ETCD_WRITE,	     /* not sent twice */
	BL_ETCD_WRITE_AGAIN, /* twice is as good as once */
};

/*
 * Posts @body (taken; NULL counts as out of memory) to @path ("kv/range").
 * Errors as bl_etcd_failure_read; -EHOSTUNREACH also when nobody answers.
 */
int bl_etcd_client_call(struct bl_etcd_client *c, enum bl_etcd_call kind,
			const char *path, json_t *body,
			struct bl_etcd_answer *ret, struct bl_err *err);

#endif
