/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/api_trust.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/text.h"
#include "loader/bundle/bundle.h"
#include "loader/trust/order.h"

static const char prefix[] = "/v1/trust/";

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

static void answer_file(const struct bl_request *q, struct bl_buf *b,
			struct bl_response *ret)
{
	char hex[BL_DIGEST_HEX];

	if (bl_digest(bl_buf_str(b), b->len, hex) < 0) {
		bl_api_fail(500, "libsodium cannot start", "", ret);
		return;
	}
	snprintf(ret->etag, sizeof(ret->etag), "\"%.28s\"", hex);
	if (q->if_none_match && strcmp(q->if_none_match, ret->etag) == 0) {
		ret->status = 304;
		return;
	}
	ret->status = 200;
	ret->content_type = "application/octet-stream";
	ret->body = *b;
	*b = (struct bl_buf){ 0 };
}

void bl_api_trust_file(const struct bl_request *q, struct bl_response *ret)
{
	const char *name = q->path + strlen(prefix);
	size_t max = max_of(name);
	bl_autofree char *path = NULL;
	bl_autobuf struct bl_buf b = { 0 };
	struct bl_err err = { 0 };
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
	path = bl_path("%s/%s", q->trust->repo, name);
	r = path ? bl_file_read_regular(path, max, &b, &err) : -ENOMEM;
	/* Where it lies is nobody's business. */
	if (r == -ENOENT)
		bl_api_fail(404, "the repository does not have this file", "",
			    ret);
	else if (r < 0 || !b.len)
		bl_api_fail(500, "the repository's file cannot be read", "",
			    ret);
	else
		answer_file(q, &b, ret);
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
