// SPDX-License-Identifier: GPL-2.0-only
/* Looks the path up a hundred times, instead of once. */
#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

#define TIMES 100

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	int i;

	for (i = 0; i < TIMES; i++)
		twin_path_take(c, file);
}
