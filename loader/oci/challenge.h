/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a registry says who may read: the WWW-Authenticate of its 401, and the
 * token that the server it names gives out (distribution-spec's "token
 * authentication"; RFC 6750, RFC 7235). Pure.
 *
 * What is taken from either goes into a request again, so that nothing is taken
 * that could end a header or add to a URL.
 */
#ifndef BL_OCI_CHALLENGE_H
#define BL_OCI_CHALLENGE_H

#include "loader/base/buf.h"
#include "loader/base/err.h"

#define BL_CHALLENGE_MAX   2048	       /* bytes of the header */
#define BL_CHALLENGE_VALUE 1024	       /* of one of its values, with NUL */
#define BL_BEARER_MAX	   (16u << 10) /* bytes */

enum bl_challenge_kind {
	BL_CHALLENGE_BASIC,
	BL_CHALLENGE_BEARER,
};

struct bl_challenge {
	enum bl_challenge_kind kind;
	char realm[BL_CHALLENGE_VALUE]; /* of Bearer a URL */
	char service[BL_CHALLENGE_VALUE], scope[BL_CHALLENGE_VALUE]; /* "" */
};

/* -EINVAL: neither Basic nor Bearer, or not in order. */
int bl_challenge_read(const char *header, struct bl_challenge *ret);

/* Where a token for it is asked for, onto @ret; -ENOMEM. @name: of what is
 * read, if the registry does not say the scope itself. */
int bl_challenge_url(const struct bl_challenge *c, const char *name,
		     struct bl_buf *ret);

/* The token in an answer, onto @ret. -EBADMSG: there is none that could be
 * sent. */
int bl_challenge_token(const char *name, const char *text, size_t len,
		       struct bl_buf *ret, struct bl_err *err);

#endif
