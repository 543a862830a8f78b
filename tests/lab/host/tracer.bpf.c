// SPDX-License-Identifier: GPL-2.0-only
/* Somebody else's sensor: no map of belay's, and one that wants to be pinned
 * by name. It counts forks and openings. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tracer_counts SEC(".maps");

static __attribute__((noinline)) int count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&tracer_counts, &what);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int tracer_fork(void *ctx)
{
	return count(0);
}

SEC("fentry/security_file_open")
int tracer_open(void *ctx)
{
	return count(1);
}

char _license[] SEC("license") = "GPL";
