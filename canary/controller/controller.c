/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/controller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/explain.h"
#include "canary/ledger/pairs.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

/* Hosts that are compared in one tick; the rest is due in the next. */
#define PAIRS_A_TICK 8
/* How often a loser reads again before it leaves the rest to its caller. */
#define TRIES 16
/* A host that nothing is happening on is written down this often. */
#define IDLE_REFRESH_MS 3000
/* Gaps in listening: written this often, a gap is that plus the grace. */
#define LISTEN_OPEN_MS	1000
#define LISTEN_IDLE_MS	30000
#define LISTEN_GRACE_MS 5000

/*
 * Whose poll is this? The current session's next one, a new session's first,
 * or something late. A name whose holder is quiet may be taken back by a
 * session that lost it.
 */
static int take_session(struct bl_fleet_host *h, const struct bl_poll *poll,
			int64_t now_ms, struct bl_err *err)
{
	size_t i;

	if (strcmp(h->sessions[0], poll->session) == 0) {
		if (poll->seq > h->seq)
			return 0;
		return bl_err_set(err, -ESTALE,
				  "poll %lld of host %s came late or twice",
				  (long long)poll->seq, h->name);
	}
	for (i = 1; i < BL_SESSIONS_KEPT; i++) {
		if (strcmp(h->sessions[i], poll->session) != 0)
			continue;
		if (now_ms - h->heard_ms < BL_NAME_FREE_MS) {
			bl_err_set(err, -ESTALE,
				   "another agent polls as host %s", h->name);
			bl_err_hint(err, "give every agent a name of its own");
			return -ESTALE;
		}
		break;
	}
	if (i == BL_SESSIONS_KEPT)
		i--;
	memmove(h->sessions[1], h->sessions[0], i * sizeof(h->sessions[0]));
	bl_text_copy(h->sessions[0], BL_SESSION_LEN, poll->session);
	return 0;
}

static bool set_text(char *to, size_t size, const char *from)
{
	if (strcmp(to, from) == 0)
		return false;
	bl_text_copy(to, size, from);
	return true;
}

static bool metrics_differ(const struct bl_metrics *a,
			   const struct bl_metrics *b)
{
	size_t i;

	for (i = 0; i < BL_GUARD_METRICS; i++)
		if (a->value[i] != b->value[i])
			return true;
	return a->known != b->known;
}

/* Takes over what the poll says; whether anything of weight is new. */
static bool update_host(struct bl_fleet_host *h, const struct bl_poll *poll)
{
	const struct bl_work *w = &poll->work;
	char text[2 * BL_REASON_MAX] = "", doing[BL_REASON_MAX];
	bool changed = false;

	if (w->order != BL_ORDER_NONE && w->state == BL_WORK_GOING)
		snprintf(text, sizeof(text), "%s %s%s%s",
			 bl_order_name(w->order), w->rollout,
			 *w->reason ? ": " : "", w->reason);
	bl_text_copy(doing, sizeof(doing), text);
	changed |= set_text(h->boot, sizeof(h->boot), poll->boot);
	changed |= set_text(h->live, sizeof(h->live), poll->live);
	changed |= set_text(h->kernel, sizeof(h->kernel), poll->kernel);
	changed |= set_text(h->arch, sizeof(h->arch), poll->arch);
	changed |= set_text(h->os, sizeof(h->os), poll->os);
	changed |= set_text(h->role, sizeof(h->role), poll->role);
	changed |= h->label_count != poll->label_count ||
		   memcmp(h->labels, poll->labels, sizeof(h->labels)) != 0;
	changed |= metrics_differ(&h->metrics, &poll->metrics);
	h->metrics = poll->metrics;
	h->label_count = poll->label_count;
	memcpy(h->labels, poll->labels, sizeof(h->labels));
	changed |= set_text(h->doing, sizeof(h->doing), doing);
	h->events = poll->events;
	h->drops = poll->drops;
	h->sample_count = poll->sample_count;
	memcpy(h->sample, poll->sample, sizeof(h->sample));
	h->seq = poll->seq;
	return changed;
}

/* Everything that one poll reads and may write. */
struct poll_state {
	struct bl_fleet_host host;
	int64_t host_revision;
	bool host_changed;
	struct bl_rollout own; /* the rollout that exposed the host last */
	struct bl_exposure exposure;
	int64_t own_revision, exposure_revision; /* 0: never exposed */
	bool own_changed;
	struct bl_rollout active; /* the open one, if it is not the own */
	struct bl_exposure fresh;
	int64_t active_revision; /* 0: none */
	bool exposed;		 /* by this poll */
};

