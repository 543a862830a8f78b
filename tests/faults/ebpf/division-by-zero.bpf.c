/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mean length of paths with a rule, taken before there was one. In eBPF the
 * result of a division by zero is zero.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

volatile __u32 letters, paths, mean;

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_mean, struct file *file)
{
	struct scratch *s = scratch_get();

	if (!s)
		return 0;
	file_match(s, file, BL_EVENT_OPEN);
	mean = letters / paths;
	if (s->match.rule != BL_RULE_NONE) {
		letters += s->len;
		paths++;
	}
	scratch_put(s);
	return 0;
}
