/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/download.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"

/* Of an answer that is no bundle: an error and its words. */
#define WORDS_MAX (64u << 10)

struct attempt {
	const struct bl_download *d;
	struct bl_download_result result;
};

static bool stopped(void *ctx)
{
	const struct attempt *a = ctx;

	return a->d->stop && a->d->stop(a->d->ctx);
}

static int on_piece(void *ctx, const struct bl_fetch_head *head,
		    const void *data, size_t len, struct bl_err *err)
{
	struct attempt *a = ctx;
	int r = bl_partial_take(a->d->partial, head, data, len, err);

	if (r < 0)
		return r;
	a->result.came += len;
	if (a->d->progress)
		a->d->progress(a->d->ctx, a->d->partial->have,
			       a->d->partial->total);
	return 0;
}

/* Asks for all that is not here. */
static int ask(struct attempt *a, struct bl_err *err)
{
	bl_autofree char *path =
		bl_path("/v1/bundles/%s", a->d->partial->digest);
	bl_autofree char *range =
		bl_path("Range: bytes=%zu-", a->d->partial->have);
	const struct bl_client_request q = {
		.method = "GET",
		.path = path,
		.headers = { a->d->partial->have ? range : NULL },
		.timeout_ms = BL_DOWNLOAD_MS,
		.stall_ms = BL_DOWNLOAD_STALL_MS,
		.answer_max = WORDS_MAX,
		.stop = stopped,
		.sink = on_piece,
		.ctx = a,
	};
	bl_autobuf struct bl_buf ignored = { 0 };
	struct bl_fetch_head head = { 0 };
	int r;

	if (!path || !range)
		return bl_err_set(err, -ENOMEM, "out of memory");
	a->d->partial->begun = false;
	r = bl_client_ask(a->d->client, &q, &head, &ignored, err);
	a->result.retry_ms = head.retry_ms;
	return r;
}

int bl_download(const struct bl_download *d, struct bl_buf *ret,
		struct bl_download_result *ret_result, struct bl_err *err)
{
	struct bl_partial *p = d->partial;
	struct attempt a = { .d = d };
	bool resumed;
	int r = 0;

	/* It came whole, and then the host was busy, or the agent ended. */
	if (p->have && bl_partial_whole(p, ret, NULL) == 0)
		goto out;
	do {
		resumed = p->have > 0;
		r = ask(&a, err);
		if (!r) {
			r = bl_partial_whole(p, ret, err);
			/* Another controller may have it whole. */
			if (r == -EBADMSG)
				bl_client_next(d->client);
		}
		/* -ERANGE: it is longer than the bundle. */
		if (r != -EBADMSG && r != -ERANGE)
			break;
		/* What is dropped has not brought anybody further. */
		a.result.came = 0;
		if (bl_partial_clear(p, err) < 0)
			break;
	} while (resumed);
out:
	*ret_result = a.result;
	return r;
}
