// SPDX-License-Identifier: GPL-2.0-only
/* Reads a member under either of its names: right for both "kernels". */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

struct bt_thing {
	int state;
} __attribute__((preserve_access_index));

struct bt_thing___new {
	int __state;
} __attribute__((preserve_access_index));

SEC("socket")
int either(void *ctx)
{
	struct bt_thing *t = (void *)bpf_get_current_task();
	struct bt_thing___new *n = (void *)t;

	if (bpf_core_field_exists(n->__state))
		return BPF_CORE_READ(n, __state);
	if (bpf_core_field_exists(t->state))
		return BPF_CORE_READ(t, state);
	return 0;
}
