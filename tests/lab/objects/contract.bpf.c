/* SPDX-License-Identifier: GPL-2.0-only */
/* A sensor of somebody who took another bpf/content.h: with -D, one of the ways
 * in which what it reads is not what content supplies. Without, it fits. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/event.h"

#ifdef CONTRACT_1
struct bl_content_slot {
	__u64 hash[2];
	__u32 rule;
	__u8 type;
	__u8 kind;
	__u8 action;
	__u8 reserved;
};
#define bl_content_bucket bl_content_slot
#define bucket_count	  slot_count
#else
struct bl_content_bucket {
	__u64 hash[4][2];
#ifdef MEMBER_SWAPPED
	__u8 type[4];
	__u8 kind[4];
	__u8 action[4];
	__u8 reserved[4];
	__u32 rule[4];
#else
	__u32 rule[4];
	__u8 type[4];
#ifdef MEMBER_RENAMED
	__u8 event[4];
#else
	__u8 kind[4];
#endif
	__u8 action[4];
#ifndef MEMBER_MISSING /* padding takes its place: the size is the same */
	__u8 reserved[4];
#endif
#endif
#ifdef MEMBER_MORE /* as in July 2024 */
	__u64 confidence[4];
#endif
};
#endif

struct bl_content_hdr {
	__u32 magic;
	__u32 contract;
	__u32 size;
	__u32 bucket_count;
	__u32 rule_count;
	__u32 deny_count;
	__u64 seed;
	__u32 kind_rules[8];
	__u8 default_action[8];
	__u8 kind_types[8];
	__u8 net_count[2];
#ifdef ARRAY_LONGER
	__u8 net_len[2][34];
#else
	__u8 net_len[2][33];
#endif
	__u32 reserved;
	__u64 prefix_len[4];
	__u64 domain_len[4];
	__u32 type_rules[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bl_content_hdr);
} bl_content_hdr SEC(".maps");

#ifndef MAP_MISSING
struct {
#ifdef MAP_HASH
	__uint(type, BPF_MAP_TYPE_HASH);
#else
	__uint(type, BPF_MAP_TYPE_ARRAY);
#endif
	__uint(max_entries, 1);
#if defined(MAP_UNTYPED)
	__uint(key_size, 4);
	__uint(value_size, 96);
#elif defined(MAP_UNTYPED_LONGER)
	__uint(key_size, 4);
	__uint(value_size, 104);
#else
	__type(key, __u32);
	__type(value, struct bl_content_bucket);
#endif
} bl_content_slots SEC(".maps");
#endif

SEC("tracepoint/syscalls/sys_enter_execve")
int reader(void *ctx)
{
	struct bl_content_hdr *hdr;
	__u32 zero = 0;

	hdr = bpf_map_lookup_elem(&bl_content_hdr, &zero);
	if (!hdr)
		return 0;
#ifndef MAP_MISSING
	if (!bpf_map_lookup_elem(&bl_content_slots, &hdr->bucket_count))
		return 1;
#endif
	return hdr->size;
}

char LICENSE[] SEC("license") = "GPL";
