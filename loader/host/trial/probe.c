/* SPDX-License-Identifier: Apache-2.0 */
/* The trial: attach, make a little activity, measure, let trial.c judge. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bpf/event.h"
#include "loader/base/cleanup.h"
#include "loader/host/boot/evidence.h"
#include "loader/host/journal/journal_trial.h"
#include "loader/host/state.h"
#include "loader/host/trial/command.h"
#include "loader/host/trial/trial.h"

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
	if (!w->exclusive && event->ts_ns <= w->cut_ns)
		return 0;
	return w->opts->on_event(w->opts->ctx, event, len);
}

/* On trial it is passed on as well, if nobody else saw it. */
static int pass_trial(void *ctx, const struct bl_event *event, size_t len)
{
	struct bl_work *w = ctx;

	w->events_read++;
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

	if (!passes_events(w))
		return;
	w->old_read = true;
	w->host->ops->events(w->host->kern, old, 0, pass_old, w, NULL);
}

void bl_work_drain_new(struct bl_work *w)
{
	if (w->bundle && passes_events(w))
		w->host->ops->events(w->host->kern, w->txn.row.slot, 0,
				     pass_new, w, NULL);
}

static bool uses(const char *strategies, enum bl_strategy one)
{
	return strstr(strategies, bl_strategy_name(one)) != NULL;
}

bool bl_work_exclusive(const char *old, const char *new)
{
	/* A module overlaps with programs, whatever each of them is. */
	if (uses(old, BL_STRATEGY_EXCHANGE) || uses(new, BL_STRATEGY_EXCHANGE))
		return uses(old, BL_STRATEGY_EXCHANGE) &&
		       uses(new, BL_STRATEGY_EXCHANGE);
	return uses(old, BL_STRATEGY_DISPATCH);
}

static void note_drain(struct bl_work *w)
{
	uint64_t now = now_ms(w), unread = now - w->drained_ms;

	if (unread > w->unread_ms)
		w->unread_ms = unread;
	w->drained_ms = now;
}

/*
 * Here reading does decide: that events come through the ring is a probe. When
 * nobody else has them they are this trial's to pass on, or another reader's.
 * If there is none they are thrown away, so that the ring cannot fill up and
 * count against the new generation.
 */
static int read_new(struct bl_work *w, struct bl_err *err)
{
	const struct bl_kern_ops *ops = w->host->ops;
	bl_autoclose int moment = -1;
	bl_event_fn fn = count_new;
	int r;

	/* Not exclusive: no reader but us looks into the ring of a trial. */
	if (w->exclusive && passes_events(w))
		fn = pass_trial;
	else if (w->exclusive && w->host->reader_fd < 0 &&
		 (moment = bl_host_reader_moment(w->host)) < 0)
		fn = NULL;
	w->read_elsewhere |= !fn;
	/* Whoever takes the events may hold us up as well. */
	note_drain(w);
	r = ops->events(w->host->kern, w->txn.row.slot, 0, fn, w, err);
	note_drain(w);
	if (r < 0 && r != -EINTR)
		return bl_err_wrap(err, r, "read events");
	if (!fn && r > 0)
		w->events_read = (uint64_t)r;
	return 0;
}

/*
 * What can refuse may refuse this host's own people, and what cannot may break
 * their programs: so every trial asks. *ret as the self test says it, with its
 * words in @why; an error here is one that says nothing.
 */
static int ask_usable(const struct bl_work *w, int *ret, struct bl_err *why,
		      struct bl_err *err)
{
	int r = w->host->usable ? w->host->usable(why) : 0;

	if (r == -EINTR || r == -ECANCELED)
		return bl_err_set(err, r, "interrupted");
	*ret = r;
	return 0;
}

static int find_lock_out(struct bl_work *w, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r = ask_usable(w, &w->usable, &why, err);

	if (!r && w->usable)
		snprintf(w->locked_out, sizeof(w->locked_out), "%.*s",
			 BL_REASON_LEN - 1, why.text);
	return r;
}

/* A trial with a report in the log is over, but who is to blame stands further
 * down in it, and a slow console takes its time. */
#define SPLAT_TRIES    8
#define SPLAT_PAUSE_MS 125

static int read_splats(struct bl_work *w, struct bl_err *err)
{
	const struct bl_kern_ops *ops = w->host->ops;
	int r = ops->splats(w->host->kern, &w->splats, err);

	for (int i = 0; !r && w->splats.open && i < SPLAT_TRIES; i++) {
		w->host->clock.sleep_ms(w->host->clock.ctx, SPLAT_PAUSE_MS);
		r = ops->splats(w->host->kern, &w->splats, err);
	}
	return r;
}

