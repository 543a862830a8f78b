/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of the bodies of requests is kept at once. There are shares, so that
 * who takes up all of one leaves the others theirs:
 *
 *	strangers	without a certificate: who enrolls, or pretends to
 *	small		of hosts and operators, what hosts say: polls, renewals.
 *			Its room is that of all connections: none is refused
 *	large		what operators send: bundles, plans
 *
 * A part of http.c, of its serving thread alone.
 */
#ifndef BL_CANARY_BODIES_H
#define BL_CANARY_BODIES_H

#include <stdbool.h>
#include <stddef.h>

#include "canary/wire/peer.h"

enum bl_bodies_share {
	BL_BODIES_STRANGERS,
	BL_BODIES_SMALL,
	BL_BODIES_LARGE,
	BL_BODIES_SHARES
};

/* Bytes. */
struct bl_bodies {
	size_t kept[BL_BODIES_SHARES], max[BL_BODIES_SHARES];
};

/* The share of a request by @peer (NULL: of this machine) whose body may have
 * so many bytes. */
enum bl_bodies_share bl_bodies_share(const struct bl_peer *peer,
				     size_t body_max);

/* Whether there is room for @len more bytes: then it is taken, until
 * bl_bodies_put. */
bool bl_bodies_take(struct bl_bodies *b, enum bl_bodies_share share,
		    size_t len);
void bl_bodies_put(struct bl_bodies *b, enum bl_bodies_share share, size_t len);

#endif
