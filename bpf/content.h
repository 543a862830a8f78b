/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Content in the form that sensors read, and its interpreter.
 *
 * One source, compiled into user space (the gate's checks, the compiler's
 * tests), into eBPF and into kernel modules: pure, no calls, no memory of its
 * own, every loop bounded by a constant. All numbers are in the byte order of
 * the machine; content is compiled for little-endian ones.
 *
 * A binary is a header, a hash table of bucket_count buckets with a few slots
 * each, and rule_count names of BL_CONTENT_NAME_MAX bytes, nothing else:
 *
 *	struct bl_content_hdr | struct bl_content_bucket[] | char[][32]
 *
 * A rule is found by the hash of what it matches: all of a path (exact), the
 * beginning of a path up to and with a '/' (prefix), its last component (name),
 * an address under a mask, a name in DNS and all below it (domain), or the
 * SHA-256 of a program's file (sha256). A path is
 * hashed byte by byte from its front, so that one pass serves all its prefixes;
 * names of files and in DNS from their end, for the same reason. A rule lies in
 * one of two buckets, which the two halves of
 * the first word of its hash name (bl_content_bucket); so a lookup is at most
 * eight comparisons, however many rules there are. The compiler moves rules
 * between their two buckets until all have a place (cuckoo hashing); four
 * slots of five are in use then, 30 bytes of the kernel's memory for a rule.
 *
 * The hash is 128 bits wide. Rules whose hashes meet are refused when they are
 * compiled; that a path which no rule names meets a rule by chance does not
 * happen in practice. It is no cryptographic hash and its seed is public.
 *
 * The contract is what sensor and compiler must agree on: all of this file. In
 * contract 1 each slot was a value of its own, and a rule lay at most three
 * behind its home: no content of 40,000 rules had a table. Contract 2 knew no
 * names and no domains, contract 3 no digests.
 *
 * Use: define BL_CONTENT_AT(src, index), which yields a pointer to a bucket or
 * NULL for an index that is out of range, then include this file. src is
 * whatever the macro needs, passed through.
 */
#ifndef BL_BPF_CONTENT_H
#define BL_BPF_CONTENT_H

#include "bpf/event.h"

#define BL_CONTENT_MAGIC       0x43594c42U /* "BLYC" */
#define BL_CONTENT_CONTRACT    4
#define BL_CONTENT_SLOTS       4U /* of a bucket */
#define BL_CONTENT_FOUND       (1ULL << 63)
#define BL_CONTENT_RULES_MAX   (1U << 20)
#define BL_CONTENT_BUCKETS_MIN 2U
#define BL_CONTENT_BUCKETS_MAX (1U << 19)
#define BL_CONTENT_NETS_MAX    33 /* different lengths of masks per family */
#define BL_CONTENT_NAME_MAX    32 /* with the closing NUL */
#define BL_CONTENT_PATH_MAX    (BL_EVENT_PATH_MAX - 1) /* bytes looked at */
#define BL_CONTENT_KINDS_MAX   8 /* a power of two; some are in use */
#define BL_CONTENT_TYPES_MAX   8 /* bits of kind_types */
#define BL_CONTENT_SUM_WORDS   4 /* of 64 bits: a SHA-256, byte for byte */

enum bl_content_type {
	BL_CONTENT_EMPTY, /* no rule in this slot */
	BL_CONTENT_EXACT,
	BL_CONTENT_PREFIX,
	BL_CONTENT_NET4,
	BL_CONTENT_NET6,
	BL_CONTENT_NAME,
	BL_CONTENT_DOMAIN,
	BL_CONTENT_SHA256,
	BL_CONTENT_TYPES, /* at most BL_CONTENT_TYPES_MAX */
};

/* Slot by slot; which of them are in use does not matter. */
struct bl_content_bucket {
	__u64 hash[BL_CONTENT_SLOTS][2];
	__u32 rule[BL_CONTENT_SLOTS];
	__u8 type[BL_CONTENT_SLOTS];   /* enum bl_content_type */
	__u8 kind[BL_CONTENT_SLOTS];   /* enum bl_event_kind */
	__u8 action[BL_CONTENT_SLOTS]; /* enum bl_action */
	__u8 reserved[BL_CONTENT_SLOTS];
};

