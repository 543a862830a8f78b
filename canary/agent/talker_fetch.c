/* SPDX-License-Identifier: Apache-2.0 */
/* The talker's second thread: bundles, and between them metadata. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "canary/agent/download.h"
#include "canary/agent/talker_own.h"
#include "loader/base/cleanup.h"

#define PERCENT_STEP 5

/* A bundle under way. */
struct under_way {
	struct bl_talker *talker;
	const struct bl_talker_job *job;
	unsigned told_percent; /* and 1; 0: nothing yet */
};

static bool on_stop(void *ctx)
{
	const struct under_way *u = ctx;

	return atomic_load(&u->talker->wanted) != u->job->number;
}

/* In steps: each is a message, and news of this host. */
static void on_progress(void *ctx, size_t have, size_t total)
{
	struct under_way *u = ctx;
	unsigned percent = total ? (unsigned)(have * 100 / total /
					      PERCENT_STEP * PERCENT_STEP)
				 : 0;
	struct bl_pair_msg m;

	if (u->told_percent == percent + 1)
		return;
	u->told_percent = percent + 1;
	bl_pair_begin(&m, BL_PAIR_PROGRESS);
	m.progress.number = u->job->number;
	m.progress.have = have;
	m.progress.total = total;
	bl_talker_send(u->talker, &m);
}

/* Waits for the host part, which writes it where it belongs. */
static int on_bytes(void *ctx, const void *data, size_t len, struct bl_err *err)
{
	const struct under_way *u = ctx;
	const char *from = data;

	while (len) {
		ssize_t n = write(u->job->fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		/* It wants no more. */
		if (n < 0)
			return bl_err_errno(err, -errno,
					    "cannot hand the bundle over");
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Whatever becomes of it is answered at once: somebody waits. @client NULL: there
 * is none, and *err says why. */
static int work_on(struct bl_talker *t, struct bl_client *client,
		   const struct bl_talker_job *job, struct bl_err *err)
{
	struct under_way u = { .talker = t, .job = job };
	const struct bl_download d = { .client = client,
				       .digest = job->digest,
				       .have = job->have,
				       .stop = on_stop,
				       .take = on_bytes,
				       .progress = on_progress,
				       .ctx = &u };
	struct bl_pair_msg m;
	int64_t retry_ms = 0;
	int r = client ? bl_download(&d, &retry_ms, err) : err->code;

	/* It has come when its end has. */
	close(job->fd);
	bl_pair_begin(&m, BL_PAIR_FETCHED);
	m.fetched.number = job->number;
	m.fetched.result = r;
	m.fetched.retry_ms = retry_ms < BL_PAIR_RETRY_MS ? retry_ms
							 : BL_PAIR_RETRY_MS;
	if (r < 0) {
		bl_pair_text(m.fetched.why, sizeof(m.fetched.why), err->text);
		bl_pair_text(m.fetched.hint, sizeof(m.fetched.hint), err->hint);
	}
	bl_talker_send(t, &m);
	return r;
}

static void *fetches(void *ctx)
{
	struct bl_talker *t = ctx;
	BL_CLEANUP(bl_client_closep) struct bl_client *client = NULL;
	char brought[BL_DIGEST_HEX] = ""; /* whole, as it seemed */

	for (;;) {
		struct bl_talker_want want;
		struct bl_talker_job job;
		struct bl_err e = { 0 };

		pthread_mutex_lock(&t->lock);
		while (!t->next.number && !t->want.number)
			pthread_cond_wait(&t->work, &t->lock);
		want = t->want;
		t->want = (struct bl_talker_want){ .fd = -1 };
		/* One at a time: what is small goes first. */
		job = (struct bl_talker_job){ .fd = -1 };
		if (!want.number) {
			job = t->next;
			t->next = (struct bl_talker_job){ .fd = -1 };
		}
		pthread_mutex_unlock(&t->lock);
		/* What kept it from that may be over the next time. */
		if (!client)
			bl_talker_open(t, &client, &e);
		if (want.number) {
			bl_talker_get(t, client, &want);
			continue;
		}
		/* It was damaged: another controller may have it whole. */
		if (client && strcmp(brought, job.digest) == 0)
			bl_client_next(client);
		*brought = '\0';
		if (!work_on(t, client, &job, &e))
			memcpy(brought, job.digest, sizeof(brought));
	}
	return NULL;
}

int bl_talker_fetches(struct bl_talker *t, struct bl_err *err)
{
	int r = pthread_create(&t->fetches, NULL, fetches, t);

	return r ? bl_err_errno(err, -r, "cannot start a thread") : 0;
}

void bl_talker_leave(struct bl_talker *t)
{
	atomic_store(&t->wanted, 0);
	pthread_mutex_lock(&t->lock);
	if (t->next.number)
		close(t->next.fd);
	t->next = (struct bl_talker_job){ .fd = -1 };
	pthread_mutex_unlock(&t->lock);
}

void bl_talker_fetch(struct bl_talker *t, const struct bl_pair_fetch *f, int fd)
{
	/* The host part has forgotten the one before. */
	bl_talker_leave(t);
	atomic_store(&t->wanted, f->number);
	pthread_mutex_lock(&t->lock);
	t->next = (struct bl_talker_job){ .number = f->number,
					  .fd = fd,
					  .have = (size_t)f->have };
	memcpy(t->next.digest, f->digest, sizeof(t->next.digest));
	pthread_cond_signal(&t->work);
	pthread_mutex_unlock(&t->lock);
}
