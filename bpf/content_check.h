/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Whether bytes from outside are content that the interpreter (content.h) may
 * run over: header, sizes, every slot, every name.
 *
 * One source for the gate, for hosts, which get the binary form from others,
 * and for the kernel module, which gets it from user space. Pure: no calls but
 * to memcmp() and memchr(), of string.h or linux/string.h. Whoever includes
 * this has included content.h, and checks a copy that nobody else can write.
 */
#ifndef BL_BPF_CONTENT_CHECK_H
#define BL_BPF_CONTENT_CHECK_H

#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <stddef.h>
#include <string.h>
#endif

#include "bpf/content.h"

/* What was counted on the way. */
struct bl_content_tally {
	__u32 rules, denies;
	__u32 kinds[BL_EVENT_KINDS]; /* rules of each kind */
	__u8 types[BL_EVENT_KINDS];  /* as kind_types */
	__u32 type_rules[BL_CONTENT_TYPES_MAX];
};

/* The buckets, behind the header. */
static inline const struct bl_content_bucket *
bl_content_table(const struct bl_content_hdr *h)
{
	return (const void *)(h + 1);
}

/* Each of these: NULL, or what is wrong. Together they make everything that
 * the interpreter and its users rely on true. */

static inline const char *
bl_content_check_counts(const struct bl_content_hdr *h, size_t len)
{
	if (h->size != len)
		return "its size is not what its header says";
	if (h->rule_count > BL_CONTENT_RULES_MAX)
		return "too many rules";
	if (h->bucket_count < BL_CONTENT_BUCKETS_MIN ||
	    h->bucket_count > BL_CONTENT_BUCKETS_MAX)
		return "the number of buckets is out of range";
	if (len !=
	    sizeof(*h) +
		    (size_t)h->bucket_count * sizeof(struct bl_content_bucket) +
		    (size_t)h->rule_count * BL_CONTENT_NAME_MAX)
		return "its size does not fit its numbers of buckets and rules";
	return NULL;
}

static inline const char *
bl_content_check_defaults(const struct bl_content_hdr *h)
{
	unsigned int i;

	for (i = 0; i < BL_EVENT_KINDS; i++)
		if (h->default_action[i] != BL_ACTION_EMIT &&
		    h->default_action[i] != BL_ACTION_IGNORE)
			return "a default action is neither emit nor ignore";
	for (; i < BL_CONTENT_KINDS_MAX; i++)
		if (h->default_action[i] || h->kind_rules[i] ||
		    h->kind_types[i])
			return "a reserved field is in use";
	return h->reserved ? "a reserved field is in use" : NULL;
}

static inline const char *bl_content_check_nets(const struct bl_content_hdr *h)
{
	unsigned int v6, i;

	for (v6 = 0; v6 < 2; v6++) {
		if (h->net_count[v6] > BL_CONTENT_NETS_MAX)
			return "too many lengths of masks";
		for (i = 0; i < BL_CONTENT_NETS_MAX; i++) {
			__u8 len = h->net_len[v6][i];

			if (i >= h->net_count[v6] ? len != 0
						  : len > (v6 ? 128 : 32))
				return "a length of a mask is out of range";
			if (i && i < h->net_count[v6] &&
			    len >= h->net_len[v6][i - 1])
				return "lengths of masks are not longest first";
		}
	}
	return NULL;
}

/* Which events have what a rule of this type matches: a bit for each kind. */
static inline unsigned int bl_content_type_kinds(unsigned int type)
{
	static const __u8 kinds[BL_CONTENT_TYPES] = {
		[BL_CONTENT_EXACT] = 1U << BL_EVENT_EXEC | 1U << BL_EVENT_OPEN,
		[BL_CONTENT_PREFIX] = 1U << BL_EVENT_EXEC | 1U << BL_EVENT_OPEN,
		[BL_CONTENT_NET4] = 1U << BL_EVENT_CONNECT,
		[BL_CONTENT_NET6] = 1U << BL_EVENT_CONNECT,
		[BL_CONTENT_NAME] = 1U << BL_EVENT_EXEC | 1U << BL_EVENT_OPEN,
		[BL_CONTENT_DOMAIN] = 1U << BL_EVENT_DNS,
		[BL_CONTENT_SHA256] = 1U << BL_EVENT_EXEC,
	};

	return kinds[type];
}

