// SPDX-License-Identifier: GPL-2.0-only
/* A function that takes the sensor's lock calls another that takes it. */
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
	spin_lock(&totals_lock);
	totals.letters += len;
	spin_unlock(&totals_lock);
}

static void add_open(size_t len)
{
	spin_lock(&totals_lock);
	totals.opens++;
	add_letters(len);
	spin_unlock(&totals_lock);
}

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	twin_path_take(c, file);
	add_open(c->event.path.len);
}
