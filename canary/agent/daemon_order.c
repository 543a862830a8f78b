/* SPDX-License-Identifier: Apache-2.0 */
/* Orders, as the talker brings them: who gave them, and what becomes of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/agent/daemon_state.h"
#include "loader/base/clock.h"
#include "loader/base/text.h"

/* Said once, in the log, where the controller cannot be believed to say it. */
static void note_refusal(struct daemon *d, const char *why, const char *hint)
{
	if (strcmp(d->refused, why) != 0)
		bl_daemon_note(d, "%s%s%s", why, *hint ? "; " : "", hint);
	bl_text_copy(d->refused, sizeof(d->refused), why);
}

/*
 * Refused by metadata that may be too old for it: a release, or a key, of which
 * this host has not heard. It is asked for, and then the answer stands. True:
 * the order waits for that.
 */
static bool hold(struct daemon *d, int why, const struct bl_pair_heard *h)
{
	bool old = why == -ENOENT || why == BL_TRUST_EXPIRED ||
		   why == BL_TRUST_SIGNATURE || why == BL_TRUST_ASSIGNED;

	if (!old || d->held.which)
		return false;
	d->held.heard = *h;
	d->held.tries = 0;
	d->held.which = bl_daemon_refresh_ask(d);
	return true;
}

/*
 * Who gave that order: 0, and what was signed is in *order and *ret. What the
 * talker said beside counts only where nobody asks for a signature.
 */
static int prove(struct daemon *d, const struct bl_pair_heard *h,
		 struct bl_order *order, struct bl_told *ret)
{
	struct bl_err e = { 0 };
	int r = bl_obey(d->trust_dir, *h->proof ? h->proof : NULL,
			d->opts->name, bl_clock_wall_ms(), ret, &e);
	char why[BL_REASON_MAX];

	if (r < 0 && hold(d, r, h))
		return r;
	if (r < 0) {
		snprintf(why, sizeof(why), "refused: %.240s", e.text);
		note_refusal(d, why, e.hint);
		pthread_mutex_lock(&d->lock);
		bl_agent_refuse(&d->agent, order, why);
		pthread_mutex_unlock(&d->lock);
		return r;
	}
	*d->refused = '\0';
	if (!r)
		return 0;
	/* From here on there is no way there any more, whatever comes first. */
	if (ret->rollback && bl_obey_begin(d->trust_dir, ret, &e) < 0)
		bl_daemon_note(d, "cannot write down an order: %s", e.text);
	order->kind = ret->rollback ? BL_ORDER_ROLLBACK : BL_ORDER_APPLY;
	order->probation_ms = ret->probation_ms;
	bl_text_copy(order->rollout, sizeof(order->rollout), ret->rollout);
	bl_text_copy(order->digest, sizeof(order->digest), ret->digest);
	bl_text_copy(order->override_reason, sizeof(order->override_reason),
		     ret->override_reason);
	bl_text_copy(order->reason, sizeof(order->reason), ret->reason);
	return 0;
}

/* What was ordered, unless it was before: then false. */
static bool take(struct daemon *d, const struct bl_pair_heard *h)
{
	struct bl_told told = { .version = 0 };
	enum bl_agent_do task;
	struct bl_order order;
	bool known;

	bl_pair_to_order(h, &order);
	pthread_mutex_lock(&d->lock);
	known = bl_agent_knows(&d->agent, &order);
	pthread_mutex_unlock(&d->lock);
	if (known)
		return false;
	if (order.kind != BL_ORDER_NONE && prove(d, h, &order, &told) < 0)
		return true;
	pthread_mutex_lock(&d->lock);
	task = bl_agent_take(&d->agent, &order);
	if (order.kind != BL_ORDER_NONE && d->agent.order.kind == order.kind &&
	    strcmp(d->agent.order.rollout, order.rollout) == 0)
		d->told = told;
	if (task != BL_AGENT_NOTHING)
		d->task = task;
	/* Also to leave what it waits for. */
	if (task != BL_AGENT_NOTHING || d->agent.stop_trial)
		pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	return order.kind != BL_ORDER_NONE;
}

/* But for when it was told, and when to poll again. */
static bool is_same(const struct bl_pair_heard *a,
		    const struct bl_pair_heard *b)
{
	return a->answer == b->answer && a->probation_ms == b->probation_ms &&
	       strcmp(a->rollout, b->rollout) == 0 &&
	       strcmp(a->digest, b->digest) == 0 &&
	       strcmp(a->override_reason, b->override_reason) == 0 &&
	       strcmp(a->reason, b->reason) == 0 &&
	       strcmp(a->proof, b->proof) == 0;
}

bool bl_daemon_take(struct daemon *d, const struct bl_pair_heard *h)
{
	/* It comes with each poll, and a refresh may take longer. */
	if (d->held.which && is_same(&d->held.heard, h))
		return false;
	/* What came before it does not count any more. */
	d->held.which = 0;
	return take(d, h);
}

void bl_daemon_take_held(struct daemon *d)
{
	struct bl_pair_heard h;
	int ended;

	if (!d->held.which)
		return;
	ended = bl_daemon_refresh_ended(d, d->held.which);
	if (!ended)
		return;
	if (ended < 0 && ++d->held.tries < BL_DAEMON_TRIES) {
		d->held.which = bl_daemon_refresh_ask(d);
		return;
	}
	h = d->held.heard;
	take(d, &h);
	d->held.which = 0;
}
