// SPDX-License-Identifier: GPL-2.0-only
/* Two versions of one object, the later with -DNEW: each map is a change that
 * its name tells. Of what is not named in a map only one thing differs. */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#ifdef NEW
#define WAS_IS(was, is) is
#else
#define WAS_IS(was, is) was
#endif
#define ONLY_NEW(x) WAS_IS(, x)
#define ONLY_OLD(x) WAS_IS(x, )

#define MAP(name, kind, n, k, v, fl, pin)          \
	struct {                                   \
		__uint(type, kind);          \
		__uint(max_entries, n);            \
		__uint(map_flags, fl);             \
		__uint(pinning, pin);              \
		__type(key, k);                    \
		__type(value, v);                  \
	} name SEC(".maps")

#define H BPF_MAP_TYPE_HASH

/* Values. */
struct plain {
	__u64 seen;
	__u32 flags;
	char name[12];
};
struct typedefs {
	WAS_IS(__u64, unsigned long long) seen;
	WAS_IS(const __u32, __u32) flags;
};
struct at_end {
	__u64 seen;
	ONLY_NEW(__u64 dropped;)
};
struct in_padding {
	__u64 seen;
	__u32 flags;
	ONLY_NEW(__u32 more;)
};
struct in_reserve {
	__u64 seen;
	WAS_IS(__u32 _pad[6];, __u32 used; __u32 _pad[5];)
};
struct not_room {
	__u64 seen;
	__u32 WAS_IS(reserved_bytes, other)[2], WAS_IS(paddr, pad_it_not);
	__u32 more;
};
struct moved {
	__u64 seen;
	ONLY_NEW(__u64 emitted;)
	__u64 dropped;
};
struct swapped {
	WAS_IS(__u32 a; __u32 b;, __u32 b; __u32 a;)
};
struct narrower {
	__u64 seen;
	WAS_IS(__u64, __u32) dropped;
};
struct signedness {
	WAS_IS(__u32, __s32) delta;
};
struct renamed {
	__u64 WAS_IS(seen, noticed);
};
struct gone {
	__u64 seen;
	ONLY_OLD(__u64 dropped;)
};
struct longer_array {
	char name[WAS_IS(16, 32)];
};
struct inside {
	struct {
		__u32 x;
		ONLY_NEW(__u32 z;)
		__u32 y;
	} points[4];
};
struct deep_padding {
	struct {
		__u64 a;
		__u32 b;
		ONLY_NEW(__u32 c;)
	} in;
};
enum kinds { KIND_EXEC = WAS_IS(1, 2), KIND_OPEN = 7 };
struct renumbered {
	enum kinds kind;
};
enum more { MORE_ONE = 1, ONLY_NEW(MORE_TWO = 2) };
struct more_names {
	enum more kind;
};
struct an_arm {
	__u32 tag;
	union {
		__u32 a;
		ONLY_NEW(__u8 b[4];)
	};
};
struct bits {
	__u32 a : 3;
	ONLY_NEW(__u32 c : 1;)
	__u32 b : 5;
};

MAP(same, H, 16, __u32, struct plain, 0, 1);
MAP(same_by_typedefs, H, 16, __u32, struct typedefs, 0, 1);
MAP(ext_at_end, H, 16, __u32, struct at_end, 0, 1);
MAP(ext_at_end_unpinned, H, 16, __u32, struct at_end, 0, 0);
MAP(ext_in_padding, H, 16, __u32, struct in_padding, 0, 1);
MAP(ext_in_reserve, H, 16, __u32, struct in_reserve, 0, 1);
MAP(ext_renamed, H, 16, __u32, struct renamed, 0, 1);
MAP(ext_not_room, H, 16, __u32, struct not_room, 0, 1);
MAP(ext_deep_padding, H, 16, __u32, struct deep_padding, 0, 1);
MAP(ext_an_arm, H, 16, __u32, struct an_arm, 0, 1);
MAP(ext_entries, H, WAS_IS(16, 64), __u32, struct plain, 0, 1);
MAP(ext_flags, H, 16, __u32, struct plain, WAS_IS(0, BPF_F_NO_PREALLOC), 0);
MAP(same_entries_unpinned, H, WAS_IS(16, 64), __u32, struct plain, 0, 0);
MAP(same_enum, H, 16, __u32, struct more_names, 0, 1);
MAP(same_pinned_now, H, 16, __u32, struct plain, 0, WAS_IS(0, 1));
MAP(form_fewer_unpinned, H, WAS_IS(64, 16), __u32, struct plain, 0, 0);
MAP(bad_type, WAS_IS(H, BPF_MAP_TYPE_LRU_HASH), 16, __u32, struct plain, 0, 0);
MAP(bad_key, H, 16, WAS_IS(__u32, __u64), struct plain, 0, 0);
MAP(bad_key_padding, H, 16, struct in_padding, struct plain, 0, 0);
MAP(bad_moved, H, 16, __u32, struct moved, 0, 0);
MAP(bad_swapped, H, 16, __u32, struct swapped, 0, 0);
MAP(bad_narrower, H, 16, __u32, struct narrower, 0, 0);
MAP(bad_sign, H, 16, __u32, struct signedness, 0, 0);
MAP(bad_gone_member, H, 16, __u32, struct gone, 0, 0);
MAP(bad_longer_array, H, 16, __u32, struct longer_array, 0, 0);
MAP(bad_inside, H, 16, __u32, struct inside, 0, 0);
MAP(bad_renumbered, H, 16, __u32, struct renumbered, 0, 0);
MAP(bad_bits, H, 16, __u32, struct bits, 0, 0);
MAP(bad_fewer, H, WAS_IS(64, 16), __u32, struct plain, 0, 1);
MAP(bad_flags, H, 16, __u32, struct plain, WAS_IS(0, BPF_F_NO_PREALLOC), 1);
MAP(bad_mmap, BPF_MAP_TYPE_ARRAY, 16, __u32, struct plain, WAS_IS(BPF_F_MMAPABLE, 0), 0);
MAP(bad_rdonly, H, 16, __u32, struct plain, WAS_IS(0, BPF_F_RDONLY), 0);
MAP(bad_unpinned, H, 16, __u32, struct plain, 0, WAS_IS(1, 0));
ONLY_OLD(MAP(bad_gone, H, 16, __u32, struct plain, 0, 1);)
ONLY_OLD(MAP(gone_unpinned, H, 16, __u32, struct plain, 0, 0);)
ONLY_NEW(MAP(new_one, H, 16, __u32, struct plain, 0, 1);)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WAS_IS(1 << 16, 1 << 12));
	__uint(pinning, 1);
} same_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	WAS_IS(__uint(value_size, 24), __type(value, struct plain));
} form_described SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__uint(value_size, WAS_IS(24, 32));
} bad_size SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(max_entries, 16);
			__type(key, __u32);
			__type(value, struct moved);
		});
} bad_inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct plain);
	WAS_IS(, __uint(max_entries, 99));
} same_by_loader SEC(".maps");

__u64 counted; /* .bss is each version's own */
ONLY_NEW(__u64 counted_too = 1;)

SEC("socket")
int touch(struct __sk_buff *skb)
{
	counted += skb->len ONLY_NEW(+counted_too);
	return 0;
}

char _license[] SEC("license") = "GPL";
