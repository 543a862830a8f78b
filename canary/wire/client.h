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

#define BL_CLIENT_URL	     "https://127.0.0.1:7443"
#define BL_CLIENT_TIMEOUT_MS 10000
#define BL_CLIENT_ANSWER_MAX (64u << 20)

struct bl_client;

/* @url as given, else $BELAY_CONTROLLER, else BL_CLIENT_URL. -EINVAL when it
 * is no URL, -EPERM for plain HTTP to elsewhere without @plaintext. */
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
const char *bl_client_url(const struct bl_client *c);

/*
 * One request; @body (may be NULL) is of @type. The answer's body goes to
 * @ret if the status is a success. -ECONNREFUSED: nobody there (any failure of
 * the connection, also when the two do not trust each other); -EACCES (401):
 * the certificate does not count; -EAGAIN: the controller cannot now; -ENOENT, -EINVAL,
 * -EFBIG, -EPERM (403), -EBUSY (409) and -EPROTO as the controller said, with
 * its words.
 */
int bl_client_call(struct bl_client *c, const char *method, const char *path,
		   const char *type, const void *body, size_t len,
		   uint64_t timeout_ms, struct bl_buf *ret, struct bl_err *err);

/* As above with JSON both ways; @body is taken, may be NULL. */
int bl_client_json(struct bl_client *c, const char *method, const char *path,
		   json_t *body, struct bl_json_doc *ret, struct bl_err *err);

#endif
