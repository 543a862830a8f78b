/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks the path up, and matches it, a hundred times more. */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

#define TIMES 100

/* A function of its own: the verifier walks it once, not a hundred times. */
__noinline int bl_path_again(__u64 dentry, __u64 vfsmnt)
{
	struct mount *mnt = mount_of((struct vfsmount *)vfsmnt);
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&bl_scratch, &zero);

	if (!s)
		return 0;
	*(volatile __u32 *)&s->walked = WALK_BYTES - 1;
	s->partial = 1;
	walk_mounts(s, (struct dentry *)dentry,
		    BPF_CORE_READ(mnt, mnt.mnt_root), mnt);
	path_measure(s);
	path_match(s, content(), BL_EVENT_OPEN);
	return 0;
}

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_slow, struct file *file)
{
	__u64 dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
	__u64 mnt = (__u64)BPF_CORE_READ(file, f_path.mnt);
	__u32 i;

	for (i = 0; i < TIMES; i++)
		bl_path_again(dentry, mnt);
	return 0;
}
