/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asks for a field that struct task_struct had until 5.3, without asking
 * whether it is there. Nothing is read from where it used to be: it is looked
 * up by name.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

struct task_struct___before_5_3 {
	unsigned long cpus_allowed;
} __attribute__((preserve_access_index));

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_cpus, struct file *file)
{
	struct task_struct___before_5_3 *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, cpus_allowed))
		COUNT(seen);
	return 0;
}
