/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/policy/profile_table.h"

#include "loader/base/cleanup.h"

/*
 * WATCH only looks. DECIDE decides or changes, but within the operation that it
 * was asked about, and that is what enforcement is. DANGER reaches beyond it:
 * into processes, scheduling, files, sockets of others. No built-in profile
 * lets that pass in silence: trusted names each use in a warning, and only a
 * file can allow it, with a reason.
 */
#define WATCH	BL_PROFILE_WATCH
#define DECIDE	BL_PROFILE_DECIDE
#define DANGER	BL_PROFILE_DANGER
#define LOOK	BL_PROFILE_LOOK
#define OBSCURE BL_PROFILE_OBSCURE

static const struct bl_profile_row types[] = {
	{ "*", "", WATCH },
	{ "unknown", "", OBSCURE },
	{ "lsm", "can refuse what processes do", DECIDE },
	{ "lsm_cgroup", "can refuse what processes of a cgroup do", DECIDE },
	{ "fmod_ret", "forges what kernel functions return", DECIDE },
	{ "cgroup", "can refuse and change what a cgroup sends, opens and sets",
	  DECIDE },
	{ "xdp", "can drop, change and redirect packets", DECIDE },
	{ "tc", "can drop, change and redirect packets", DECIDE },
	{ "netkit", "can drop, change and redirect packets", DECIDE },
	{ "netfilter", "can drop packets", DECIDE },
	{ "flow_dissector", "decides how packets are taken apart", DECIDE },
	{ "lwt", "can drop, change and reroute packets", DECIDE },
	{ "socket", "decides which packets a socket sees", DECIDE },
	{ "sk_reuseport", "decides which socket a connection gets", DECIDE },
	{ "sk_lookup", "decides which socket a connection gets", DECIDE },
	{ "sk_skb", "can drop and redirect what sockets receive", DECIDE },
	{ "sk_msg", "can drop and redirect what sockets send", DECIDE },
	{ "sockops", "changes how TCP connections behave", DECIDE },
	{ "raw_tracepoint.w",
	  "writes into what the kernel hands to a tracepoint", DANGER },
	{ "freplace", "replaces a function of another program", DANGER },
	{ "struct_ops", "becomes a part of the kernel, such as its scheduler",
	  DANGER },
	{ "syscall", "makes bpf() calls of its own and is attached to nothing",
	  DANGER },
	{ "lirc_mode2", "produces input events", DANGER },
};

/* With a target; without one the loader chooses. */
static const struct bl_profile_row attach[] = {
	{ "*", "", WATCH },
	{ "fmod_ret*/*", "forges what a kernel function returns", DANGER },
	{ "fmod_ret*/security_*", "can refuse what processes do", DECIDE },
};

/* All others only read, count and report. */
static const struct bl_profile_row helpers[] = {
	{ "*", "", WATCH },
	{ "helper *", "belay does not know and cannot judge", DANGER },
	{ "bpf_skb_store_bytes", "changes packets", DECIDE },
	{ "bpf_skb_vlan_*", "changes packets", DECIDE },
	{ "bpf_skb_change_*", "changes packets", DECIDE },
	{ "bpf_skb_adjust_room", "changes packets", DECIDE },
	{ "bpf_skb_ecn_set_ce", "changes packets", DECIDE },
	{ "bpf_skb_set_tstamp", "changes packets", DECIDE },
	{ "bpf_skb_set_tunnel_*", "changes packets", DECIDE },
	{ "bpf_l3_csum_replace", "changes packets", DECIDE },
	{ "bpf_l4_csum_replace", "changes packets", DECIDE },
	{ "bpf_csum_update", "changes packets", DECIDE },
	{ "bpf_csum_level", "changes packets", DECIDE },
	{ "bpf_set_hash", "changes packets", DECIDE },
	{ "bpf_set_hash_invalid", "changes packets", DECIDE },
	{ "bpf_xdp_adjust_*", "changes packets", DECIDE },
	{ "bpf_xdp_store_bytes", "changes packets", DECIDE },
	{ "bpf_lwt_*", "changes packets", DECIDE },
	{ "bpf_redirect", "sends packets elsewhere", DECIDE },
	{ "bpf_redirect_map", "sends packets elsewhere", DECIDE },
	{ "bpf_redirect_neigh", "sends packets elsewhere", DECIDE },
	{ "bpf_redirect_peer", "sends packets elsewhere", DECIDE },
	{ "bpf_clone_redirect", "sends packets elsewhere", DECIDE },
	{ "bpf_tcp_send_ack", "sends packets of its own", DECIDE },
	{ "bpf_sk_redirect_*", "hands data to another socket", DECIDE },
	{ "bpf_msg_redirect_*", "hands data to another socket", DECIDE },
	{ "bpf_sk_assign", "hands data to another socket", DECIDE },
	{ "bpf_sk_select_reuseport", "hands data to another socket", DECIDE },
	{ "bpf_sock_map_update", "hands data to another socket", DECIDE },
	{ "bpf_sock_hash_update", "hands data to another socket", DECIDE },
	{ "bpf_msg_apply_bytes", "changes what sockets send", DECIDE },
	{ "bpf_msg_cork_bytes", "changes what sockets send", DECIDE },
	{ "bpf_msg_push_data", "changes what sockets send", DECIDE },
	{ "bpf_msg_pop_data", "changes what sockets send", DECIDE },
	{ "bpf_store_hdr_opt", "changes what sockets send", DECIDE },
	{ "bpf_reserve_hdr_opt", "changes what sockets send", DECIDE },
	{ "bpf_setsockopt", "sets options of sockets", DECIDE },
	{ "bpf_sock_ops_cb_flags_set", "sets options of sockets", DECIDE },
	{ "bpf_bind", "binds sockets to addresses", DECIDE },
	{ "bpf_set_retval", "decides what a system call returns", DECIDE },
	{ "bpf_sysctl_set_new_value", "changes what is written to a sysctl",
	  DECIDE },
	{ "bpf_bprm_opts_set", "changes how programs are executed", DECIDE },
	{ "bpf_probe_write_user", "writes into the memory of other processes",
	  DANGER },
	{ "bpf_override_return", "forges the return value of kernel functions",
	  DANGER },
	{ "bpf_send_signal", "sends signals to the process it observes",
	  DANGER },
	{ "bpf_send_signal_thread", "sends signals to the thread it observes",
	  DANGER },
	{ "bpf_sys_bpf", "makes bpf() calls of its own", DANGER },
	{ "bpf_sys_close", "closes file descriptors", DANGER },
	{ "bpf_kallsyms_lookup_name", "reveals where the kernel lies in memory",
	  DANGER },
	{ "bpf_rc_*", "produces input events", DANGER },
};

