/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: how the bundle of an order gets here. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "canary/agent/backoff.h"
#include "canary/agent/daemon_state.h"
#include "canary/agent/download.h"
#include "canary/agent/partial.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/text.h"

/* Without a byte for so long, the order is given back: whether it still stands,
 * the controller says with its next answer. */
#define GIVE_BACK_MS 600000
/* An attempt that says nothing for longer than it may take at most. */
#define LATE_MS (BL_DOWNLOAD_MS + 60000)
/* How often it looks whether the talker has answered, while nothing comes. */
#define LOOK_MS 100
/* What is read at once, all that is in a pipe: the kernel's own size of one, since
 * the talker may keep as many as it may have files. After less than that, a pause:
 * 64 MiB come in a third of a second, with pipes of 1 MiB in a tenth. */
#define PIECE_BYTES 65536
#define BREATH_MS   5

static void tell(struct daemon *d, const char *text)
{
	pthread_mutex_lock(&d->lock);
	bl_agent_tell(&d->agent, text);
	pthread_mutex_unlock(&d->lock);
}

/* There will be another attempt, unless there were enough. */
static void try_again(struct daemon *d, const struct bl_order *order,
		      const struct bl_pair_fetched *result, size_t came,
		      const struct bl_err *why, struct bl_outcome *o)
{
	struct daemon_again *a = &d->again;
	uint64_t now_ms = bl_clock_mono_ms();
	char text[BL_REASON_MAX];

	if (!a->waits || came) {
		a->since_ms = now_ms;
		a->failures = 0;
	}
	if (now_ms - a->since_ms > GIVE_BACK_MS) {
		bl_daemon_conclude(o, BL_AGENT_LATER,
				   "cannot fetch the bundle: %s", why->text);
		return;
	}
	a->waits = true;
	/* Not how often it polls when nobody is in a hurry: it has trial_s. */
	a->due_ms = now_ms + (uint64_t)bl_backoff_ms(0, 0, ++a->failures,
						     result->retry_ms,
						     bl_daemon_random());
	o->again = true;
	bl_text_copy(text, sizeof(text), why->text);
	if (strcmp(a->told, text) != 0)
		bl_daemon_note(d, "%s: cannot fetch the bundle now: %s%s%s",
			       order->rollout, why->text,
			       *why->hint ? "; " : "", why->hint);
	memcpy(a->told, text, sizeof(text));
	snprintf(text, sizeof(text), "waits for its bundle: %.*s",
		 (int)sizeof(text) - 32, a->told);
	tell(d, text);
}

/* ------------------------------------------------ one attempt, by the talker */

struct attempt {
	struct daemon *d;
	struct bl_pair_fetched result;
};

/* Whether the talker has answered, or nobody wants it any more. */
static bool is_over(struct daemon *d)
{
	bool over;

	pthread_mutex_lock(&d->lock);
	over = d->fetch.over || d->quit || d->agent.stop_trial;
	pthread_mutex_unlock(&d->lock);
	return over;
}

static void wait_until_over(struct daemon *d, uint64_t end_ms)
{
	pthread_mutex_lock(&d->lock);
	while (!d->fetch.over && !d->quit && !d->agent.stop_trial &&
	       bl_clock_mono_ms() < end_ms)
		bl_daemon_nap(d);
	pthread_mutex_unlock(&d->lock);
}

/* What is in the pipe. 1: its end has come; 0: there is nothing now. */
static int read_pipe(int fd, struct bl_partial *p, struct bl_err *err)
{
	char piece[PIECE_BYTES];

	for (;;) {
		ssize_t n = read(fd, piece, sizeof(piece));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return bl_err_errno(err, -errno,
					    "cannot take what is fetched");
		if (n <= 0)
			return n == 0;
		r = bl_partial_add(p, piece, (size_t)n, err);
		if (r < 0)
			return r;
		/* Less than that: it was empty. Who sends a byte at a time is
		 * not followed byte by byte. */
		if (n < PIECE_BYTES) {
			bl_clock_sleep_ms(BREATH_MS);
			return 0;
		}
	}
}

static size_t total_of(struct daemon *d)
{
	size_t total;

	pthread_mutex_lock(&d->lock);
	total = (size_t)d->fetch.total;
	pthread_mutex_unlock(&d->lock);
	return total;
}

/* Into the file, until the talker has answered: not a byte more than a bundle may
 * have, whoever writes. */
