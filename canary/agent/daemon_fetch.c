/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: how the bundle of an order gets here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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
#define PERCENT_STEP 5

static void tell(struct daemon *d, const char *text)
{
	pthread_mutex_lock(&d->lock);
	bl_agent_tell(&d->agent, text);
	pthread_mutex_unlock(&d->lock);
}

static bool on_stop(void *ctx)
{
	return bl_daemon_must_stop(ctx);
}

/* In steps: what a host does is written down when it is something else. */
static void on_progress(void *ctx, size_t have, size_t total)
{
	char text[64] = "fetching its bundle";

	if (total)
		snprintf(text, sizeof(text), "fetching its bundle: %zu %%",
			 have * 100 / total / PERCENT_STEP * PERCENT_STEP);
	tell(ctx, text);
}

/* There will be another attempt, unless there were enough. */
static void try_again(struct daemon *d, const struct bl_order *order,
		      const struct bl_download_result *result,
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

bool bl_daemon_fetch(struct daemon *d, const struct bl_order *order,
		     struct bl_bundle *ret, struct bl_outcome *o)
{
	const struct bl_download w = {
		.client = d->client,
		.dir = d->partial_dir,
		.digest = order->digest,
		.stop = on_stop,
		.progress = on_progress,
		.ctx = d,
	};
	struct bl_download_result result = { 0 };
	bl_autobuf struct bl_buf data = { 0 };
	struct bl_err e = { 0 };
	int r = bl_download(&w, &data, &result, &e);

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