/* As of 7.3. The ones not listed are not known to be harmless. */
static const struct bl_profile_row kfuncs[] = {
	{ "*", "belay does not know and cannot judge", DANGER },
	{ "__bpf_trap", "", WATCH },
	{ "bpf_arena_*", "", WATCH },
	{ "bpf_cast_to_kern_ctx", "", WATCH },
	{ "bpf_cgroup_*", "", WATCH },
	{ "bpf_copy_from_user_*", "", WATCH },
	{ "bpf_cpumask_*", "", WATCH },
	{ "bpf_crypto_*", "", WATCH },
	{ "bpf_dynptr_*", "", WATCH },
	{ "bpf_get_dentry_xattr", "", WATCH },
	{ "bpf_get_file_xattr", "", WATCH },
	{ "bpf_get_fsverity_digest", "", WATCH },
	{ "bpf_get_kmem_cache", "", WATCH },
	{ "bpf_get_mem_cgroup", "", WATCH },
	{ "bpf_get_root_mem_cgroup", "", WATCH },
	{ "bpf_get_task_exe_file", "", WATCH },
	{ "bpf_iter_*", "", WATCH },
	{ "bpf_key_put", "", WATCH },
	{ "bpf_list_*", "", WATCH },
	{ "bpf_local_irq_*", "", WATCH },
	{ "bpf_lookup_system_key", "", WATCH },
	{ "bpf_lookup_user_key", "", WATCH },
	{ "bpf_map_sum_elem_count", "", WATCH },
	{ "bpf_mem_cgroup_*", "", WATCH },
	{ "bpf_obj_*", "", WATCH },
	{ "bpf_path_d_path", "", WATCH },
	{ "bpf_percpu_obj_*", "", WATCH },
	{ "bpf_preempt_*", "", WATCH },
	{ "bpf_probe_read_*", "", WATCH },
	{ "bpf_put_*", "", WATCH },
	{ "bpf_rbtree_*", "", WATCH },
	{ "bpf_rcu_*", "", WATCH },
	{ "bpf_rdonly_cast", "", WATCH },
	{ "bpf_real_data_inode", "", WATCH },
	{ "bpf_refcount_*", "", WATCH },
	{ "bpf_res_spin_*", "", WATCH },
	{ "bpf_session_*", "", WATCH },
	{ "bpf_skb_get_*", "", WATCH },
	{ "bpf_sock_read_xattr", "", WATCH },
	{ "bpf_str*", "", WATCH },
	{ "bpf_task_*", "", WATCH },
	{ "bpf_throw", "", WATCH },
	{ "bpf_timer_*", "", WATCH },
	{ "bpf_verify_pkcs7_signature", "", WATCH },
	{ "bpf_wakeup_sources_*", "", WATCH },
	{ "bpf_wq_*", "", WATCH },
	{ "bpf_xdp_get_*", "", WATCH },
	{ "bpf_xdp_metadata_rx_*", "", WATCH },
	{ "bpf_xdp_xfrm_state_release", "", WATCH },
	{ "css_rstat_*", "", WATCH },
	{ "cgroup_rstat_*", "", WATCH },
	{ "bpf_skb_set_*", "changes packets", DECIDE },
	{ "bpf_xdp_pull_data", "changes packets", DECIDE },
	{ "bpf_icmp_send", "sends packets of its own", DECIDE },
	{ "bpf_ct_*", "changes tracked connections", DECIDE },
	{ "bpf_skb_ct_*", "changes tracked connections", DECIDE },
	{ "bpf_xdp_ct_*", "changes tracked connections", DECIDE },
	{ "bpf_xdp_flow_*", "changes tracked connections", DECIDE },
	{ "bpf_sk_assign_*", "hands connections to another socket", DECIDE },
	{ "bpf_sock_addr_set_*", "changes addresses of sockets", DECIDE },
	{ "bpf_sock_ops_enable_*", "sets options of sockets", DECIDE },
	{ "bpf_send_signal*", "sends signals to processes", DANGER },
	{ "bpf_*write_user*", "writes into the memory of other processes",
	  DANGER },
	{ "bpf_copy_to_user*", "writes into the memory of other processes",
	  DANGER },
	{ "bpf_set_*xattr", "changes attributes of files", DANGER },
	{ "bpf_remove_*xattr", "changes attributes of files", DANGER },
	{ "bpf_sock_destroy", "closes sockets of others", DANGER },
	{ "bpf_ksock_*", "opens connections out of the kernel", DANGER },
	{ "bpf_io_uring_*", "does I/O for other processes", DANGER },
	{ "crash_kexec", "takes the machine down", DANGER },
	{ "bpf_oom_*", "ends processes", DANGER },
	{ "scx_*", "decides which task runs", DANGER },
	{ "__scx_*", "decides which task runs", DANGER },
	{ "bpf_iter_scx_*", "decides which task runs", DANGER },
	{ "bpf_qdisc_*", "decides which packet is sent when", DANGER },
	{ "bpf_kfree_skb", "decides which packet is sent when", DANGER },
	{ "tcp_*", "decides how fast TCP sends", DANGER },
	{ "cubictcp_*", "decides how fast TCP sends", DANGER },
	{ "dctcp_*", "decides how fast TCP sends", DANGER },
	{ "bbr_*", "decides how fast TCP sends", DANGER },
	{ "hid_bpf_*", "changes input devices", DANGER },
};

