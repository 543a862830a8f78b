/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks a file's folders up to the root of the process. A file of another file
 * system has another root, which is its own parent. The verifier wants to see
 * the end of each loop.
 */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)

struct fs_struct___root {
	struct path root;
};

struct task_struct___fs {
	struct fs_struct___root *fs;
};

#pragma clang attribute pop

volatile __u32 depth;

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_depth, struct file *file)
{
	struct task_struct___fs *task = (void *)bpf_get_current_task();
	struct dentry *root = BPF_CORE_READ(task, fs, root.dentry);
	struct dentry *d = BPF_CORE_READ(file, f_path.dentry);

	depth = 0;
	for (; d != root; d = BPF_CORE_READ(d, d_parent))
		depth++;
	return 0;
}
