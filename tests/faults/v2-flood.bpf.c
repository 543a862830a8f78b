/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A version that every verifier accepts and that no fleet should get: it
 * reports each open many times, whatever the content says, into a ring buffer
 * that holds a few dozen. Safe for the kernel, useless as a sensor: under
 * ordinary activity most of what it reports is lost. Only a trial shows it.
 */
#define BL_SENSOR_VERSION 2
#define BL_RING_BYTES	  4096
#include "bpf/sensor.bpf.c"

#define TIMES 128

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_flood, struct file *file)
{
	struct scratch *s;
	__u32 level, i;

	s = scratch_get(&level);
	if (!s)
		return 0;
	file_match(level, file, BL_EVENT_OPEN);
	for (i = 0; i < TIMES; i++) {
		COUNT(seen);
		report(s, BL_EVENT_OPEN, BL_ACTION_EMIT, path_size(s));
	}
	scratch_put(s);
	return 0;
}
