/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/lab/elf.h"
#include "loader/lab/identity.h"

struct bl_initramfs {
	struct archive *archive; /* NULL: a survey */
	int fd;
	void *seen; /* tree of paths, tsearch */
	const struct bl_initramfs *base;
	struct bl_buf identity; /* of a survey */
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

static int archive_fail(struct bl_initramfs *fs, const char *dst,
			struct bl_err *err)
{
	return bl_err_set(err, -EIO, "cannot add %s to the initramfs: %s", dst,
			  archive_error_string(fs->archive));
}

void bl_initramfs_free(struct bl_initramfs **fs)
{
	if (!*fs)
		return;
	tdestroy((*fs)->seen, free);
	if ((*fs)->archive)
		archive_write_free((*fs)->archive);
	if ((*fs)->fd >= 0)
		close((*fs)->fd);
	bl_buf_free(&(*fs)->identity);
	free(*fs);
	*fs = NULL;
}

/* --- paths ---------------------------------------------------------------- */

static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/');
}

static bool path_ok(const char *p)
{
	if (*p != '/' || strlen(p) >= BL_INITRAMFS_PATH_MAX)
		return false;
	while (*p) {
		size_t n = strcspn(++p, "/");

		if (!n || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
	}
	return true;
}

static int path_check(const char *dst, struct bl_err *err)
{
	static const char *const mounts[] = { "/proc", "/sys", "/dev", "/run" };

	if (!path_ok(dst))
		return bl_err_set(err, -EINVAL,
				  "'%s' is no absolute path for a guest", dst);
	for (size_t i = 0; i < BL_ARRAY_SIZE(mounts); i++)
		if (below(dst, mounts[i]))
			return bl_err_set(
				err, -EINVAL,
				"'%s' would be hidden: the guest mounts over %s",
				dst, mounts[i]);
	return 0;
}

/* /bin/x is /usr/bin/x, as in the guest. Caller frees. */
static char *path_merged(const char *dst)
{
	static const char *const dirs[] = { "/bin", "/sbin", "/lib", "/lib64" };

	for (size_t i = 0; i < BL_ARRAY_SIZE(dirs); i++)
		if (below(dst, dirs[i]) && dst[strlen(dirs[i])])
			return bl_path("/usr%s", dst);
	return strdup(dst);
}

/* 1: new, 0: is there already, or -ENOMEM. */
static int remember(struct bl_initramfs *fs, const char *path)
{
	char *copy = strdup(path), **node;

	if (!copy)
		return -ENOMEM;
	node = tsearch(copy, &fs->seen, compare);
	if (!node || *node != copy)
		free(copy);
	if (!node)
		return -ENOMEM;
	return *node == copy;
}

static bool is_seen(const struct bl_initramfs *fs, const char *path)
{
	return tfind(path, &fs->seen, compare);
}

/* --- entries -------------------------------------------------------------- */

struct node {
	mode_t mode; /* with type */
	const char *target;
	const void *data;
	size_t len;
	dev_t dev;
	const struct stat *from; /* the host's file, or NULL */
};

/* What tells this entry from another of its name. */
static int put_identity(struct bl_initramfs *fs, const char *dst,
			const struct node *n)
{
	int r = bl_buf_printf(&fs->identity, "%s %o", dst, (unsigned)n->mode);

	if (!r && n->target)
		r = bl_buf_printf(&fs->identity, " -> %s", n->target);
	if (!r && n->from)
		r = bl_identity_stat(&fs->identity, n->from);
	else if (!r && n->len)
		r = bl_buf_printf(&fs->identity, " %016llx",
				  (unsigned long long)bl_identity_hash(n->data,
								       n->len));
	return r ? r : bl_buf_add(&fs->identity, "\n", 1);
}

static int put(struct bl_initramfs *fs, const char *dst, const struct node *n,
	       struct bl_err *err)
{
	struct archive_entry *e;
	int r = 0;

	if (!fs->archive)
		return put_identity(fs, dst, n) ? no_memory(err) : 0;
	e = archive_entry_new();
	if (!e)
		return no_memory(err);
	archive_entry_set_pathname(e, dst + 1); /* relative, as cpio has it */
	archive_entry_set_mode(e, n->mode);
	archive_entry_set_nlink(e, 1);
	archive_entry_set_size(e, (la_int64_t)n->len);
	archive_entry_set_mtime(e, 0, 0);
	if (n->target)
		archive_entry_set_symlink(e, n->target);
	if (S_ISCHR(n->mode))
		archive_entry_set_rdev(e, n->dev);
	if (archive_write_header(fs->archive, e) != ARCHIVE_OK ||
	    (n->len && archive_write_data(fs->archive, n->data, n->len) !=
			       (la_ssize_t)n->len))
		r = archive_fail(fs, dst, err);
	archive_entry_free(e);
	return r;
}

/* The folders above @dst, that were not made yet. */
static int put_parents(struct bl_initramfs *fs, const char *dst,
		       struct bl_err *err)
{
	const struct node dir = { .mode = S_IFDIR | 0755 };
	bl_autofree char *path = strdup(dst);
	char *s;

	if (!path)
		return no_memory(err);
	for (s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
		int r;

		*s = '\0';
		r = remember(fs, path);
		if (r < 0)
			return no_memory(err);
		if (r && !(fs->base && is_seen(fs->base, path)))
			r = put(fs, path, &dir, err);
		if (r < 0)
			return r;
		*s = '/';
	}
	return 0;
}

static int add(struct bl_initramfs *fs, const char *dst, const struct node *n,
	       struct bl_err *err)
{
	bl_autofree char *path = path_merged(dst);
	int r = path ? put_parents(fs, path, err) : no_memory(err);

	if (r < 0)
		return r;
	r = remember(fs, path);
	if (r < 0)
		return no_memory(err);
	return r ? put(fs, path, n, err) : 0;
}

/* Whether @dst was added, under the name it has when /usr is merged. */
static bool added(const struct bl_initramfs *fs, const char *dst)
{
	bl_autofree char *path = path_merged(dst);

	return path && is_seen(fs, path);
}

/* Whether the guest has @dst. */
static bool has(const struct bl_initramfs *fs, const char *dst)
{
	return added(fs, dst) || (fs->base && added(fs->base, dst));
}

int bl_initramfs_dir(struct bl_initramfs *fs, const char *dst,
		     struct bl_err *err)
{
	const struct node n = { .mode = S_IFDIR | 0755 };
	int r = path_check(dst, err);

	return r ? r : add(fs, dst, &n, err);
}

int bl_initramfs_data(struct bl_initramfs *fs, const char *dst, mode_t mode,
		      const void *data, size_t len, struct bl_err *err)
{
	const struct node n = { .mode = S_IFREG | (mode & 07777),
				.data = data,
				.len = len };
	int r = path_check(dst, err);

	return r ? r : add(fs, dst, &n, err);
}

int bl_initramfs_link(struct bl_initramfs *fs, const char *dst,
		      const char *target, struct bl_err *err)
{
	const struct node n = { .mode = S_IFLNK | 0777, .target = target };
	int r = path_check(dst, err);

	return r ? r : add(fs, dst, &n, err);
}

int bl_initramfs_file(struct bl_initramfs *fs, const char *src, const char *dst,
		      struct bl_err *err)
{
	bl_autoclose int fd = open(src, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct node n = { 0 };
	void *map = NULL;
	int r = path_check(dst, err);

	if (r < 0)
		return r;
	if (fd < 0 || fstat(fd, &st) < 0)
		return bl_err_errno(err, -errno, "cannot open %s", src);
	if (!S_ISREG(st.st_mode))
		return bl_err_set(err, -EINVAL, "%s is no regular file", src);
	if (st.st_size > BL_INITRAMFS_FILE_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s is larger than a guest takes (%lld MiB)",
				  src, BL_INITRAMFS_FILE_MAX >> 20);
	n.mode = S_IFREG | (st.st_mode & 0777);
	n.len = (size_t)st.st_size;
	n.from = &st;
	if (n.len && fs->archive) {
		map = mmap(NULL, n.len, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			return bl_err_errno(err, -errno, "cannot read %s", src);
	}
	n.data = map;
	r = add(fs, dst, &n, err);
	if (map)
		munmap(map, n.len);
	return r;
}

/* --- programs ------------------------------------------------------------- */

static int library(void *ctx, const char *path, struct bl_err *err)
{
	struct bl_initramfs *fs = ctx;
	bl_autofree char *moved = NULL;

	/* Without an ld.so.cache the guest's loader looks in its own folders
	 * only, so what lives elsewhere moves there. */
	if (!below(path, "/lib") && !below(path, "/usr/lib") &&
	    !below(path, "/lib64")) {
		moved = bl_path("/usr/lib/%s", strrchr(path, '/') + 1);
		if (!moved)
			return no_memory(err);
	}
	if (has(fs, moved ? moved : path))
		return 0;
	return bl_initramfs_file(fs, path, moved ? moved : path, err);
}

int bl_initramfs_program(struct bl_initramfs *fs, const char *src,
			 const char *dst, struct bl_err *err)
{
	char interp[256];
	int r;

	if (added(fs, dst))
		return 0;
	r = bl_initramfs_file(fs, src, dst, err);
	if (r < 0)
		return r;
	switch (bl_elf_kind(src, interp, sizeof(interp))) {
	case BL_ELF_DYNAMIC:
		return bl_elf_libraries(src, interp, library, fs, err);
	case BL_ELF_SCRIPT:
		if (has(fs, interp) || access(interp, X_OK) != 0)
			return 0;
		return bl_initramfs_program(fs, interp, interp, err);
	default:
		return 0;
	}
}

int bl_initramfs_busybox(struct bl_initramfs *fs, const char *src,
			 struct bl_err *err)
{
	const char *const argv[] = { src, "--list", NULL };
	const struct bl_proc_opts opts = { .timeout_ms = 10000 };
	bl_autoproc struct bl_proc_result res = { 0 };
	char *applet, *rest;
	int r = bl_initramfs_program(fs, src, "/usr/bin/busybox", err);

	if (!r)
		r = bl_proc_run(argv, &opts, &res, err);
	if (r < 0)
		return r;
	if (res.status != 0 || !res.out.len)
		return bl_err_set(err, -EIO, "%s --list ended with status %d",
				  src, res.status);
	for (applet = strtok_r(res.out.data, "\n", &rest); applet && !r;
	     applet = strtok_r(NULL, "\n", &rest)) {
		bl_autofree char *dst = bl_path("/usr/bin/%s", applet);

		if (!dst)
			return no_memory(err);
		r = bl_initramfs_link(fs, dst, "busybox", err);
	}
	return r;
}

/* --- begin and end -------------------------------------------------------- */

static int put_frame(struct bl_initramfs *fs, struct bl_err *err)
{
	static const char *const dirs[] = {
		"/usr/bin", "/usr/sbin",      "/usr/lib", "/usr/lib64", "/etc",
		"/root",    "/run",	      "/var/lib", "/proc",	"/sys",
		"/dev",	    "/usr/local/bin", "/var/log", "/var/cache"
	};
	static const char *const links[] = { "bin", "sbin", "lib", "lib64" };
	const struct node dir = { .mode = S_IFDIR | 0755 };
	const struct node tmp = { .mode = S_IFDIR | 01777 };
	const struct node console = { .mode = S_IFCHR | 0600,
				      .dev = makedev(5, 1) };
	int r = 0;

	for (size_t i = 0; !r && i < BL_ARRAY_SIZE(dirs); i++)
		r = add(fs, dirs[i], &dir, err);
	for (size_t i = 0; !r && i < BL_ARRAY_SIZE(links); i++) {
		bl_autofree char *dst = bl_path("/%s", links[i]);
		bl_autofree char *to = bl_path("usr/%s", links[i]);

		r = dst && to ? bl_initramfs_link(fs, dst, to, err)
			      : no_memory(err);
	}
	if (!r)
		r = add(fs, "/tmp", &tmp, err);
	/* The kernel opens it for init before init can make one. */
	return r ? r : add(fs, "/dev/console", &console, err);
}

static int open_archive(struct bl_initramfs *fs, struct bl_err *err)
{
	fs->archive = archive_write_new();
	if (!fs->archive)
		return no_memory(err);
	if (archive_write_set_format_cpio_newc(fs->archive) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(fs->archive, 1024 * 1024) !=
		    ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(fs->archive, 512) !=
		    ARCHIVE_OK ||
	    archive_write_open_fd(fs->archive, fs->fd) != ARCHIVE_OK)
		return archive_fail(fs, "/", err);
	return 0;
}

static int make(struct bl_initramfs **ret, struct bl_err *err)
{
	struct bl_initramfs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return no_memory(err);
	fs->fd = -1;
	*ret = fs;
	return 0;
}

int bl_initramfs_new(struct bl_initramfs **ret, struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *fs = NULL;
	int r = make(&fs, err);

	if (r < 0)
		return r;
	fs->fd = memfd_create("belay-initramfs", MFD_CLOEXEC);
	if (fs->fd < 0)
		return bl_err_errno(err, -errno, "cannot make an initramfs");
	r = open_archive(fs, err);
	if (!r)
		r = put_frame(fs, err);
	if (r < 0)
		return r;
	*ret = BL_TAKE(fs);
	return 0;
}

int bl_initramfs_new_survey(struct bl_initramfs **ret, struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *fs = NULL;
	int r = make(&fs, err);

	if (!r)
		r = put_frame(fs, err);
	if (r < 0)
		return r;
	*ret = BL_TAKE(fs);
	return 0;
}

int bl_initramfs_new_upon(struct bl_initramfs **ret,
			  const struct bl_initramfs *base, int fd,
			  struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *fs = NULL;
	int r = make(&fs, err);

	if (r < 0)
		return r;
	fs->base = base;
	fs->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fs->fd < 0)
		return bl_err_errno(err, -errno, "cannot make an initramfs");
	r = open_archive(fs, err);
	if (r < 0)
		return r;
	*ret = BL_TAKE(fs);
	return 0;
}

const char *bl_initramfs_identity(const struct bl_initramfs *fs)
{
	return bl_buf_str(&fs->identity);
}

int bl_initramfs_finish(struct bl_initramfs *fs, int *ret_fd,
			struct bl_err *err)
{
	assert(fs->archive);
	if (archive_write_close(fs->archive) != ARCHIVE_OK)
		return archive_fail(fs, "its end", err);
	*ret_fd = BL_TAKE_FD(fs->fd);
	return 0;
}
