/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mistake of event-flood, on kernels whose scheduler may put off that a task
 * leaves it: from 6.12 on, however they are configured. On others it is a good
 * sensor, so its ring has room for one.
 */
#define BL_RING_BYTES (1 << 17)
#define TIMES	      1024
#define FLOOD_IF \
	bpf_core_field_exists(struct sched_entity___6_12, sched_delayed)
struct sched_entity___6_12 {
	unsigned char sched_delayed;
} __attribute__((preserve_access_index));
#include "tests/faults/ebpf/event-flood.bpf.c"