/* The lease first: all that follows takes its time. A version that lets nobody
 * do anything does not let us renew it either, and that is why then. */
static int renew(struct bl_work *w, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r, e;

	r = w->host->ops->renew(w->host->kern, w->txn.row.slot,
				BL_KERN_TRIAL_LEASE_MS,
				BL_KERN_VERDICT_LEASE_MS, &why);
	e = find_lock_out(w, err);
	if (e || !r || w->usable)
		return e;
	*err = why;
	return bl_err_wrap(err, r, "renew the lease of the trial");
}

static int measure(struct bl_work *w, struct bl_err *err)
{
	const struct bl_kern_ops *ops = w->host->ops;
	void *kern = w->host->kern;
	int r = renew(w, err);

	if (r)
		return r;
	if (w->usable) {
		/* All that is left to know is why, and who refuses may well
		 * refuse that. */
		read_splats(w, NULL);
		return 0;
	}
	r = ops->exercise(kern, err);
	if (r)
		return bl_err_wrap(err, r, "make activity");
	bl_work_drain_old(w);
	if (w->staged.sensor)
		r = read_new(w, err);
	if (r)
		return r;
	r = ops->sample(kern, w->txn.row.slot, &w->sample, err);
	return r ? r : read_splats(w, err);
}

/* One trial under way. */
struct trial {
	struct bl_work *w;
	uint64_t start_ms, probation_ms;
	enum bl_confirm confirm;
	uint64_t within_ms; /* 0: confirms itself */
	bool confirmed;
	uint64_t drops, excused_drops; /* until the last sample */
	struct bl_pace pace;
	struct bl_commands *commands;
	uint64_t command_timeout_ms;
};

static void trial_free(struct trial *t)
{
	if (t->w->watchdog)
		bl_watchdog_disarm(t->w->watchdog);
	bl_commands_free(t->commands);
}

/* The terms, and writes them down. That is after it went live: they are for
 * people, and whoever finds the transaction open needs none of them. */
static int set_terms(struct trial *t, struct bl_err *err)
{
	const struct bl_apply_opts *o = t->w->opts;
	const struct bl_host *h = t->w->host;
	struct bl_journal_trial terms = { .txn = t->w->txn.row.id };

	t->probation_ms = t->w->bundle->manifest.trial.probation_ms;
	if (o && o->probation_ms)
		t->probation_ms = o->probation_ms;
	if (o && o->confirm != BL_CONFIRM_AUTO) {
		t->confirm = o->confirm;
		t->within_ms = o->within_ms ? o->within_ms
					    : BL_CONFIRM_WITHIN_MS;
		if (t->within_ms < t->probation_ms)
			t->within_ms = t->probation_ms;
		terms.until_ms =
			h->clock.wall_ms(h->clock.ctx) + (int64_t)t->within_ms;
	}
	terms.confirm = t->confirm;
	memcpy(terms.watchdog, t->w->watchdog->words, sizeof(terms.watchdog));
	return bl_journal_trial_open(h->journal, &terms, err);
}

static int set_commands(struct trial *t, struct bl_err *err)
{
	const struct bl_apply_opts *o = t->w->opts;
	struct bl_commands_spec spec = { .digest = t->w->txn.row.digest,
					 .txn = t->w->txn.row.id };

	if (o) {
		spec.texts = o->commands;
		spec.count = o->command_count;
		spec.timeout_ms = o->command_timeout_ms;
	}
	if (!spec.timeout_ms)
		spec.timeout_ms = BL_COMMAND_TIMEOUT_MS;
	t->command_timeout_ms = spec.timeout_ms;
	return bl_commands_new(&spec, &t->commands, err);
}

/* What the one who watches says. 0, or -ECANCELED to end it. */
static int tick(struct trial *t, uint64_t elapsed_ms, struct bl_err *err)
{
	const struct bl_work *w = t->w;
	struct bl_trial_view view = {
		.digest = w->txn.row.digest,
		.txn = w->txn.row.id,
		.elapsed_ms = elapsed_ms,
		.probation_ms = t->probation_ms,
		.confirm = t->confirm,
		.within_ms = t->within_ms,
		.confirmed = t->confirmed,
		.guarded = w->watchdog->guarded,
		.watchdog = w->watchdog->words,
		.sample = w->sample,
		.events_read = w->events_read,
		.splats = w->splats.count,
	};
	struct bl_err why = { 0 };
	enum bl_tick said = BL_TICK_GO_ON;

	if (w->opts && w->opts->tick)
		said = w->opts->tick(w->opts->ctx, &view, &why);
	if (said == BL_TICK_CONFIRM && t->confirm == BL_CONFIRM_REMOTE)
		t->confirmed = true;
	if (said != BL_TICK_ABORT)
		return 0;
	return bl_err_set(err, -ECANCELED, "%s",
			  *why.text ? why.text
				    : "stopped on request during the trial");
}

