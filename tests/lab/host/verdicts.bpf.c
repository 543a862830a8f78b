// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can lock a host out, for tests/lab/test_lease.sh. One object for each
 * VERDICTS: a guard that refuses one program its files (or, of the same name,
 * does not), and all that can be denied to all: LSM, cgroup, XDP.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define EPERM 1

#define GUARD	   1
#define NO_GUARD   2
#define LSM_ALL	   3
#define CGROUP_ALL 4
#define XDP_ALL	   5

#if VERDICTS <= LSM_ALL
/* Whether the task's name begins with @name. */
static __attribute__((always_inline)) int runs(const char *name, int len)
{
	char comm[16] = "";

	bpf_get_current_comm(comm, sizeof(comm));
	for (int i = 0; i < len; i++)
		if (comm[i] != name[i])
			return 0;
	return 1;
}
#define RUNS(name) runs(name, sizeof(name) - 1)
#endif

#if VERDICTS == GUARD || VERDICTS == NO_GUARD
SEC("lsm/file_open")
int guard(void *ctx)
{
	return VERDICTS == GUARD && RUNS("busybox_x") ? -EPERM : 0;
}
#endif

#if VERDICTS == LSM_ALL
/* A trial that can open nothing does not pass; so this waits for its signal,
 * as the worst of them would. */
static volatile int armed;

static __attribute__((always_inline)) int refuse(void)
{
	if (RUNS("busybox_arm"))
		armed = 1;
	return armed ? -EPERM : 0;
}

SEC("lsm/file_open")
int no_open(void *ctx)
{
	return refuse();
}

SEC("lsm/bprm_check_security")
int no_exec(void *ctx)
{
	return refuse();
}

SEC("lsm/socket_connect")
int no_connect(void *ctx)
{
	return refuse();
}
#endif

#if VERDICTS == CGROUP_ALL
SEC("cgroup/connect4")
int no_connect4(struct bpf_sock_addr *ctx)
{
	return 0;
}

SEC("cgroup_skb/egress")
int no_packet(struct __sk_buff *skb)
{
	return 0;
}
#endif

#if VERDICTS == XDP_ALL
SEC("xdp")
int no_frame(struct xdp_md *ctx)
{
	return XDP_DROP;
}
#endif

char _license[] SEC("license") = "GPL";
