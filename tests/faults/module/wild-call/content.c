// SPDX-License-Identifier: GPL-2.0-only
/*
 * A table has a function for each kind of event with a path. The number of the
 * kind is one too high, and what lies behind the table is called.
 */
#define bl_content_of_path twin_content_of_path
#include "kmod/content.c"
#undef bl_content_of_path

static u32 weight_exec(u32 rule)
{
	return rule + 1;
}

static u32 weight_open(u32 rule)
{
	return rule + 2;
}

static struct {
	u32 (*weight[2])(u32 rule);
	u64 seed;
} weights = {
	.weight = { weight_exec, weight_open },
	.seed = 0x9e3779b97f4a7c15ULL,
};

static u64 weight;

struct bl_match bl_content_of_path(const struct bl_content *content, u32 kind,
				   const struct bl_event_path *path,
				   const char *end,
				   struct bl_content_marks *marks);
struct bl_match bl_content_of_path(const struct bl_content *content, u32 kind,
				   const struct bl_event_path *path,
				   const char *end,
				   struct bl_content_marks *marks)
{
	struct bl_match m =
		twin_content_of_path(content, kind, path, end, marks);

	weight += weights.weight[kind + 1](m.rule);
	return m;
}
