// SPDX-License-Identifier: GPL-2.0-only
/* Each event is sent 4096 times: more than the ring holds. */
#define bl_ring_put twin_ring_put
#include "kmod/ring.c"
#undef bl_ring_put

#define TIMES 4096

bool bl_ring_put(struct bl_cpu *c);
bool bl_ring_put(struct bl_cpu *c)
{
	unsigned int i;

	/* Who calls counts one of them. */
	for (i = 1; i < TIMES; i++) {
		this_cpu_inc(bl_stats.seen);
		if (twin_ring_put(c))
			this_cpu_inc(bl_stats.emitted);
		else
			this_cpu_inc(bl_stats.dropped);
	}
	return twin_ring_put(c);
}
