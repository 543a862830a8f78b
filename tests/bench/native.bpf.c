/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sensor where only tracepoints can be had: bench_sensor on the machine's
 * own kernel. bl_exec is the sensor's own. Opens are hooked by fentry, which
 * such a kernel may refuse; so what bl_open does with the file that is opened is
 * done here with that of the program that runs, at each getppid(). The programs
 * that do nothing are what is subtracted.
 */
#include "bpf/sensor.bpf.c"

#define GETPPID 110 /* of x86-64 */

#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)

struct mm_struct {
	struct file *exe_file;
};

struct task_struct {
	struct mm_struct *mm;
};

#pragma clang attribute pop

SEC("?tp_btf/sys_enter")
int BPF_PROG(bl_native_open, void *regs, long number)
{
	struct task_struct *task;

	if (number != GETPPID)
		return 0;
	task = bpf_get_current_task_btf();
	if (!task->mm || !task->mm->exe_file)
		return 0;
	return open_seen(task->mm->exe_file);
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(bl_native_no_open, void *regs, long number)
{
	return 0;
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(bl_native_no_exec, struct task_struct *task)
{
	return 0;
}
