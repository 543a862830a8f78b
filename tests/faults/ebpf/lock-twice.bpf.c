/* SPDX-License-Identifier: GPL-2.0-only */
/* A function that takes the sensor's lock calls another that takes it. */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

struct totals {
	struct bpf_spin_lock lock;
	__u64 opens, letters;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} bl_totals SEC(".maps");

static __always_inline void add_letters(struct totals *t, __u32 len)
{
	bpf_spin_lock(&t->lock);
	t->letters += len;
	bpf_spin_unlock(&t->lock);
}

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_total, struct file *file)
{
	__u32 len = BPF_CORE_READ(file, f_path.dentry, d_name.len);
	__u32 zero = 0;
	struct totals *t = bpf_map_lookup_elem(&bl_totals, &zero);

	if (!t)
		return 0;
	bpf_spin_lock(&t->lock);
	t->opens++;
	add_letters(t, len);
	bpf_spin_unlock(&t->lock);
	return 0;
}
