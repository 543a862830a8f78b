// SPDX-License-Identifier: GPL-2.0-only
/* One program of each kind that a profile may mind, and maps. The gate reads
 * it; no kernel is asked to take it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} kept SEC(".maps");

extern void bpf_sock_destroy(void) __ksym;
extern void bpf_never_heard_of(void) __ksym;

SEC("fentry.s/do_unlinkat")
int sleeps(void *ctx)
{
	return 0;
}

SEC("lsm/file_open")
int refuses(void *ctx)
{
	return -1;
}

SEC("lsm/file_open")
int only_looks(void *ctx)
{
	return 0;
}

SEC("?lsm/bprm_check_security")
int may_refuse(void *ctx)
{
	return -1;
}

SEC("fmod_ret/security_file_open")
int forges_security(void *ctx)
{
	return 0;
}

SEC("fmod_ret/should_failslab")
int forges(void *ctx)
{
	return 0;
}

SEC("fmod_ret")
int forges_somewhere(void *ctx)
{
	return 0;
}

SEC("struct_ops/select_cpu")
int schedules(void *ctx)
{
	return 0;
}

SEC("my_own_section")
int is_what(void *ctx)
{
	return 0;
}

SEC("kprobe/tcp_connect")
int probes(void *ctx)
{
	return 0;
}

SEC("kprobe.multi/tcp_*")
int probes_many(void *ctx)
{
	return 0;
}

SEC("kprobe")
int probes_somewhere(void *ctx)
{
	return 0;
}

SEC("iter/tcp")
int closes(void *ctx)
{
	bpf_sock_destroy(); /* line: kfunc */
	bpf_never_heard_of();
	return (int)bpf_get_prandom_u32();
}

char LICENSE[] SEC("license") = "GPL";
