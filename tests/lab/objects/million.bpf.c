// SPDX-License-Identifier: GPL-2.0-only
/* One program of INSNS instructions and a few; kernels take a million. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define TEXT_(x) #x
#define TEXT(x)	 TEXT_(x)

SEC("tracepoint/syscalls/sys_enter_unlinkat")
int endless(void *ctx)
{
	asm volatile("r1 = 0\n"
		     ".rept " TEXT(INSNS) "\n"
					  "r1 += 1\n"
					  ".endr\n" ::
						  : "r1");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
