// SPDX-License-Identifier: GPL-2.0-only
/* As large as objects come: 200 programs and 15 MB of data that they read. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define BYTES (15 << 20)
#define MASK  ((8 << 20) - 1) /* a bound that every verifier follows */

const volatile unsigned char data[BYTES] = { 1 };

static __always_inline int sum(__u32 at)
{
	__u32 i, n = 0;

	for (i = 0; i < 32; i++)
		n += data[(at + i * 4099) & MASK];
	return (int)n;
}

/* A tracepoint takes 64 programs. */
#define ONE(hook, n)                                           \
	SEC("tracepoint/syscalls/sys_enter_" hook)             \
	int reads_##n(void *ctx)                               \
	{                                                      \
		return sum(bpf_get_smp_processor_id() + 1##n); \
	}
#define TEN(hook, n)                                                    \
	ONE(hook, n##0)                                                 \
	ONE(hook, n##1) ONE(hook, n##2) ONE(hook, n##3) ONE(hook, n##4) \
		ONE(hook, n##5) ONE(hook, n##6) ONE(hook, n##7)         \
			ONE(hook, n##8) ONE(hook, n##9)
#define FIFTY(hook, n)  \
	TEN(hook, n##0) \
	TEN(hook, n##1) TEN(hook, n##2) TEN(hook, n##3) TEN(hook, n##4)

FIFTY("unlinkat", 1)
FIFTY("mkdirat", 2)
FIFTY("renameat2", 3)
FIFTY("symlinkat", 4)

char LICENSE[] SEC("license") = "GPL";
