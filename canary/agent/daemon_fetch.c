/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: how the bundle of an order gets here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

static void tell(struct daemon *d, const char *text)
{
	pthread_mutex_lock(&d->lock);
	bl_agent_tell(&d->agent, text);
	pthread_mutex_unlock(&d->lock);
}

/* There will be another attempt, unless there were enough. */
static void try_again(struct daemon *d, const struct bl_order *order,
		      const struct bl_pair_fetched *result,
		      const struct bl_err *why, struct bl_outcome *o)
{
	struct daemon_again *a = &d->again;
	uint64_t now_ms = bl_clock_mono_ms();
	char text[BL_REASON_MAX];

	if (!a->waits || result->came) {
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

/* Until the talker has answered; or nobody wants it any more. */
static void wait_for_it(struct daemon *d)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LATE_MS / 1000;
	while (!d->fetch.over && !d->quit && !d->agent.stop_trial)
		if (pthread_cond_clockwait(&d->work, &d->lock, CLOCK_MONOTONIC,
					   &until))
			return;
}

/* One attempt by the talker. 0: it says that all of it is there. */
static int ask_talker(struct daemon *d, const struct bl_partial *p,
		      struct bl_pair_fetched *ret, struct bl_err *err)
{
	struct daemon_fetch *f = &d->fetch;
	int r;

	pthread_mutex_lock(&d->lock);
	f->number++;
	f->wanted = true;
	f->sent = f->over = false;
	f->fd = p->fd;
	memcpy(f->digest, p->digest, sizeof(f->digest));
	pthread_mutex_unlock(&d->lock);
	bl_daemon_wake(d);
	pthread_mutex_lock(&d->lock);
	wait_for_it(d);
	if (f->over)
		*ret = f->result;
	r = f->over ? f->result.result : -ETIMEDOUT;
	/* It may still write: what is used is read, and hashed, once. */
	f->wanted = false;
	pthread_mutex_unlock(&d->lock);
	bl_daemon_wake(d);
	if (r < 0) {
		bl_err_set(err, r, "%s", *ret->why ? ret->why : "no answer");
		if (*ret->hint)
			bl_err_hint(err, "%s", ret->hint);
	}
	return r;
}

static int fetch(struct daemon *d, const char *digest, struct bl_buf *ret,
		 struct bl_pair_fetched *ret_result, struct bl_err *err)
{
	BL_CLEANUP(bl_partial_close) struct bl_partial p = { 0 };
	int r = bl_partial_open(d->partial_dir, digest, &p, err);

	if (r < 0)
		return r;
	/* It came whole, and then the host was busy, or the agent ended. */
	if (p.have && bl_partial_whole(&p, ret, NULL) == 0)
		return 0;
	r = ask_talker(d, &p, ret_result, err);
	if (!r)
		r = bl_partial_whole(&p, ret, err);
	if (r == -EBADMSG || r == -EFBIG)
		bl_partial_clear(&p, NULL);
	return r;
}

bool bl_daemon_fetch(struct daemon *d, const struct bl_order *order,
		     struct bl_bundle *ret, struct bl_outcome *o)
{
	struct bl_pair_fetched result = { 0 };
	bl_autobuf struct bl_buf data = { 0 };
	struct bl_err e = { 0 };
	int r = fetch(d, order->digest, &data, &result, &e);

	/* Nothing was tried: the next life of this agent goes on from there. */
	if (bl_daemon_must_stop(d)) {
		bl_daemon_conclude(o, BL_AGENT_LATER,
				   "stopped before its trial");
		return false;
	}
	if (r < 0) {
		try_again(d, order, &result, &e, o);
		return false;
	}
	tell(d, "");
	r = bl_bundle_parse("bundle", data.data, data.len, ret, &e);
	if (r < 0)
		bl_daemon_conclude(o, BL_AGENT_FAILED, "%s", e.text);
	return r == 0;
}
