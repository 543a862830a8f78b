/* SPDX-License-Identifier: Apache-2.0 */
/* The trial: attach, make a little activity, measure, let trial.c judge. */
#include <errno.h>
#include <stdio.h>

#include "bpf/event.h"
#include "loader/host/state.h"
#include "loader/host/trial.h"

static uint64_t now_ms(const struct bl_work *w)
{
	return w->host->clock.mono_ms(w->host->clock.ctx);
}

/* Whether events go to anybody: the caller wants them, and no other process
 * is the reader already. */
static bool passes_events(struct bl_work *w)
{
	return w->opts && w->opts->on_event && !bl_host_reader(w->host, NULL);
}

static int pass_old(void *ctx, const struct bl_event *event, size_t len)
{
	struct bl_work *w = ctx;

	if (event->ts_ns > w->cut_ns)
		w->cut_ns = event->ts_ns;
	return w->opts->on_event(w->opts->ctx, event, len);
}

static int pass_new(void *ctx, const struct bl_event *event, size_t len)
{
	struct bl_work *w = ctx;

	/* The old generation saw it too, and that was passed on. */
	if (event->ts_ns <= w->cut_ns)
		return 0;
	return w->opts->on_event(w->opts->ctx, event, len);
}

static int count_new(void *ctx, const struct bl_event *event, size_t len)
{
	struct bl_work *w = ctx;

	(void)event;
	(void)len;
	w->events_read++;
	return 0;
}

/* Events are for reporting, and reporting never decides (I9): an error here
 * only means that there are none. */
void bl_work_drain_old(struct bl_work *w)
{
	enum bl_slot old = bl_slot_other(w->txn.row.slot);

	if (passes_events(w))
		w->host->ops->events(w->host->kern, old, 0, pass_old, w, NULL);
}

void bl_work_drain_new(struct bl_work *w)
{
	if (w->bundle && passes_events(w))
		w->host->ops->events(w->host->kern, w->txn.row.slot, 0,
				     pass_new, w, NULL);
}

/* Here reading does decide: that events come through the ring is a probe. */
static int measure(struct bl_work *w, struct bl_err *err)
{
	const struct bl_kern_ops *ops = w->host->ops;
	void *kern = w->host->kern;
	int r;

	r = ops->exercise(kern, err);
	if (r)
		return bl_err_wrap(err, r, "make activity");
	bl_work_drain_old(w);
	if (w->staged.sensor) {
		r = ops->events(kern, w->txn.row.slot, 0, count_new, w, err);
		if (r < 0 && r != -EINTR)
			return bl_err_wrap(err, r, "read events");
	}
	r = ops->sample(kern, w->txn.row.slot, &w->sample, err);
	if (!r)
		r = ops->splats(kern, &w->splats, err);
	return r;
}

static int tick(const struct bl_work *w, uint64_t elapsed_ms,
		uint64_t probation_ms)
{
	struct bl_trial_view view = {
		.digest = w->txn.row.digest,
		.txn = w->txn.row.id,
		.elapsed_ms = elapsed_ms,
		.probation_ms = probation_ms,
		.sample = w->sample,
		.events_read = w->events_read,
		.splats = w->splats.count,
	};

	if (!w->opts || !w->opts->tick)
		return 0;
	return w->opts->tick(w->opts->ctx, &view);
}

static enum bl_txn_event aborted(struct bl_err *err)
{
	bl_err_set(err, -ECANCELED, "stopped on request during the trial");
	return BL_TXN_ABORT;
}

static enum bl_txn_event probe(struct bl_work *w, unsigned expected,
			       struct bl_err *err)
{
	const struct bl_trial_limits *limits = &w->bundle->manifest.trial;
	uint64_t probation = limits->probation_ms, start = now_ms(w);
	struct bl_pace pace = { 0 };
	char reason[BL_REASON_LEN];

	if (w->opts && w->opts->probation_ms)
		probation = w->opts->probation_ms;
	if (tick(w, 0, probation))
		return aborted(err);
	for (;;) {
		struct bl_trial_facts facts;
		uint64_t elapsed, pause = BL_HOST_PROBE_MS;
		enum bl_verdict verdict;

		if (measure(w, err))
			return BL_TXN_FAILED;
		elapsed = now_ms(w) - start;
		bl_pace_add(&pace, &w->sample, elapsed);
		facts = (struct bl_trial_facts){
			.elapsed_ms = elapsed,
			.probation_ms = probation,
			.expected = expected,
			.sample = w->sample,
			.events_read = w->events_read,
			.splats = &w->splats,
			.pace = &pace,
		};
		verdict =
			bl_trial_judge(limits, &facts, reason, sizeof(reason));
		if (verdict == BL_VERDICT_BAD) {
			bl_err_set(err, -EPROTO, "%s", reason);
			return BL_TXN_BAD;
		}
		if (verdict == BL_VERDICT_UNDECIDED) {
			bl_err_set(err, -ENODATA, "%s", reason);
			return BL_TXN_FAILED;
		}
		if (tick(w, elapsed, probation))
			return aborted(err);
		if (verdict == BL_VERDICT_GOOD)
			return BL_TXN_OK;
		if (pause > probation - elapsed)
			pause = probation - elapsed;
		w->host->clock.sleep_ms(w->host->clock.ctx, pause);
	}
}

enum bl_txn_event bl_work_try(struct bl_work *w, struct bl_err *err)
{
	if (w->host->ops->attach(w->host->kern, w->txn.row.slot, err))
		return BL_TXN_FAILED;
	bl_work_mark(w, &w->txn.row.times.live_ms);
	return probe(w, w->staged.count, err);
}
