/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

bool bl_name_valid(const char *name)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._+-";
	size_t len = name ? strlen(name) : 0;

	return len > 0 && len <= BL_NAME_MAX && name[0] != '.' &&
	       name[0] != '-' && strspn(name, ok) == len;
}

char *bl_path(const char *fmt, ...)
{
	va_list ap;
	char *path;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&path, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : path;
}

char *bl_path_cache(void)
{
	const char *dir = getenv("BELAY_CACHE");
	const char *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (dir && *dir)
		return strdup(dir);
	if (geteuid() == 0)
		return strdup("/var/cache/belay");
	if (xdg && *xdg)
		return bl_path("%s/belay", xdg);
	return bl_path("%s/.cache/belay", home && *home ? home : "/tmp");
}

/* A pipe that nobody writes to would be waited for in open() already. */
static int open_to_read(const char *path, bool pipes, struct bl_err *err)
{
	bl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY |
						 (pipes ? 0 : O_NONBLOCK));
	struct stat st;

	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		return bl_err_errno(err, -errno, "cannot stat %s", path);
	if (S_ISDIR(st.st_mode))
		return bl_err_set(err, -EISDIR,
				  "%s is a folder, a file was expected", path);
	if (!S_ISREG(st.st_mode) && !(pipes && S_ISFIFO(st.st_mode)))
		return bl_err_set(
			err, -EINVAL,
			pipes ? "%s is neither a regular file nor a pipe"
			      : "%s is not a regular file",
			path);
	return BL_TAKE_FD(fd);
}

static int read_whole(const char *path, bool pipes, size_t max_bytes,
		      struct bl_buf *ret, struct bl_err *err)
{
	bl_autoclose int fd = open_to_read(path, pipes, err);
	size_t before = ret->len;
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	for (;;) {
		r = bl_buf_reserve(ret, 64 * 1024);
		if (r < 0)
			break;
		n = read(fd, ret->data + ret->len, 64 * 1024);
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : 0;
		if (n <= 0)
			break;
		ret->len += (size_t)n;
		r = ret->len - before > max_bytes ? -EFBIG : 0;
		if (r < 0)
			break;
	}
	if (r < 0) {
		ret->len = before;
		if (ret->data)
			ret->data[before] = '\0';
		if (r == -EFBIG)
			return bl_err_set(
				err, r,
				"%s is larger than the limit of %zu bytes",
				path, max_bytes);
		return bl_err_errno(err, r, "cannot read %s", path);
	}
	ret->data[ret->len] = '\0';
	return 0;
}

int bl_file_read(const char *path, size_t max_bytes, struct bl_buf *ret,
		 struct bl_err *err)
{
	return read_whole(path, true, max_bytes, ret, err);
}

int bl_file_read_regular(const char *path, size_t max_bytes, struct bl_buf *ret,
			 struct bl_err *err)
{
	return read_whole(path, false, max_bytes, ret, err);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	if (slash == path)
		return strdup("/");
	return strndup(path, (size_t)(slash - path));
}

int bl_file_sync_dir(const char *path, struct bl_err *err)
{
	bl_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot open folder %s", path);
	if (fsync(fd) < 0)
		return bl_err_errno(err, -errno, "cannot sync folder %s", path);
	return 0;
}

void bl_file_claim(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

int bl_file_write(const char *path, const void *data, size_t len, mode_t mode,
		  struct bl_err *err)
{
	bl_autofree char *tmp = bl_path("%s.XXXXXX", path);
	bl_autofree char *dir = dir_of(path);
	bl_autoclose int fd = -1;
	struct stat st;
	int r;

	if (!tmp || !dir)
		return bl_err_set(err, -ENOMEM, "out of memory");
	/* rename would put a file in the place of a device or a pipe. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return bl_err_set(
			err, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
			"cannot write %s: it is there and not a regular file",
			path);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot create %s", path);
	r = write_all(fd, data, len);
	if (!r &&
	    (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(tmp, path) < 0))
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		return bl_err_errno(err, r, "cannot write %s", path);
	}
	return bl_file_sync_dir(dir, err);
}

bool bl_file_same(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

int bl_file_mkdirs(const char *path, mode_t mode, struct bl_err *err)
{
	bl_autofree char *p = strdup(path);
	struct stat st;
	char *s;

	if (!p)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (!*p)
		return bl_err_set(err, -ENOENT,
				  "cannot create a folder without a name");
	for (s = p + 1;; s++) {
		char c = *s;

		if (c && c != '/')
			continue;
		*s = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return bl_err_errno(err, -errno,
					    "cannot create folder %s", p);
		if (!c)
			break;
		*s = c;
	}
	/* EEXIST does not say what it is that exists. */
	if (stat(p, &st) < 0)
		return bl_err_errno(err, -errno, "cannot stat %s", p);
	if (!S_ISDIR(st.st_mode))
		return bl_err_errno(err, -ENOTDIR, "cannot create folder %s",
				    p);
	return 0;
}

static int rm_one(const char *path, const struct stat *st, int kind,
		  struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return kind == FTW_DP ? rmdir(path) : unlink(path);
}

int bl_file_rmtree(const char *path, struct bl_err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : bl_err_errno(err, -errno,
						      "cannot stat %s", path);
	if (nftw(path, rm_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		return bl_err_errno(err, errno ? -errno : -EIO,
				    "cannot remove %s", path);
	return 0;
}
