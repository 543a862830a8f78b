// SPDX-License-Identifier: GPL-2.0-only
/* Somebody else's object: five program types, two of them sharing a function,
 * a map that its loader would size. Every kernel takes it. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	/* max_entries: by the loader */
} counts SEC(".maps");

static __attribute__((noinline)) int count(__u32 key)
{
	__u64 one = 1, *n = bpf_map_lookup_elem(&counts, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	return 0;
}

SEC("xdp")
int pass_ipv4(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > end)
		return XDP_DROP;
	count(eth->h_proto);
	return XDP_PASS;
}

SEC("kprobe/do_unlinkat")
int on_unlink(struct pt_regs *ctx)
{
	return count((__u32)ctx->rdi);
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	count(skb->len);
	return 1;
}

SEC("tc")
int classify(struct __sk_buff *skb)
{
	return skb->protocol ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("?tracepoint/syscalls/sys_enter_openat")
int on_openat(void *ctx)
{
	(void)ctx;
	return count(7);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