struct bl_content_hdr {
	__u32 magic;
	__u32 contract;
	__u32 size; /* bytes of the whole binary */
	__u32 bucket_count;
	__u32 rule_count;
	__u32 deny_count;
	__u64 seed;
	/* Of each kind: its rules, its default (emit or ignore), and bit n if
	 * some rule of it is of type n. 0 of kinds that there are not. */
	__u32 kind_rules[BL_CONTENT_KINDS_MAX];
	__u8 default_action[BL_CONTENT_KINDS_MAX];
	__u8 kind_types[BL_CONTENT_KINDS_MAX];
	__u8 net_count[2]; /* of v4, of v6 */
	/* Lengths of masks in use, longest first; v4, v6; unused ones are 0. */
	__u8 net_len[2][BL_CONTENT_NETS_MAX];
	__u32 reserved;
	/* Bit n % 64 of word n / 64: some prefix is n bytes long; some domain. */
	__u64 prefix_len[BL_EVENT_PATH_MAX / 64];
	__u64 domain_len[BL_EVENT_PATH_MAX / 64];
	__u32 type_rules[BL_CONTENT_TYPES_MAX]; /* of each type; [0] is 0 */
};

struct bl_match {
	__u32 rule;   /* BL_RULE_NONE: the default */
	__u32 action; /* enum bl_action */
};

/* At every '/' of a path where a prefix may end, or '.' of a name: a power of
 * two. */
#define BL_CONTENT_MARKS_MAX 128

#define BL_CONTENT_INLINE \
	static inline __attribute__((always_inline)) __attribute__((unused))

struct bl_hash {
	__u64 a, b;
};

/* Where the beginnings of a path that may be prefixes ended; of a name in DNS,
 * where the ends of it began that may be domains. */
struct bl_content_marks {
	__u32 count;
	__u32 len; /* of what is looked at from its end */
	struct bl_hash at[BL_CONTENT_MARKS_MAX];
};

