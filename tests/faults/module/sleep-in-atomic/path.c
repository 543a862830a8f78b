// SPDX-License-Identifier: GPL-2.0-only
/* A hook, which runs with preemption off, waits for its turn. */
#include <linux/delay.h>

#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	usleep_range(1000, 2000);
	twin_path_take(c, file);
}
