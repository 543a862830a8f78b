/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sensor's next version with the bug of 19 July 2024: rules may ask for one
 * of the fields of an event, the sensor supplies 20, and content that asks for
 * the 21st is believed. clang compiles it without a word. The verifier of every
 * kernel refuses it, whatever the content is: it asks what could be loaded
 * from the map, not what was.
 *
 * tests/faults/oob_kmod is the same mistake where nobody verifies.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

#define FIELDS 20

struct fields {
	__u64 value[FIELDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fields);
} bl_fields SEC(".maps");

/* Counts the opens for which the first rule's field is set. */
SEC("fentry/security_file_open")
int BPF_PROG(bl_open_field, struct file *file)
{
	const struct bl_content_bucket *rules = bl_content_at(0);
	__u32 zero = 0;
	struct fields *f;
	__u32 wanted;

	f = bpf_map_lookup_elem(&bl_fields, &zero);
	if (!f || !rules)
		return 0;
	f->value[0] = bpf_get_current_pid_tgid();
	f->value[1] = bpf_get_current_uid_gid();
	wanted = rules->reserved[0];
	if (f->value[wanted])
		COUNT(seen);
	return 0;
}
