// SPDX-License-Identifier: GPL-2.0-only
/* A sensor on events of perf, each kind of which has a link of its own. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("kprobe/security_file_open")
int prober_open(void *ctx)
{
	return 0;
}

SEC("kretprobe/security_file_open")
int prober_opened(void *ctx)
{
	return 0;
}

SEC("tracepoint/sched/sched_process_fork")
int prober_fork(void *ctx)
{
	return 0;
}

char _license[] SEC("license") = "GPL";