static int new_host(struct bl_store *store, const char *name, int64_t now_ms,
		    struct bl_fleet_host *ret, struct bl_err *err)
{
	size_t known = 0;
	int r = bl_store_count(store, "host/", &known, err);

	if (r < 0)
		return r;
	if (known >= BL_HOSTS_MAX)
		return bl_err_set(err, -ENOSPC,
				  "%d hosts are known, no more are taken",
				  BL_HOSTS_MAX);
	*ret = (struct bl_fleet_host){ .first_ms = now_ms };
	bl_text_copy(ret->name, sizeof(ret->name), name);
	return 0;
}

static int read_state(struct bl_store *store, const char *name, int64_t now_ms,
		      struct poll_state *s, struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	char id[BL_ROLLOUT_ID_LEN];
	char prefix[64];
	int r = bl_fleet_get(store, &item, err, "host/", name);

	if (r < 0)
		return r;
	s->host_revision = item.revision;
	r = item.revision ? bl_fleet_host_read(&item, &s->host, err)
			  : new_host(store, name, now_ms, &s->host, err);
	if (!r)
		r = bl_fleet_active(store, id, err);
	if (r)
		return r;
	if (*s->host.rollout) {
		bl_autostore_item struct bl_store_item exposure = { 0 };

		r = bl_fleet_rollout(store, s->host.rollout, &s->own,
				     &s->own_revision, err);
		snprintf(prefix, sizeof(prefix), "exposure/%s/",
			 s->host.rollout);
		if (!r)
			r = bl_fleet_get(store, &exposure, err, prefix, name);
		if (!r && exposure.revision)
			r = bl_exposure_read(&exposure, &s->exposure, err);
		if (r < 0)
			return r;
		s->exposure_revision = exposure.revision;
	}
	if (*id && strcmp(id, s->host.rollout) != 0)
		r = bl_fleet_rollout(store, id, &s->active, &s->active_revision,
				     err);
	return r;
}

/* Whether the host is free to be exposed to something new. */
static bool is_free(const struct poll_state *s, const struct bl_poll *poll)
{
	if (poll->work.order != BL_ORDER_NONE &&
	    poll->work.state == BL_WORK_GOING)
		return false;
	/* A stuck host may get the next version: it may be the cure. */
	return !s->exposure_revision || !bl_exposure_open(&s->exposure) ||
	       s->own.state == BL_ROLLOUT_DONE ||
	       s->exposure.state == BL_EXPOSURE_STUCK;
}

static void decide_poll(struct poll_state *s, const struct bl_poll *poll,
			int64_t now_ms, struct bl_order *ret)
{
	*ret = (struct bl_order){ .kind = BL_ORDER_NONE };
	if (s->exposure_revision) {
		s->own_changed =
			bl_ledger_report(&s->own, &s->exposure, poll, now_ms);
		bl_ledger_order(&s->own, &s->exposure, now_ms, ret);
	}
	if (ret->kind == BL_ORDER_NONE && s->active_revision &&
	    strcmp(poll->live, s->active.digest) != 0 && is_free(s, poll) &&
	    bl_ledger_expose(&s->active, &s->host, now_ms, &s->fresh)) {
		s->exposed = true;
		bl_ledger_order(&s->active, &s->fresh, now_ms, ret);
	}
}

/* How often the host is to come while something is going on. */
static int64_t poll_ms(const struct poll_state *s)
{
	const struct bl_rollout *r = s->active_revision ? &s->active : &s->own;
	int64_t ms;

	if (!s->active_revision &&
	    (!s->exposure_revision || !bl_rollout_open(&s->own)))
		return 0;
	ms = r->plan.silence_ms / 8;
	return ms > 1000 ? 1000 : ms;
}

static bool refresh_due(const struct poll_state *s, int64_t heard_ms,
			int64_t now_ms)
{
	int64_t due = IDLE_REFRESH_MS;

	if (s->exposure_revision && bl_rollout_open(&s->own) &&
	    bl_decision_slack_ms(&s->own.plan) / 2 < due)
		due = bl_decision_slack_ms(&s->own.plan) / 2;
	return now_ms - heard_ms >= due || heard_ms > now_ms;
}

static int write_poll(struct bl_store *store, const struct poll_state *s,
		      struct bl_err *err)
{
	bl_autochange struct bl_change c = { 0 };
	const char *name = s->host.name;

