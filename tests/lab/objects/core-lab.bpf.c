// SPDX-License-Identifier: GPL-2.0-only
/*
 * Relocations against what real kernels have and have not: one program for each
 * case, named by what is to be found on a kernel that lacks it. task_struct's
 * "state" became "__state" in 5.14; bpf_loop and struct bpf_dynptr_kern came
 * in 5.17 and 5.19; no kernel has what is called belay_….
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define CORE __attribute__((preserve_access_index))

struct task_struct {
	int pid;
	int exit_code;
	char comm[16];
	struct task_struct *real_parent;
	volatile long state;
	unsigned sched_reset_on_fork : 1;
} CORE;

struct task_struct___new {
	unsigned int __state;
} CORE;

struct task_struct___wide {
	unsigned long exit_code;
} CORE;

struct bpf_dynptr_kern {
	void *data;
} CORE;

enum bpf_func_id___new {
	BPF_FUNC_loop___new = 1,
};

enum bpf_func_id___never {
	BPF_FUNC_belay_none___never = 1,
};

char _license[] SEC("license") = "GPL";

const volatile bool never = false;
extern int LINUX_KERNEL_VERSION __kconfig;

static long seen;

static __always_inline struct task_struct *task(void)
{
	return (void *)bpf_get_current_task();
}

static __always_inline long read_state(void)
{
	return BPF_CORE_READ(task(), state);
}

static __always_inline bool has_state(void)
{
	return bpf_core_field_exists(task()->state);
}

SEC("raw_tp/sched_switch")
int fits_all(void *ctx)
{
	struct task_struct *t = task();

	seen += BPF_CORE_READ(t, real_parent, pid) + BPF_CORE_READ(t, comm[3]);
	seen += BPF_CORE_READ_BITFIELD_PROBED(t, sched_reset_on_fork);
	seen += bpf_core_type_size(struct task_struct) +
		bpf_core_field_size(t->comm) +
		bpf_core_type_id_kernel(struct task_struct) +
		bpf_core_enum_value(enum bpf_func_id,
				    BPF_FUNC_map_lookup_elem) *
			bpf_core_enum_value_exists(enum bpf_func_id___never,
						   BPF_FUNC_belay_none___never);
	return 0;
}

SEC("raw_tp/sched_switch")
int bare_state(void *ctx)
{
	return read_state();
}

SEC("raw_tp/sched_switch")
int guarded_state(void *ctx)
{
	if (has_state())
		seen += read_state();
	else if (bpf_core_field_exists(struct task_struct___new, __state))
		seen += BPF_CORE_READ((struct task_struct___new *)task(),
				      __state);
	return 0;
}

SEC("raw_tp/sched_switch")
int guarded_early(void *ctx)
{
	volatile long has = has_state();

	seen += bpf_ktime_get_ns();
	if (has)
		seen += read_state();
	return 0;
}

SEC("raw_tp/sched_switch")
int guarded_by_flags(void *ctx)
{
	int flags = 0;

	if (has_state())
		flags |= 1;
	if (bpf_get_smp_processor_id())
		flags |= 2;
	seen += flags;
	if (flags & 1)
		seen += read_state();
	return 0;
}

static __noinline bool ask_state(void)
{
	return has_state();
}

static __noinline long read_if(bool has)
{
	seen++;
	return has ? read_state() : 0;
}

static __noinline long read_bare(long more)
{
	seen += more;
	return read_state();
}

SEC("raw_tp/sched_switch")
int guarded_by_function(void *ctx)
{
	if (ask_state())
		seen += read_state();
	return 0;
}

SEC("raw_tp/sched_switch")
int guarded_by_argument(void *ctx)
{
	seen += read_if(has_state());
	return 0;
}

SEC("raw_tp/sched_switch")
int guarded_call(void *ctx)
{
	if (has_state())
		seen += read_bare(1);
	return 0;
}

SEC("raw_tp/sched_switch")
int bare_call(void *ctx)
{
	seen += read_bare(2);
	return 0;
}

__noinline int read_global(int x)
{
	return x + read_state();
}

/* Verified for itself before 6.8. */
SEC("raw_tp/sched_switch")
int open_global(void *ctx)
{
	if (has_state())
		seen += read_global(1);
	return 0;
}

SEC("raw_tp/sched_switch")
int open_rodata(void *ctx)
{
	if (never)
		seen += read_state();
	return 0;
}

SEC("raw_tp/sched_switch")
int open_version(void *ctx)
{
	if (LINUX_KERNEL_VERSION < 0x50e00)
		seen += read_state();
	return 0;
}

SEC("raw_tp/sched_switch")
int bare_behind_pid(void *ctx)
{
	if (BPF_CORE_READ(task(), pid) == 1)
		seen += read_state();
	return 0;
}

SEC("raw_tp/sched_switch")
int bare_in_loop(void *ctx)
{
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 4; i++) {
		seen += bpf_ktime_get_ns();
		if (i == 3)
			seen += read_state();
	}
	return 0;
}

SEC("?raw_tp/sched_switch")
int optional_state(void *ctx)
{
	return read_state();
}

SEC("raw_tp/sched_switch")
int guarded_type(void *ctx)
{
	struct bpf_dynptr_kern *d = (void *)task();

	if (bpf_core_type_exists(struct bpf_dynptr_kern))
		seen += (long)BPF_CORE_READ(d, data);
	return 0;
}

SEC("raw_tp/sched_switch")
int open_type(void *ctx)
{
	struct bpf_dynptr_kern *d = (void *)task();

	seen += (long)BPF_CORE_READ(d, data);
	return 0;
}

SEC("raw_tp/sched_switch")
int guarded_value(void *ctx)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id___new,
				       BPF_FUNC_loop___new))
		seen += bpf_core_enum_value(enum bpf_func_id___new,
					    BPF_FUNC_loop___new);
	return 0;
}

SEC("raw_tp/sched_switch")
int bare_value(void *ctx)
{
	seen += bpf_core_enum_value(enum bpf_func_id___never,
				    BPF_FUNC_belay_none___never);
	return 0;
}

/* tp_btf arguments are typed: members are read by plain loads, whose size
 * loaders change for unsigned integers alone. */
SEC("tp_btf/sched_switch")
int fits_direct(unsigned long long *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	seen += prev->pid;
	return 0;
}

SEC("tp_btf/sched_switch")
int bare_direct_state(unsigned long long *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	seen += prev->state;
	return 0;
}

SEC("tp_btf/sched_switch")
int bare_direct_size(unsigned long long *ctx)
{
	struct task_struct___wide *prev = (void *)ctx[1];

	seen += prev->exit_code;
	return 0;
}
