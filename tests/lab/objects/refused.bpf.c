// SPDX-License-Identifier: GPL-2.0-only
/* One program for each of the verifier's common refusals, so that what belay
 * advises can be held against what kernels really say (loader/gate/report/hints.c).
 * Naked functions are written as the verifier would see them: a compiler would
 * rather not make these mistakes. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define NAKED __attribute__((naked))

struct value {
	__u32 count;
	__u32 fields[20];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tails SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

const volatile __u32 constant = 1;

extern int belay_no_such_kfunc(void) __ksym __weak;

static struct value *find(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&values, &zero);
}

SEC("socket")
int negative_index(struct __sk_buff *skb)
{
	struct value *v = find();
	long index = (int)skb->priority;

	if (!v || index > 10)
		return 0;
	return (int)v->fields[index];
}

SEC("socket")
int without_null_check(void *ctx)
{
	(void)ctx;
	return (int)find()->count;
}

SEC("socket")
int number_as_pointer(struct __sk_buff *skb)
{
	return *(int *)(long)skb->len;
}

SEC("socket")
NAKED int register_not_set(void)
{
	asm volatile("r0 = r2; exit;");
}

SEC("socket")
NAKED int result_not_set(void)
{
	asm volatile("exit;");
}

SEC("socket")
NAKED int code_after_exit(void)
{
	asm volatile("r0 = 0; exit; r0 = 1; exit;");
}

SEC("socket")
NAKED int loop_without_end(void)
{
	asm volatile("r0 = 0; l_%=: r0 += 0; goto l_%=; exit;" :::);
}

SEC("socket")
NAKED int no_exit(void)
{
	asm volatile("r0 = 0;");
}

SEC("socket")
NAKED int below_the_stack(void)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 520) = r0; exit;");
}

static __attribute__((noinline)) int deep_stack(const struct __sk_buff *skb)
{
	volatile char room[320];

	room[skb->len & 255] = 1;
	return room[3];
}

SEC("socket")
int stack_of_two_frames(struct __sk_buff *skb)
{
	volatile char room[320];

	room[skb->len & 255] = 1;
	return deep_stack(skb) + room[2];
}

SEC("socket")
NAKED int key_not_set(void)
{
	asm volatile("r2 = r10; r2 += -4; r1 = %[values] ll; call %[find];"
		     "r0 = 0; exit;" ::[values] "i"(&values),
		     [find] "i"(BPF_FUNC_map_lookup_elem));
}

SEC("socket")
NAKED int misaligned(void)
{
	asm volatile("r0 = 0; *(u32 *)(r10 - 6) = r0; exit;");
}

SEC("socket")
int helper_of_another_type(void *ctx)
{
	(void)ctx;
	return (int)bpf_redirect(1, 0);
}

SEC("cgroup_skb/egress")
int result_out_of_range(void *ctx)
{
	(void)ctx;
	return 5;
}

SEC("tc")
int reference_kept(struct __sk_buff *skb)
{
	struct bpf_sock_tuple t = { 0 };

	return bpf_sk_lookup_tcp(skb, &t, sizeof(t.ipv4), -1, 0) ? 1 : 0;
}

SEC("socket")
int record_kept(void *ctx)
{
	(void)ctx;
	return bpf_ringbuf_reserve(&ring, 8, 0) ? 1 : 0;
}

struct task_struct {
	int field_that_no_kernel_has;
} __attribute__((preserve_access_index));

SEC("raw_tp/sys_enter")
int field_not_there(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	(void)ctx;
	return BPF_CORE_READ(task, field_that_no_kernel_has);
}

SEC("socket")
NAKED int argument_of_wrong_type(void)
{
	asm volatile("r2 = r10; r2 += -4; r3 = 0; *(u32 *)(r10 - 4) = r3;"
		     "r1 = 7; call %[find]; r0 = 0; exit;" ::[find] "i"(
			     BPF_FUNC_map_lookup_elem));
}

SEC("tc")
NAKED int context_pointer_moved(void)
{
	asm volatile("r1 += 8; r0 = *(u32 *)(r1 + 0); exit;");
}

SEC("socket")
NAKED int context_field_not_there(void)
{
	asm volatile("r0 = *(u32 *)(r1 + 4000); exit;");
}

SEC("socket")
int write_to_constant(void *ctx)
{
	(void)ctx;
	*(volatile __u32 *)&constant = 2;
	return 0;
}

SEC("kprobe/do_unlinkat")
int helper_that_sleeps(void *ctx)
{
	char text[8] = { 0 };

	(void)ctx;
	return (int)bpf_copy_from_user(text, sizeof(text), (void *)8);
}

SEC("socket")
NAKED int pointer_math_unbounded(void)
{
	asm volatile(
		"r6 = r1; r1 = 0; *(u32 *)(r10 - 4) = r1;"
		"r2 = r10; r2 += -4; r1 = %[values] ll; call %[find];"
		"if r0 == 0 goto l_%=; r1 = *(u32 *)(r6 + 0);"
		"r1 <<= 32; r1 s>>= 1; r0 += r1;"
		"r0 = *(u32 *)(r0 + 0); l_%=: exit;" ::[values] "i"(&values),
		[find] "i"(BPF_FUNC_map_lookup_elem));
}

SEC("socket")
NAKED int math_on_null(void)
{
	asm volatile("r1 = 0; *(u32 *)(r10 - 4) = r1;"
		     "r2 = r10; r2 += -4; r1 = %[values] ll; call %[find];"
		     "r0 += 4; if r0 == 0 goto l_%=; r0 = 0;"
		     "l_%=: exit;" ::[values] "i"(&values),
		     [find] "i"(BPF_FUNC_map_lookup_elem));
}

SEC("xdp")
int packet_not_checked(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data;

	return data[13] ? XDP_PASS : XDP_DROP;
}

SEC("tc")
NAKED int size_unbounded(void)
{
	asm volatile("r6 = r1; r4 = *(u32 *)(r6 + 0); r2 = 0; r3 = r10;"
		     "r3 += -8; *(u64 *)(r10 - 8) = r2; r1 = r6; call %[load];"
		     "r0 = 0; exit;" ::[load] "i"(BPF_FUNC_skb_load_bytes));
}

SEC("tc")
NAKED int size_negative(void)
{
	asm volatile(
		"r6 = r1; r4 = *(u32 *)(r6 + 0); r4 <<= 32; r4 s>>= 32;"
		"if r4 s> 8 goto l_%=; r2 = 0; r3 = r10;"
		"r3 += -8; *(u64 *)(r10 - 8) = r2; r1 = r6; call %[load];"
		"l_%=: r0 = 0; exit;" ::[load] "i"(BPF_FUNC_skb_load_bytes));
}

SEC("tc")
NAKED int size_zero(void)
{
	asm volatile("r4 = 0; r2 = 0; r3 = r10; r3 += -8;"
		     "*(u64 *)(r10 - 8) = r2; call %[load];"
		     "r0 = 0; exit;" ::[load] "i"(BPF_FUNC_skb_load_bytes));
}

SEC("socket")
NAKED int tail_call_of_no_array(void)
{
	asm volatile("r2 = %[values] ll; r3 = 0; call %[tail];"
		     "r0 = 0; exit;" ::[values] "i"(&values),
		     [tail] "i"(BPF_FUNC_tail_call));
}

struct file;

SEC("fentry/security_file_open")
NAKED int write_to_kernel_memory(void)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); r0 = 0;"
		     "*(u64 *)(r1 + 8) = r0; exit;");
}

SEC("fentry/security_file_open")
NAKED int beyond_the_struct(void)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); r0 = *(u64 *)(r1 + 8000);"
		     "r0 = 0; exit;");
}

SEC("fentry/function_that_no_kernel_has")
int hook_not_there(void *ctx)
{
	(void)ctx;
	return 0;
}

__attribute__((noinline)) int global_function(struct value *v)
{
	return v ? (int)v->fields[v->count] : 0;
}

SEC("socket")
int calls_global_function(void *ctx)
{
	struct value *v = find();

	(void)ctx;
	return v ? global_function(v) : 0;
}

__attribute__((noinline)) int opaque_argument(struct file *f)
{
	return f ? 1 : 0;
}

SEC("socket")
int calls_with_opaque_argument(void *ctx)
{
	return opaque_argument(ctx);
}

static __attribute__((noinline)) int tail_caller(struct __sk_buff *skb)
{
	volatile char room[8];

	room[skb->len & 7] = 1;
	bpf_tail_call(skb, &tails, 0);
	return room[0];
}

SEC("tc")
int tail_call_below_a_large_frame(struct __sk_buff *skb)
{
	volatile char room[400];

	room[skb->len & 255] = 1;
	return tail_caller(skb) + room[1];
}

SEC("tc")
int kfunc_not_there(void *ctx)
{
	(void)ctx;
	return belay_no_such_kfunc();
}

char LICENSE[] SEC("license") = "GPL";
