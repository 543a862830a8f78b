/* SPDX-License-Identifier: GPL-2.0-only */
/* The size of the source where that of the target was meant. */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

#define KEY_BYTES 64

__u32 last_key;

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_key, struct file *file)
{
	char key[KEY_BYTES];
	struct scratch *s;
	__u32 i, sum = 0;

	s = scratch_get();
	if (!s)
		return 0;
	file_match(s, file, BL_EVENT_OPEN);
	path_size(s); /* into the event */
	bpf_probe_read_kernel(key, sizeof(s->event.path.path),
			      s->event.path.path);
	for (i = 0; i < KEY_BYTES; i++)
		sum = sum * 31 + key[i];
	last_key = sum;
	scratch_put(s);
	return 0;
}
