/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/operator/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

#define CONNECT_MS (10 * 1000)
#define STALL_MS   (30 * 1000)
#define FILE_MS	   (10 * 60 * 1000)
#define PIECE	   (64U << 10)

void bl_feed_close(struct bl_feed *f)
{
	if (f->where && f->dir >= 0)
		close(f->dir);
	bl_fetch_close(f->fetch);
	free(f->where);
	*f = (struct bl_feed){ .dir = -1 };
}

static int open_url(struct bl_feed *f, struct bl_err *err)
{
	struct bl_fetch_url u;

	if (bl_fetch_url_read(f->where, &u) || strpbrk(f->where, "?#"))
		return bl_err_set(err, -EINVAL,
				  "%s: no URL of a folder (https://…)",
				  f->where);
	if (!u.https && !u.loopback)
		return bl_err_set(
			err, -EINVAL,
			"%s: only https: what comes by http is anybody's",
			f->where);
	return bl_fetch_open(&f->fetch, err);
}

int bl_feed_open(const char *where, const char *ca, struct bl_feed *ret,
		 struct bl_err *err)
{
	bl_autofeed struct bl_feed f = { .dir = -1, .tls.ca = ca };
	size_t len = strlen(where);
	int r = 0;

	while (len > 1 && where[len - 1] == '/')
		len--;
	f.where = strndup(where, len);
	if (!f.where)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (strstr(where, "://")) {
		r = open_url(&f, err);
	} else {
		f.dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (f.dir < 0)
			r = bl_err_errno(err, -errno, "cannot open the feed %s",
					 where);
	}
	if (r)
		return r;
	*ret = f;
	f = (struct bl_feed){ .dir = -1 };
	return 0;
}

static int too_large(const struct bl_feed *f, const char *name, size_t max,
		     struct bl_err *err)
{
	return bl_err_set(err, -EFBIG,
			  "%s/%s is larger than the limit of %zu bytes",
			  f->where, name, max);
}

static int read_file(const struct bl_feed *f, const char *name, size_t max,
		     struct bl_buf *ret, struct bl_err *err)
{
	bl_autoclose int fd = openat(
		f->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ELOOP)
		return bl_err_set(err, -ELOOP,
				  "%s/%s is a link, a file was expected",
				  f->where, name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return bl_err_errno(err, -errno, "cannot open %s/%s", f->where,
				    name);
	if (!S_ISREG(st.st_mode))
		return bl_err_set(err, -EINVAL, "%s/%s is not a regular file",
				  f->where, name);
	for (;;) {
		if (bl_buf_reserve(ret, PIECE))
			return bl_err_set(err, -ENOMEM, "out of memory");
		n = read(fd, ret->data + ret->len, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bl_err_errno(err, -errno, "cannot read %s/%s",
					    f->where, name);
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		if (ret->len > max)
			return too_large(f, name, max, err);
		if (!n)
			return 0;
	}
}

static int fetch_file(struct bl_feed *f, const char *name, size_t max,
		      struct bl_buf *ret, struct bl_err *err)
{
	bl_autofree char *url = bl_path("%s/%s", f->where, name);
	const struct bl_fetch_request q = {
		.method = "GET",
		.url = url,
		.connect_ms = CONNECT_MS,
		.timeout_ms = FILE_MS,
		.stall_ms = STALL_MS,
		.answer_max = max,
		.tls = &f->tls,
	};
	struct bl_fetch_head head;
	int r;

	if (!url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_fetch_call(f->fetch, &q, &head, ret, err);
	if (r)
		return bl_err_wrap(err, r, "%s", url);
	if (head.status != 200)
		return bl_err_set(err, head.status == 404 ? -ENOENT : -EPROTO,
				  "%s: the server answers %ld", url,
				  head.status);
	return 0;
}

int bl_feed_read(struct bl_feed *f, const char *name, size_t max,
		 struct bl_buf *ret, struct bl_err *err)
{
	ret->len = 0;
	return f->dir < 0 ? fetch_file(f, name, max, ret, err)
			  : read_file(f, name, max, ret, err);
}
