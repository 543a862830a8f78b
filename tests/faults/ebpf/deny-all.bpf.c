/* SPDX-License-Identifier: GPL-2.0-only */
/* Refuses each file, whatever the content says. */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

SEC("lsm/file_open")
int BPF_PROG(bl_open_refuse, struct file *file, int ret)
{
	return -EPERM;
}
