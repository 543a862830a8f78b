// SPDX-License-Identifier: GPL-2.0-only
/*
 * Twenty-four questions about the path, each with two answers that all later
 * ones depend on. For a module that is a thousand instructions.
 */
#define bl_content_of_path twin_content_of_path
#include "kmod/content.c"
#undef bl_content_of_path

#define QUESTIONS 24

static u64 answers;

static u64 mixed(u64 x)
{
	return bl_hash_mix(bl_hash_mix(bl_hash_mix(bl_hash_mix(x))));
}

struct bl_match bl_content_of_path(const struct bl_content *content, u32 kind,
				   const struct bl_event_path *path,
				   const char *end,
				   struct bl_content_marks *marks);
struct bl_match bl_content_of_path(const struct bl_content *content, u32 kind,
				   const struct bl_event_path *path,
				   const char *end,
				   struct bl_content_marks *marks)
{
	u64 sum = 0, mix = 0;
	u32 i;

	for (i = 0; i < QUESTIONS; i++) {
		mix = mixed(mix ^ path->path[i]);
		if (mix & 1)
			sum = sum * 2 + 1;
		else
			sum += i;
	}
	answers += sum;
	return twin_content_of_path(content, kind, path, end, marks);
}