/* Whether a person has confirmed it by now. */
static int hear(struct trial *t, struct bl_err *err)
{
	struct bl_journal_trial terms;
	int r;

	if (t->confirm != BL_CONFIRM_MANUAL || t->confirmed)
		return 0;
	r = bl_journal_trial_get(t->w->host->journal, t->w->txn.row.id, &terms,
				 err);
	if (r > 0)
		t->confirmed = terms.confirmed_ms != 0;
	return r < 0 ? r : 0;
}

/* A full ring is the generation's doing if somebody empties it in time. */
static void excuse_drops(struct trial *t)
{
	struct bl_work *w = t->w;
	uint64_t more = w->sample.drops - t->drops;

	if (w->read_elsewhere || w->unread_ms > 2 * BL_HOST_PROBE_MS)
		t->excused_drops += more;
	t->drops = w->sample.drops;
	w->read_elsewhere = false;
	w->unread_ms = 0;
}

/* A program that the version before has as well is no news. */
static void find_accused(const struct bl_work *w, struct bl_evidence *ret)
{
	bl_autobuf struct bl_buf tags = { 0 }, before = { 0 };
	size_t len = w->splats.text_len;

	*ret = (struct bl_evidence){ 0 };
	if (!w->splats.count || bl_tags_text(&w->staged, &tags, NULL))
		return;
	if (w->txn.parent)
		bl_journal_tags(w->host->journal, w->txn.parent, &before, NULL);
	if (w->exchanged)
		len = w->exchange_len;
	bl_evidence_splats(w->splats.text, len, bl_buf_str(&tags),
			   bl_buf_str(&before), ret);
	if (w->exchanged && ret->blame != BL_BLAME_CONVICTED)
		bl_evidence_splats(w->splats.text + len,
				   w->splats.text_len - len, bl_buf_str(&tags),
				   "", ret);
	if (ret->blame != BL_BLAME_CONVICTED)
		*ret->named = 0;
}

/* By its kind, whether on a lease or not. */
static bool can_refuse(const struct bl_kern_staged *s)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->program[i].lease != BL_LEASE_NONE)
			return true;
	return false;
}

static enum bl_verdict judge(struct trial *t, uint64_t elapsed_ms,
			     struct bl_err *err)
{
	struct bl_work *w = t->w;
	char reason[BL_REASON_LEN] = "";
	struct bl_evidence evidence;
	struct bl_trial_facts facts;
	enum bl_verdict verdict;

	find_accused(w, &evidence);
	excuse_drops(t);
	bl_pace_add(&t->pace, &w->sample, elapsed_ms);
	facts = (struct bl_trial_facts){
		.elapsed_ms = elapsed_ms,
		.probation_ms = t->probation_ms,
		.expected = w->staged.count,
		.sample = w->sample,
		.excused_drops = t->excused_drops,
		.events_read = w->events_read,
		.splats = &w->splats,
		.accused = evidence.named,
		.usable = w->usable,
		.usable_before = w->usable_before,
		.can_refuse = can_refuse(&w->staged),
		.locked_out = w->locked_out,
		.pace = &t->pace,
		.confirm = t->confirm,
		.confirmed = t->confirmed,
		.within_ms = t->within_ms,
		.command_timeout_ms = t->command_timeout_ms,
	};
	facts.commands = bl_commands_list(t->commands, &facts.command_count);
	verdict = bl_trial_judge(&w->bundle->manifest.trial, &facts, reason,
				 sizeof(reason));
	if (*reason)
		bl_err_set(err, -EPROTO, "%s", reason);
	return verdict;
}

/* Its time is up; unless a person was faster by a hair. 1: it was. */
static int close_terms(struct trial *t)
{
	const struct bl_host *h = t->w->host;

	return t->confirm == BL_CONFIRM_MANUAL &&
	       !bl_journal_trial_close(h->journal, t->w->txn.row.id,
				       h->clock.wall_ms(h->clock.ctx), NULL);
}

/* One look at it. BL_VERDICT_GO_ON: again in *ret_pause_ms. */
static enum bl_verdict probe(struct trial *t, uint64_t *ret_pause_ms,
			     struct bl_err *err)
{
	uint64_t elapsed, left = BL_HOST_PROBE_MS;
	enum bl_verdict verdict;

