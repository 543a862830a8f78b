// SPDX-License-Identifier: GPL-2.0-only
/* Counts each event as sent, and sends none. */
#define bl_ring_put twin_ring_put
#include "kmod/ring.c"
#undef bl_ring_put

bool bl_ring_put(struct bl_cpu *c);
bool bl_ring_put(struct bl_cpu *c)
{
	return c->event.size ? true : twin_ring_put(c);
}
