/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Each file that is opened is remembered, for ever. A map must say how many
 * entries it may have, and so it says 65,536: 2 GiB. They are allocated when they
 * are needed.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

struct opened {
	char history[32 << 10];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct opened);
} bl_all_opened SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct opened);
} bl_opened SEC(".maps");

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_remember, struct file *file)
{
	__u64 when = bpf_ktime_get_ns();
	__u32 zero = 0;
	struct opened *o = bpf_map_lookup_elem(&bl_opened, &zero);

	if (o)
		bpf_map_update_elem(&bl_all_opened, &when, o, BPF_ANY);
	return 0;
}
