/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client of agents and operators.
 *
 * A client is used by one thread. It follows no redirects, uses no proxy, and
 * speaks plain HTTP only to this machine unless told otherwise: what a
 * controller says is what a host loads into its kernel. With https:// it trusts
 * the fleet's own authority and shows a certificate of it (pki_dir.h); where
 * there is no ca.pem, those that the system trusts.
 */
#ifndef BL_CANARY_CLIENT_H
#define BL_CANARY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/base/json.h"
#include "loader/net/fetch.h"

#define BL_CLIENT_URL	     "https://127.0.0.1:7443"
#define BL_CLIENT_URLS_MAX   16
#define BL_CLIENT_TIMEOUT_MS 10000
/* For a connection, where there is another controller to go to. */
#define BL_CLIENT_CONNECT_MS 4000
#define BL_CLIENT_ANSWER_MAX (64u << 20)

struct bl_client;

/* @url as given, else $BELAY_CONTROLLER, else BL_CLIENT_URL: one, or several
 * with commas between, which it asks in an order of its own, drawn here: the
 * clients of a controller that is gone part over all others. -EINVAL when it is no URL,
 * -EPERM for plain HTTP to elsewhere without @plaintext. */
int bl_client_open(const char *url, bool plaintext, struct bl_client **ret,
		   struct bl_err *err);

/* Whose certificate to show: @who ("operator", which is what it begins with, or
 * "host") of @dir (as by bl_pki_dir). */
int bl_client_identity(struct bl_client *c, const char *dir, const char *who,
		       struct bl_err *err);

/* Trusts whoever answers, until bl_client_identity: only to ask for ca.pem,
 * whose fingerprint is known. */
void bl_client_trust_anybody(struct bl_client *c);
void bl_client_close(struct bl_client *c);
static inline void bl_client_closep(struct bl_client **c)
{
	bl_client_close(*c);
}
/* Of the controller that is asked next. */
const char *bl_client_url(const struct bl_client *c);

/* Of several controllers any is asked next: now and then, so that those that
 * were away get their share again. */
void bl_client_draw(struct bl_client *c);

/* The next in its order is asked next: for a caller to whom an answer says
 * nothing. bl_client_ask does so itself after a failure. */
void bl_client_next(struct bl_client *c);

struct bl_client_request {
	const char *method, *path;
	const char *type; /* of the body; NULL: application/json */
	const void *body; /* NULL: none */
	size_t len;
	const char *headers[BL_FETCH_HEADERS]; /* as in bl_fetch_request */
	uint64_t timeout_ms, stall_ms;	       /* the second may be 0 */
	size_t answer_max;		       /* 0: BL_CLIENT_ANSWER_MAX */
	const int *wake;		       /* these as in fetch.h */
	bool (*stop)(void *ctx);
	int (*sink)(void *ctx, const struct bl_fetch_head *head,
		    const void *data, size_t len, struct bl_err *err);
	void *ctx;
};

/*
 * One request; the answer's body goes to @ret if the status is a success, or 304
 * (*ret_head says which). A controller that did not hear the request is passed
 * over, if there are others. After one that may have heard it and did not
 * answer, or not with a success, the next call goes to another one: the trouble
 * may be its own, and who stays with it is not heard of.
 *
 * -ECONNREFUSED: nobody there (any failure of the connection, also when the two
 * do not trust each other); -EACCES (401): the certificate does not count;
 * -EAGAIN (429, 503): the controller cannot now, and ret_head->retry_ms says when
 * to come again; -ENOENT, -EINVAL, -EFBIG, -EPERM (403), -EBUSY (409), -ERANGE
 * (416) and -EPROTO as the controller said, with its words; -ECANCELED as in
 * fetch.h, and what the sink said.
 */
int bl_client_ask(struct bl_client *c, const struct bl_client_request *q,
		  struct bl_fetch_head *ret_head, struct bl_buf *ret,
		  struct bl_err *err);

/* The same of little: no headers, nothing but the body. */
int bl_client_call(struct bl_client *c, const char *method, const char *path,
		   const char *type, const void *body, size_t len,
		   uint64_t timeout_ms, struct bl_buf *ret, struct bl_err *err);

/* As above with JSON both ways; @body is taken, may be NULL. */
int bl_client_json(struct bl_client *c, const char *method, const char *path,
		   json_t *body, struct bl_json_doc *ret, struct bl_err *err);

/* The answer of GET @path as it comes (fetch.h). The caller closes it. */
struct bl_fetch_stream;
int bl_client_stream(struct bl_client *c, const char *path,
		     struct bl_fetch_stream **ret, struct bl_err *err);

#endif
