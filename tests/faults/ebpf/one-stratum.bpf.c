/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mistake of event-flood, on kernels with a scheduler that can be extended:
 * from 6.12 on. On others it is a good sensor, so its ring has room for one.
 */
#define BL_RING_BYTES (1 << 17)
#define TIMES	      1024
#define FLOOD_IF      bpf_core_type_exists(struct sched_ext_entity)
struct sched_ext_entity {
	int exists;
} __attribute__((preserve_access_index));
#include "tests/faults/ebpf/event-flood.bpf.c"
