/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stops the processor in the switch from one task to the next, which the kernel
 * does with interrupts off. Two loops, one in the other, each of the length
 * that the kernel allows, take days. bpf_loop() exists from 5.17 on; the
 * verifier of an older kernel refuses it.
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

SEC("tp_btf/sched_switch")
int BPF_PROG(bl_switch_hang, int preempt, struct task_struct *from,
	     struct task_struct *to)
{
	bpf_loop(LOOP_MAX, outer, NULL, 0);
	return 0;
}
