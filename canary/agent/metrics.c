/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/wire/prom.h"
#include "loader/bundle/content.h"
#include "loader/host/boot/evidence.h"

void bl_agent_count_event(struct bl_agent_counts *c, const struct bl_event *e)
{
	if (c && e->kind < BL_EVENT_KINDS && e->action < BL_ACTIONS)
		c->events[e->kind][e->action]++;
}

void bl_agent_count_poll(struct bl_agent_counts *c, int result, int64_t now_ms)
{
	if (!c || result == -ECANCELED)
		return;
	if (!result) {
		c->polls_good++;
		c->heard_ms = now_ms;
	} else {
		c->polls_failed++;
	}
}

void bl_agent_past_read(const struct bl_host_history *h,
			struct bl_agent_past *ret)
{
	size_t i;

	*ret = (struct bl_agent_past){ 0 };
	for (i = 0; i < h->count; i++) {
		const struct bl_host_txn *t = &h->txns[i];

		if (t->id > ret->newest)
			ret->newest = t->id;
		if (strcmp(t->phase, "done") == 0)
			ret->committed++;
		else if (strcmp(t->phase, "rolled-back") == 0)
			ret->rolled_back++;
		else
			ret->open++;
		switch (bl_blame_by_name(t->attribution)) {
		case BL_BLAME_CUT:
			ret->cut++;
			break;
		case BL_BLAME_SUSPECT:
			ret->suspect++;
			break;
		case BL_BLAME_CONVICTED:
			ret->convicted++;
			break;
		case BL_BLAME_NONE:
		case BL_BLAMES:
			break;
		}
	}
}

static void gauge(struct bl_prom *p, const char *name, const char *help,
		  double value)
{
	bl_prom_family(p, BL_PROM_GAUGE, name, help);
	bl_prom_sample(p, value, NULL);
}

static void counter(struct bl_prom *p, const char *name, const char *help,
		    double value)
{
	bl_prom_family(p, BL_PROM_COUNTER, name, help);
	bl_prom_sample(p, value, NULL);
}

static void print_generation(struct bl_prom *p, const char *name,
			     const char *help,
			     const struct bl_host_generation *g)
{
	if (!*g->digest)
		return;
	bl_prom_family(p, BL_PROM_GAUGE, name, help);
	bl_prom_add(p, 1, "name", g->name, "version", g->version, "digest",
		    g->digest, "content", g->content);
}

static void print_live(struct bl_prom *p, const struct bl_host_status *s)
{
	const struct bl_kern_slot_state *slot = &s->slots[s->slot];

	gauge(p, "belay_live", "1 if a version is live on this host.",
	      *s->live.digest != '\0');
	print_generation(p, "belay_live_info", "What is live.", &s->live);
	if (!*s->live.digest)
		return;
	gauge(p, "belay_live_since_timestamp_seconds", "When it was committed.",
	      (double)s->live.since_ms / 1000);
	gauge(p, "belay_live_healthy",
	      "1 if it is attached as it was committed.", s->healthy);
	if (bl_host_leased(&slot->programs))
		gauge(p, "belay_verdict_lease_seconds",
		      "Until what can refuse allows, unless it is renewed; 0: it allows.",
		      (double)slot->verdict_left_ms / 1000);
}

static void print_trial(struct bl_prom *p, const struct bl_host_status *s)
{
	gauge(p, "belay_trial_active", "1 while a version is on trial.",
	      s->trial.txn != 0);
	if (!s->trial.txn)
		return;
	print_generation(p, "belay_trial_info", "What is on trial.",
			 &s->trial.tried);
	if (s->trial.until_ms)
		gauge(p, "belay_trial_until_timestamp_seconds",
		      "When it goes back unless it is confirmed.",
		      (double)s->trial.until_ms / 1000);
}

/* Counted in the kernel; a new version begins at 0, as counters may. */
static void print_sensor(struct bl_prom *p, const struct bl_kern_sample *s)
{
	gauge(p, "belay_programs_attached", "Programs that the kernel calls.",
	      s->attached);
	gauge(p, "belay_programs_memory_bytes",
	      "Memory of the kernel that they and their maps take.",
	      (double)s->memory_bytes);
	if (!s->sensor)
		return;
	counter(p, "belay_sensor_operations_total",
		"Operations of this host that the sensor saw.",
		(double)s->seen);
	counter(p, "belay_sensor_events_total",
		"Events that the sensor reported.", (double)s->events);
	counter(p, "belay_sensor_denied_total", "Operations that it refused.",
		(double)s->denied);
	bl_prom_family(p, BL_PROM_COUNTER, "belay_sensor_lost_total",
		       "What should have been reported and was not.");
	bl_prom_add(p, (double)s->drops, "reason", "ring");
	bl_prom_add(p, (double)s->torn, "reason", "depth");
	bl_prom_add(p, (double)s->missed, "reason", "skipped");
	counter(p, "belay_sensor_hashed_total",
		"Files that were hashed for rules about digests.",
		(double)s->hashed);
	counter(p, "belay_sensor_unhashed_total",
		"Programs that ran and were not: too large, or unreadable.",
		(double)s->unhashed);
}

