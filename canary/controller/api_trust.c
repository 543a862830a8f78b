/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/api_trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "canary/controller/http_answer.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/bundle/bundle.h"
#include "loader/trust/order.h"

static const char prefix[] = "/v1/trust/";
static const char type_file[] = "application/octet-stream";

/* What a repository has, and how large it may be. */
static size_t max_of(const char *name)
{
	static const struct {
		const char *folder;
		size_t max;
	} folders[] = {
		{ "metadata/", BL_META_TARGETS_MAX },
		{ "targets/", BL_BUNDLE_MAX },
	};

	for (size_t i = 0; i < BL_ARRAY_SIZE(folders); i++)
		if (strncmp(name, folders[i].folder,
			    strlen(folders[i].folder)) == 0)
			return folders[i].max;
	return 0;
}

/* Its first 28 digits, as a whole digest is longer than an ETag here. True: the
 * caller has it. */
static bool tag(const struct bl_request *q, const void *data, size_t len,
		struct bl_response *ret)
{
	char hex[BL_DIGEST_HEX];

	if (bl_digest(data, len, hex) < 0)
		return false;
	snprintf(ret->etag, sizeof(ret->etag), "\"%.28s\"", hex);
	if (!q->if_none_match || strcmp(q->if_none_match, ret->etag) != 0)
		return false;
	ret->status = 304;
	return true;
}

/* Published ones are never written again: another file is another inode, or time. */
static bool tag_file(const struct bl_request *q, const struct stat *st,
		     struct bl_response *ret)
{
	const uint64_t which[] = {
		(uint64_t)st->st_dev,	       (uint64_t)st->st_ino,
		(uint64_t)st->st_size,	       (uint64_t)st->st_mtim.tv_sec,
		(uint64_t)st->st_mtim.tv_nsec, (uint64_t)st->st_ctim.tv_sec,
		(uint64_t)st->st_ctim.tv_nsec,
	};

	return tag(q, which, sizeof(which), ret);
}

static int read_all(int fd, size_t len, struct bl_buf *ret)
{
	size_t at = 0;

	if (bl_buf_reserve(ret, len) < 0)
		return -ENOMEM;
	while (at < len) {
		ssize_t n = pread(fd, ret->data + at, len - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	ret->len = len;
	ret->data[len] = '\0';
	return 0;
}

/* Takes *@fd if that is what goes out. */
static int answer_file(const struct bl_request *q, int *fd,
		       const struct stat *st, struct bl_response *ret)
{
	bl_autobuf struct bl_buf b = { 0 };
	size_t len = (size_t)st->st_size;
	int r;

	if (q->files && len >= BL_HTTP_ANSWER_LARGE) {
		if (tag_file(q, st, ret))
			return 0;
		ret->status = 200;
		ret->content_type = type_file;
		ret->file_len = len;
		ret->file = BL_TAKE_FD(*fd);
		return 0;
	}
	r = read_all(*fd, len, &b);
	if (r < 0 || tag(q, b.data, b.len, ret))
		return r;
	ret->status = 200;
	ret->content_type = type_file;
	ret->body = b;
	b = (struct bl_buf){ 0 };
	return 0;
}

/* -ENOENT: there is none; another: it is none that goes out. */
static int open_file(const struct bl_request *q, const char *name, size_t max,
		     int *ret_fd, struct stat *ret_st)
{
	bl_autofree char *path = bl_path("%s/%s", q->trust->repo, name);
	bl_autoclose int fd = -1;

	if (!path)
		return -ENOMEM;
	/* Of a pipe nobody waits for the other end. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode) || !ret_st->st_size ||
	    (uint64_t)ret_st->st_size > max)
		return -EINVAL;
	*ret_fd = BL_TAKE_FD(fd);
	return 0;
}

void bl_api_trust_file(const struct bl_request *q, struct bl_response *ret)
{
	const char *name = q->path + strlen(prefix);
	size_t max = max_of(name);
	bl_autoclose int fd = -1;
	struct stat st = { .st_size = 0 };
	int r;

	if (!q->trust || !q->trust->repo) {
		bl_api_fail(404, "this controller serves no repository",
			    "belay controller --trust-repo DIR", ret);
		return;
	}
	if (!max || !bl_meta_path_valid(name)) {
		bl_api_fail(404, "a repository has no such file", "", ret);
		return;
	}
	r = open_file(q, name, max, &fd, &st);
	if (!r)
		r = answer_file(q, &fd, &st, ret);
	/* Where it lies is nobody's business. */
	if (r == -ENOENT)
		bl_api_fail(404, "the repository does not have this file", "",
			    ret);
	else if (r < 0)
		bl_api_fail(500, "the repository's file cannot be read", "",
			    ret);
}

static json_t *sign(const struct bl_key *key, const struct bl_order *order,
		    const char *host, int64_t now_ms)
{
	struct bl_told t = {
		.rollback = order->kind == BL_ORDER_ROLLBACK,
		.probation_ms = order->probation_ms,
		.version = bl_told_version(order->start_ms,
					   order->kind == BL_ORDER_ROLLBACK),
		.expires_s = now_ms / 1000 + BL_TOLD_VALID_S,
	};

	bl_text_copy(t.host, sizeof(t.host), host);
	bl_text_copy(t.rollout, sizeof(t.rollout), order->rollout);
	bl_text_copy(t.digest, sizeof(t.digest), order->digest);
	bl_text_copy(t.override_reason, sizeof(t.override_reason),
		     order->override_reason);
	bl_text_copy(t.reason, sizeof(t.reason), order->reason);
	return bl_told_sign(&t, key);
}

json_t *bl_api_order(const struct bl_api_trust *trust,
		     const struct bl_order *order, const char *host,
		     int64_t now_ms)
{
	bl_autojson json_t *value = bl_order_json(order);
	json_t *proof;

	if (!value || !trust || !trust->key || order->kind == BL_ORDER_NONE)
		return BL_TAKE(value);
	proof = sign(trust->key, order, host, now_ms);
	if (json_object_set_new(value, "proof", proof) < 0)
		return NULL;
	return BL_TAKE(value);
}
