// SPDX-License-Identifier: GPL-2.0-only
/*
 * One program for each way in which code depends on a kernel's types, and for
 * each way to guard it. test_gate_core.c has a table of what is to be found.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
#include "tests/lab/objects/core-types.bpf.h"

struct bt_thing___new {
	int __state;
};
struct bt_come {
	int x;
};
struct bt_nowhere {
	int x;
};
enum bt_mode___new {
	BT_COME___new = 1,
};
#pragma clang attribute pop

char _license[] SEC("license") = "GPL";

const volatile bool use_new = false;
const volatile int only = 0;
extern int LINUX_KERNEL_VERSION __kconfig;
extern const void bt_symbol __ksym __weak;

static long seen;

/* Some kernel memory. */
static __always_inline void *thing(void)
{
	return (void *)bpf_get_current_task();
}

static __always_inline int read_state(void)
{
	struct bt_thing *t = thing();

	return BPF_CORE_READ(t, state);
}

static __always_inline bool has_state(void)
{
	struct bt_thing *t = thing();

	return bpf_core_field_exists(t->state);
}

SEC("socket")
int bare(void *ctx)
{
	return read_state();
}

SEC("socket")
int guarded(void *ctx)
{
	return has_state() ? read_state() : 0;
}

SEC("socket")
int flavored(void *ctx)
{
	struct bt_thing___new *t = thing();

	if (bpf_core_field_exists(t->__state))
		return BPF_CORE_READ(t, __state);
	return read_state();
}

/* The answer lives through helper calls, in a register or on the stack. */
SEC("socket")
int guarded_early(void *ctx)
{
	volatile long has = has_state();

	seen += bpf_ktime_get_ns();
	bpf_printk("%ld", seen);
	return has ? read_state() : 0;
}

SEC("socket")
int guarded_by_flags(void *ctx)
{
	struct bt_thing *t = thing();
	int flags = 0;

	if (bpf_core_field_exists(t->state))
		flags |= 1;
	if (bpf_get_smp_processor_id())
		flags |= 2;
	seen += flags;
	return flags & 1 ? read_state() : 0;
}

static __noinline bool ask_state(void)
{
	return has_state();
}

SEC("socket")
int guarded_by_function(void *ctx)
{
	return ask_state() ? read_state() : 0;
}

static __noinline int read_if(bool has)
{
	seen++;
	return has ? read_state() : 0;
}

SEC("socket")
int guarded_by_argument(void *ctx)
{
	return read_if(has_state());
}

static __noinline int read_in_function(void)
{
	seen++;
	return read_state();
}

SEC("socket")
int guards_call(void *ctx)
{
	return has_state() ? read_in_function() : 0;
}

SEC("socket")
int bare_call(void *ctx)
{
	return read_in_function();
}

__noinline int read_in_global(int x)
{
	return x + read_state();
}

SEC("socket")
int guards_global(void *ctx)
{
	return has_state() ? read_in_global(1) : 0;
}

static int callback(__u32 index, void *ctx)
{
	seen += read_state();
	return 0;
}

SEC("socket")
int bare_callback(void *ctx)
{
	return bpf_loop(3, callback, NULL, 0);
}

SEC("socket")
int guards_callback(void *ctx)
{
	return has_state() ? bpf_loop(3, callback, NULL, 0) : 0;
}

SEC("socket")
int by_rodata(void *ctx)
{
	return use_new ? 0 : read_state();
}

/* Whatever "only" is, there is a way to it. */
SEC("socket")
int behind_rodata(void *ctx)
{
	if (only && only != (int)bpf_get_current_pid_tgid())
		return 0;
	return read_state();
}

SEC("socket")
int by_version(void *ctx)
{
	return LINUX_KERNEL_VERSION < 0x50e00 ? read_state() : 0;
}

SEC("socket")
int by_symbol(void *ctx)
{
	return &bt_symbol ? read_state() : 0;
}

SEC("socket")
int by_luck(void *ctx)
{
	return bpf_get_prandom_u32() & 1 ? read_state() : 0;
}

SEC("socket")
int in_loop(void *ctx)
{
	int i, n = bpf_get_prandom_u32() & 15;

	for (i = 0; i < n; i++) {
		seen += i;
		bpf_printk("%d", i);
	}
	return read_state();
}

SEC("?socket")
int optional(void *ctx)
{
	return read_state();
}

SEC("socket")
int deep(void *ctx)
{
	struct bt_thing *t = thing();

	return BPF_CORE_READ(t, inner.row[2]) + BPF_CORE_READ(t, in_union);
}

SEC("socket")
int beyond(void *ctx)
{
	struct bt_thing *t = thing();

	return BPF_CORE_READ(t, name[12]);
}

SEC("socket")
int retyped(void *ctx)
{
	struct bt_thing *t = thing();

	return BPF_CORE_READ(t, retyped);
}

SEC("socket")
int bits(void *ctx)
{
	struct bt_thing *t = thing();

	return BPF_CORE_READ_BITFIELD_PROBED(t, three) +
	       BPF_CORE_READ_BITFIELD_PROBED(t, seven);
}

SEC("tp_btf/sys_enter")
int direct(struct bt_thing **ctx)
{
	return ctx[0]->widened;
}

SEC("tp_btf/sys_enter")
int direct_signed(struct bt_thing **ctx)
{
	return ctx[0]->widened_signed;
}

SEC("tp_btf/sys_enter")
int direct_far(struct bt_thing **ctx)
{
	return ctx[0]->moved_far;
}

SEC("socket")
int no_type(void *ctx)
{
	struct bt_nowhere *n = thing();

	return BPF_CORE_READ(n, x);
}

SEC("socket")
int guarded_type(void *ctx)
{
	struct bt_come *c = thing();

	if (bpf_core_type_exists(struct bt_come))
		return BPF_CORE_READ(c, x) + bpf_core_type_size(struct bt_come);
	return 0;
}

SEC("socket")
int guarded_by_id(void *ctx)
{
	struct bt_gone *g = thing();

	return bpf_core_type_id_kernel(struct bt_gone) ? BPF_CORE_READ(g, x)
						       : 0;
}

SEC("socket")
int guarded_by_size(void *ctx)
{
	struct bt_gone *g = thing();

	return bpf_core_type_size(struct bt_gone) ? BPF_CORE_READ(g, x) : 0;
}

SEC("socket")
int value(void *ctx)
{
	return bpf_core_enum_value(enum bt_mode, BT_ON);
}

SEC("socket")
int value_gone(void *ctx)
{
	return bpf_core_enum_value(enum bt_mode, BT_GONE);
}

SEC("socket")
int guarded_value(void *ctx)
{
	if (bpf_core_enum_value_exists(enum bt_mode___new, BT_COME___new))
		return bpf_core_enum_value(enum bt_mode___new, BT_COME___new);
	return bpf_core_enum_value(enum bt_mode, BT_GONE);
}

SEC("socket")
int properties(void *ctx)
{
	struct bt_thing *t = thing();

	return bpf_core_field_size(t->name) + bpf_core_field_size(t->inner) +
	       bpf_core_type_id_local(struct bt_thing);
}