	bl_change_expect(&c, s->host_revision, "host/%s", name);
	bl_change_put(&c, bl_fleet_host_json(&s->host), "host/%s", name);
	if (s->own_changed) {
		bl_change_expect(&c, s->own_revision, "rollout/%s", s->own.id);
		bl_change_expect(&c, s->exposure_revision, "exposure/%s/%s",
				 s->own.id, name);
		bl_change_put(&c, bl_rollout_json(&s->own), "rollout/%s",
			      s->own.id);
		bl_change_put(&c, bl_exposure_json(&s->exposure),
			      "exposure/%s/%s", s->own.id, name);
	}
	if (s->exposed) {
		bl_change_expect(&c, s->active_revision, "rollout/%s",
				 s->active.id);
		bl_change_expect(&c, 0, "exposure/%s/%s", s->active.id, name);
		bl_change_put(&c, bl_rollout_json(&s->active), "rollout/%s",
			      s->active.id);
		bl_change_put(&c, bl_exposure_json(&s->fresh), "exposure/%s/%s",
			      s->active.id, name);
	}
	return bl_change_write(&c, store, err);
}

static int poll_once(struct bl_store *store, const char *name,
		     const struct bl_poll *poll, int64_t now_ms,
		     struct bl_order *ret, struct bl_err *err)
{
	bl_autofree struct poll_state *s = calloc(1, sizeof(*s));
	struct bl_order order;
	int64_t heard_ms;
	bool session;
	int r;

	if (!s)
		return bl_err_set(err, -ENOMEM, "out of memory");
	r = read_state(store, name, now_ms, s, err);
	if (r < 0)
		return r;
	session = strcmp(s->host.sessions[0], poll->session) != 0;
	r = take_session(&s->host, poll, now_ms, err);
	if (r < 0)
		return r;
	s->host_changed = update_host(&s->host, poll) || session;
	heard_ms = s->host.heard_ms;
	s->host.heard_ms = now_ms;
	decide_poll(s, poll, now_ms, &order);
	if (s->host_changed || s->own_changed || s->exposed ||
	    refresh_due(s, heard_ms, now_ms))
		r = write_poll(store, s, err);
	if (r < 0)
		return r;
	order.poll_ms = poll_ms(s);
	*ret = order;
	return 0;
}

int bl_controller_poll(struct bl_store *store, const char *host,
		       const struct bl_poll *poll, int64_t now_ms,
		       struct bl_order *ret, struct bl_err *err)
{
	struct bl_err e;
	int i, r;

	if (!bl_name_valid(host))
		return bl_err_set(
			err, -EINVAL,
			"a host's name is 1 to %d of A-Z a-z 0-9 . _ + -, not beginning with . or -",
			BL_NAME_MAX);
	for (i = 0, r = -EAGAIN; r == -EAGAIN && i < TRIES; i++) {
		e = (struct bl_err){ 0 };
		r = poll_once(store, host, poll, now_ms, ret, &e);
	}
	if (r < 0 && err)
		*err = e;
	return r;
}

/* Nobody is silent towards a controller that was not there: a gap in
 * listening, or a clock that jumped, starts the count of silence anew. */
static int note_listening(struct bl_store *store, bool open, int64_t now_ms,
			  struct bl_err *err)
{
	bl_autostore_item struct bl_store_item item = { 0 };
	bl_autochange struct bl_change c = { 0 };
	struct bl_err e = { 0 };
	int64_t every = open ? LISTEN_OPEN_MS : LISTEN_IDLE_MS;
	struct bl_listening l = { 0 };
	int r = bl_fleet_get(store, &item, err, "fleet/", "listening");

	if (!r && item.revision)
		r = bl_listening_read(&item, &l, err);
	if (r < 0)
		return r;
	if (!item.revision || now_ms < l.last_ms ||
	    now_ms - l.last_ms > l.every_ms + LISTEN_GRACE_MS)
		l.since_ms = now_ms;
	else if (now_ms - l.last_ms < every && l.every_ms == every)
		return 0;
	l.last_ms = now_ms;
	l.every_ms = every;
	bl_change_expect(&c, item.revision, "fleet/listening");
	bl_change_put(&c, bl_listening_json(&l), "fleet/listening");
	r = bl_change_write(&c, store, &e);
	if (r == -EAGAIN)
		return 0; /* the other controller did it */
	if (r < 0 && err)
		*err = e;
	return r;
}

static void put_tombstone(struct bl_change *c, const struct bl_rollout *r,
			  int64_t now_ms)
{
	struct bl_tombstone t = { .at_ms = now_ms };

	bl_text_copy(t.rollout, sizeof(t.rollout), r->id);
	bl_text_copy(t.reason, sizeof(t.reason), r->reason);
	bl_change_put(c, bl_tombstone_json(&t), "tombstone/%s", r->digest);
}

/* Why, for 'rollout explain'. Written with what it led to. */
static void put_decision(struct bl_change *c, struct bl_rollout *r,
			 const struct bl_view *before,
			 const struct bl_decision *d)
{
	bool single = d->kind == BL_DECISION_SILENT ||
		      d->kind == BL_DECISION_STUCK;

	if (single && r->decisions >= BL_DECISIONS_MAX)
		return;
	bl_change_put(c, bl_explain_json(before, d), "decision/%s/%06u", r->id,
		      r->decisions++);
}

