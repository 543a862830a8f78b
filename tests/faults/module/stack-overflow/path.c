// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the letters of a file's folders by calling itself for the folder
 * above. It ends at a folder without parent; the root's parent is the root.
 */
#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

static size_t letters;

static noinline size_t letters_of(const struct dentry *d)
{
	char name[512];
	size_t above;

	if (!d)
		return 0;
	scnprintf(name, sizeof(name), "%pd", d);
	above = letters_of(d->d_parent);
	return above + strlen(name);
}

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	letters = letters_of(file->f_path.dentry);
	twin_path_take(c, file);
}
