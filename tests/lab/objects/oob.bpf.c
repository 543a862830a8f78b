// SPDX-License-Identifier: GPL-2.0-only
/* Two programs read past a map's value, one in a function of its own; one is
 * fine. The gate must name both bad lines and accept the third. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define FIELDS 20

struct content {
	__u32 count;
	__u32 fields[FIELDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct content);
} contents SEC(".maps");

static __attribute__((noinline)) int deep(struct content *c, __u32 index)
{
	if (!c)
		return 0;
	return (int)c->fields[index & 31]; /* bad line: called */
}

SEC("tracepoint/syscalls/sys_enter_execve")
int direct(void *ctx)
{
	__u32 zero = 0;
	struct content *c = bpf_map_lookup_elem(&contents, &zero);

	(void)ctx;
	if (!c)
		return 0;
	return (int)c->fields[c->count]; /* bad line: direct */
}

SEC("xdp")
int called(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct content *c = bpf_map_lookup_elem(&contents, &zero);

	return deep(c, ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int fine(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct content *c = bpf_map_lookup_elem(&contents, &zero);

	(void)ctx;
	return c && c->fields[19] ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
