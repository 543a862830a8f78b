/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/bodies.h"

#include <assert.h>
#include <errno.h>

#include "canary/controller/enroll.h"

enum bl_bodies_share bl_bodies_share(const struct bl_peer *peer,
				     size_t body_max)
{
	if (peer && !bl_peer_is_certified(peer))
		return BL_BODIES_STRANGERS;
	return body_max <= BL_ENROLL_BYTES_MAX ? BL_BODIES_SMALL
					       : BL_BODIES_LARGE;
}

static void unlink_it(struct bl_bodies *b, struct bl_body *body)
{
	if (!body->prev && b->first != body)
		return; /* it is not in the list */
	*(body->prev ? &body->prev->next : &b->first) = body->next;
	*(body->next ? &body->next->prev : &b->last) = body->prev;
	body->next = body->prev = NULL;
}

static void drop(struct bl_bodies *b, struct bl_body *body)
{
	assert(body->data.len <= b->kept[body->share]);
	b->kept[body->share] -= body->data.len;
	bl_buf_free(&body->data);
	unlink_it(b, body);
}

void bl_body_begin(struct bl_bodies *b, struct bl_body *body,
		   enum bl_bodies_share share)
{
	body->share = share;
	if (share != BL_BODIES_STRANGERS)
		return;
	body->prev = b->last;
	*(b->last ? &b->last->next : &b->first) = body;
	b->last = body;
}

/* Whether there is room for @len bytes more, by those of others if need be. */
static bool make_room(struct bl_bodies *b, const struct bl_body *body,
		      size_t len)
{
	enum bl_bodies_share share = body->share;

	while (len > b->max[share] - b->kept[share]) {
		struct bl_body *oldest = share == BL_BODIES_STRANGERS ? b->first
								      : NULL;

		/* One that has nothing yet makes no room. */
		while (oldest && (oldest == body || !oldest->data.len))
			oldest = oldest->next;
		if (!oldest)
			return false;
		oldest->lost = true;
		drop(b, oldest);
	}
	return true;
}

int bl_body_add(struct bl_bodies *b, struct bl_body *body, const void *data,
		size_t len)
{
	int r = -ENOSPC;

	if (!body->lost && make_room(b, body, len)) {
		r = bl_buf_add(&body->data, data, len);
		if (!r) {
			b->kept[body->share] += len;
			return 0;
		}
	}
	body->lost = true;
	drop(b, body);
	return r;
}

void bl_body_end(struct bl_bodies *b, struct bl_body *body)
{
	drop(b, body);
}
