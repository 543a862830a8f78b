// SPDX-License-Identifier: GPL-2.0-only
/* Looks the path up, and matches it, a hundred times more. */
#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

#define TIMES 100

static u64 matched;

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	struct bl_match m;
	int i;

	for (i = 0; i < TIMES; i++) {
		twin_path_take(c, file);
		m = bl_content_of_path(bl_content_get(), BL_EVENT_OPEN,
				       &c->event.path, c->path_end, &c->marks);
		matched += m.rule != BL_RULE_NONE;
	}
	twin_path_take(c, file);
}
