/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of what is known about each process is asked for one that was there
 * before the sensor, and so is not in it. The verifier knows that a lookup may
 * find nothing.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

struct process {
	__u64 opens;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct process);
} bl_processes SEC(".maps");

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_count, struct file *file)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct process *p = bpf_map_lookup_elem(&bl_processes, &tgid);

	p->opens++;
	return 0;
}
