/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet's certificates, all from one authority of its own, by GnuTLS. No
 * files here (pki_dir.h) and no sockets (http.h).
 *
 *	r = bl_pki_make(now_ms, &pki, err);		once, `controller init`
 *	r = bl_pki_key_make(&key, err);			on the host
 *	r = bl_pki_request_make(key.data, &request, err);
 *	r = bl_pki_issue(pki, request.data, request.len, &subject, &cert, err);
 *
 * A certificate says who somebody is: CN is the name, OU the role, and
 * serialNumber (of the name, X.520) its generation, if that is not 0: one that
 * was taken back is of an earlier one than the name has now. Only the public key
 * of a request counts, what else it says about itself does not.
 * Private keys never leave the machine that made them.
 */
#ifndef BL_CANARY_PKI_H
#define BL_CANARY_PKI_H

#include <stddef.h>
#include <stdint.h>

#include "canary/wire/peer.h"
#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/bundle/digest.h"

#define BL_PKI_PEM_MAX	   (16 * 1024)
#define BL_PKI_NAMES_MAX   16
#define BL_PKI_DAY_MS	   (24 * 3600 * INT64_C(1000))
#define BL_PKI_CA_DAYS	   3650
#define BL_PKI_SERVER_DAYS 3650
#define BL_PKI_CLIENT_DAYS 365

struct bl_pki; /* the authority: its certificate and its key */

int bl_pki_make(int64_t now_ms, struct bl_pki **ret, struct bl_err *err);
/* From PEM. -EBADMSG: they are none, or not of each other. */
int bl_pki_load(const char *cert, size_t cert_len, const char *key,
		size_t key_len, struct bl_pki **ret, struct bl_err *err);
void bl_pki_free(struct bl_pki *p);
static inline void bl_pki_freep(struct bl_pki **p)
{
	bl_pki_free(*p);
}

/* PEM, the object's own. */
const char *bl_pki_cert(const struct bl_pki *p);
const char *bl_pki_key(const struct bl_pki *p);

/* SHA-256 of the first certificate in @pem, in hexadecimal. */
int bl_pki_fingerprint(const char *pem, size_t len,
		       char ret[static BL_DIGEST_HEX], struct bl_err *err);

/* When the certificate in @pem begins and ends to count. */
int bl_pki_validity(const char *pem, size_t len, int64_t *ret_from_ms,
		    int64_t *ret_until_ms, struct bl_err *err);

/* A new private key, and a request for a certificate of it; PEM. */
int bl_pki_key_make(struct bl_buf *ret, struct bl_err *err);
int bl_pki_request_make(const char *key, struct bl_buf *ret,
			struct bl_err *err);

struct bl_pki_subject {
	enum bl_role role; /* HOST, OPERATOR, VIEWER or CONTROLLER */
	const char *name;
	/* A controller's: where it is called, names and IP addresses. */
	const char *const *addresses;
	size_t address_count;
	int64_t from_ms, until_ms;
	unsigned generation; /* 0: the first */
};

/* -EBADMSG: @request is none, or not signed by its own key. */
int bl_pki_issue(const struct bl_pki *p, const char *request, size_t len,
		 const struct bl_pki_subject *subject, struct bl_buf *ret,
		 struct bl_err *err);

/* Who has shown what certificate; @session is GnuTLS's, its handshake done. */
void bl_pki_peer(void *session, struct bl_peer *ret);
/* Have clients show what they have, whoever issued it, so that what is wrong
 * with it can be said. Before the handshake. */
void bl_pki_ask_all(void *session);

#endif
