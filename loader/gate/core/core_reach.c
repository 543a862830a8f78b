/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/core/core_reach.h"

#include <errno.h>
#include <stdlib.h>

#include "loader/base/cleanup.h"
#include "loader/gate/core/core_walk.h"

/* Ways backwards: who leads to each point. */
struct back {
	uint32_t *first, *from; /* first[i] to first[i + 1] of from */
	uint8_t *left; /* ends of a choice that do not lead there yet */
	uint32_t *queue;
	bool *bound;
};

static void back_free(struct back *b)
{
	free(b->first);
	free(b->from);
	free(b->left);
	free(b->queue);
	free(b->bound);
}

static int turn_around(const struct bl_core_walk *w, struct back *b)
{
	uint32_t i, k, to;

	b->first = calloc((size_t)w->count + 2, sizeof(*b->first));
	b->from = calloc(2 * (size_t)w->count + 1, sizeof(*b->from));
	b->left = calloc((size_t)w->count + 1, sizeof(*b->left));
	b->queue = calloc((size_t)w->count + 1, sizeof(*b->queue));
	b->bound = calloc((size_t)w->count + 1, sizeof(*b->bound));
	if (!b->first || !b->from || !b->left || !b->queue || !b->bound)
		return -ENOMEM;
	for (i = 0; i < w->count; i++)
		for (k = 0; k < 2; k++)
			if (w->points[i].to[k] != BL_CORE_NONE)
				b->first[w->points[i].to[k] + 2]++;
	for (i = 2; i < w->count + 2; i++)
		b->first[i] += b->first[i - 1];
	for (i = 0; i < w->count; i++)
		for (k = 0; k < 2; k++) {
			to = w->points[i].to[k];
			if (to != BL_CORE_NONE)
				b->from[b->first[to + 1]++] = i;
		}
	return 0;
}

static void bind(struct back *b, uint32_t i, uint32_t *len)
{
	if (b->bound[i])
		return;
	b->bound[i] = true;
	b->queue[(*len)++] = i;
}

/*
 * Whether the first point is bound to come to poison @relo. A way that splits
 * is if one end is, since verifiers follow both; where one may know better,
 * both ends must be.
 */
static bool bound_to_come(const struct bl_core_walk *w, struct back *b,
			  uint32_t relo)
{
	uint32_t i, k, len = 0;

	for (i = 0; i < w->count; i++) {
		b->bound[i] = false;
		b->left[i] = w->points[i].choice ? 2 : 1;
		if (w->points[i].poison == relo)
			bind(b, i, &len);
	}
	while (len && !b->bound[0]) {
		i = b->queue[--len];
		for (k = b->first[i]; k < b->first[i + 1]; k++)
			if (b->left[b->from[k]] && !--b->left[b->from[k]])
				bind(b, b->from[k], &len);
	}
	return b->bound[0];
}

static int judge(struct bl_core_walk *w, uint8_t *ret)
{
	BL_CLEANUP(back_free) struct back b = { 0 };
	uint32_t i;

	if (turn_around(w, &b) < 0)
		return -ENOMEM;
	for (i = 0; i < w->count; i++) {
		uint32_t relo = w->points[i].poison;

		if (relo == BL_CORE_NONE || ret[relo] != BL_CORE_NEVER)
			continue;
		ret[relo] = BL_CORE_MAYBE;
		if (bl_core_walk_step(w, w->count) &&
		    bound_to_come(w, &b, relo))
			ret[relo] = BL_CORE_SURE;
	}
	return 0;
}

/* Something was not walked: what lies there may be reached. */
static void doubt(const struct bl_core_walk *w, const struct bl_code_set *set,
		  size_t relo_count, uint8_t *ret)
{
	size_t i;

	for (i = 0; i < relo_count; i++)
		if (w->results[i].outcome == BL_CORE_POISONED &&
		    ret[i] == BL_CORE_NEVER &&
		    w->flow->holder[i] != BL_CORE_NO_FUNCTION &&
		    bl_code_has(set, w->flow->holder[i]))
			ret[i] = BL_CORE_MAYBE;
}

int bl_core_walk(const struct bl_core_flow *f,
		 const struct bl_core_relos *relos,
		 const struct bl_core_result *results, uint32_t program,
		 uint64_t *steps, uint8_t *ret)
{
	uint64_t mine = *steps < BL_CORE_REACH_STEPS ? *steps
						     : BL_CORE_REACH_STEPS;
	uint64_t left = mine;
	BL_CLEANUP(bl_core_walk_free)
	struct bl_core_walk w = {
		.flow = f,
		.relos = relos->list,
		.results = results,
		.steps = &left,
	};
	struct bl_code_set set;
	int r;

	bl_code_reach(f->code, program, &set);
	r = bl_core_walk_program(&w, program, &set);
	if (r == 0)
		r = judge(&w, ret);
	if (w.limited)
		doubt(&w, &set, relos->count, ret);
	*steps -= mine - left;
	return r;
}
