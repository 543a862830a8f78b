/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of content (bpf/content.h): every rule into one of its two buckets.
 * Pure; the same rules in the same order give the same table. For the compiler.
 */
#ifndef BL_BUNDLE_CONTENT_TABLE_H
#define BL_BUNDLE_CONTENT_TABLE_H

#include <stdint.h>

#include "bpf/content.h"

/* The number of buckets to begin with for @rules rules, and a larger one. */
uint32_t bl_content_table_size(uint32_t rules);
uint32_t bl_content_table_grow(uint32_t bucket_count);

/* A rule, as it will lie in a slot. */
struct bl_content_entry {
	uint64_t hash[2];
	uint32_t rule;
	uint8_t type, kind, action;
};

/*
 * Places @count rules into @buckets, which are zero. -ENOSPC: not all have a
 * place, a larger table may have one; -EEXIST: two have the same hash, their
 * numbers are in ret_twins, the smaller one first. What is in @buckets then is
 * of no use.
 */
int bl_content_table_fill(const struct bl_content_entry *rules, uint32_t count,
			  struct bl_content_bucket *buckets,
			  uint32_t bucket_count, uint32_t ret_twins[static 2]);

#endif