	bl_watchdog_ping(t->w->watchdog);
	if (measure(t->w, err) || hear(t, err))
		return BL_VERDICT_UNDECIDED;
	bl_commands_step(t->commands, now_ms(t->w));
	elapsed = now_ms(t->w) - t->start_ms;
	verdict = judge(t, elapsed, err);
	if (verdict == BL_VERDICT_UNCONFIRMED && close_terms(t)) {
		t->confirmed = true;
		verdict = BL_VERDICT_GO_ON;
	}
	if (verdict != BL_VERDICT_GO_ON && verdict != BL_VERDICT_GOOD)
		return verdict;
	if (tick(t, elapsed, err))
		return BL_VERDICT_UNCONFIRMED;
	if (elapsed < t->probation_ms)
		left = t->probation_ms - elapsed;
	*ret_pause_ms = left < BL_HOST_PROBE_MS ? left : BL_HOST_PROBE_MS;
	return verdict;
}

/* Of what is live now, by the journal: old until the commit. */
static int find_exclusive(struct bl_work *w, struct bl_err *err)
{
	struct bl_journal_txn live;
	int r = bl_journal_live(w->host->journal, &live, err);

	if (r >= 0)
		w->exclusive = !r || bl_work_exclusive(live.row.strategy,
						       w->txn.row.strategy);
	return r < 0 ? r : 0;
}

/* Until the next probe. A busy sensor fills its ring in less time than that; an
 * error here is for the probe to meet. */
static void rest(struct bl_work *w, uint64_t pause_ms)
{
	uint64_t until = now_ms(w) + pause_ms;

	for (uint64_t left = pause_ms, slice; left; left -= slice) {
		slice = left < BL_HOST_DRAIN_MS ? left : BL_HOST_DRAIN_MS;
		w->host->clock.sleep_ms(w->host->clock.ctx, slice);
		if (left == slice || now_ms(w) >= until)
			return;
		bl_work_drain_old(w);
		if (w->staged.sensor)
			read_new(w, NULL);
	}
}

/*
 * From here on a trace that names the module is about the one on trial. On disk,
 * as the trace may be the kernel's last; and if that fails, nobody is convicted
 * for it.
 */
static void note_exchange(struct bl_work *w)
{
	const struct bl_journal_step over = {
		.txn = w->txn.row.id,
		.phase = w->txn.phase,
		.at_ms = w->txn.row.changed_ms,
		.times = &w->txn.row.times,
	};

	if (w->staged.program[0].strategy != BL_STRATEGY_EXCHANGE)
		return;
	read_splats(w, NULL);
	w->exchanged = true;
	w->exchange_len = w->splats.text_len;
	bl_journal_write(w->host->journal, &over, NULL);
}

/* Whether the kernel calls some of it for as long as nobody goes back: neither
 * a lease nor the end of this process ends that (ops.h). */
static bool outlives(const struct bl_kern_staged *s)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->program[i].strategy == BL_STRATEGY_EXCHANGE ||
		    s->program[i].strategy == BL_STRATEGY_REPLACE)
			return true;
	return false;
}

enum bl_txn_event bl_work_try(struct bl_work *w, struct bl_err *err)
{
	static const enum bl_txn_event events[] = {
		[BL_VERDICT_GOOD] = BL_TXN_OK,
		[BL_VERDICT_BAD] = BL_TXN_BAD,
		[BL_VERDICT_UNDECIDED] = BL_TXN_FAILED,
		[BL_VERDICT_UNCONFIRMED] = BL_TXN_ABORT,
	};
	BL_CLEANUP(trial_free) struct trial t = { .w = w };
	struct bl_err why = { 0 };
	enum bl_verdict verdict;
	uint64_t pause = 0;

	w->watchdog->stay = outlives(&w->staged);
	if (ask_usable(w, &w->usable_before, &why, err) ||
	    find_exclusive(w, err) || bl_watchdog_arm(w->watchdog, err) ||
	    bl_work_attach(w, err))
		return BL_TXN_FAILED;
	note_exchange(w);
	t.start_ms = w->drained_ms = now_ms(w);
	if (set_terms(&t, err) || set_commands(&t, err))
		return BL_TXN_FAILED;
	if (tick(&t, 0, err))
		return BL_TXN_ABORT;
	for (;;) {
		verdict = probe(&t, &pause, err);
		w->undecided = verdict == BL_VERDICT_UNDECIDED;
		if (verdict != BL_VERDICT_GO_ON)
			return events[verdict];
		rest(w, pause);
	}
}
