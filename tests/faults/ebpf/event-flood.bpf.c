/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A version that every verifier accepts and that no fleet should get: it
 * reports each open many times, whatever the content says, into a ring buffer
 * that holds a few dozen. Safe for the kernel, useless as a sensor: under
 * ordinary activity most of what it reports is lost. The gate's workload shows
 * it.
 */
#define BL_SENSOR_VERSION 2
#ifndef BL_RING_BYTES
#define BL_RING_BYTES 4096
#endif
#include "bpf/sensor.bpf.c"

#ifndef TIMES
#define TIMES 128
#endif
/* How long after its first open it begins. */
#ifndef FLOOD_AFTER_NS
#define FLOOD_AFTER_NS 0
#endif

#ifndef FLOOD_IF
#define FLOOD_IF 1
#endif

__u64 first_open_ns;

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_flood, struct file *file)
{
	__u64 now = bpf_ktime_get_ns();
	struct scratch *s;
	__u32 i;

	if (!first_open_ns)
		first_open_ns = now;
	if (!FLOOD_IF || now - first_open_ns < FLOOD_AFTER_NS)
		return 0;
	s = scratch_get();
	if (!s)
		return 0;
	file_match(s, file, BL_EVENT_OPEN);
	for (i = 0; i < TIMES; i++) {
		COUNT(seen);
		report(s, BL_EVENT_OPEN, BL_ACTION_EMIT, path_size(s));
	}
	scratch_put(s);
	return 0;
}
