/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: orders carried out on the host, its events and status read. */
#include "canary/agent/daemon_state.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "canary/agent/partial.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/text.h"

#define EVENTS_WAIT_MS 250
#define IDLE_WAIT_MS   500
#define STATUS_MS      2000
#define NAP_MS	       100

void bl_daemon_note(struct daemon *d, const char *fmt, ...)
{
	char text[BL_ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->opts->note(d->opts->note_ctx, text);
}

bool bl_daemon_must_stop(struct daemon *d)
{
	bool stop;

	pthread_mutex_lock(&d->lock);
	stop = d->quit || d->agent.stop_trial;
	pthread_mutex_unlock(&d->lock);
	return stop;
}

/* What people read in `host list`: counted always, kept as a short sample. */
static int on_event(void *ctx, const struct bl_event *event, size_t len)
{
	struct daemon *d = ctx;
	struct bl_poll *p = &d->agent.poll;
	char line[BL_SAMPLE_LEN];

	(void)len;
	bl_agent_count_event(d->opts->counts, event);
	bl_event_line(event, line, sizeof(line));
	pthread_mutex_lock(&d->lock);
	p->events++;
	if (p->sample_count == BL_SAMPLE_MAX)
		memmove(p->sample[0], p->sample[1],
			sizeof(p->sample) - sizeof(p->sample[0]));
	else
		p->sample_count++;
	memcpy(p->sample[p->sample_count - 1], line, sizeof(line));
	pthread_mutex_unlock(&d->lock);
	if (d->opts->events) {
		char when[BL_TIME_ISO_LEN];

		fprintf(d->opts->events, "%s %s %s\n",
			bl_clock_iso(bl_clock_wall_ms(), when), d->opts->name,
			line);
		fflush(d->opts->events);
	}
	return 0;
}

/*
 * A version is committed only on a host that still reaches its controller: one
 * that it cut off could not be told to go back. What the controller decides of
 * the version comes after that, from what hosts report, as a rollback.
 */
static enum bl_tick on_tick(void *ctx, const struct bl_trial_view *view,
			    struct bl_err *why)
{
	struct daemon *d = ctx;
	bool heard;

	if (!view->elapsed_ms)
		d->trial_ms = bl_clock_mono_ms();
	pthread_mutex_lock(&d->lock);
	heard = d->heard_ms > d->trial_ms;
	pthread_mutex_unlock(&d->lock);
	if (!bl_daemon_must_stop(d))
		return heard ? BL_TICK_CONFIRM : BL_TICK_GO_ON;
	bl_err_set(why, -ECANCELED,
		   bl_cli_interrupted()
			   ? "the agent was told to end during the trial"
			   : "the controller stopped the trial");
	return BL_TICK_ABORT;
}

/* Of both parts: what the talker takes, this host pays, too. */
static uint64_t cpu_us(struct daemon *d)
{
	struct rusage u = { 0 };

	getrusage(RUSAGE_SELF, &u);
	return bl_daemon_talker_cpu_us(d) +
	       (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* For the plans that compare hosts. The sensor's own count of events, where it
 * has one: what this agent has read may be less. */
static void gauge(struct daemon *d, const struct bl_host_status *s,
		  uint64_t cpu)
{
	struct bl_poll *p = &d->agent.poll;
	const struct bl_gauge_sample sample = {
		.live = s->live.digest,
		.events = s->sample.sensor ? s->sample.events
					   : (uint64_t)p->events,
		.drops = bl_kern_lost(&s->sample),
		.run_count = s->sample.run_count,
		.run_time_ns = s->sample.run_time_ns,
		.memory_bytes = s->sample.memory_bytes,
		.cpu_us = cpu,
	};

	bl_gauge_add(&d->gauge, &sample, (int64_t)d->status_ms, &p->metrics);
}

/* Asks the host what runs; @ret_live is left alone if it does not say. */
static void read_status(struct daemon *d, char ret_live[static BL_DIGEST_HEX])
{
	struct bl_err e = { 0 };
	bl_autofree struct bl_host_status *s = calloc(1, sizeof(*s));
	int r = s ? bl_host_status(d->opts->host, s, &e) : -ENOMEM;
	uint64_t cpu = cpu_us(d);

	d->status_ms = bl_clock_mono_ms();
	if (r < 0) {
		bl_daemon_note(d, "cannot tell what runs: %s", e.text);
		return;
	}
	memcpy(ret_live, s->live.digest, BL_DIGEST_HEX);
	pthread_mutex_lock(&d->lock);
	d->agent.poll.drops = (int64_t)bl_kern_lost(&s->sample);
	gauge(d, s, cpu);
	pthread_mutex_unlock(&d->lock);
}

static int save_record(struct daemon *d, struct bl_err *err)
{
	bl_autofree char *text = NULL;

	pthread_mutex_lock(&d->lock);
	text = bl_agent_record(&d->agent);
	pthread_mutex_unlock(&d->lock);
	if (!text)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_file_write(d->record_path, text, strlen(text), 0600, err);
}

/* That the order counts no more (obey.h), if it was a signed one. */
static int note_begun(struct daemon *d, struct bl_err *err)
{
	return d->doing.version ? bl_obey_begin(d->trust_dir, &d->doing, err)
				: 0;
}

static void note_ended(struct daemon *d)
{
	struct bl_err e = { 0 };

	if (d->doing.version && bl_obey_end(d->trust_dir, &d->doing, &e) < 0)
		bl_daemon_note(d, "cannot write down that it ended: %s",
			       e.text);
}

void bl_daemon_conclude(struct bl_outcome *o, enum bl_agent_end end,
			const char *fmt, ...)
{
	char text[BL_ERR_TEXT_MAX];
	va_list ap;

	o->end = end;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bl_text_copy(o->reason, sizeof(o->reason), text);
}

static void conclude_apply(const struct bl_apply_result *result,
			   struct bl_outcome *o)
{
	switch (result->outcome) {
	case BL_APPLY_COMMITTED:
		bl_daemon_conclude(o, BL_AGENT_DONE, "%s", "");
		return;
	case BL_APPLY_ROLLED_BACK:
		bl_daemon_conclude(o,
				   result->undecided ? BL_AGENT_UNDECIDED
						     : BL_AGENT_FAILED,
				   "%s", result->reason);
		return;
	case BL_APPLY_REFUSED:
		break;
	}
	if (result->refusal == BL_REFUSAL_LIVE)
		bl_daemon_conclude(o, BL_AGENT_DONE, "%s", "");
	else if (result->refusal == BL_REFUSAL_BUSY)
		bl_daemon_conclude(o, BL_AGENT_LATER, "%s", result->reason);
	else
		bl_daemon_conclude(o, BL_AGENT_FAILED, "refused: %s",
				   result->reason);
}

static void apply(struct daemon *d, const struct bl_order *order,
		  struct bl_outcome *o)
{
	BL_CLEANUP(bl_bundle_free) struct bl_bundle bundle = { 0 };
	struct bl_apply_result result = { 0 };
	struct bl_apply_opts opts = {
		.probation_ms = (uint64_t)order->probation_ms,
		.override_reason =
			*order->override_reason ? order->override_reason : NULL,
		.commands = d->opts->probes,
		.command_count = d->opts->probe_count,
		.command_timeout_ms = d->opts->probe_timeout_ms,
		.watchdog = d->opts->watchdog,
		.watchdog_ms = d->opts->watchdog_ms,
		.confirm = BL_CONFIRM_REMOTE,
		.tick = on_tick,
		.on_event = on_event,
		.ctx = d,
	};
	struct bl_err e = { 0 };

	if (!bl_daemon_fetch(d, order, &bundle, o))
		return;
	bl_daemon_freshen(d, order->digest, bundle.raw.len);
	/* Durable before it is begun: whatever happens in the trial, the next
	 * life of this agent answers for it. */
	if (save_record(d, &e) < 0 || note_begun(d, &e) < 0) {
		bl_daemon_conclude(o, BL_AGENT_FAILED, "%s", e.text);
		return;
	}
	if (bl_daemon_must_stop(d)) {
		bl_daemon_conclude(o, BL_AGENT_LATER,
				   "stopped before its trial");
		return;
	}
	bl_daemon_note(d, "%s: trying %s %s (%.12s)", order->rollout,
		       bundle.manifest.name, bundle.manifest.version,
		       order->digest);
	if (bl_host_apply(d->opts->host, &bundle, &opts, &result, &e) < 0)
		bl_daemon_conclude(o, BL_AGENT_FAILED, "%s", e.text);
	else
		conclude_apply(&result, o);
}

static void rollback(struct daemon *d, const struct bl_order *order,
		     struct bl_outcome *o)
{
	struct bl_apply_result result = { 0 };
	char live[BL_DIGEST_HEX] = "";
	struct bl_err e = { 0 };

	/* Somebody on the host may have been faster. */
	read_status(d, live);
	if (strcmp(live, order->digest) != 0) {
		bl_daemon_conclude(o, BL_AGENT_DONE, "%s", "");
		return;
	}
	bl_daemon_note(d, "%s: going back from %.12s: %s", order->rollout,
		       order->digest, order->reason);
	if (bl_host_rollback(d->opts->host,
			     *order->reason ? order->reason : "ordered",
			     &result, &e) < 0)
		bl_daemon_conclude(o, BL_AGENT_FAILED, "%s", e.text);
	else if (result.outcome == BL_APPLY_COMMITTED ||
		 result.refusal == BL_REFUSAL_EMPTY)
		bl_daemon_conclude(o, BL_AGENT_DONE, "%s", "");
	else if (result.refusal == BL_REFUSAL_BUSY)
		bl_daemon_conclude(o, BL_AGENT_LATER, "%s", result.reason);
	else
		bl_daemon_conclude(o, BL_AGENT_FAILED, "%s", result.reason);
}

static const char *const end_words[] = {
	[BL_AGENT_DONE] = "done",
	[BL_AGENT_UNDECIDED] = "undecided",
	[BL_AGENT_FAILED] = "failed",
	[BL_AGENT_LATER] = "not begun",
};

/* There is something to say: before its time. */
static void say_soon(struct daemon *d)
{
	pthread_mutex_lock(&d->lock);
	d->news = true;
	pthread_mutex_unlock(&d->lock);
	bl_daemon_wake(d);
}

static void work_on(struct daemon *d, enum bl_agent_do task,
		    const struct bl_order *order)
{
	char live[BL_DIGEST_HEX];
	struct bl_outcome o = { 0 };
	struct bl_err e = { 0 };
	bool later;

	if (task == BL_AGENT_APPLY)
		apply(d, order, &o);
	else
		rollback(d, order, &o);
	if (o.again)
		return;
	if (o.end != BL_AGENT_LATER)
		note_ended(d);
	d->again = (struct daemon_again){ 0 };
	pthread_mutex_lock(&d->lock);
	memcpy(live, d->agent.poll.live, sizeof(live));
	pthread_mutex_unlock(&d->lock);
	read_status(d, live);
	pthread_mutex_lock(&d->lock);
	d->task = bl_agent_finish(&d->agent, o.end, o.reason, live);
	later = d->agent.order.kind == BL_ORDER_NONE;
	pthread_mutex_unlock(&d->lock);
	if (!later)
		bl_partial_remove(d->partial_dir, order->digest);
	bl_daemon_note(d, "%s: %s %s%s%s, %.12s is live", order->rollout,
		       task == BL_AGENT_APPLY ? "apply" : "rollback",
		       end_words[o.end], *o.reason ? ": " : "", o.reason,
		       *live ? live : "nothing");
	if (save_record(d, &e) < 0)
		bl_daemon_note(d, "cannot write down how it ended: %s", e.text);
	/* What was not begun is ordered again, and not at once: it would end
	 * the same way. */
	if (!later)
		say_soon(d);
}

/* Until it is told something, at most @ms; with d->lock. */
static void wait_locked(struct daemon *d, int64_t ms)
{
	struct timespec until;
	int64_t ns;

	/* The wall clock may be set back by hours meanwhile. */
	clock_gettime(CLOCK_MONOTONIC, &until);
	ns = until.tv_nsec + ms * 1000000;
	until.tv_sec += ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	pthread_cond_clockwait(&d->work, &d->lock, CLOCK_MONOTONIC, &until);
}

static void wait_for_work(struct daemon *d)
{
	pthread_mutex_lock(&d->lock);
	if (d->task == BL_AGENT_NOTHING && !d->quit)
		wait_locked(d, IDLE_WAIT_MS);
	pthread_mutex_unlock(&d->lock);
}

/* Waits for one at most @wait_ms. False: there are none to be read. */
static bool read_events(struct daemon *d, int wait_ms)
{
	struct bl_err e = { 0 };
	int r = bl_host_events(d->opts->host, wait_ms, on_event, d, &e);

	if (r >= 0) {
		d->reader_told = false;
		return true;
	}
	if (r != -ENOENT && r != -EINTR && !d->reader_told) {
		bl_daemon_note(d, "cannot read events: %s", e.text);
		d->reader_told = true;
	}
	return false;
}

/* The next attempt of an apply that waits is due, or its end. */
static bool again_due(struct daemon *d)
{
	return d->again.waits && (bl_clock_mono_ms() >= d->again.due_ms ||
				  bl_daemon_must_stop(d));
}

static void refresh_status(struct daemon *d)
{
	char live[BL_DIGEST_HEX];
	bool changed;

	if (bl_clock_mono_ms() - d->status_ms < STATUS_MS)
		return;
	bl_daemon_identity_look(d);
	pthread_mutex_lock(&d->lock);
	memcpy(live, d->agent.poll.live, sizeof(live));
	pthread_mutex_unlock(&d->lock);
	read_status(d, live);
	pthread_mutex_lock(&d->lock);
	changed = strcmp(d->agent.poll.live, live) != 0;
	memcpy(d->agent.poll.live, live, sizeof(live));
	pthread_mutex_unlock(&d->lock);
	/* Somebody on this host was at work. */
	if (changed)
		say_soon(d);
}

void bl_daemon_look(struct daemon *d)
{
	refresh_status(d);
	read_events(d, 0);
}

void bl_daemon_nap(struct daemon *d)
{
	wait_locked(d, NAP_MS);
	pthread_mutex_unlock(&d->lock);
	bl_daemon_look(d);
	pthread_mutex_lock(&d->lock);
}

void *bl_daemon_worker(void *ctx)
{
	struct daemon *d = ctx;

	for (;;) {
		enum bl_agent_do task;
		struct bl_order order;
		bool quit;

		pthread_mutex_lock(&d->lock);
		task = d->task;
		d->task = BL_AGENT_NOTHING;
		order = d->agent.order;
		/* Not while it waits: an order to go back may be there. */
		if (task != BL_AGENT_NOTHING)
			d->doing = d->told;
		quit = d->quit;
		pthread_mutex_unlock(&d->lock);
		/* Told to end: what was not begun is ordered again. */
		if (quit)
			return NULL;
		if (task == BL_AGENT_NOTHING && again_due(d))
			task = BL_AGENT_APPLY;
		if (task != BL_AGENT_NOTHING) {
			work_on(d, task, &order);
			continue;
		}
		refresh_status(d);
		if (!read_events(d, EVENTS_WAIT_MS))
			wait_for_work(d);
	}
}
