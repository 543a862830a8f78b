/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A version that every verifier from 5.17 on accepts and that stops a processor
 * for days: two loops, one in the other, of the length that bpf_loop allows.
 * It does so only for a program called "hang", so that a test chooses when.
 * No gate runs that program; a watchdog and a reboot are what is left, and the
 * kernel's last words then name the program.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

#define LOOP_MAX (1 << 23)

static long inner(__u32 i, void *ctx)
{
	return 0;
}

static long outer(__u32 i, void *ctx)
{
	bpf_loop(LOOP_MAX, inner, NULL, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(bl_hang, struct task_struct *task)
{
	char comm[16] = "";

	bpf_get_current_comm(comm, sizeof(comm));
	if (comm[0] == 'h' && comm[1] == 'a' && comm[2] == 'n' &&
	    comm[3] == 'g' && !comm[4])
		bpf_loop(LOOP_MAX, outer, NULL, 0);
	return 0;
}