static const struct bl_profile_row sleepable[] = {
	{ "*", "", WATCH },
};

static const struct bl_profile_row maps[] = {
	{ "*", "", WATCH },
	{ "type *", "belay does not know and cannot judge", DANGER },
	{ "devmap", "sends packets elsewhere", DECIDE },
	{ "devmap_hash", "sends packets elsewhere", DECIDE },
	{ "cpumap", "sends packets elsewhere", DECIDE },
	{ "xskmap", "sends packets elsewhere", DECIDE },
	{ "sockmap", "hands data to another socket", DECIDE },
	{ "sockhash", "hands data to another socket", DECIDE },
	{ "reuseport_sockarray", "hands data to another socket", DECIDE },
	{ "struct_ops", "becomes a part of the kernel", DANGER },
};

static const struct bl_profile_row pinning[] = {
	{ "*",
	  "keeps it in /sys/fs/bpf when the sensor has gone, to meet others of its name",
	  LOOK },
};

static const struct {
	const struct bl_profile_row *rows;
	size_t count;
} tables[BL_SUBJECTS] = {
	[BL_SUBJECT_TYPES] = { types, BL_ARRAY_SIZE(types) },
	[BL_SUBJECT_ATTACH] = { attach, BL_ARRAY_SIZE(attach) },
	[BL_SUBJECT_HELPERS] = { helpers, BL_ARRAY_SIZE(helpers) },
	[BL_SUBJECT_KFUNCS] = { kfuncs, BL_ARRAY_SIZE(kfuncs) },
	[BL_SUBJECT_SLEEPABLE] = { sleepable, BL_ARRAY_SIZE(sleepable) },
	[BL_SUBJECT_MAPS] = { maps, BL_ARRAY_SIZE(maps) },
	[BL_SUBJECT_PINNING] = { pinning, BL_ARRAY_SIZE(pinning) },
};

const struct bl_profile_row *bl_profile_rows(enum bl_subject subject,
					     size_t *ret_count)
{
	*ret_count = tables[subject].count;
	return tables[subject].rows;
}

enum bl_verdict bl_profile_verdict(enum bl_profile_class c,
				   enum bl_profile_base base)
{
	static const enum bl_verdict verdicts[][BL_PROFILE_BASES] = {
		[WATCH] = { BL_VERDICT_PASS, BL_VERDICT_PASS, BL_VERDICT_PASS },
		[DECIDE] = { BL_VERDICT_REJECT, BL_VERDICT_PASS,
			     BL_VERDICT_PASS },
		[DANGER] = { BL_VERDICT_REJECT, BL_VERDICT_REJECT,
			     BL_VERDICT_WARN },
		[LOOK] = { BL_VERDICT_WARN, BL_VERDICT_WARN, BL_VERDICT_PASS },
		[OBSCURE] = { BL_VERDICT_UNDECIDED, BL_VERDICT_UNDECIDED,
			      BL_VERDICT_WARN },
	};

	return verdicts[c][base];
}
