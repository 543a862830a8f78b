/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of a request, as far as TLS can tell. What each may
 * ask for is a column of the table of paths (api.c).
 */
#ifndef BL_CANARY_PEER_H
#define BL_CANARY_PEER_H

#include <stdbool.h>

#include "loader/base/file.h"

enum bl_role {
	BL_ROLE_LOCAL,	/* plain HTTP, which is of this machine: anything */
	BL_ROLE_NOBODY, /* no certificate, or one that does not count */
	BL_ROLE_HOST,
	BL_ROLE_OPERATOR,
	BL_ROLE_CONTROLLER,
	BL_ROLE_VIEWER, /* sees what operators see, changes nothing */
};

#define BL_PEER_WHY_MAX 200

struct bl_peer {
	enum bl_role role;
	char name[BL_NAME_MAX + 1]; /* of the certificate; "" */
	char why[BL_PEER_WHY_MAX];  /* it does not count; "" */
	unsigned generation;	    /* of the certificate (revoke.h) */
};

/* Whether it has shown a certificate that counts and is a client's. */
static inline bool bl_peer_is_certified(const struct bl_peer *p)
{
	return p->role == BL_ROLE_HOST || p->role == BL_ROLE_OPERATOR ||
	       p->role == BL_ROLE_VIEWER;
}

#endif
