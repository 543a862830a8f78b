/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls what a table says. A program can only call functions that the verifier
 * has seen; a call through a register is no instruction that it knows.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

typedef __u32 (*weight_fn)(__u32 rule);

struct weights {
	__u64 weight[2];
	__u64 seed;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weights);
} bl_weights SEC(".maps");

__u64 weight;

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_weight, struct file *file)
{
	__u32 zero = 0;
	struct weights *w = bpf_map_lookup_elem(&bl_weights, &zero);

	if (w)
		weight += ((weight_fn)w->weight[BL_EVENT_OPEN + 1])(zero);
	return 0;
}
