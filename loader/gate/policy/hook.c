/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/policy/hook.h"

#include <linux/bpf.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define T(type)			BPF_PROG_TYPE_##type
#define BPF_PROG_TYPE_NETFILTER BL_PROG_TYPE_NETFILTER

/* From libbpf's documentation ("Program Types and ELF Sections") as of 1.7. */
static const struct bl_hook hooks[] = {
	{ "kprobe", "kprobe", T(KPROBE), false, "function[+offset]" },
	{ "kretprobe", "kprobe", T(KPROBE), false, "function" },
	{ "kprobe.multi", "kprobe", T(KPROBE), false, "functions" },
	{ "kretprobe.multi", "kprobe", T(KPROBE), false, "functions" },
	{ "kprobe.session", "kprobe", T(KPROBE), false, "functions" },
	{ "ksyscall", "kprobe", T(KPROBE), false, "system call" },
	{ "kretsyscall", "kprobe", T(KPROBE), false, "system call" },
	{ "uprobe", "uprobe", T(KPROBE), false, "file:function" },
	{ "uprobe.s", "uprobe", T(KPROBE), true, "file:function" },
	{ "uretprobe", "uprobe", T(KPROBE), false, "file:function" },
	{ "uretprobe.s", "uprobe", T(KPROBE), true, "file:function" },
	{ "uprobe.multi", "uprobe", T(KPROBE), false, "file:functions" },
	{ "uprobe.multi.s", "uprobe", T(KPROBE), true, "file:functions" },
	{ "uretprobe.multi", "uprobe", T(KPROBE), false, "file:functions" },
	{ "uretprobe.multi.s", "uprobe", T(KPROBE), true, "file:functions" },
	{ "uprobe.session", "uprobe", T(KPROBE), false, "file:functions" },
	{ "uprobe.session.s", "uprobe", T(KPROBE), true, "file:functions" },
	{ "usdt", "usdt", T(KPROBE), false, "file:provider:name" },
	{ "usdt.s", "usdt", T(KPROBE), true, "file:provider:name" },
	{ "tracepoint", "tracepoint", T(TRACEPOINT), false, "category/name" },
	{ "tp", "tracepoint", T(TRACEPOINT), false, "category/name" },
	{ "raw_tracepoint", "raw_tracepoint", T(RAW_TRACEPOINT), false,
	  "name" },
	{ "raw_tp", "raw_tracepoint", T(RAW_TRACEPOINT), false, "name" },
	{ "raw_tracepoint.w", "raw_tracepoint.w", T(RAW_TRACEPOINT_WRITABLE),
	  false, "name" },
	{ "raw_tp.w", "raw_tracepoint.w", T(RAW_TRACEPOINT_WRITABLE), false,
	  "name" },
	{ "tp_btf", "tp_btf", T(TRACING), false, "name" },
	{ "fentry", "fentry", T(TRACING), false, "function" },
	{ "fentry.s", "fentry", T(TRACING), true, "function" },
	{ "fexit", "fexit", T(TRACING), false, "function" },
	{ "fexit.s", "fexit", T(TRACING), true, "function" },
	{ "fsession", "fsession", T(TRACING), false, "function" },
	{ "fsession.s", "fsession", T(TRACING), true, "function" },
	{ "fmod_ret", "fmod_ret", T(TRACING), false, "function" },
	{ "fmod_ret.s", "fmod_ret", T(TRACING), true, "function" },
	{ "iter", "iter", T(TRACING), false, "iterator" },
	{ "iter.s", "iter", T(TRACING), true, "iterator" },
	{ "freplace", "freplace", T(EXT), false, "function" },
	{ "lsm", "lsm", T(LSM), false, "hook" },
	{ "lsm.s", "lsm", T(LSM), true, "hook" },
	{ "lsm_cgroup", "lsm_cgroup", T(LSM), false, "hook" },
	{ "perf_event", "perf_event", T(PERF_EVENT), false, NULL },
	{ "syscall", "syscall", T(SYSCALL), true, NULL },
	{ "struct_ops", "struct_ops", T(STRUCT_OPS), false, "member" },
	{ "struct_ops.s", "struct_ops", T(STRUCT_OPS), true, "member" },
	{ "xdp", "xdp", T(XDP), false, NULL },
	{ "xdp.frags", "xdp", T(XDP), false, NULL },
	{ "xdp/devmap", "xdp", T(XDP), false, NULL },
	{ "xdp.frags/devmap", "xdp", T(XDP), false, NULL },
	{ "xdp/cpumap", "xdp", T(XDP), false, NULL },
	{ "xdp.frags/cpumap", "xdp", T(XDP), false, NULL },
	{ "tc", "tc", T(SCHED_CLS), false, NULL },
	{ "tc/ingress", "tc", T(SCHED_CLS), false, NULL },
	{ "tc/egress", "tc", T(SCHED_CLS), false, NULL },
	{ "tcx/ingress", "tc", T(SCHED_CLS), false, NULL },
	{ "tcx/egress", "tc", T(SCHED_CLS), false, NULL },
	{ "classifier", "tc", T(SCHED_CLS), false, NULL },
	{ "action", "tc", T(SCHED_ACT), false, NULL },
	{ "netkit/primary", "netkit", T(SCHED_CLS), false, NULL },
	{ "netkit/peer", "netkit", T(SCHED_CLS), false, NULL },
	{ "netfilter", "netfilter", T(NETFILTER), false, NULL },
	{ "flow_dissector", "flow_dissector", T(FLOW_DISSECTOR), false, NULL },
	{ "lwt_in", "lwt", T(LWT_IN), false, NULL },
	{ "lwt_out", "lwt", T(LWT_OUT), false, NULL },
	{ "lwt_xmit", "lwt", T(LWT_XMIT), false, NULL },
	{ "lwt_seg6local", "lwt", T(LWT_SEG6LOCAL), false, NULL },
	{ "socket", "socket", T(SOCKET_FILTER), false, NULL },
	{ "sk_reuseport", "sk_reuseport", T(SK_REUSEPORT), false, NULL },
	{ "sk_reuseport/migrate", "sk_reuseport", T(SK_REUSEPORT), false,
	  NULL },
	{ "sk_lookup", "sk_lookup", T(SK_LOOKUP), false, NULL },
	{ "sk_skb", "sk_skb", T(SK_SKB), false, NULL },
	{ "sk_skb/stream_parser", "sk_skb", T(SK_SKB), false, NULL },
	{ "sk_skb/stream_verdict", "sk_skb", T(SK_SKB), false, NULL },
	{ "sk_skb/verdict", "sk_skb", T(SK_SKB), false, NULL },
	{ "sk_msg", "sk_msg", T(SK_MSG), false, NULL },
	{ "sockops", "sockops", T(SOCK_OPS), false, NULL },
	{ "cgroup_skb/ingress", "cgroup", T(CGROUP_SKB), false, NULL },
	{ "cgroup_skb/egress", "cgroup", T(CGROUP_SKB), false, NULL },
	{ "cgroup/skb", "cgroup", T(CGROUP_SKB), false, NULL },
	{ "cgroup/sock", "cgroup", T(CGROUP_SOCK), false, NULL },
	{ "cgroup/sock_create", "cgroup", T(CGROUP_SOCK), false, NULL },
	{ "cgroup/sock_release", "cgroup", T(CGROUP_SOCK), false, NULL },
	{ "cgroup/post_bind4", "cgroup", T(CGROUP_SOCK), false, NULL },
	{ "cgroup/post_bind6", "cgroup", T(CGROUP_SOCK), false, NULL },
	{ "cgroup/bind4", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/bind6", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/connect4", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/connect6", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/connect_unix", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/sendmsg4", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/sendmsg6", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/sendmsg_unix", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/recvmsg4", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/recvmsg6", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/recvmsg_unix", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/getpeername4", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/getpeername6", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/getpeername_unix", "cgroup", T(CGROUP_SOCK_ADDR), false,
	  NULL },
	{ "cgroup/getsockname4", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/getsockname6", "cgroup", T(CGROUP_SOCK_ADDR), false, NULL },
	{ "cgroup/getsockname_unix", "cgroup", T(CGROUP_SOCK_ADDR), false,
	  NULL },
	{ "cgroup/sysctl", "cgroup", T(CGROUP_SYSCTL), false, NULL },
	{ "cgroup/getsockopt", "cgroup", T(CGROUP_SOCKOPT), false, NULL },
	{ "cgroup/setsockopt", "cgroup", T(CGROUP_SOCKOPT), false, NULL },
	{ "cgroup/dev", "cgroup", T(CGROUP_DEVICE), false, NULL },
	{ "lirc_mode2", "lirc_mode2", T(LIRC_MODE2), false, NULL },
};

/* libbpf's rule: the whole name, or, of those with a target, all before a
 * slash. */
static bool names(const struct bl_hook *h, const char *section)
{
	size_t len = strlen(h->section);

	if (strncmp(section, h->section, len) != 0)
		return false;
	return !section[len] || (h->target && section[len] == '/');
}

const struct bl_hook *bl_hook_find(const char *section)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(hooks); i++)
		if (names(&hooks[i], section))
			return &hooks[i];
	return NULL;
}

const struct bl_hook *bl_hook_at(size_t i)
{
	return i < BL_ARRAY_SIZE(hooks) ? &hooks[i] : NULL;
}

const char *bl_hook_target(const struct bl_hook *hook, const char *section)
{
	size_t len = strlen(hook->section);

	return section[len] == '/' && section[len + 1] ? section + len + 1
						       : NULL;
}
