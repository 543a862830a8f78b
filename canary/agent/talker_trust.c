/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The talker's second thread: files of metadata, which the host part verifies.
 * Here nobody reads what is in them, or knows which are to be trusted: a file is
 * fetched by its name, with limits in bytes and time, into a descriptor.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "canary/agent/backoff.h"
#include "canary/agent/talker_own.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/trust/fault.h"
#include "loader/trust/mirror.h"

/* Of an answer that is no file: an error and its words. */
#define WORDS_MAX (64u << 10)

struct under_way {
	const struct bl_talker_want *want;
	uint64_t until_ms; /* then it is too late for it */
	bool lost;
	size_t came;
};

static bool out_of_patience(void *ctx)
{
	struct under_way *u = ctx;

	u->lost |= bl_clock_mono_ms() >= u->until_ms;
	return u->lost;
}

static int on_piece(void *ctx, const struct bl_fetch_head *head,
		    const void *data, size_t len, struct bl_err *err)
{
	struct under_way *u = ctx;
	const char *from = data;

	(void)head;
	if (len > u->want->max - u->came)
		return bl_err_set(err, BL_TRUST_ENDLESS,
				  "%s: more than %zu bytes came", u->want->name,
				  u->want->max);
	while (len) {
		ssize_t n = pwrite(u->want->fd, from, len, (off_t)u->came);

		if (n < 0)
			return bl_err_errno(err, -errno, "cannot keep it");
		from += n;
		len -= (size_t)n;
		u->came += (size_t)n;
	}
	return 0;
}

/* That a root does not exist is how a client learns that it has the newest, and
 * no reason to ask another controller for the rest. */
static void stay_with(struct bl_client *client, const char *url)
{
	for (int i = 0; i < BL_CLIENT_URLS_MAX; i++)
		if (strcmp(bl_client_url(client), url) != 0)
			bl_client_next(client);
}

static bool is_root(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot && strcmp(dot, ".root.json") == 0;
}

static int fetch_once(struct bl_client *client, struct under_way *u,
		      int64_t *ret_retry_ms, struct bl_err *err)
{
	bl_autofree char *path =
		bl_path("/v1/trust/metadata/%s", u->want->name);
	bl_autofree char *url = strdup(bl_client_url(client));
	const struct bl_client_request q = {
		.method = "GET",
		.path = path,
		.timeout_ms = BL_MIRROR_ALL_MS,
		.stall_ms = BL_MIRROR_FILE_MS,
		.answer_max = WORDS_MAX,
		.stop = out_of_patience,
		.sink = on_piece,
		.ctx = u,
	};
	bl_autobuf struct bl_buf ignored = { 0 };
	struct bl_fetch_head head = { 0 };
	int r;

	if (!path || !url)
		return bl_err_set(err, -ENOMEM, "out of memory");
	u->came = 0;
	r = bl_client_ask(client, &q, &head, &ignored, err);
	*ret_retry_ms = head.retry_ms;
	if (u->lost)
		r = bl_err_set(err, BL_TRUST_SLOW,
			       "%s: it did not come in time", u->want->name);
	if (r == -ENOENT && is_root(u->want->name))
		stay_with(client, url);
	return r;
}

/* All hosts ask when something was released: a controller that has too much to do
 * says so, and when to come again. */
static int fetch(struct bl_client *client, struct under_way *u,
		 struct bl_err *err)
{
	int64_t retry_ms = 0;
	uint64_t ms = 0;
	int r;

	for (unsigned failures = 1;; failures++) {
		r = fetch_once(client, u, &retry_ms, err);
		if (r == -EAGAIN)
			ms = (uint64_t)bl_backoff_ms(0, 0, failures, retry_ms,
						     bl_talker_draw());
		if (r != -EAGAIN || bl_clock_mono_ms() + ms >= u->until_ms)
			return r;
		bl_clock_sleep_ms(ms);
	}
}

void bl_talker_get(struct bl_talker *t, struct bl_client *client,
		   const struct bl_talker_want *want)
{
	struct under_way u = { .want = want,
			       .until_ms = bl_clock_mono_ms() +
					   BL_MIRROR_FILE_MS +
					   want->max / BL_MIRROR_BYTES_A_MS };
	struct bl_err e = { 0 };
	struct bl_pair_msg m;
	int r = client ? fetch(client, &u, &e)
		       : bl_err_set(&e, -ENOTCONN,
				    "there is nothing to fetch it with");

	close(want->fd);
	bl_pair_begin(&m, BL_PAIR_GOT);
	m.got.number = want->number;
	m.got.result = r;
	if (!r) {
		m.got.length = u.came;
	} else {
		bl_pair_text(m.got.why, sizeof(m.got.why), e.text);
		bl_pair_text(m.got.hint, sizeof(m.got.hint), e.hint);
	}
	bl_talker_send(t, &m);
}

void bl_talker_want(struct bl_talker *t, const struct bl_pair_want *w, int fd)
{
	pthread_mutex_lock(&t->lock);
	/* The host part has forgotten the one before. */
	if (t->want.number)
		close(t->want.fd);
	t->want = (struct bl_talker_want){ .number = w->number,
					   .fd = fd,
					   .max = w->max };
	memcpy(t->want.name, w->name, sizeof(t->want.name));
	pthread_cond_signal(&t->work);
	pthread_mutex_unlock(&t->lock);
}
