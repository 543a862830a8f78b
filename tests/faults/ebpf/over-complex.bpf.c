/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Twenty-four questions about the path, each with two answers that all later
 * ones depend on: 16 million ways for the verifier.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

#define QUESTIONS 24

static __always_inline __u64 mixed(__u64 x)
{
	return bl_hash_mix(bl_hash_mix(bl_hash_mix(bl_hash_mix(x))));
}

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_questions, struct file *file)
{
	char end[64] = "";
	struct scratch *s;
	__u64 sum = 0, mix = 0;
	__u32 i;

	s = scratch_get();
	if (!s)
		return 0;
	file_match(s, file, BL_EVENT_OPEN);
	path_size(s); /* into the event */
	for (i = 0; i < QUESTIONS; i++) {
		mix = mixed(mix ^ s->event.path.path[i]);
		if (mix & 1)
			sum = sum * 2 + 1;
		else
			sum += i;
	}
	/* What is used as a size must be known exactly. */
	bpf_probe_read_kernel(end, sum & 63, s->event.path.path);
	if (end[0])
		COUNT(seen);
	scratch_put(s);
	return 0;
}
