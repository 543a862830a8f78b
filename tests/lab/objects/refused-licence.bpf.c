// SPDX-License-Identifier: GPL-2.0-only
/* A helper that is only for GPL-compatible programs, in one that says that it
 * is not; and a call of a kernel function, which is for such programs as a whole. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

extern int belay_no_such_kfunc(void) __ksym __weak;

SEC("kprobe/do_unlinkat")
int helper_only_for_gpl(void *ctx)
{
	char text[8] = { 0 };

	(void)ctx;
	return (int)bpf_probe_read_kernel(text, sizeof(text), (void *)8);
}

SEC("tc")
int kfunc_only_for_gpl(void *ctx)
{
	(void)ctx;
	return belay_no_such_kfunc();
}

char LICENSE[] SEC("license") = "Proprietary";
