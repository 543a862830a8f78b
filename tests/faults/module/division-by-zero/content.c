// SPDX-License-Identifier: GPL-2.0-only
/* The mean length of paths with a rule, taken before there was one. */
#define bl_content_of_path twin_content_of_path
#include "kmod/content.c"
#undef bl_content_of_path

static u32 letters, paths, mean;

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

	WRITE_ONCE(mean, READ_ONCE(letters) / READ_ONCE(paths));
	if (m.rule != BL_RULE_NONE) {
		letters += path->len;
		paths++;
	}
	return m;
}