static void print_past(struct bl_prom *p, const struct bl_agent_past *past)
{
	counter(p, "belay_transactions_total",
		"Transactions of this host, ever.", (double)past->newest);
	bl_prom_family(
		p, BL_PROM_GAUGE, "belay_journal_transactions",
		"How they ended, of those that the journal keeps (the last thousand).");
	bl_prom_add(p, past->committed, "outcome", "committed");
	bl_prom_add(p, past->rolled_back, "outcome", "rolled-back");
	bl_prom_add(p, past->open, "outcome", "open");
	bl_prom_family(
		p, BL_PROM_GAUGE, "belay_journal_crashes",
		"Of these, how often the host went down and was recovered, by what is known of why.");
	bl_prom_add(p, past->convicted, "blame",
		    bl_blame_name(BL_BLAME_CONVICTED));
	bl_prom_add(p, past->suspect, "blame", bl_blame_name(BL_BLAME_SUSPECT));
	bl_prom_add(p, past->cut, "blame", bl_blame_name(BL_BLAME_CUT));
}

static void print_counts(struct bl_prom *p, struct bl_agent_counts *c)
{
	unsigned kind;

	bl_prom_family(p, BL_PROM_COUNTER, "belay_agent_events_total",
		       "Events that this agent read.");
	for (kind = 0; kind < BL_EVENT_KINDS; kind++) {
		bl_prom_add(p, (double)c->events[kind][BL_ACTION_EMIT], "kind",
			    bl_event_kind_name(kind), "action", "report");
		bl_prom_add(p, (double)c->events[kind][BL_ACTION_DENY], "kind",
			    bl_event_kind_name(kind), "action", "deny");
	}
	bl_prom_family(p, BL_PROM_COUNTER, "belay_agent_polls_total",
		       "Polls of the controller.");
	bl_prom_add(p, (double)c->polls_good, "result", "good");
	bl_prom_add(p, (double)c->polls_failed, "result", "failed");
	if (c->heard_ms)
		gauge(p, "belay_agent_heard_timestamp_seconds",
		      "When the controller last answered.",
		      (double)c->heard_ms / 1000);
}

static void print_fresh(struct bl_prom *p, const struct bl_fresh *f,
			int64_t now_ms)
{
	bl_prom_family(
		p, BL_PROM_GAUGE, "belay_trust_expires_seconds",
		"Until this metadata expires, and nothing new is taken; below 0: since.");
	for (int i = 0; i < BL_META_ROLES; i++)
		if (f->role[i].version)
			bl_prom_add(p,
				    (double)f->role[i].expires_s -
					    (double)now_ms / 1000,
				    "role",
				    bl_meta_kind_name((enum bl_meta_kind)i));
	gauge(p, "belay_trust_refresh_good",
	      "1 if the last refresh of metadata went well.", !f->failures);
	gauge(p, "belay_trust_refresh_failures",
	      "Refreshes that failed since the last one that did not.",
	      (double)f->failures);
	if (f->refreshed_ms)
		gauge(p, "belay_trust_refreshed_timestamp_seconds",
		      "When metadata was last refreshed.",
		      (double)f->refreshed_ms / 1000);
}

int bl_agent_metrics(const struct bl_agent_measured *m, struct bl_buf *ret)
{
	const struct bl_host_status *s = m->status;
	struct bl_prom p = { 0 };

	bl_prom_family(&p, BL_PROM_GAUGE, "belay_agent_info",
		       "The belay that keeps this host.");
	bl_prom_add(&p, 1, "version", BL_VERSION);
	counter(&p, "belay_agent_cpu_seconds_total",
		"CPU time that the agent spent.", m->cpu_s);
	gauge(&p, "belay_agent_resident_memory_bytes",
	      "Memory that the agent takes.", m->memory_bytes);
	gauge(&p, "belay_host_readable",
	      "1 if journal and kernel could be read for this.", s != NULL);
	if (m->counts)
		print_counts(&p, m->counts);
	if (m->fresh)
		print_fresh(&p, m->fresh, m->now_ms);
	if (s) {
		print_live(&p, s);
		print_trial(&p, s);
		print_sensor(&p, &s->sample);
		gauge(&p, "belay_tombstones",
		      "Versions that are not tried here again.",
		      (double)s->tombstones);
		print_past(&p, m->past);
	}
	return bl_prom_end(&p, ret);
}
