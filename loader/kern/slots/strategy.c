/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/strategy.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "loader/base/cleanup.h"

/* dispatches, updates, verdict, neutral */
#define OBSERVES true, false, false, 0
#define CGROUP	 BL_PLACE_CGROUP, true, true, true, 1

static const struct bl_hook_kind kinds[] = {
	{ "tp_btf", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, BL_PLACE_TARGET,
	  OBSERVES },
	{ "fentry", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, BL_PLACE_TARGET,
	  OBSERVES },
	{ "fexit", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, BL_PLACE_TARGET,
	  OBSERVES },
	/* 0: the function goes on. */
	{ "fmod_ret", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, BL_PLACE_TARGET,
	  true, false, true, 0 },
	{ "raw_tp", BPF_PROG_TYPE_RAW_TRACEPOINT, 0, BL_PLACE_TARGET,
	  OBSERVES },
	{ "lsm", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, BL_PLACE_TARGET, true, false,
	  true, 0 },
	{ "xdp", BPF_PROG_TYPE_XDP, BPF_XDP, BL_PLACE_INTERFACE, true, true,
	  true, XDP_PASS },
	{ "cgroup_skb_ingress", BPF_PROG_TYPE_CGROUP_SKB,
	  BPF_CGROUP_INET_INGRESS, CGROUP },
	{ "cgroup_skb_egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS,
	  CGROUP },
	{ "cgroup_sock_create", BPF_PROG_TYPE_CGROUP_SOCK,
	  BPF_CGROUP_INET_SOCK_CREATE, CGROUP },
	{ "cgroup_sock_release", BPF_PROG_TYPE_CGROUP_SOCK,
	  BPF_CGROUP_INET_SOCK_RELEASE, CGROUP },
	{ "cgroup_post_bind4", BPF_PROG_TYPE_CGROUP_SOCK,
	  BPF_CGROUP_INET4_POST_BIND, CGROUP },
	{ "cgroup_post_bind6", BPF_PROG_TYPE_CGROUP_SOCK,
	  BPF_CGROUP_INET6_POST_BIND, CGROUP },
	{ "cgroup_bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND,
	  CGROUP },
	{ "cgroup_bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND,
	  CGROUP },
	{ "cgroup_connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_INET4_CONNECT, CGROUP },
	{ "cgroup_connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_INET6_CONNECT, CGROUP },
	{ "cgroup_sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_UDP4_SENDMSG, CGROUP },
	{ "cgroup_sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_UDP6_SENDMSG, CGROUP },
	{ "cgroup_recvmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_UDP4_RECVMSG, CGROUP },
	{ "cgroup_recvmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_UDP6_RECVMSG, CGROUP },
	{ "cgroup_getpeername4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_INET4_GETPEERNAME, CGROUP },
	{ "cgroup_getpeername6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_INET6_GETPEERNAME, CGROUP },
	{ "cgroup_getsockname4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_INET4_GETSOCKNAME, CGROUP },
	{ "cgroup_getsockname6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	  BPF_CGROUP_INET6_GETSOCKNAME, CGROUP },
	{ "cgroup_sysctl", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL,
	  CGROUP },
	{ "cgroup_getsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT,
	  BPF_CGROUP_GETSOCKOPT, CGROUP },
	{ "cgroup_setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT,
	  BPF_CGROUP_SETSOCKOPT, CGROUP },
	{ "cgroup_dev", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE,
	  CGROUP },
	/* What it returns is an answer to the program, never a refusal. */
	{ "sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS,
	  BL_PLACE_CGROUP, true, true, false, 1 },
	/* Called by way of a shim for the cgroup, which wants the program that
	 * was attached: no dispatcher in between. */
	{ "lsm_cgroup", BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, BL_PLACE_CGROUP,
	  false, true, true, 1 },
};

const struct bl_hook_kind *bl_hook_kind(enum bpf_prog_type type,
					enum bpf_attach_type attach)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == type &&
		    (kinds[i].attach == attach ||
		     type == BPF_PROG_TYPE_RAW_TRACEPOINT ||
		     type == BPF_PROG_TYPE_XDP))
			return &kinds[i];
	return NULL;
}

const struct bl_hook_kind *bl_hook_kind_named(const char *name)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

const char *bl_strategy_name(enum bl_strategy strategy)
{
	static const char *const names[BL_STRATEGIES] = {
		[BL_STRATEGY_OVERLAP] = "overlap",
		[BL_STRATEGY_REPLACE] = "replace",
		[BL_STRATEGY_DISPATCH] = "dispatch",
		[BL_STRATEGY_EXCHANGE] = "exchange",
	};

	return names[strategy];
}

const char *bl_lease_name(enum bl_lease lease)
{
	static const char *const names[] = {
		[BL_LEASE_NONE] = "none",
		[BL_LEASE_KEPT] = "kept",
		[BL_LEASE_WAIVED] = "no lease",
	};

	return names[lease];
}

/* NULL if the program can be dispatched. */
static const char *why_not_dispatch(const struct bl_strategy_case *c)
{
	if (!c->kind || !c->kind->dispatches)
		return "its kind of program cannot be tail-called";
	if (c->sleepable)
		return "a program that may sleep cannot be tail-called";
	if (c->refused)
		return "this kernel takes no dispatcher there";
	return NULL;
}

/* The best of what is possible. */
static void best(const struct bl_strategy_case *c,
		 struct bl_strategy_choice *ret)
{
	const char *no = why_not_dispatch(c);

	if (!no) {
		ret->strategy = BL_STRATEGY_DISPATCH;
		ret->why = "its hook takes a dispatcher";
	} else if (c->kind && c->kind->updates) {
		ret->strategy = BL_STRATEGY_REPLACE;
		ret->why = no;
	} else {
		ret->strategy = BL_STRATEGY_OVERLAP;
		ret->why = no;
	}
}

static int refuse(struct bl_strategy_choice *ret, const char *why)
{
	ret->why = why;
	return -EOPNOTSUPP;
}

static int as_wished(const struct bl_strategy_case *c,
		     struct bl_strategy_choice *ret)
{
	const char *no = why_not_dispatch(c);

	ret->why = "the manifest asks for it";
	switch (c->wish->strategy) {
	case BL_WISH_NONE:
		best(c, ret);
		return 0;
	case BL_WISH_DISPATCH:
		ret->strategy = BL_STRATEGY_DISPATCH;
		return no ? refuse(ret, no) : 0;
	case BL_WISH_REPLACE:
		ret->strategy = BL_STRATEGY_REPLACE;
		return c->kind && c->kind->updates
			       ? 0
			       : refuse(ret,
					"links of its kind take no other program");
	case BL_WISH_OVERLAP:
		ret->strategy = BL_STRATEGY_OVERLAP;
		return c->kind && c->kind->place == BL_PLACE_INTERFACE
			       ? refuse(ret,
					"an interface takes one program at a time")
			       : 0;
	}
	return refuse(ret, "an unknown strategy");
}

int bl_strategy_choose(const struct bl_strategy_case *c,
		       struct bl_strategy_choice *ret)
{
	struct bl_strategy_choice choice = { .lease = BL_LEASE_NONE };
	bool waived = c->wish && c->wish->no_lease;
	int r = 0;

	if (c->wish)
		r = as_wished(c, &choice);
	else
		best(c, &choice);
	if (!r && c->kind && c->kind->verdict &&
	    !(c->harmless && !c->kind->neutral)) {
		choice.lease = waived ? BL_LEASE_WAIVED : BL_LEASE_KEPT;
		if (!waived && choice.strategy != BL_STRATEGY_DISPATCH)
			r = refuse(
				&choice,
				"it can refuse, and without a dispatcher it has no lease: if its loader is lost nobody can undo it");
	}
	*ret = choice;
	return r;
}
