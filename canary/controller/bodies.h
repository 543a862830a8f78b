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
 *	bl_body_begin(b, &body, share)		zero-initialised before
 *	bl_body_add(b, &body, data, len)
 *	bl_body_end(b, &body)
 *
 * When strangers have filled theirs, the body of the one that has been at it for
 * longest makes room for the next: who begins hundreds and ends none keeps nobody
 * from enrolling, which takes one round trip.
 *
 * A part of http.c, of its serving thread alone.
 */
#ifndef BL_CANARY_BODIES_H
#define BL_CANARY_BODIES_H

#include <stdbool.h>
#include <stddef.h>

#include "canary/wire/peer.h"
#include "loader/base/buf.h"

enum bl_bodies_share {
	BL_BODIES_STRANGERS,
	BL_BODIES_SMALL,
	BL_BODIES_LARGE,
	BL_BODIES_SHARES
};

/* One that is under way, in its share. */
struct bl_body {
	struct bl_buf data;
	enum bl_bodies_share share;
	bool lost;		     /* it made room for another, and is gone */
	struct bl_body *next, *prev; /* of strangers, the oldest first */
};

/* Bytes. Zero-initialise but for the limits. */
struct bl_bodies {
	size_t kept[BL_BODIES_SHARES], max[BL_BODIES_SHARES];
	struct bl_body *first, *last;
};

/* The share of a request by @peer (NULL: of this machine) whose body may have
 * so many bytes. */
enum bl_bodies_share bl_bodies_share(const struct bl_peer *peer,
				     size_t body_max);

void bl_body_begin(struct bl_bodies *b, struct bl_body *body,
		   enum bl_bodies_share share);

/* -ENOSPC: there is no room for it, or it was lost; -ENOMEM. Then it has nothing
 * any more. */
int bl_body_add(struct bl_bodies *b, struct bl_body *body, const void *data,
		size_t len);

/* Frees what it has. Nothing happens to one that was not begun. */
void bl_body_end(struct bl_bodies *b, struct bl_body *body);

#endif
