// SPDX-License-Identifier: GPL-2.0-only
/* Kernels accept it; belay's policy does not. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("tracepoint/syscalls/sys_enter_openat")
int kills(void *ctx)
{
	(void)ctx;
	return (int)bpf_send_signal(9); /* bad line: signal */
}

char LICENSE[] SEC("license") = "GPL";
