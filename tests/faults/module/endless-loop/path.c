// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks a file's folders up to the root of the process. A file of another file
 * system has another root, which is its own parent.
 */
#include <linux/fs_struct.h>
#include <linux/sched.h>

#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

static unsigned int depth;

static unsigned int depth_of(const struct file *file)
{
	const struct dentry *root = current->fs->root.dentry;
	const struct dentry *d = file->f_path.dentry;
	unsigned int n = 0;

	for (; d != root; d = READ_ONCE(d->d_parent))
		n++;
	return n;
}

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	if (current->fs)
		depth = depth_of(file);
	twin_path_take(c, file);
}
