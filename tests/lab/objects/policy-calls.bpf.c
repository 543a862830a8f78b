// SPDX-License-Identifier: GPL-2.0-only
/* One forbidden helper behind every kind of call, and kfuncs. The gate reads
 * it; no kernel is asked to take it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define noinline __attribute__((noinline))

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} misses SEC(".maps");

static __u64 padding, counter;
__u64 visible;

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
extern const int bpf_prog_active __ksym;
extern int LINUX_KERNEL_VERSION __kconfig;

int shared(int signal);
int nobody(void);

static noinline int first(int x)
{
	return x > 3 ? (int)bpf_get_smp_processor_id() : 7;
}

static noinline int inner(int x)
{
	return x + (int)bpf_send_signal(9); /* line: static */
}

static noinline int outer(int x)
{
	return first(x) + inner(x + 1);
}

noinline int shared(int signal)
{
	return (int)bpf_send_signal((__u32)signal); /* line: global */
}

noinline int nobody(void)
{
	return (int)bpf_send_signal_thread(15); /* line: dead */
}

static long each(__u32 i, void *ctx)
{
	return bpf_send_signal_thread(i); /* line: callback */
}

SEC("tracepoint/syscalls/sys_enter_openat")
int harmless(void *ctx)
{
	__u32 zero = 0;
	__u64 *hit = bpf_map_lookup_elem(&misses, &zero);

	if (hit)
		__sync_fetch_and_add(hit, 1);
	__sync_fetch_and_add(&counter, 1);
	__sync_fetch_and_add(&padding, 1);
	__sync_fetch_and_add(&visible, 1);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_close")
int by_static(void *ctx)
{
	return outer((int)(long)ctx);
}

SEC("tracepoint/syscalls/sys_enter_read")
int by_global(void *ctx)
{
	return shared(9);
}

SEC("?tracepoint/syscalls/sys_enter_write")
int by_callback(void *ctx)
{
	__u32 zero = 0;

	bpf_loop(9, each, 0, 0);
	return bpf_map_lookup_elem(&hits, &zero) != 0;
}

SEC("tp_btf/sched_process_exec")
int by_kfunc(void *ctx)
{
	bpf_rcu_read_lock();
	if (bpf_rcu_read_unlock)
		bpf_rcu_read_unlock();
	return bpf_prog_active + LINUX_KERNEL_VERSION;
}

char LICENSE[] SEC("license") = "GPL";
