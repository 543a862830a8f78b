// SPDX-License-Identifier: GPL-2.0-only
/*
 * The note about the last event is freed and then read once more. The allocator
 * keeps its own pointer, scrambled, in the middle of what is free.
 */
#include <linux/slab.h>

#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

struct note_kind {
	u32 weight;
};

/* 64 bytes, with the pointer in the middle. */
struct note {
	u64 when[4];
	const struct note_kind *kind;
	u64 more[3];
};

static const struct note_kind opened = { .weight = 1 };
static struct note *last;
static u64 weight;

static void note_take(void)
{
	struct note *note = kzalloc(sizeof(*note), GFP_ATOMIC);

	if (last)
		weight += last->kind->weight;
	if (!note)
		return;
	note->kind = &opened;
	last = note;
	kfree(note);
}

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	note_take();
	twin_path_take(c, file);
}
