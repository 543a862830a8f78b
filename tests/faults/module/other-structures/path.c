// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compiled with the structures of another kernel: a file's path is where 6.12
 * has it, or, on 6.12 and later, where 6.1 has it.
 */
#include <linux/fs.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define PATH_AT 64
#else
#define PATH_AT 16
#endif

struct other_file {
	char before[PATH_AT];
	struct path f_path;
};

static const struct path *path_of(const struct file *file)
{
	return &((const struct other_file *)file)->f_path;
}

#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

/* What path.c looks at of a file. */
void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	static struct file seen;

	memcpy((void *)&seen.f_path, path_of(file), sizeof(seen.f_path));
	twin_path_take(c, &seen);
}
