// SPDX-License-Identifier: GPL-2.0-only
/* Three versions of somebody else's sensor that counts forks, by -DVERSION=N.
 * To the second, all its state can be carried over; to the third, none of what
 * it counted. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define SINCE(version, x) SINCE_##version(x)
#if VERSION >= 2
#define SINCE_2(x) x
#else
#define SINCE_2(x)
#endif
#if VERSION >= 3
#define SINCE_3(x) x
#else
#define SINCE_3(x)
#endif
/* More than are copied at once. */
#define ENTRIES (VERSION >= 2 ? 20000 : 10000)

struct count {
	SINCE(3, __u64 first;)
	__u64 n;
};

struct peer {
	__u32 n;
	SINCE(2, __u32 more;)
	SINCE(2, __u32 most;)
};

struct net {
	__u32 bits;
	__u32 address;
};

/* The same in the first two versions; in the third its member moved. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

/* The same in all. Its name is longer than a kernel keeps. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} forks_by_processor SEC(".maps");

/* Grows with the second version: its entries, and their values at the end. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, struct peer);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, struct peer);
} peers_by_processor SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct net);
	__type(value, struct peer);
} nets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, struct peer);
} slots SEC(".maps");

/* State that nobody can list. The same in all. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} sockets SEC(".maps");

/* Each version's own. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

__u64 runs; /* .bss */

SEC("tp_btf/sched_process_fork")
int count_forks(void *ctx)
{
	struct count one = { .n = 1 }, *c;
	struct peer first = { .n = 1 }, *p;
	__u32 key = 0;
	__u64 *n;

	runs++;
	c = bpf_map_lookup_elem(&counts, &key);
	if (c)
		__sync_fetch_and_add(&c->n, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST);
	n = bpf_map_lookup_elem(&forks_by_processor, &key);
	if (n)
		++*n;
	p = bpf_map_lookup_elem(&peers, &key);
	if (p)
		__sync_fetch_and_add(&p->n, 1);
	else
		bpf_map_update_elem(&peers, &key, &first, BPF_NOEXIST);
	p = bpf_map_lookup_elem(&peers_by_processor, &key);
	if (p)
		++p->n;
	else
		bpf_map_update_elem(&peers_by_processor, &key, &first,
				    BPF_NOEXIST);
	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA))
		runs++;
	return 0;
}

SEC("tp_btf/sched_process_exit")
int count_exits(void *ctx)
{
	runs++;
	return 0;
}

char _license[] SEC("license") = "GPL";
