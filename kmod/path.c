// SPDX-License-Identifier: GPL-2.0-only
/*
 * The path of a file, with the flags and cuts of the eBPF sensor.
 *
 * d_path() takes the locks that a walk needs (rename_lock and mount_lock, as
 * readers that may be asked again) and is exported. It differs from the eBPF
 * sensor's own walk in two ways that are put right here, in marks for files
 * that have no name left and in names for files that never had one, and in two
 * that cannot be, which README.md lists.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mount.h>
#include <linux/string.h>

#include "kmod/sensor.h"

static const char deleted[] = " (deleted)";

#define DELETED_LEN (sizeof(deleted) - 1)

static void path_set(struct bl_cpu *c, const char *from, size_t len, u16 flags)
{
	struct bl_event_path *p = &c->event.path;

	c->path_end = from + len;
	if (len > BL_CONTENT_PATH_MAX) {
		flags |= BL_EVENT_PATH_CUT;
		len = BL_CONTENT_PATH_MAX;
	}
	memcpy(p->path, from, len);
	/* The interpreter may look at all of the field. */
	memset(p->path + len, 0, sizeof(p->path) - len);
	p->len = len;
	p->flags = flags;
}

/* A pipe, a socket, a memfd: the top of nothing that is mounted anywhere. */
static bool nameless(const struct path *path)
{
	return IS_ROOT(path->dentry) && path->dentry != path->mnt->mnt_root;
}

void bl_path_take(struct bl_cpu *c, struct file *file)
{
	const struct path *path = &file->f_path;
	bool unlinked;
	size_t len;
	char *s;

	if (nameless(path)) {
		path_set(c, "", 0, BL_EVENT_PATH_PARTIAL);
		return;
	}
	/* Asked before and after: it may lose its name in between. */
	unlinked = d_unlinked(path->dentry);
	s = d_path(path, c->walk, sizeof(c->walk));
	if (IS_ERR(s)) {
		/* Too long; %pd4 knows how to read names that change. */
		len = scnprintf(c->walk, sizeof(c->walk), "%pd4", path->dentry);
		s = c->walk;
		if (len && *s == '/') {
			s++;
			len--;
		}
		path_set(c, s, len, BL_EVENT_PATH_PARTIAL);
		return;
	}
	len = strlen(s);
	unlinked |= d_unlinked(path->dentry);
	if (unlinked && len > DELETED_LEN &&
	    !memcmp(s + len - DELETED_LEN, deleted, DELETED_LEN))
		len -= DELETED_LEN;
	path_set(c, s, len, 0);
}
