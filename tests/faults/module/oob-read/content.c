// SPDX-License-Identifier: GPL-2.0-only
/*
 * 19 July 2024: the sensor has 20 inputs, one for each rule, and content says
 * which is looked at. Nobody checks the number. It works until content has a
 * 21st rule and something matches it: what lies behind the 20 pointers are the
 * lengths of the strings, so the 21st pointer is a small number.
 */
#define bl_content_of_path twin_content_of_path
#include "kmod/content.c"
#undef bl_content_of_path

#define INPUTS 20

static struct {
	const char *text[INPUTS];
	size_t len[INPUTS];
} inputs = {
	.text = { [0 ... INPUTS - 1] = "input" },
	.len = { [0 ... INPUTS - 1] = 5 },
};

static unsigned long given;

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

	if (m.rule != BL_RULE_NONE && *inputs.text[m.rule])
		given++;
	return m;
}
