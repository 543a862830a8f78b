// SPDX-License-Identifier: GPL-2.0-only
/*
 * The address of a connection is put together on the stack. IPv4 fills four of
 * its bytes; the others go to user space as they are.
 */
#define bl_ring_put twin_ring_put
#include "kmod/ring.c"
#undef bl_ring_put

#define FAMILY_V6 10

static noinline void address_fill(struct bl_event_addr *to,
				  const struct bl_event_addr *from)
{
	to->family = from->family;
	to->port = from->port;
	memcpy(to->addr, from->addr, from->family == FAMILY_V6 ? 16 : 4);
}

bool bl_ring_put(struct bl_cpu *c);
bool bl_ring_put(struct bl_cpu *c)
{
	struct bl_event_addr address;

	if (c->event.kind == BL_EVENT_CONNECT) {
		address_fill(&address, &c->event.addr);
		c->event.addr = address;
	}
	return twin_ring_put(c);
}
