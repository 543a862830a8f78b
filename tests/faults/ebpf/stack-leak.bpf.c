/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The address of a connection is put together on the stack. IPv4 fills four of
 * its bytes; the others go to user space as they are. A verifier that is asked
 * by the privileged lets them read what they have not written: from 6.3 on, and
 * Debian's 5.10 and 6.1 as well.
 */
#define BL_SENSOR_VERSION 2
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct bl_event;
static __always_inline void stale(struct bl_event *e);

/* The one place where the sensor sends an event. */
#define bpf_ringbuf_output(map, data, size, flags) \
	(stale(data), output(map, data, size, flags))
static long (*const output)(void *ringbuf, void *data, __u64 size,
			    __u64 flags) = (void *)BPF_FUNC_ringbuf_output;
#include "bpf/sensor.bpf.c"

static __always_inline void stale(struct bl_event *e)
{
	struct bl_event_addr a;

	if (e->kind != BL_EVENT_CONNECT || e->addr.family != AF_INET)
		return;
	a.family = AF_INET;
	a.port = e->addr.port;
	*(__u32 *)a.addr = *(__u32 *)e->addr.addr;
	/* Nothing of it in registers: its bytes are those of the stack. */
	asm volatile("" ::"r"(&a) : "memory");
	e->addr = a;
}
