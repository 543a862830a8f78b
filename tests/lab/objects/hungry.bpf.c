// SPDX-License-Identifier: GPL-2.0-only
/* A map that no machine has the memory for; which one, the build says:
 * TYPE, ENTRIES, VALUE (bytes). */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct value {
	char bytes[VALUE];
};

struct {
	__uint(type, TYPE);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, struct value);
} hungry SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_unlinkat")
int eats(void *ctx)
{
	__u32 key = 0;
	char *byte = bpf_map_lookup_elem(&hungry, &key);

	return byte ? *byte : 0;
}

char LICENSE[] SEC("license") = "GPL";
