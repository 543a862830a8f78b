/* SPDX-License-Identifier: Apache-2.0 */
/* What operators decide about a rollout: abort, approve, pause, resume. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "canary/ledger/explain.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

#define TRIES 16

/* One attempt: what was read, and what is to be written. */
struct attempt {
	struct bl_rollout rollout;
	struct bl_decision decision;
	struct bl_change change;
	int64_t now_ms;
	bool already; /* nothing is to be done */
};

static int not_running(const struct bl_rollout *r, const char *what,
		       struct bl_err *err)
{
	bl_err_set(err, -EINVAL, "rollout %s is %s: there is nothing to %s",
		   r->id, bl_rollout_state_name(r->state), what);
	return -EINVAL;
}

/* The next wave, from 1, that an operator is to open; one more than there are:
 * none. The first has not begun while nobody may be exposed. */
static unsigned next_gate(const struct bl_rollout *r)
{
	unsigned wave = r->target ? r->wave + 2 : r->wave + 1;

	while (wave <= r->plan.wave_count && !r->plan.waves[wave - 1].gate)
		wave++;
	return wave;
}

static int approve(struct bl_store *store, struct attempt *a,
		   struct bl_err *err)
{
	const struct bl_rollout *r = &a->rollout;
	unsigned wave = next_gate(r);
	char text[2 * BL_REASON_MAX];

	(void)store;
	if (r->state != BL_ROLLOUT_RUNNING)
		return not_running(r, "approve", err);
	if (wave > r->plan.wave_count)
		return bl_err_set(
			err, -EINVAL,
			"rollout %s has no gate left: its waves begin by themselves",
			r->id);
	a->already = r->approved >= wave;
	a->decision.target = wave;
	snprintf(text, sizeof(text), "wave %u may begin: %s", wave,
		 a->decision.reason);
	bl_text_copy(a->decision.reason, sizeof(a->decision.reason), text);
	return 0;
}

static int pause_it(struct bl_store *store, struct attempt *a,
		    struct bl_err *err)
{
	(void)store;
	a->already = a->rollout.paused_ms != 0;
	if (a->rollout.state != BL_ROLLOUT_RUNNING)
		return not_running(&a->rollout, "pause", err);
	return 0;
}

static int resume(struct bl_store *store, struct attempt *a, struct bl_err *err)
{
	(void)store;
	a->already = !a->rollout.paused_ms;
	if (a->rollout.state != BL_ROLLOUT_RUNNING)
		return not_running(&a->rollout, "resume", err);
	return 0;
}

/* A done rollout may be taken back as long as nothing came after it. */
static int check_newest(struct bl_store *store, const char *id,
			struct bl_change *c, struct bl_err *err)
{
	bl_autostore_item struct bl_store_item last = { 0 };
	char active[BL_ROLLOUT_ID_LEN];
	long number;
	int r = bl_fleet_active(store, active, err);

	if (!r)
		r = bl_fleet_get(store, &last, err, "fleet/", "last");
	if (r < 0)
		return r;
	number = strtol(bl_buf_str(&last.value), NULL, 10);
	if (*active || strtol(id + 1, NULL, 10) != number) {
		bl_err_set(err, -EEXIST,
			   "rollout %s is done and r%ld came after it", id,
			   number);
		bl_err_hint(
			err,
			"start a rollout of the version that you want instead");
		return -EEXIST;
	}
	bl_change_expect(c, last.revision, "fleet/last");
	bl_change_expect(c, 0, "fleet/active");
	bl_change_put(c, json_string(id), "fleet/active");
	return 0;
}

static int abort_it(struct bl_store *store, struct attempt *a,
		    struct bl_err *err)
{
	const struct bl_rollout *r = &a->rollout;

	a->already = bl_rollout_returns(r);
	if (a->already)
		return 0;
	return r->state == BL_ROLLOUT_DONE
		       ? check_newest(store, r->id, &a->change, err)
		       : 0;
}

/* Whether it can be done, or is already, and what belongs to it. */
static int (*const prepare[])(struct bl_store *store, struct attempt *a,
			      struct bl_err *err) = {
	[BL_DECISION_PAUSE] = pause_it,
	[BL_DECISION_RESUME] = resume,
	[BL_DECISION_APPROVE] = approve,
	[BL_DECISION_ABORT] = abort_it,
};

/* Why, for 'rollout explain', from what the record said before. */
static void keep_decision(struct attempt *a)
{
	struct bl_rollout *r = &a->rollout;
	struct bl_tally sum;
	struct bl_view view;

	/* Somebody who pauses and resumes for ever fills no store. */
	if (r->decisions >= BL_DECISIONS_MAX &&
	    a->decision.kind != BL_DECISION_ABORT)
		return;
	bl_rollout_view(r, a->now_ms, &sum, &view);
	bl_change_put(&a->change, bl_explain_json(&view, &a->decision),
		      "decision/%s/%06u", r->id, r->decisions++);
}

static void put_tombstone(struct attempt *a)
{
	const struct bl_rollout *r = &a->rollout;
	struct bl_tombstone t = { .at_ms = a->now_ms };

	bl_text_copy(t.rollout, sizeof(t.rollout), r->id);
	bl_text_copy(t.reason, sizeof(t.reason), r->reason);
	bl_change_put(&a->change, bl_tombstone_json(&t), "tombstone/%s",
		      r->digest);
}

static int act_once(struct bl_store *store, const char *id,
		    const struct bl_act *act, struct attempt *a,
		    struct bl_err *err)
{
	int64_t revision;
	int r = bl_fleet_rollout(store, id, &a->rollout, &revision, err);

	if (r < 0)
		return r;
	a->decision = (struct bl_decision){ .kind = act->kind,
					    .target = a->rollout.target };
	bl_text_copy(a->decision.by, sizeof(a->decision.by), act->by);
	bl_text_copy(a->decision.reason, sizeof(a->decision.reason),
		     *act->reason ? act->reason : "no reason was given");
	r = prepare[act->kind](store, a, err);
	if (r < 0 || a->already)
		return r;
	keep_decision(a);
	bl_ledger_decided(&a->rollout, &a->decision, a->now_ms);
	/* Hosts that go back refuse this version from then on: so do we. */
	if (act->kind == BL_DECISION_ABORT && a->rollout.exposed)
		put_tombstone(a);
	bl_change_expect(&a->change, revision, "rollout/%s", id);
	bl_change_put(&a->change, bl_rollout_json(&a->rollout), "rollout/%s",
		      id);
	return bl_change_write(&a->change, store, err);
}

int bl_controller_act(struct bl_store *store, const char *id,
		      const struct bl_act *act, int64_t now_ms,
		      struct bl_err *err)
{
	bl_autofree struct attempt *a = NULL;
	struct bl_err e;
	int i, r;

	assert(bl_decision_is_act(act->kind));
	if (!bl_name_valid(id) || strlen(id) >= BL_ROLLOUT_ID_LEN)
		return bl_err_set(err, -EINVAL, "'%s' is not a rollout", id);
	a = calloc(1, sizeof(*a));
	if (!a)
		return bl_err_set(err, -ENOMEM, "out of memory");
	for (i = 0, r = -EAGAIN; r == -EAGAIN && i < TRIES; i++) {
		e = (struct bl_err){ 0 };
		*a = (struct attempt){ .now_ms = now_ms };
		r = act_once(store, id, act, a, &e);
		bl_change_free(&a->change);
	}
	if (r == -EAGAIN)
		return bl_controller_contended(id, err);
	if (r < 0 && err)
		*err = e;
	return r;
}
