// SPDX-License-Identifier: GPL-2.0-only
/* A thousand sections, each of which libbpf makes a map of. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ONE(n) const volatile int value_##n SEC(".rodata.v" #n) = 1##n;
#define TEN(n)                                                                \
	ONE(n##0)                                                             \
	ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) \
		ONE(n##8) ONE(n##9)
#define HUNDRED(n)                                                            \
	TEN(n##0)                                                             \
	TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) \
		TEN(n##8) TEN(n##9)

HUNDRED(0)
HUNDRED(1)
HUNDRED(2)
HUNDRED(3)
HUNDRED(4)
HUNDRED(5)
HUNDRED(6)
HUNDRED(7)
HUNDRED(8)
HUNDRED(9)

SEC("tracepoint/syscalls/sys_enter_unlinkat")
int reads(void *ctx)
{
	return value_000 + value_999;
}

char LICENSE[] SEC("license") = "GPL";
