// SPDX-License-Identifier: GPL-2.0-only
/* One program that every kernel has a hook for, one hook that none has, and
 * the same once more as an optional program. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int present(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

#ifndef ONLY_OPTIONAL
SEC("fentry/belay_no_such_function")
int absent(void *ctx)
{
	(void)ctx;
	return 0;
}
#endif

SEC("?fentry/belay_no_such_function_either")
int maybe(void *ctx)
{
	(void)ctx;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
