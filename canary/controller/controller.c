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
/* Likewise: while it decides, a controller answers nobody, and when a large
 * fleet falls silent there is a decision for every host of it. */
#define DECISIONS_A_TICK 32
/* How often a loser reads again before it leaves the rest to its caller. */
#define TRIES 16
/* Gaps in listening: written this often, a gap is that plus the grace. */
#define LISTEN_OPEN_MS	1000
#define LISTEN_IDLE_MS	30000
#define LISTEN_GRACE_MS 5000

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

int bl_controller_contended(const char *what, struct bl_err *err)
{
	bl_err_set(err, -EAGAIN,
		   "others change %s all the time: nothing was done", what);
	bl_err_hint(err, "try again in some seconds");
	return -EAGAIN;
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
	struct bl_exposure was = { 0 };
	char heard[BL_HEARD_KEY_LEN];
	int result;

	bl_change_expect(&c, f->rollout_revision, "rollout/%s", r->id);
	if (d->kind == BL_DECISION_WAIT)
		return 0;
	put_decision(&c, r, &f->view, d);
	bl_ledger_decided(r, d, now_ms);
	switch (d->kind) {
	case BL_DECISION_WAIT:
	case BL_DECISION_NEXT_WAVE:
	case BL_DECISION_EXPOSE:
	case BL_DECISION_HOLD:
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
		was = *e;
		bl_ledger_mark(r, e, state, d->reason, now_ms);
		bl_change_expect(&c, f->exposure_revisions[d->host],
				 "exposure/%s/%s", r->id, e->host);
		bl_change_put(&c, bl_exposure_json(e), "exposure/%s/%s", r->id,
			      e->host);
		/* It has not polled since this view was taken. */
		if (bl_fleet_host_find(f, e->host, &revision))
			bl_change_expect(&c, revision, "host/%s", e->host);
		bl_heard_key(bl_heard_shard(e->host), heard);
		bl_change_expect(&c,
				 f->heard.revisions[bl_heard_shard(e->host)],
				 "%s", heard);
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
	result = bl_change_write(&c, store, err);
	if (result < 0 && *was.host)
		*e = was;
	return result;
}

/* One pair of hosts more for the guard metrics. 1: there was one; 0: none is
 * due. */
static int take_pair(struct bl_store *store, struct bl_fleet *f,
		     struct bl_err *err)
{
	bl_autochange struct bl_change c = { 0 };
	struct bl_rollout *r = &f->rollout;
	struct bl_exposure *e, was;
	size_t i, other;
	int result;

	if (!bl_pairs_next(f, &i, &other))
		return 0;
	e = &f->exposures[i];
	was = *e;
	bl_pairs_take(r, e, bl_fleet_host_find(f, e->host, NULL),
		      &f->hosts[other]);
	bl_change_expect(&c, f->rollout_revision, "rollout/%s", r->id);
	bl_change_expect(&c, f->exposure_revisions[i], "exposure/%s/%s", r->id,
			 e->host);
	bl_change_put(&c, bl_rollout_json(r), "rollout/%s", r->id);
	bl_change_put(&c, bl_exposure_json(e), "exposure/%s/%s", r->id,
		      e->host);
	result = bl_change_write(&c, store, err);
	if (result < 0)
		*e = was;
	return result < 0 ? result : 1;
}

int bl_controller_tick(struct bl_store *store, int64_t now_ms,
		       struct bl_err *err)
{
	bl_autofleet struct bl_fleet f = { 0 };

	return bl_controller_tick_again(store, &f, now_ms, err);
}

int bl_controller_tick_again(struct bl_store *store, struct bl_fleet *f,
			     int64_t now_ms, struct bl_err *err)
{
	char id[BL_ROLLOUT_ID_LEN];
	struct bl_err e = { 0 };
	unsigned contended = 0, pairs = 0, decisions = 0;
	int r = bl_fleet_active(store, id, err);

	if (!r)
		r = note_listening(store, *id, now_ms, err);
	while (!r && *id && decisions < DECISIONS_A_TICK) {
		struct bl_decision d;

		r = bl_fleet_refresh(store, id, now_ms, f, err);
		if (r < 0)
			break;
		r = pairs < PAIRS_A_TICK ? take_pair(store, f, &e) : 0;
		if (r > 0) {
			pairs++;
			r = 0;
			continue;
		}
		bl_decide(&f->view, &d);
		if (!r && d.kind == BL_DECISION_WAIT)
			break;
		/* Whoever loses looks again; the next tick is soon enough for
		 * what others keep busy. */
		if (!r)
			r = carry_out(store, f, &d, &e);
		decisions += r == 0;
		if (r == -EAGAIN && ++contended < TRIES)
			r = 0;
		else if (r == -EAGAIN)
			return 0;
		else if (r < 0 && err)
			*err = e;
	}
	if (!r && !*id)
		bl_fleet_free(f);
	return r;
}
