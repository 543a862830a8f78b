// SPDX-License-Identifier: GPL-2.0-only
/* Its BTF stands in for a kernel's. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "tests/lab/objects/core-types.bpf.h"

char _license[] SEC("license") = "GPL";

bt_thing_t thing;
INTO_NEW(struct bt_gone, struct bt_come) one_of_them;
enum bt_mode mode;

SEC("socket")
int unused(void *ctx)
{
	return 0;
}
