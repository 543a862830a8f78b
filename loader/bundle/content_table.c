/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/bundle/content_table.h"

#include <errno.h>
#include <stdbool.h>

/* Rules that one rule may drive from their buckets. At four slots of five in
 * use a walk of more than a few is rare; one this long means a full corner. */
#define WALK_MAX 500

uint32_t bl_content_table_size(uint32_t rules)
{
	/* Slots for five quarters of the rules. */
	uint64_t buckets = (uint64_t)rules * 5 / (4 * BL_CONTENT_SLOTS) + 1;

	return buckets < BL_CONTENT_BUCKETS_MIN ? BL_CONTENT_BUCKETS_MIN
						: (uint32_t)buckets;
}

uint32_t bl_content_table_grow(uint32_t bucket_count)
{
	return bucket_count + bucket_count / 4 + 1;
}

/* The table as it is filled. */
struct table {
	struct bl_content_bucket *buckets;
	uint32_t count;
};

/* One of the two buckets of @rule. */
static uint32_t home(const struct table *t, const struct bl_content_entry *rule,
		     unsigned which)
{
	return bl_content_bucket((uint32_t)(rule->hash[0] >> 32 * which),
				 t->count);
}

static void write_slot(struct bl_content_bucket *b, unsigned i,
		       const struct bl_content_entry *rule)
{
	b->hash[i][0] = rule->hash[0];
	b->hash[i][1] = rule->hash[1];
	b->rule[i] = rule->rule;
	b->type[i] = rule->type;
	b->kind[i] = rule->kind;
	b->action[i] = rule->action;
}

static struct bl_content_entry read_slot(const struct bl_content_bucket *b,
					 unsigned i)
{
	return (struct bl_content_entry){ { b->hash[i][0], b->hash[i][1] },
					  b->rule[i],
					  b->type[i],
					  b->kind[i],
					  b->action[i] };
}

static bool put(struct table *t, uint32_t bucket,
		const struct bl_content_entry *rule)
{
	struct bl_content_bucket *b = &t->buckets[bucket];
	unsigned i;

	for (i = 0; i < BL_CONTENT_SLOTS; i++) {
		if (b->type[i] != BL_CONTENT_EMPTY)
			continue;
		write_slot(b, i, rule);
		return true;
	}
	return false;
}

/* A rule of the same hash has the same two buckets, and is in one of them. */
static bool find_twin(const struct table *t,
		      const struct bl_content_entry *rule, uint32_t *ret)
{
	unsigned which, i;

	for (which = 0; which < 2; which++) {
		const struct bl_content_bucket *b =
			&t->buckets[home(t, rule, which)];

		for (i = 0; i < BL_CONTENT_SLOTS; i++)
			if (b->type[i] != BL_CONTENT_EMPTY &&
			    b->hash[i][0] == rule->hash[0] &&
			    b->hash[i][1] == rule->hash[1]) {
				*ret = b->rule[i];
				return true;
			}
	}
	return false;
}

/*
 * Both buckets of @rule are full: it takes the place of another, which goes to
 * its other bucket, perhaps in the place of a third. Who has to go is chosen
 * by numbers that look random and are always the same.
 */
static bool walk(struct table *t, struct bl_content_entry rule)
{
	uint32_t bucket = home(t, &rule, 0), choice = rule.rule, n;

	for (n = 0; n < WALK_MAX; n++) {
		struct bl_content_bucket *b = &t->buckets[bucket];
		struct bl_content_entry out;
		unsigned i;

		choice = choice * 1664525u + 1013904223u;
		i = (choice >> 16) % BL_CONTENT_SLOTS;
		out = read_slot(b, i);
		write_slot(b, i, &rule);
		rule = out;
		bucket = home(t, &rule, home(t, &rule, 0) == bucket);
		if (put(t, bucket, &rule))
			return true;
	}
	return false;
}

int bl_content_table_fill(const struct bl_content_entry *rules, uint32_t count,
			  struct bl_content_bucket *buckets,
			  uint32_t bucket_count, uint32_t ret_twins[static 2])
{
	struct table t = { buckets, bucket_count };
	uint32_t i, twin;

	for (i = 0; i < count; i++) {
		const struct bl_content_entry *rule = &rules[i];

		if (find_twin(&t, rule, &twin)) {
			ret_twins[0] = twin;
			ret_twins[1] = rule->rule;
			return -EEXIST;
		}
		if (!put(&t, home(&t, rule, 0), rule) &&
		    !put(&t, home(&t, rule, 1), rule) && !walk(&t, *rule))
			return -ENOSPC;
	}
	return 0;
}
