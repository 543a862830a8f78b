/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts the letters of a file's folders by calling itself for the folder
 * above, with half of a program's stack in use each time.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

__u64 letters;

static __noinline __u64 letters_of(struct dentry *d)
{
	char name[256];
	long len;

	if (!d)
		return 0;
	len = bpf_probe_read_kernel_str(name, sizeof(name),
					BPF_CORE_READ(d, d_name.name));
	return letters_of(BPF_CORE_READ(d, d_parent)) + len + name[0];
}

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_letters, struct file *file)
{
	letters = letters_of(BPF_CORE_READ(file, f_path.dentry));
	return 0;
}
