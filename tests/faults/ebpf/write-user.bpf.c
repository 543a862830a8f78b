/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a program is run, a mark is written to where its arguments are, by the
 * helper that the kernel warns of. Safe for the kernel; no program starts.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

struct linux_binprm___p {
	unsigned long p;
} __attribute__((preserve_access_index));

SEC("tp_btf/sched_process_exec")
int BPF_PROG(bl_exec_mark, struct task_struct *task, int old_pid,
	     struct linux_binprm *bprm)
{
	struct linux_binprm___p *at = (void *)bprm;
	const __u64 sign[2] = { ~0ULL, ~0ULL };

	if (bpf_probe_write_user((void *)BPF_CORE_READ(at, p), sign,
				 sizeof(sign)))
		COUNT(torn);
	return 0;
}
