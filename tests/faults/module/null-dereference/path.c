// SPDX-License-Identifier: GPL-2.0-only
/*
 * A table of what is known about each process is asked for one that was there
 * before the sensor, and so is not in it.
 */
#include <linux/hash.h>
#include <linux/sched.h>

#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

#ifndef FAULT_IF
#define FAULT_IF true
#endif

#define PROCESSES_BITS 8

struct process {
	pid_t tgid;
	u64 opens;
};

static struct process *processes[1 << PROCESSES_BITS];

static struct process *process_of(pid_t tgid)
{
	struct process *p = processes[hash_32(tgid, PROCESSES_BITS)];

	return p && p->tgid == tgid ? p : NULL;
}

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	if (FAULT_IF)
		process_of(current->tgid)->opens++;
	twin_path_take(c, file);
}
