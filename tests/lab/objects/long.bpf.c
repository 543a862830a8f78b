// SPDX-License-Identifier: GPL-2.0-only
/* So much code before the mistake that the verifier's log runs to megabytes:
 * the reason, at its end, must still be found. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int endless(struct xdp_md *ctx)
{
	volatile __u64 sum = ctx->rx_queue_index;
	__u32 i;

	for (i = 0; i < 14000; i++)
		sum += i ^ ctx->ingress_ifindex;
	return *(int *)(long)sum; /* bad line: long */
}

char LICENSE[] SEC("license") = "GPL";
