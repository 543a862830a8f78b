// SPDX-License-Identifier: GPL-2.0-only
/* The mistake of lock-twice, with interrupts off. */
#include <linux/spinlock.h>

#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

static DEFINE_SPINLOCK(totals_lock);
static struct {
	u64 opens, letters;
} totals;

static void add_letters(size_t len)
{
	unsigned long flags;

	spin_lock_irqsave(&totals_lock, flags);
	totals.letters += len;
	spin_unlock_irqrestore(&totals_lock, flags);
}

static void add_open(size_t len)
{
	unsigned long flags;

	spin_lock_irqsave(&totals_lock, flags);
	totals.opens++;
	add_letters(len);
	spin_unlock_irqrestore(&totals_lock, flags);
}

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	twin_path_take(c, file);
	add_open(c->event.path.len);
}