static int take_in(struct daemon *d, int fd, struct bl_partial *p,
		   struct bl_err *err)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t looked_ms = bl_clock_mono_ms(), end_ms = looked_ms + LATE_MS;
	bool last;
	int r;

	do {
		/* What came before the answer is in the pipe now. */
		last = is_over(d) || bl_clock_mono_ms() >= end_ms;
		if (!last)
			poll(&poll_fd, 1, LOOK_MS);
		if (bl_clock_mono_ms() - looked_ms >= LOOK_MS) {
			bl_daemon_look(d);
			looked_ms = bl_clock_mono_ms();
		}
		p->total = total_of(d);
		r = read_pipe(fd, p, err);
	} while (!r && !last);
	if (r <= 0)
		return r;
	wait_until_over(d, end_ms);
	return 0;
}

/* Both ends are the caller's, also of a failure. */
static int open_pipe(int *ret_ours, int *ret_theirs, struct bl_err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return bl_err_errno(err, -errno, "cannot make a pipe");
	*ret_ours = fds[0];
	*ret_theirs = fds[1];
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		return bl_err_errno(err, -errno, "cannot make a pipe");
	return 0;
}

static void begin(struct daemon *d, const struct bl_partial *p, int theirs)
{
	struct daemon_fetch *f = &d->fetch;

	pthread_mutex_lock(&d->lock);
	f->number++;
	f->wanted = true;
	f->sent = f->over = false;
	f->pipe = theirs;
	f->have = p->have;
	f->total = 0;
	memcpy(f->digest, p->digest, sizeof(f->digest));
	pthread_mutex_unlock(&d->lock);
	bl_daemon_wake(d);
}

/* The talker's word on it; what it still writes nobody reads. */
static int conclude(struct attempt *a, struct bl_err *err)
{
	struct daemon_fetch *f = &a->d->fetch;
	bool over;

	pthread_mutex_lock(&a->d->lock);
	over = f->over;
	if (over)
		a->result = f->result;
	f->wanted = false;
	if (f->pipe >= 0)
		close(BL_TAKE_FD(f->pipe));
	pthread_mutex_unlock(&a->d->lock);
	bl_daemon_wake(a->d);
	if (over && !a->result.result)
		return 0;
	bl_err_set(err, over ? a->result.result : -ETIMEDOUT, "%s",
		   *a->result.why ? a->result.why : "no answer");
	if (*a->result.hint)
		bl_err_hint(err, "%s", a->result.hint);
	return over ? a->result.result : -ETIMEDOUT;
}

/* As bl_partial_gain wants it. */
static int ask_talker(void *ctx, struct bl_partial *p, struct bl_err *err)
{
	struct attempt *a = ctx;
	struct bl_err e = { 0 }, why = { 0 };
	bl_autoclose int ours = -1, theirs = -1;
	int kept, r = open_pipe(&ours, &theirs, err);

	if (r < 0)
		return r;
	a->result = (struct bl_pair_fetched){ .number = 0 };
	begin(a->d, p, BL_TAKE_FD(theirs));
	kept = take_in(a->d, ours, p, &e);
	r = conclude(a, &why);
	/* What is wrong here is known better than what is said there. */
	if (kept < 0)
		why = e;
	if (kept < 0 || r < 0) {
		bl_err_set(err, why.code, "%s", why.text);
		if (*why.hint)
			bl_err_hint(err, "%s", why.hint);
	}
	return kept < 0 ? kept : r;
}

static int fetch(struct attempt *a, const char *digest, struct bl_buf *ret,
		 size_t *ret_came, struct bl_err *err)
{
	BL_CLEANUP(bl_partial_close) struct bl_partial p = { 0 };
	int r = bl_partial_open(a->d->partial_dir, digest, &p, err);

	if (!r)
		r = bl_partial_gain(&p, ask_talker, a, ret, err);
	*ret_came = p.came;
	return r;
}

bool bl_daemon_fetch(struct daemon *d, const struct bl_order *order,
		     struct bl_bundle *ret, struct bl_outcome *o)
{
	struct attempt a = { .d = d };
	bl_autobuf struct bl_buf data = { 0 };
	struct bl_err e = { 0 };
	size_t came = 0;
	int r = fetch(&a, order->digest, &data, &came, &e);

	/* Nothing was tried: the next life of this agent goes on from there. */
	if (bl_daemon_must_stop(d)) {
		bl_daemon_conclude(o, BL_AGENT_LATER,
				   "stopped before its trial");
		return false;
	}
	if (r < 0) {
		try_again(d, order, &a.result, came, &e, o);
		return false;
	}
	tell(d, "");
	r = bl_bundle_parse("bundle", data.data, data.len, ret, &e);
	if (r < 0)
		bl_daemon_conclude(o, BL_AGENT_FAILED, "%s", e.text);
	return r == 0;
}
