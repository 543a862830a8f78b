// SPDX-License-Identifier: GPL-2.0-only
/* As large as objects come: 200 programs and 15 MB of data that they read. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define BYTES (15 << 20)

const volatile unsigned char data[BYTES] = { 1 };

static __always_inline int sum(__u32 at)
{
	__u32 i, n = 0;

	for (i = 0; i < 32; i++)
		n += data[(at + i * 4099) % BYTES];
	return (int)n;
}

#define ONE(n)                                                 \
	SEC("tracepoint/syscalls/sys_enter_unlinkat")          \
	int reads_##n(void *ctx)                               \
	{                                                      \
		return sum(bpf_get_smp_processor_id() + 1##n); \
	}
#define TEN(n)                                                                \
	ONE(n##0)                                                             \
	ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) \
		ONE(n##8) ONE(n##9)
#define HUNDRED(n)                                                            \
	TEN(n##0)                                                             \
	TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) \
		TEN(n##8) TEN(n##9)

HUNDRED(1)
HUNDRED(2)

char LICENSE[] SEC("license") = "GPL";
