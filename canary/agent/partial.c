/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"
#include "loader/net/range.h"

#define SUFFIX ".part"

enum bl_partial_step bl_partial_judge(size_t have,
				      const struct bl_fetch_head *head,
				      size_t *ret_total)
{
	struct bl_range range;

	*ret_total = 0;
	if (head->status == 200) {
		if (head->length > BL_BUNDLE_MAX)
			return BL_PARTIAL_TOO_LARGE;
		*ret_total = head->length > 0 ? (size_t)head->length : 0;
		return BL_PARTIAL_AFRESH;
	}
	if (head->status != 206 || bl_range_read(head->range, &range) < 0)
		return BL_PARTIAL_WRONG;
	if (range.total > BL_BUNDLE_MAX)
		return BL_PARTIAL_TOO_LARGE;
	if (range.at != have || range.at + range.len != range.total)
		return BL_PARTIAL_WRONG;
	*ret_total = range.total;
	return BL_PARTIAL_APPEND;
}

/* Whether @name is a partial's, of any digest. */
static bool is_partial(const char *name)
{
	char digest[BL_DIGEST_HEX];

	if (strlen(name) != BL_DIGEST_HEX - 1 + strlen(SUFFIX) ||
	    strcmp(name + BL_DIGEST_HEX - 1, SUFFIX) != 0)
		return false;
	memcpy(digest, name, BL_DIGEST_HEX - 1);
	digest[BL_DIGEST_HEX - 1] = '\0';
	return bl_digest_valid(digest);
}

static void remove_others(const char *dir, const char *digest)
{
	bl_autoclosedir DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_partial(e->d_name) &&
		    strncmp(e->d_name, digest, BL_DIGEST_HEX - 1) != 0)
			unlinkat(dirfd(d), e->d_name, 0);
}

/* @fd, which is taken, @path likewise. */
static int begin_with(int fd, char *path, const char *digest,
		      struct bl_partial *ret, struct bl_err *err)
{
	struct bl_partial p = { .fd = fd, .path = path };
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		r = bl_err_errno(err, -errno, "cannot open %s", path);
	else if (!S_ISREG(st.st_mode))
		r = bl_err_set(err, -EINVAL, "%s is not a file", path);
	else if (st.st_size > BL_BUNDLE_MAX)
		r = bl_partial_clear(&p, err);
	else
		p.have = (size_t)st.st_size;
	if (r < 0) {
		bl_partial_close(&p);
		return r;
	}
	memcpy(p.digest, digest, BL_DIGEST_HEX);
	*ret = p;
	return 0;
}

int bl_partial_open(const char *dir, const char *digest, struct bl_partial *ret,
		    struct bl_err *err)
{
	bl_autofree char *path = bl_path("%s/%s" SUFFIX, dir, digest);
	int fd, r;

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_file_mkdirs(dir, 0700, err);
	if (r < 0)
		return r;
	remove_others(dir, digest);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		  0600);
	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot open %s", path);
	return begin_with(fd, BL_TAKE(path), digest, ret, err);
}

void bl_partial_close(struct bl_partial *p)
{
	if (!p->path)
		return;
	close(p->fd);
	free(p->path);
	*p = (struct bl_partial){ 0 };
}

int bl_partial_clear(struct bl_partial *p, struct bl_err *err)
{
	if (ftruncate(p->fd, 0) < 0)
		return bl_err_errno(err, -errno, "cannot empty %s", p->path);
	p->have = p->came = p->total = 0;
	return 0;
}

static int append(struct bl_partial *p, const char *data, size_t len,
		  struct bl_err *err)
{
	while (len) {
		ssize_t n = pwrite(p->fd, data, len, (off_t)p->have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int code = -errno;

			bl_err_errno(err, code, "cannot keep the bundle in %s",
				     p->path);
			if (p->total > p->have)
				bl_err_hint(err, "it needs %zu bytes, %zu more",
					    p->total, p->total - p->have);
			return code;
		}
		p->have += (size_t)n;
		p->came += (size_t)n;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int bl_partial_add(struct bl_partial *p, const void *data, size_t len,
		   struct bl_err *err)
{
	if (len > BL_BUNDLE_MAX - p->have)
		return bl_err_set(err, -EFBIG, "a bundle has at most %u bytes",
				  BL_BUNDLE_MAX);
	return append(p, data, len, err);
}

/* Once: what is hashed is what is used. */
static int read_all(const struct bl_partial *p, struct bl_buf *ret,
		    struct bl_err *err)
{
	char piece[1 << 16];

	for (;;) {
		ssize_t n = pread(p->fd, piece, sizeof(piece), (off_t)ret->len);
		int r = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bl_err_errno(err, -errno, "cannot read %s",
					    p->path);
		if (!n)
			return 0;
		if (ret->len + (size_t)n > BL_BUNDLE_MAX)
			return bl_err_set(err, -EFBIG,
					  "a bundle has at most %u bytes",
					  BL_BUNDLE_MAX);
		r = bl_buf_add(ret, piece, (size_t)n);
		if (r < 0)
			return bl_err_set(err, r, "out of memory");
	}
}

int bl_partial_whole(struct bl_partial *p, struct bl_buf *ret,
		     struct bl_err *err)
{
	bl_autobuf struct bl_buf data = { 0 };
	char digest[BL_DIGEST_HEX];
	int r = read_all(p, &data, err);

	if (!r)
		r = bl_digest(bl_buf_str(&data), data.len, digest);
	if (r < 0)
		return bl_err_wrap(err, r, "what came of the bundle");
	if (strcmp(digest, p->digest) != 0)
		return bl_err_set(
			err, -EBADMSG,
			"the bundle arrived damaged: its digest is %s", digest);
	bl_buf_free(ret);
	*ret = data;
	data = (struct bl_buf){ 0 };
	return 0;
}

int bl_partial_gain(struct bl_partial *p,
		    int (*attempt)(void *ctx, struct bl_partial *p,
				   struct bl_err *err),
		    void *ctx, struct bl_buf *ret, struct bl_err *err)
{
	bool resumed;
	int r = 0;

	/* It came whole, and then the host was busy, or the agent ended. */
	if (p->have && bl_partial_whole(p, ret, NULL) == 0)
		return 0;
	do {
		resumed = p->have > 0;
		r = attempt(ctx, p, err);
		if (!r)
			r = bl_partial_whole(p, ret, err);
		if (r != -EBADMSG && r != -ERANGE && r != -EFBIG)
			break;
		/* What is dropped has not brought anybody further. */
		if (bl_partial_clear(p, err) < 0)
			break;
	} while (resumed && r != -EFBIG);
	return r;
}

void bl_partial_remove(const char *dir, const char *digest)
{
	bl_autofree char *path = bl_path("%s/%s" SUFFIX, dir, digest);

	if (path)
		unlink(path);
}
