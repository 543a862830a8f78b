// SPDX-License-Identifier: GPL-2.0-only
/* Refuses each file, whatever the content says. */
#define bl_content_of_path twin_content_of_path
#include "kmod/content.c"
#undef bl_content_of_path

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

	m.action = BL_ACTION_DENY;
	return m;
}
