// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can lock a host out, for tests/lab/test_lease.sh. One object for each
 * VERDICTS: a guard that refuses one program its files (or, of the same name,
 * does not); all that can be denied to all: by LSM, cgroup and XDP; XDP that
 * drops all frames, or pings, or none.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define EPERM 1

#define GUARD	       1
#define NO_GUARD       2
#define DENY_ALL       3
#define XDP_DROP_ALL   4
#define XDP_DROP_PINGS 5
#define XDP_PASS_ALL   6

#if VERDICTS <= DENY_ALL
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

/* A branch, and a long. What clang makes of "refuses ? -EPERM : 0" is
 * arithmetic, and Linux 6.12 does not follow that to a known value. */
static __attribute__((always_inline)) long verdict(int refuses)
{
	if (refuses) {
		asm volatile("");
		return -EPERM;
	}
	return 0;
}
#endif

#if VERDICTS == GUARD || VERDICTS == NO_GUARD
SEC("lsm/file_open")
long guard(void *ctx)
{
	return verdict(VERDICTS == GUARD && RUNS("busybox_x"));
}
#endif

#if VERDICTS == DENY_ALL
/* A trial in which the host cannot be used does not pass; so this waits for its
 * signal, as the worst of them would. */
static volatile int armed;

static __attribute__((always_inline)) int refuses(void)
{
	if (RUNS("busybox_arm"))
		armed = 1;
	return armed;
}

SEC("lsm/file_open")
long no_open(void *ctx)
{
	return verdict(refuses());
}

SEC("lsm/bprm_check_security")
long no_exec(void *ctx)
{
	return verdict(refuses());
}

SEC("lsm/socket_connect")
long no_connect(void *ctx)
{
	return verdict(refuses());
}

SEC("cgroup/connect4")
int no_connect4(struct bpf_sock_addr *ctx)
{
	return !armed;
}

SEC("cgroup_skb/egress")
int no_packet(struct __sk_buff *skb)
{
	return !armed;
}
#endif

#if VERDICTS == XDP_DROP_PINGS
/* A host that can be used all the same. */
static __attribute__((always_inline)) int is_ping(const struct xdp_md *ctx)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;
	const struct iphdr *ip = (void *)(eth + 1);

	return (void *)(ip + 1) <= (void *)(long)ctx->data_end &&
	       eth->h_proto == bpf_htons(ETH_P_IP) &&
	       ip->protocol == IPPROTO_ICMP;
}
#endif

#if VERDICTS >= DENY_ALL
SEC("xdp")
int frame(struct xdp_md *ctx)
{
#if VERDICTS == DENY_ALL
	return armed ? XDP_DROP : XDP_PASS;
#elif VERDICTS == XDP_DROP_PINGS
	return is_ping(ctx) ? XDP_DROP : XDP_PASS;
#else
	return VERDICTS == XDP_PASS_ALL ? XDP_PASS : XDP_DROP;
#endif
}
#endif

char _license[] SEC("license") = "GPL";
