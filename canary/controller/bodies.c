/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/bodies.h"

#include <assert.h>

#include "canary/controller/enroll.h"

enum bl_bodies_share bl_bodies_share(const struct bl_peer *peer,
				     size_t body_max)
{
	if (peer && !bl_peer_is_certified(peer))
		return BL_BODIES_STRANGERS;
	return body_max <= BL_ENROLL_BYTES_MAX ? BL_BODIES_SMALL
					       : BL_BODIES_LARGE;
}

bool bl_bodies_take(struct bl_bodies *b, enum bl_bodies_share share, size_t len)
{
	if (len > b->max[share] - b->kept[share])
		return false;
	b->kept[share] += len;
	return true;
}

void bl_bodies_put(struct bl_bodies *b, enum bl_bodies_share share, size_t len)
{
	assert(len <= b->kept[share]);
	b->kept[share] -= len;
}
