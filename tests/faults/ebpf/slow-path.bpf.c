/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks the path up, and matches it, a hundred times more. */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

#define TIMES 100

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_slow, struct file *file)
{
	struct scratch *s;
	__u32 level, i;

	s = scratch_get(&level);
	if (!s)
		return 0;
	for (i = 0; i < TIMES; i++)
		file_match(level, file, BL_EVENT_OPEN);
	scratch_put(s);
	return 0;
}