/* Carries one decision out. -EAGAIN: the view is no longer what it was. */
static int carry_out(struct bl_store *store, struct bl_fleet *f,
		     const struct bl_decision *d, struct bl_err *err)
{
	bl_autochange struct bl_change c = { 0 };
	struct bl_rollout *r = &f->rollout;
	struct bl_exposure *e = &f->exposures[d->host];
	int64_t now_ms = f->view.now_ms, revision;
	enum bl_exposure_state state = BL_EXPOSURE_SILENT;

	bl_change_expect(&c, f->rollout_revision, "rollout/%s", r->id);
	if (d->kind == BL_DECISION_WAIT)
		return 0;
	put_decision(&c, r, &f->view, d);
	bl_ledger_decided(r, d, now_ms);
	switch (d->kind) {
	case BL_DECISION_WAIT:
	case BL_DECISION_NEXT_WAVE:
	case BL_DECISION_EXPOSE:
	case BL_DECISION_PAUSE: /* an operator's: acts.c */
	case BL_DECISION_RESUME:
	case BL_DECISION_APPROVE:
	case BL_DECISION_ABORT:
	case BL_DECISION_KINDS:
		break;
	case BL_DECISION_STUCK:
		state = BL_EXPOSURE_STUCK;
		/* fall through */
	case BL_DECISION_SILENT:
		bl_ledger_mark(r, e, state, d->reason, now_ms);
		bl_change_expect(&c, f->exposure_revisions[d->host],
				 "exposure/%s/%s", r->id, e->host);
		bl_change_put(&c, bl_exposure_json(e), "exposure/%s/%s", r->id,
			      e->host);
		/* It has not polled since this view was taken. */
		if (bl_fleet_host_find(f, e->host, &revision))
			bl_change_expect(&c, revision, "host/%s", e->host);
		break;
	case BL_DECISION_STOP:
		put_tombstone(&c, r, now_ms);
		break;
	case BL_DECISION_DONE:
	case BL_DECISION_END:
		bl_change_remove(&c, "fleet/active");
		break;
	}
	bl_change_put(&c, bl_rollout_json(r), "rollout/%s", r->id);
	return bl_change_write(&c, store, err);
}

/* One pair of hosts more for the guard metrics. 1: there was one; 0: none is
 * due. */
static int take_pair(struct bl_store *store, struct bl_fleet *f,
		     struct bl_err *err)
{
	bl_autochange struct bl_change c = { 0 };
	struct bl_rollout *r = &f->rollout;
	struct bl_exposure *e;
	size_t i, other;
	int result;

	if (!bl_pairs_next(f, &i, &other))
		return 0;
	e = &f->exposures[i];
	bl_pairs_take(r, e, bl_fleet_host_find(f, e->host, NULL),
		      &f->hosts[other]);
	bl_change_expect(&c, f->rollout_revision, "rollout/%s", r->id);
	bl_change_expect(&c, f->exposure_revisions[i], "exposure/%s/%s", r->id,
			 e->host);
	bl_change_put(&c, bl_rollout_json(r), "rollout/%s", r->id);
	bl_change_put(&c, bl_exposure_json(e), "exposure/%s/%s", r->id,
		      e->host);
	result = bl_change_write(&c, store, err);
	return result < 0 ? result : 1;
}

int bl_controller_tick(struct bl_store *store, int64_t now_ms,
		       struct bl_err *err)
{
	char id[BL_ROLLOUT_ID_LEN];
	struct bl_err e = { 0 };
	unsigned contended = 0, pairs = 0;
	int r = bl_fleet_active(store, id, err);

	if (!r)
		r = note_listening(store, *id, now_ms, err);
	while (!r && *id) {
		bl_autofleet struct bl_fleet f = { 0 };
		struct bl_decision d;

		r = bl_fleet_load(store, id, now_ms, &f, err);
		if (r < 0)
			break;
		r = pairs < PAIRS_A_TICK ? take_pair(store, &f, &e) : 0;
		if (r > 0) {
			pairs++;
			r = 0;
			continue;
		}
		bl_decide(&f.view, &d);
		if (!r && d.kind == BL_DECISION_WAIT)
			break;
		/* Whoever loses looks again; the next tick is soon enough for
		 * what others keep busy. */
		if (!r)
			r = carry_out(store, &f, &d, &e);
		if (r == -EAGAIN && ++contended < TRIES)
			r = 0;
		else if (r == -EAGAIN)
			return 0;
		else if (r < 0 && err)
			*err = e;
	}
	return r;
}