BL_CONTENT_INLINE __u64 bl_hash_mix(__u64 x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

BL_CONTENT_INLINE void bl_hash_start(struct bl_hash *h, __u64 seed)
{
	h->a = seed ^ 0x9e3779b97f4a7c15ULL;
	h->b = seed + 0xd1b54a32d192ed03ULL;
}

/* Takes one byte of a path or a name, or 64 bits of an address. */
BL_CONTENT_INLINE void bl_hash_add(struct bl_hash *h, __u64 word)
{
	h->a = (h->a ^ word) * 0x9fb21c651e98df25ULL;
	h->a ^= h->a >> 32;
	h->b = (h->b + word + h->a) * 0xd6e8feb86659fd93ULL;
	h->b ^= h->b >> 29;
}

/* What a rule is stored under. */
BL_CONTENT_INLINE void bl_hash_end(struct bl_hash *h, __u32 type, __u32 kind)
{
	h->a = bl_hash_mix(h->a ^ (type << 8 | kind));
}

/* The bucket, of @count, that one half of the first word of a hash names. */
BL_CONTENT_INLINE __u32 bl_content_bucket(__u32 half, __u32 count)
{
	return (__u64)half * count >> 32;
}

/* The rule of an address under a mask of @bits is stored under this. */
BL_CONTENT_INLINE void bl_content_hash_net(struct bl_hash *h, __u64 seed,
					   __u64 high, __u64 low, __u32 bits)
{
	if (bits < 64) {
		high &= bits ? ~0ULL << (64 - bits) : 0;
		low = 0;
	} else if (bits < 128) {
		low &= bits > 64 ? ~0ULL << (128 - bits) : 0;
	}
	bl_hash_start(h, seed);
	bl_hash_add(h, bits);
	bl_hash_add(h, high);
	bl_hash_add(h, low);
}

/* The SHA-256 of a file, as it lies in memory. */
BL_CONTENT_INLINE struct bl_hash
bl_content_hash_sum(__u64 seed, const __u64 sum[BL_CONTENT_SUM_WORDS])
{
	struct bl_hash h;
	__u32 i;

	bl_hash_start(&h, seed);
	for (i = 0; i < BL_CONTENT_SUM_WORDS; i++)
		bl_hash_add(&h, sum[i]);
	return h;
}

/*
 * The name of a file, from its last byte back: of the @len bytes before @end,
 * those behind the last '/'. @end points behind a path, or a name, of which at
 * least @len bytes are there.
 */
BL_CONTENT_INLINE struct bl_hash
bl_content_hash_name(__u64 seed, const char *end, __u32 len)
{
	struct bl_hash h;
	__u64 i;
	__u8 byte;

	bl_hash_start(&h, seed);
	for (i = 0; i < BL_CONTENT_PATH_MAX; i++) {
		if (i >= len)
			break;
		byte = (__u8) * --end;
		if (byte == '/')
			break;
		bl_hash_add(&h, byte);
	}
	return h;
}

#ifdef BL_CONTENT_AT

/*
 * Looks up what was hashed into @a and @b: BL_CONTENT_FOUND with the rule and
 * its action, or 0. Numbers in, a number out, so that the sensor can make it a
 * function that the verifier walks once: define BL_CONTENT_LOOKUP as its name.
 */
BL_CONTENT_INLINE __u64 bl_content_lookup(const void *src, __u32 bucket_count,
					  __u64 a, __u64 b, __u32 type,
					  __u32 kind)
{
	struct bl_hash h = { a, b };
	__u32 half, i;

	(void)src;
	bl_hash_end(&h, type, kind);
	for (half = 0; half < 2; half++) {
		const struct bl_content_bucket *s;

		s = BL_CONTENT_AT(src, bl_content_bucket(half ? h.a >> 32 : h.a,
							 bucket_count));
		if (!s)
			return 0;
		for (i = 0; i < BL_CONTENT_SLOTS; i++)
			if (s->hash[i][0] == h.a && s->hash[i][1] == h.b &&
			    s->type[i] == type && s->kind[i] == kind)
				return BL_CONTENT_FOUND |
				       (__u64)s->action[i] << 32 | s->rule[i];
	}
	return 0;
}

#ifndef BL_CONTENT_LOOKUP
#define BL_CONTENT_LOOKUP bl_content_lookup
#endif

/* 1 and *ret set when there is a rule for @h. */
BL_CONTENT_INLINE int bl_content_find(const void *src, __u32 bucket_count,
				      struct bl_hash h, __u32 type, __u32 kind,
				      struct bl_match *ret)
{
	__u64 found =
		BL_CONTENT_LOOKUP(src, bucket_count, h.a, h.b, type, kind);

	if (!found)
		return 0;
	ret->rule = (__u32)found;
	ret->action = found >> 32 & 0xff;
	return 1;
}

BL_CONTENT_INLINE struct bl_match
bl_content_default(const struct bl_content_hdr *hdr, __u32 kind)
{
	struct bl_match m = {
		BL_RULE_NONE,
		hdr->default_action[kind & (BL_CONTENT_KINDS_MAX - 1)]
	};

	return m;
}

/* Whether some rule of this kind is of that type: what nobody asked for costs
 * an event one look into the header. */
BL_CONTENT_INLINE int bl_content_has(const struct bl_content_hdr *hdr,
				     __u32 kind, __u32 type)
{
	return hdr->kind_types[kind & (BL_CONTENT_KINDS_MAX - 1)] >> type & 1;
}

/*
 * Matches the first @len (at most BL_CONTENT_PATH_MAX) bytes of a path, which
 * ends before @end. @cut: there is more of it than these, so that only names
 * and prefixes can match. @path must have BL_CONTENT_PATH_MAX readable bytes;
 * @marks is room to work in.
 *
 * One pass over the bytes, then lookups: all of it, its name, its beginnings
 * from the longest candidate down. What
 * a loop carries from round to round is kept in memory, not in registers: the
 * verifier of 5.10 and 6.1 tells apart every value that a register had, and
 * would walk each combination of them.
 */
BL_CONTENT_INLINE struct bl_match
bl_content_path(const void *src, const struct bl_content_hdr *hdr, __u32 kind,
		const char *path, __u32 len, const char *end, int cut,
		struct bl_content_marks *marks)
{
	volatile __u32 *count = &marks->count, *tail = &marks->len;
	struct bl_match m = bl_content_default(hdr, kind);
	__u32 bucket_count = hdr->bucket_count;
	struct bl_hash h;
	__u32 i, n;
	__u8 byte;

	*count = 0;
	/* No name is longer than what is looked at. */
	*tail = cut ? BL_CONTENT_PATH_MAX : len;
	bl_hash_start(&h, hdr->seed);
	for (i = 0; i < BL_CONTENT_PATH_MAX; i++) {
		if (i >= len)
			break;
		byte = (__u8)path[i];
		bl_hash_add(&h, byte);
		if (byte == '/' &&
		    hdr->prefix_len[(i + 1) / 64] >> (i + 1) % 64 & 1) {
			n = *count;
			marks->at[n & (BL_CONTENT_MARKS_MAX - 1)] = h;
			*count = n + 1;
		}
	}
	if (!cut &&
	    bl_content_find(src, bucket_count, h, BL_CONTENT_EXACT, kind, &m))
		return m;
	if (bl_content_has(hdr, kind, BL_CONTENT_NAME)) {
		h = bl_content_hash_name(hdr->seed, end, *tail);
		if (bl_content_find(src, bucket_count, h, BL_CONTENT_NAME, kind,
				    &m))
			return m;
	}
	for (i = 0; i < BL_CONTENT_MARKS_MAX; i++) {
		n = *count;
		if (!n)
			break;
		*count = --n;
		h = marks->at[n & (BL_CONTENT_MARKS_MAX - 1)];
		if (bl_content_find(src, bucket_count, h, BL_CONTENT_PREFIX,
				    kind, &m))
			break;
	}
	return m;
}

/*
 * Whether some rule is for a program with this SHA-256. It beats what the path
 * says, which is in *m already; but what only reports lifts no refusal.
 */
BL_CONTENT_INLINE int bl_content_sum(const void *src,
				     const struct bl_content_hdr *hdr,
				     const __u64 sum[BL_CONTENT_SUM_WORDS],
				     struct bl_match *m)
{
	struct bl_match found;

	if (!bl_content_find(src, hdr->bucket_count,
			     bl_content_hash_sum(hdr->seed, sum),
			     BL_CONTENT_SHA256, BL_EVENT_EXEC, &found))
		return 0;
	if (m->action != BL_ACTION_DENY || found.action != BL_ACTION_EMIT)
		*m = found;
	return 1;
}

/*
 * Matches an address: @high and @low are its first and last 64 bits as
 * numbers; a v4 address (@v6 is 0) is the upper half of @high, the rest is 0.
 */
BL_CONTENT_INLINE struct bl_match
bl_content_addr(const void *src, const struct bl_content_hdr *hdr, int v6,
		__u64 high, __u64 low)
{
	struct bl_match m = bl_content_default(hdr, BL_EVENT_CONNECT);
	__u32 type = v6 ? BL_CONTENT_NET6 : BL_CONTENT_NET4;
	__u32 bucket_count = hdr->bucket_count;
	struct bl_hash h;
	__u32 i;

	for (i = 0; i < BL_CONTENT_NETS_MAX; i++) {
		if (i >= hdr->net_count[v6 ? 1 : 0])
			break;
		bl_content_hash_net(&h, hdr->seed, high, low,
				    hdr->net_len[v6 ? 1 : 0][i]);
		if (bl_content_find(src, bucket_count, h, type,
				    BL_EVENT_CONNECT, &m))
			break;
	}
	return m;
}

/*
 * Matches the @len bytes of a name in DNS, which end before @end: in small
 * letters, its labels between dots, none behind the last one. One pass from its
 * end, then lookups from the longest candidate down, as with paths.
 */
BL_CONTENT_INLINE struct bl_match
bl_content_domain(const void *src, const struct bl_content_hdr *hdr,
		  const char *end, __u32 len, struct bl_content_marks *marks)
{
	volatile __u32 *count = &marks->count, *whole = &marks->len;
	struct bl_match m = bl_content_default(hdr, BL_EVENT_DNS);
	__u32 bucket_count = hdr->bucket_count;
	struct bl_hash h;
	__u64 i;
	__u32 n;
	__u8 byte;

	*count = 0;
	*whole = len;
	bl_hash_start(&h, hdr->seed);
	for (i = 0; i < BL_CONTENT_PATH_MAX; i++) {
		if (i >= len)
			break;
		byte = (__u8) * --end;
		if (byte == '.' && hdr->domain_len[i / 64] >> i % 64 & 1) {
			n = *count;
			marks->at[n & (BL_CONTENT_MARKS_MAX - 1)] = h;
			*count = n + 1;
		}
		bl_hash_add(&h, byte);
	}
	n = *whole & BL_CONTENT_PATH_MAX;
	if (hdr->domain_len[n / 64] >> n % 64 & 1 &&
	    bl_content_find(src, bucket_count, h, BL_CONTENT_DOMAIN,
			    BL_EVENT_DNS, &m))
		return m;
	for (i = 0; i < BL_CONTENT_MARKS_MAX; i++) {
		n = *count;
		if (!n)
			break;
		*count = --n;
		h = marks->at[n & (BL_CONTENT_MARKS_MAX - 1)];
		if (bl_content_find(src, bucket_count, h, BL_CONTENT_DOMAIN,
				    BL_EVENT_DNS, &m))
			break;
	}
	return m;
}

#endif /* BL_CONTENT_AT */

#endif