/* Where a sensor can refuse. */
static inline int bl_content_can_deny(unsigned int kind)
{
	return kind == BL_EVENT_EXEC || kind == BL_EVENT_OPEN;
}

static inline const char *
bl_content_check_slot(const struct bl_content_hdr *h,
		      const struct bl_content_bucket *b, unsigned int i,
		      __u32 index)
{
	__u8 type = b->type[i], kind = b->kind[i];
	__u64 hash = b->hash[i][0];

	if (type >= BL_CONTENT_TYPES || kind >= BL_EVENT_KINDS ||
	    b->action[i] >= BL_ACTIONS || b->reserved[i])
		return "a slot holds an unknown type, kind or action";
	if (!(bl_content_type_kinds(type) >> kind & 1))
		return "a slot's type does not fit its kind";
	if (b->action[i] == BL_ACTION_DENY && !bl_content_can_deny(kind))
		return "a slot denies what no sensor can refuse";
	if (b->rule[i] >= h->rule_count)
		return "a slot names a rule that there is not";
	if (bl_content_bucket((__u32)hash, h->bucket_count) != index &&
	    bl_content_bucket((__u32)(hash >> 32), h->bucket_count) != index)
		return "a slot lies in neither of its buckets";
	return NULL;
}

static inline const char *
bl_content_check_bucket(const struct bl_content_hdr *h, __u32 index,
			struct bl_content_tally *tally)
{
	const struct bl_content_bucket *b = bl_content_table(h) + index;
	const char *why;
	unsigned int i;

	for (i = 0; i < BL_CONTENT_SLOTS; i++) {
		if (b->type[i] == BL_CONTENT_EMPTY)
			continue;
		why = bl_content_check_slot(h, b, i, index);
		if (why)
			return why;
		tally->rules++;
		tally->type_rules[b->type[i]]++;
		tally->denies += b->action[i] == BL_ACTION_DENY;
		tally->kinds[b->kind[i]]++;
		tally->types[b->kind[i]] |= (__u8)(1U << b->type[i]);
	}
	return NULL;
}

static inline const char *bl_content_check_rules(const struct bl_content_hdr *h,
						 struct bl_content_tally *tally)
{
	const char *name =
		(const char *)(bl_content_table(h) + h->bucket_count);
	const char *why;
	__u32 i;

	for (i = 0; i < h->bucket_count; i++) {
		why = bl_content_check_bucket(h, i, tally);
		if (why)
			return why;
	}
	if (tally->rules != h->rule_count || tally->denies != h->deny_count ||
	    memcmp(tally->kinds, h->kind_rules, sizeof(tally->kinds)) != 0 ||
	    memcmp(tally->types, h->kind_types, sizeof(tally->types)) != 0 ||
	    memcmp(tally->type_rules, h->type_rules,
		   sizeof(tally->type_rules)) != 0)
		return "the rules in its slots are not those its header counts";
	for (i = 0; i < h->rule_count; i++, name += BL_CONTENT_NAME_MAX)
		if (!memchr(name, 0, BL_CONTENT_NAME_MAX))
			return "the name of a rule does not end";
	return NULL;
}

/*
 * NULL if the @len bytes at @bin, aligned as a __u64, may be given to the
 * interpreter; or what is wrong with them. Another contract than ours is told
 * apart by the caller, who can name both. @tally is valid only without error.
 */
static inline const char *bl_content_check(const void *bin, size_t len,
					   struct bl_content_tally *tally)
{
	static const struct bl_content_tally none;
	const struct bl_content_hdr *h = bin;
	const char *why;

	*tally = none;
	if (len < sizeof(*h) || h->magic != BL_CONTENT_MAGIC)
		return "not content in binary form";
	if (h->contract != BL_CONTENT_CONTRACT)
		return "content of another contract";
	why = bl_content_check_counts(h, len);
	if (!why)
		why = bl_content_check_defaults(h);
	if (!why)
		why = bl_content_check_nets(h);
	if (!why)
		why = bl_content_check_rules(h, tally);
	return why;
}

#endif
