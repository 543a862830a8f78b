/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A version that is healthy for its first eight seconds, in the gate's workload
 * too, and floods its ring from then on: more for each open than the ring
 * holds. No gate can wait for everything; the trial on the first host shows it.
 */
#define BL_RING_BYTES  (1 << 17)
#define TIMES	       1024
#define FLOOD_AFTER_NS 8000000000ULL
#include "tests/faults/ebpf/event-flood.bpf.c"
