/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

static const char *const kind_dirs[BL_PIN_KINDS] = { "link", "hook", "prog",
						     "map" };
static const char *const home_dirs[BL_PIN_HOMES] = { "a", "b", "dispatch",
						     "replace" };

char *bl_pin_dir(const char *dir, unsigned home, enum bl_pin_kind kind)
{
	return bl_path("%s/%s/%s", dir, home_dirs[home], kind_dirs[kind]);
}

char *bl_pin_path(const char *dir, unsigned home, enum bl_pin_kind kind,
		  const char *name)
{
	char *path = bl_path("%s/%s/%s/%s", dir, home_dirs[home],
			     kind_dirs[kind], name);

	/* A BPF file system refuses names with a dot; maps of sections have
	 * one. Folders above are the caller's. */
	for (char *p = path ? strrchr(path, '/') : NULL; p && *p; p++)
		if (*p == '.')
			*p = '_';
	return path;
}

int bl_pin_check(const char *path, struct bl_err *err)
{
	bl_autofree char *at = strdup(path);
	struct statfs fs;
	char *slash;

	if (!at)
		return bl_err_errno(err, -ENOMEM, "pin");
	while (statfs(at, &fs)) {
		if (errno != ENOENT)
			return bl_err_errno(err, -errno, "pin in %s", at);
		slash = strrchr(at, '/');
		if (!slash || slash == at)
			return bl_err_errno(err, -ENOENT, "pin in %s", path);
		*slash = 0;
	}
	if ((unsigned long)fs.f_type == BPF_FS_MAGIC)
		return 0;
	bl_err_set(err, -ENODEV, "pin in %s: not a BPF file system", path);
	bl_err_hint(err, "mount -t bpf -o mode=0700 bpf /sys/fs/bpf");
	return -ENODEV;
}

/* A BPF file system that was mounted without a mode lets everybody make
 * folders in it: one that another made is his to change. */
static int check_ours(const char *dir, struct bl_err *err)
{
	struct stat st;

	if (lstat(dir, &st))
		return bl_err_errno(err, -errno, "pin in %s", dir);
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	    !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	bl_err_set(
		err, -EPERM,
		"pin in %s: it is not a folder that only this user may write",
		dir);
	bl_err_hint(err, "see who made it (ls -ld), and remove it");
	return -EPERM;
}

int bl_pin_make(const char *dir, unsigned home, struct bl_err *err)
{
	int r = bl_pin_check(dir, err);

	if (!r)
		r = bl_file_mkdirs(dir, 0700, err);
	if (!r)
		r = check_ours(dir, err);

	for (int kind = 0; !r && kind < BL_PIN_KINDS; kind++) {
		bl_autofree char *path =
			bl_pin_dir(dir, home, (enum bl_pin_kind)kind);

		r = path ? bl_file_mkdirs(path, 0700, err)
			 : bl_err_errno(err, -ENOMEM, "pin");
	}
	return r;
}

int bl_pin_add(const char *dir, unsigned home, enum bl_pin_kind kind,
	       const char *name, int fd, struct bl_err *err)
{
	bl_autofree char *path = bl_pin_path(dir, home, kind, name);

	if (!path)
		return bl_err_errno(err, -ENOMEM, "pin %s", name);
	if (bpf_obj_pin(fd, path))
		return bl_err_errno(err, -errno, "pin %s", path);
	return 0;
}

int bl_pin_get(const char *dir, unsigned home, enum bl_pin_kind kind,
	       const char *name, struct bl_err *err)
{
	bl_autofree char *path = bl_pin_path(dir, home, kind, name);
	int fd;

	if (!path)
		return bl_err_errno(err, -ENOMEM, "open pin %s", name);
	fd = bpf_obj_get(path);
	return fd < 0 ? bl_err_errno(err, -errno, "open pin %s", path) : fd;
}

int bl_pin_drop(const char *dir, unsigned home, enum bl_pin_kind kind,
		const char *name, struct bl_err *err)
{
	bl_autofree char *path = bl_pin_path(dir, home, kind, name);

	if (!path)
		return bl_err_errno(err, -ENOMEM, "unpin %s", name);
	if (unlink(path) && errno != ENOENT)
		return bl_err_errno(err, -errno, "unpin %s", path);
	return 0;
}

static int clear_dir(const char *path, struct bl_err *err)
{
	bl_autoclosedir DIR *dir = opendir(path);
	struct dirent *e;

	if (!dir)
		return errno == ENOENT
			       ? 0
			       : bl_err_errno(err, -errno, "unpin %s", path);
	while ((e = readdir(dir))) {
		if (*e->d_name == '.')
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0) && errno != ENOENT)
			return bl_err_errno(err, -errno, "unpin %s/%s", path,
					    e->d_name);
	}
	if (rmdir(path) && errno != ENOENT)
		return bl_err_errno(err, -errno, "unpin %s", path);
	return 0;
}

int bl_pin_clear(const char *dir, unsigned home, struct bl_err *err)
{
	bl_autofree char *top = bl_path("%s/%s", dir, home_dirs[home]);
	int r = top ? 0 : bl_err_errno(err, -ENOMEM, "unpin");

	for (int kind = 0; !r && kind < BL_PIN_KINDS; kind++) {
		bl_autofree char *path =
			bl_pin_dir(dir, home, (enum bl_pin_kind)kind);

		r = path ? clear_dir(path, err)
			 : bl_err_errno(err, -ENOMEM, "unpin");
	}
	if (!r && rmdir(top) && errno != ENOENT)
		r = bl_err_errno(err, -errno, "unpin %s", top);
	return r;
}

static int visible(const struct dirent *e)
{
	return *e->d_name != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name); /* in any locale */
}

int bl_pin_each(const char *dir, unsigned home, enum bl_pin_kind kind,
		bl_pin_fn fn, void *ctx, struct bl_err *err)
{
	bl_autofree char *path = bl_pin_dir(dir, home, kind);
	struct dirent **names = NULL;
	int count, r = 0;

	if (!path)
		return bl_err_errno(err, -ENOMEM, "pins");
	count = scandir(path, &names, visible, by_name);
	if (count < 0)
		return errno == ENOENT
			       ? 0
			       : bl_err_errno(err, -errno, "read %s", path);
	for (int i = 0; i < count; i++) {
		if (!r) {
			bl_autoclose int fd = bl_pin_get(dir, home, kind,
							 names[i]->d_name, err);

			/* Gone since we looked: another belay retires it. */
			if (fd >= 0)
				r = fn(ctx, names[i]->d_name, fd, err);
			else if (fd != -ENOENT)
				r = fd;
		}
		free(names[i]);
	}
	free(names);
	return r;
}
