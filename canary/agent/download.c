/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/download.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/bundle.h"

/* Of an answer that is no bundle: an error and its words. */
#define WORDS_MAX (64u << 10)

struct request {
	const struct bl_download *d;
	bool begun;
	size_t skip; /* bytes that come again */
	size_t have, total;
};

static bool stopped(void *ctx)
{
	const struct request *q = ctx;

	return q->d->stop && q->d->stop(q->d->ctx);
}

/* The first piece of an answer: what its head says of it. */
static int begin(struct request *q, const struct bl_fetch_head *head,
		 struct bl_err *err)
{
	q->begun = true;
	switch (bl_partial_judge(q->have, head, &q->total)) {
	case BL_PARTIAL_APPEND:
		return 0;
	case BL_PARTIAL_AFRESH:
		q->skip = q->have;
		return 0;
	case BL_PARTIAL_TOO_LARGE:
		return bl_err_set(err, -EFBIG, "a bundle has at most %u bytes",
				  BL_BUNDLE_MAX);
	case BL_PARTIAL_WRONG:
		break;
	}
	return bl_err_set(
		err, -EBADMSG,
		"asked for what is behind %zu bytes, the controller answered %ld %s",
		q->have, head->status, head->range);
}

static int on_piece(void *ctx, const struct bl_fetch_head *head,
		    const void *data, size_t len, struct bl_err *err)
{
	struct request *q = ctx;
	int r = q->begun ? 0 : begin(q, head, err);
	size_t skip = q->skip < len ? q->skip : len;

	if (r < 0)
		return r;
	q->skip -= skip;
	len -= skip;
	if (len > BL_BUNDLE_MAX - q->have)
		return bl_err_set(err, -EFBIG, "a bundle has at most %u bytes",
				  BL_BUNDLE_MAX);
	if (len)
		r = q->d->take(q->d->ctx, (const char *)data + skip, len, err);
	if (r < 0)
		return r;
	q->have += len;
	if (q->d->progress)
		q->d->progress(q->d->ctx, q->have, q->total);
	return 0;
}

int bl_download(const struct bl_download *d, int64_t *ret_retry_ms,
		struct bl_err *err)
{
	struct request q = { .d = d, .have = d->have };
	bl_autofree char *path = bl_path("/v1/bundles/%s", d->digest);
	bl_autofree char *range = bl_path("Range: bytes=%zu-", d->have);
	const struct bl_client_request request = {
		.method = "GET",
		.path = path,
		.headers = { d->have ? range : NULL },
		.timeout_ms = BL_DOWNLOAD_MS,
		.stall_ms = BL_DOWNLOAD_STALL_MS,
		.answer_max = WORDS_MAX,
		.stop = stopped,
		.sink = on_piece,
		.ctx = &q,
	};
	bl_autobuf struct bl_buf ignored = { 0 };
	struct bl_fetch_head head = { 0 };
	int r;

	*ret_retry_ms = 0;
	if (!path || !range)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = bl_client_ask(d->client, &request, &head, &ignored, err);
	*ret_retry_ms = head.retry_ms;
	/* It is no longer than what is here, and was no bundle to the end. */
	if (!r && q.skip)
		r = bl_err_set(err, -ERANGE,
			       "the controller has less than %zu bytes of it",
			       d->have);
	return r;
}
