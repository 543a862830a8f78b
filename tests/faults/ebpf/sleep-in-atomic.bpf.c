/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads from user space in a way that may wait for a disk, in a program that
 * may not sleep. */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_sleeps, struct file *file)
{
	char first = 0;

	if (!bpf_copy_from_user(&first, sizeof(first), (void *)0x400000) &&
	    first)
		COUNT(seen);
	return 0;
}
