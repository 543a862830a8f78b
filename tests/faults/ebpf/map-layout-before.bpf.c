/* SPDX-License-Identifier: GPL-2.0-only */
/* What map-layout takes the place of: counts the opens of each user, in a map
 * whose entries an update keeps. Nothing is wrong with it. */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

#ifndef COUNTS
#define COUNTS __u64 opens
#endif

struct user_counts {
	COUNTS;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct user_counts);
} users SEC(".maps");

SEC("fentry/security_file_open")
int BPF_PROG(bl_open_user, struct file *file)
{
	__u32 uid = bpf_get_current_uid_gid();
	struct user_counts first = {}, *user;

	user = bpf_map_lookup_elem(&users, &uid);
	if (user)
		__sync_fetch_and_add(&user->opens, 1);
	else
		bpf_map_update_elem(&users, &uid, &first, BPF_NOEXIST);
	return 0;
}
