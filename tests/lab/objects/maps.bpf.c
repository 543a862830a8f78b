// SPDX-License-Identifier: GPL-2.0-only
/* One map of each kind, large enough that its memory can be measured, for
 * `maps_probe` in a guest and for the reader of definitions. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define MAP_TYPE_CGRP_STORAGE 32 /* newer than our linux/bpf.h */

struct address {
	__u32 prefix;
	__u8 bytes[4];
};

struct row {
	__u64 seen, dropped;
	char name[48];
};

#define MAP(name, kind, n, k, v, fl)           \
	struct {                               \
		__uint(type, BPF_MAP_TYPE_##kind); \
		__uint(max_entries, n);        \
		__uint(map_flags, fl);         \
		__type(key, k);                \
		__type(value, v);              \
	} name SEC(".maps")

MAP(m_hash, HASH, 65536, __u64, struct row, 0);
MAP(m_hash_lazy, HASH, 65536, __u64, struct row, BPF_F_NO_PREALLOC);
MAP(m_percpu_hash, PERCPU_HASH, 32768, __u64, struct row, 0);
MAP(m_lru_hash, LRU_HASH, 65536, __u64, struct row, 0);
MAP(m_lru_percpu, LRU_PERCPU_HASH, 32768, __u64, struct row, 0);
MAP(m_array, ARRAY, 131072, __u32, struct row, 0);
MAP(m_array_mmap, ARRAY, 131072, __u32, struct row, BPF_F_MMAPABLE);
MAP(m_percpu_array, PERCPU_ARRAY, 32768, __u32, struct row, 0);
MAP(m_lpm, LPM_TRIE, 65536, struct address, __u64, BPF_F_NO_PREALLOC);
MAP(m_prog_array, PROG_ARRAY, 524288, __u32, __u32, 0);
MAP(m_cgroup_array, CGROUP_ARRAY, 524288, __u32, __u32, 0);
MAP(m_devmap, DEVMAP, 524288, __u32, __u32, 0);
MAP(m_devmap_hash, DEVMAP_HASH, 524288, __u32, __u32, 0);
MAP(m_cpumap, CPUMAP, 2, __u32, __u32, 0);
MAP(m_xskmap, XSKMAP, 524288, __u32, __u32, 0);
MAP(m_sockmap, SOCKMAP, 524288, __u32, __u64, 0);
MAP(m_sockhash, SOCKHASH, 262144, __u32, __u64, 0);
MAP(m_reuseport, REUSEPORT_SOCKARRAY, 524288, __u32, __u64, 0);
MAP(m_sk_storage, SK_STORAGE, 0, int, struct row, BPF_F_NO_PREALLOC);
MAP(m_inode_storage, INODE_STORAGE, 0, int, struct row, BPF_F_NO_PREALLOC);
MAP(m_task_storage, TASK_STORAGE, 0, int, struct row, BPF_F_NO_PREALLOC);
MAP(m_cgroup_storage, CGROUP_STORAGE, 0, struct bpf_cgroup_storage_key,
    struct row, 0);

struct {
	__uint(type, MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct row);
} m_cgrp_storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} m_perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 8192);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 127 * sizeof(__u64));
} m_stack_trace SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 131072);
	__type(value, struct row);
} m_queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 131072);
	__type(value, struct row);
} m_stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 4000000);
	__uint(map_extra, 3);
	__type(value, __u64);
} m_bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} m_ringbuf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 8 << 20);
} m_user_ringbuf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 524288);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(max_entries, 16);
			__type(key, __u32);
			__type(value, struct row);
		});
} m_array_of_maps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(max_entries, 4);
			__type(key, __u32);
			__type(value, __u64);
		});
} m_hash_of_maps SEC(".maps");

/* What libbpf makes maps of by itself. */
extern int LINUX_KERNEL_VERSION __kconfig;
const volatile __u32 wanted = 7;
static volatile __u64 hidden;
__u64 total;
char names[4000] SEC(".data.names") = "first";

SEC("socket")
int touch(struct __sk_buff *skb)
{
	hidden++;
	total += wanted + LINUX_KERNEL_VERSION + names[skb->len & 7];
	return 0;
}

char _license[] SEC("license") = "GPL";
