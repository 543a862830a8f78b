/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's API: requests in, answers out, no sockets and no clock. The
 * HTTP server and the simulated fleet both call bl_api_handle.
 *
 *	POST /v1/hosts/NAME/poll	protocol.h
 *	GET  /v1/hosts
 *	GET  /v1/bundles/DIGEST		the bundle's bytes; Range: as in range.h
 *	PUT  /v1/bundles/DIGEST		checked whole before it is kept
 *	GET  /v1/rollouts		newest first
 *	POST /v1/rollouts		{"digest", "plan"?, "override"?}
 *	GET  /v1/rollouts/ID
 *	GET  /v1/rollouts/ID/decisions	why: explain.h
 *	POST /v1/rollouts/ID/abort	{"reason"?}, and so the next three
 *	POST /v1/rollouts/ID/approve	the next wave may begin
 *	POST /v1/rollouts/ID/pause	nobody new is exposed
 *	POST /v1/rollouts/ID/resume
 *
 *	GET  /v1/ca			the authority's certificate
 *	POST /v1/tokens			{"host", "valid_s"?}: one host may enroll
 *	POST /v1/enroll			{"secret", "request"}: a host's certificate
 *	POST /v1/renew			{"request"}: the same name, a new one
 *	GET  /v1/events			the live view: events.h
 *	POST /v1/hosts/NAME/revoke	{"reason"?}: revoke.h
 *	POST /v1/operators/NAME/revoke	{"reason"?}
 *	GET  /v1/revoked
 *	GET  /v1/trust/metadata/NAME	a TUF repository: api_trust.h
 *	GET  /v1/trust/targets/NAME
 *	GET  /metrics			for Prometheus: meter.h
 *	GET  /v1/openapi.json		all of this, for machines (openapi.json)
 *
 * Who may ask for what is a column of the table in api.c: a host for itself and
 * for bundles, an operator for the rest, anybody for the way to become a host.
 * Bodies are JSON (Content-Type: application/json, which also keeps a browser
 * from sending them for somebody else) except for bundles, which are
 * application/octet-stream. Every failure is {"error": "…", "hint": "…"}; 503 is
 * that of a moment (no quorum, no room), and says when to come again.
 */
#ifndef BL_CANARY_API_H
#define BL_CANARY_API_H

#include "canary/controller/polls.h"
#include "canary/store/store.h"
#include "canary/wire/peer.h"
#include "loader/net/range.h"

/* Of any body but those of polls, bundles and certificates. */
#define BL_API_BODY_MAX (128 * 1024)
/* Of a 503. Clients wait up to as long again, each its own time (backoff.h). */
#define BL_API_RETRY_S 2

struct bl_pki;
struct bl_meter;
struct bl_blob;
struct bl_blobs;
struct bl_api_trust;

struct bl_request {
	const char *method, *path;
	const char *content_type;  /* NULL: none given */
	const char *if_none_match; /* likewise */
	const char *range;	   /* likewise */
	const void *body;
	size_t len;
	const struct bl_peer *peer; /* NULL: BL_ROLE_LOCAL */
	const struct bl_pki *pki;   /* NULL: it is served without TLS */
	const char *last_event_id;  /* NULL: none given */
	struct bl_meter *meter;	    /* what GET /metrics prints; NULL: none */
	struct bl_blobs *blobs;	    /* shared by its requests; NULL: none are */
	struct bl_polls *polls;	    /* what is remembered; NULL: nothing */
	const struct bl_api_trust *trust; /* api_trust.h; NULL: nothing */
	bool files;			  /* the answer may be a file */
	/* Where a poll is put instead of being answered, so that others can be
	 * with it; NULL: it is answered at once. */
	struct bl_polls_job *later;
};

struct bl_response {
	unsigned status; /* as in HTTP */
	const char *content_type;
	char etag[BL_ETAG_LEN];	  /* "": none */
	bool parts;		  /* it may be asked for in parts */
	char range[BL_RANGE_LEN]; /* which part this is; "": the whole */
	unsigned retry_s;	  /* come again no sooner; 0: not said */
	struct bl_buf body;	  /* 304: empty */
	/* Not NULL: the body is this part of it; bl_blob_put is the caller's. */
	struct bl_blob *blob;
	size_t blob_at, blob_len;
	/* Not 0: the body is so many bytes of this file, which is the caller's to
	 * close. */
	size_t file_len;
	int file;
	/* The body is the beginning of a stream of events, which is to go on
	 * from this revision. */
	bool streams;
	int64_t seen;
	/* For who counts: the row of the table, from 1 (0: none); whether it is
	 * a poll's, and which order went out. */
	size_t route;
	bool poll;
	enum bl_order_kind order;
};

/*
 * Handles one request; *ret is filled whatever happens. The caller frees
 * ret->body. Status 0: it is a poll and not answered yet: job->r is what is wrong
 * with it by itself; after bl_polls_check, and bl_polls_take and bl_polls_commit,
 * bl_api_answer_poll fills *ret.
 */
void bl_api_handle(struct bl_store *store, const struct bl_request *request,
		   int64_t now_ms, struct bl_response *ret);

void bl_api_answer_poll(const struct bl_polls_job *job,
			const struct bl_api_trust *trust,
			const char *if_none_match, struct bl_response *ret);

/* Whether the peer may ask for that at all; else *ret is the answer. Worth
 * asking before a body is read. *ret is told of which row it is either way. */
bool bl_api_allows(const char *method, const char *path,
		   const struct bl_peer *peer, struct bl_response *ret);

/* Whether the peer's certificate still counts; likewise, for a body that is worth
 * asking the store. Of @request its method, path and peer. */
bool bl_api_counts(struct bl_store *store, const struct bl_request *request,
		   int64_t now_ms, struct bl_response *ret);

/* How large a body may be for this request. */
size_t bl_api_body_max(const char *method, const char *path);

/* A row of the table of paths, for what describes it. */
struct bl_api_route {
	const char *method;
	const char *before, *after; /* of the name; after NULL: no name */
	const char *body_type;	    /* NULL: no body */
	size_t body_max;
	unsigned roles; /* a bit for each enum bl_role */
};
/* The row @i; false behind the last one. */
bool bl_api_route(size_t i, struct bl_api_route *ret);

/* Fills *ret with an error answer: of a call that failed with @code; or of any
 * status. */
void bl_api_error(int code, const struct bl_err *err, struct bl_response *ret);
void bl_api_fail(unsigned status, const char *error, const char *hint,
		 struct bl_response *ret);

#endif
