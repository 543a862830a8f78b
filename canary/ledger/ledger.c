/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/ledger/ledger.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/strata.h"
#include "loader/base/cleanup.h"
#include "loader/base/text.h"

#define BIT(state) (1u << (state))

/* From where each state may be entered. */
static const unsigned arrows[] = {
	[BL_EXPOSURE_TRIAL] = BIT(BL_EXPOSURE_EXPOSED),
	[BL_EXPOSURE_COMMITTED] = BIT(BL_EXPOSURE_EXPOSED) |
				  BIT(BL_EXPOSURE_TRIAL),
	[BL_EXPOSURE_FAILED] = BIT(BL_EXPOSURE_EXPOSED) |
			       BIT(BL_EXPOSURE_TRIAL) |
			       BIT(BL_EXPOSURE_COMMITTED) |
			       BIT(BL_EXPOSURE_SILENT) | BIT(BL_EXPOSURE_STUCK),
	[BL_EXPOSURE_BACK] = BIT(BL_EXPOSURE_EXPOSED) | BIT(BL_EXPOSURE_TRIAL) |
			     BIT(BL_EXPOSURE_COMMITTED) |
			     BIT(BL_EXPOSURE_SILENT) | BIT(BL_EXPOSURE_STUCK),
	[BL_EXPOSURE_SILENT] = BIT(BL_EXPOSURE_EXPOSED) |
			       BIT(BL_EXPOSURE_TRIAL) |
			       BIT(BL_EXPOSURE_COMMITTED),
	[BL_EXPOSURE_UNDECIDED] = BIT(BL_EXPOSURE_EXPOSED) |
				  BIT(BL_EXPOSURE_TRIAL),
	[BL_EXPOSURE_STUCK] = BIT(BL_EXPOSURE_EXPOSED) |
			      BIT(BL_EXPOSURE_TRIAL) |
			      BIT(BL_EXPOSURE_COMMITTED) |
			      BIT(BL_EXPOSURE_SILENT) | BIT(BL_EXPOSURE_STUCK),
};

bool bl_rollout_returns(const struct bl_rollout *r)
{
	return r->state != BL_ROLLOUT_RUNNING && r->state != BL_ROLLOUT_DONE;
}

bool bl_rollout_open(const struct bl_rollout *r)
{
	return r->state == BL_ROLLOUT_RUNNING ||
	       r->state == BL_ROLLOUT_STOPPING ||
	       r->state == BL_ROLLOUT_ABORTING;
}

bool bl_exposure_open(const struct bl_exposure *e)
{
	return e->state != BL_EXPOSURE_FAILED && e->state != BL_EXPOSURE_BACK &&
	       e->state != BL_EXPOSURE_UNDECIDED;
}

bool bl_ledger_may(const struct bl_rollout *r, const struct bl_stratum *s,
		   int64_t now_ms)
{
	int64_t until_ms;

	return r->state == BL_ROLLOUT_RUNNING && !r->paused_ms &&
	       r->undecided == r->held &&
	       r->exposed - r->undecided < r->target &&
	       r->unconfirmed < r->plan.cap && bl_strata_allow(r, s) &&
	       !bl_plan_frozen(&r->plan, now_ms, &until_ms);
}

bool bl_ledger_expose(struct bl_rollout *r, struct bl_fleet_host *h,
		      int64_t now_ms, struct bl_exposure *ret_e)
{
	struct bl_exposure e = {
		.state = BL_EXPOSURE_EXPOSED,
		.counted = true,
		.wave = r->wave,
		.exposed_ms = now_ms,
		.changed_ms = now_ms,
	};

	char stratum[BL_STRATUM_LEN];
	struct bl_stratum *s;
	uint64_t key;

	bl_stratum_name(&r->plan, h, stratum);
	key = bl_stratum_key(stratum);
	if (!bl_ledger_may(r, bl_strata_find(r, key), now_ms) ||
	    !bl_strata_admit(r, h->name))
		return false;
	s = bl_strata_take(r, key);
	s->exposed++;
	snprintf(e.stratum, sizeof(e.stratum), "%016" PRIx64, key);
	bl_text_copy(e.host, sizeof(e.host), h->name);
	bl_text_copy(e.boot, sizeof(e.boot), h->boot);
	bl_text_copy(e.previous, sizeof(e.previous), h->live);
	bl_text_copy(h->rollout, sizeof(h->rollout), r->id);
	r->exposed++;
	r->unconfirmed++;
	*ret_e = e;
	return true;
}

bool bl_ledger_mark(struct bl_rollout *r, struct bl_exposure *e,
		    enum bl_exposure_state state, const char *reason,
		    int64_t now_ms)
{
	struct bl_stratum *s = NULL;

	if (*e->stratum)
		s = bl_strata_find(r, strtoull(e->stratum, NULL, 16));

	if (!(arrows[state] & BIT(e->state)))
		return false;
	if (s)
		bl_strata_move(s, e->state, state);
	r->undecided += state == BL_EXPOSURE_UNDECIDED;
	e->state = state;
	e->again = false;
	e->changed_ms = now_ms;
	bl_text_copy(e->reason, sizeof(e->reason), reason);
	if (state == BL_EXPOSURE_COMMITTED)
		r->commit_ms = now_ms;
	/* A silent or stuck host may still be in its trial: it goes on
	 * counting against the cap until it is heard of. */
	if (e->counted &&
	    (state == BL_EXPOSURE_COMMITTED || !bl_exposure_open(e))) {
		assert(r->unconfirmed > 0);
		e->counted = false;
		r->unconfirmed--;
	}
	return true;
}

static void abort_it(struct bl_rollout *r, const struct bl_decision *d,
		     int64_t now_ms)
{
	char text[2 * BL_REASON_MAX];

	r->state = BL_ROLLOUT_ABORTING;
	r->stop_ms = now_ms;
	r->end_ms = r->paused_ms = 0;
	snprintf(text, sizeof(text), "aborted%s%s: %s", *d->by ? " by " : "",
		 d->by, d->reason);
	bl_text_copy(r->reason, sizeof(r->reason), text);
}

void bl_ledger_decided(struct bl_rollout *r, const struct bl_decision *d,
		       int64_t now_ms)
{
	switch (d->kind) {
	case BL_DECISION_NEXT_WAVE:
		r->wave++;
		r->target = d->target;
		r->widened = 0;
		break;
	case BL_DECISION_EXPOSE:
		r->target = d->target;
		if (d->widened)
			r->widened = d->widened;
		break;
	case BL_DECISION_STOP:
		r->state = BL_ROLLOUT_STOPPING;
		r->stop_ms = now_ms;
		r->paused_ms = 0;
		bl_text_copy(r->reason, sizeof(r->reason), d->reason);
		break;
	case BL_DECISION_DONE:
		r->state = BL_ROLLOUT_DONE;
		r->end_ms = now_ms;
		bl_text_copy(r->reason, sizeof(r->reason), d->reason);
		break;
	case BL_DECISION_END:
		r->state = r->state == BL_ROLLOUT_ABORTING ? BL_ROLLOUT_ABORTED
							   : BL_ROLLOUT_STOPPED;
		r->end_ms = now_ms;
		break;
	case BL_DECISION_PAUSE:
		r->paused_ms = now_ms;
		bl_text_copy(r->paused_by, sizeof(r->paused_by), d->by);
		bl_text_copy(r->paused_reason, sizeof(r->paused_reason),
			     d->reason);
		break;
	case BL_DECISION_HOLD:
		r->held = r->undecided;
		r->paused_ms = now_ms;
		*r->paused_by = '\0';
		bl_text_copy(r->paused_reason, sizeof(r->paused_reason),
			     d->reason);
		break;
	case BL_DECISION_RESUME:
		r->paused_ms = 0;
		break;
	case BL_DECISION_APPROVE:
		r->approved = d->target;
		break;
	case BL_DECISION_ABORT:
		abort_it(r, d, now_ms);
		break;
	case BL_DECISION_KINDS:
	case BL_DECISION_WAIT:
	case BL_DECISION_SILENT:
	case BL_DECISION_STUCK:
		break;
	}
}

static bool given_up(const struct bl_exposure *e)
{
	return e->state == BL_EXPOSURE_SILENT || e->state == BL_EXPOSURE_STUCK;
}

/* It was given up, and has kept the version after all. Bad it stays, for the
 * sums that decide; but it is in no trial any more, and the cap is for those. */
static bool confirm_late(struct bl_rollout *r, struct bl_exposure *e,
			 int64_t now_ms)
{
	if (!given_up(e) || e->again || bl_rollout_returns(r))
		return false;
	if (e->counted) {
		assert(r->unconfirmed > 0);
		e->counted = false;
		r->unconfirmed--;
	}
	e->again = true;
	e->changed_ms = now_ms;
	bl_text_copy(e->reason, sizeof(e->reason),
		     "it was heard of again, and keeps the version");
	return true;
}

/* The host says that it ended the order to apply. */
static bool report_apply(struct bl_rollout *r, struct bl_exposure *e,
			 const struct bl_poll *poll, bool has_it,
			 int64_t now_ms)
{
	switch (poll->work.state) {
	case BL_WORK_GOING:
		return bl_ledger_mark(r, e, BL_EXPOSURE_TRIAL, "", now_ms);
	case BL_WORK_DONE:
		if (has_it)
			return bl_ledger_mark(r, e, BL_EXPOSURE_COMMITTED, "",
					      now_ms) ||
			       confirm_late(r, e, now_ms);
		/* It kept it once and no longer does. A host that goes back
		 * says so itself. */
		if (bl_rollout_returns(r))
			return false;
		return bl_ledger_mark(r, e, BL_EXPOSURE_FAILED,
				      "it left the version by itself", now_ms);
	case BL_WORK_FAILED:
		if (has_it)
			return false; /* contradicts itself: the deadline */
		return bl_ledger_mark(r, e, BL_EXPOSURE_FAILED,
				      poll->work.reason, now_ms);
	case BL_WORK_UNDECIDED:
		if (has_it)
			return false;
		/* Silence is a failure, whatever is said later. */
		return bl_ledger_mark(r, e,
				      given_up(e) ? BL_EXPOSURE_FAILED
						  : BL_EXPOSURE_UNDECIDED,
				      poll->work.reason, now_ms);
	}
	return false;
}

static bool report_rollback(struct bl_rollout *r, struct bl_exposure *e,
			    const struct bl_poll *poll, bool has_it,
			    int64_t now_ms)
{
	if (poll->work.state == BL_WORK_DONE && !has_it)
		return bl_ledger_mark(r, e, BL_EXPOSURE_BACK, "", now_ms);
	if (poll->work.state == BL_WORK_FAILED && has_it &&
	    (e->state != BL_EXPOSURE_STUCK ||
	     strcmp(e->reason, poll->work.reason) != 0))
		return bl_ledger_mark(r, e, BL_EXPOSURE_STUCK,
				      poll->work.reason, now_ms);
	return false;
}

bool bl_ledger_report(struct bl_rollout *r, struct bl_exposure *e,
		      const struct bl_poll *poll, int64_t now_ms)
{
	bool has_it = strcmp(poll->live, r->digest) == 0;

	/* What is done is done; but what became of a host is still to be known. */
	if (!bl_exposure_open(e) ||
	    (r->state == BL_ROLLOUT_DONE && !given_up(e)))
		return false;
	if (poll->work.order != BL_ORDER_NONE &&
	    strcmp(poll->work.rollout, r->id) == 0) {
		if (poll->work.order == BL_ORDER_ROLLBACK)
			return report_rollback(r, e, poll, has_it, now_ms);
		return report_apply(r, e, poll, has_it, now_ms);
	}
	/* It knows nothing of this rollout. */
	if (e->state == BL_EXPOSURE_COMMITTED && !has_it &&
	    !bl_rollout_returns(r))
		return bl_ledger_mark(r, e, BL_EXPOSURE_FAILED,
				      "it left the version by itself", now_ms);
	if (given_up(e) && has_it)
		return confirm_late(r, e, now_ms);
	if (given_up(e) && !bl_rollout_returns(r))
		return bl_ledger_mark(
			r, e, BL_EXPOSURE_FAILED,
			"it was heard of again, without the version", now_ms);
	if ((e->state == BL_EXPOSURE_EXPOSED ||
	     e->state == BL_EXPOSURE_TRIAL) &&
	    !has_it && strcmp(e->boot, poll->boot) != 0)
		return bl_ledger_mark(r, e, BL_EXPOSURE_FAILED,
				      "it rebooted in the trial", now_ms);
	return false;
}

void bl_ledger_order(const struct bl_rollout *r, const struct bl_exposure *e,
		     int64_t now_ms, struct bl_order *ret)
{
	*ret = (struct bl_order){ .kind = BL_ORDER_NONE };
	if (!bl_exposure_open(e))
		return;
	if (bl_rollout_returns(r)) {
		if (e->state == BL_EXPOSURE_STUCK &&
		    now_ms - e->changed_ms < BL_LEDGER_RETRY_MS &&
		    now_ms >= e->changed_ms)
			return;
		ret->kind = BL_ORDER_ROLLBACK;
		bl_text_copy(ret->reason, sizeof(ret->reason), r->reason);
	} else if (r->state == BL_ROLLOUT_RUNNING &&
		   (e->state == BL_EXPOSURE_EXPOSED ||
		    e->state == BL_EXPOSURE_TRIAL)) {
		ret->kind = BL_ORDER_APPLY;
		ret->probation_ms = r->plan.probation_ms;
		bl_text_copy(ret->override_reason, sizeof(ret->override_reason),
			     r->override_reason);
	} else {
		return;
	}
	bl_text_copy(ret->rollout, sizeof(ret->rollout), r->id);
	bl_text_copy(ret->digest, sizeof(ret->digest), r->digest);
	ret->start_ms = r->start_ms;
}

void bl_change_free(struct bl_change *c)
{
	size_t i;

	for (i = 0; i < c->string_count; i++)
		free(c->strings[i]);
	*c = (struct bl_change){ 0 };
}

/* Keeps @s until the change is freed; "" stands in for one that is missing,
 * since the change will not be written then. */
static const char *keep(struct bl_change *c, char *s)
{
	if (!s) {
		c->failed = true;
		return "";
	}
	assert(c->string_count < BL_ARRAY_SIZE(c->strings));
	return c->strings[c->string_count++] = s;
}

__attribute__((format(printf, 2, 0))) static const char *
keep_key(struct bl_change *c, const char *fmt, va_list ap)
{
	char *key = NULL;

	return keep(c, vasprintf(&key, fmt, ap) < 0 ? NULL : key);
}

void bl_change_expect(struct bl_change *c, int64_t revision, const char *fmt,
		      ...)
{
	struct bl_store_compare *compare = &c->compares[c->compare_count++];
	va_list ap;

	assert(c->compare_count <= BL_STORE_MANY_MAX);
	va_start(ap, fmt);
	compare->key = keep_key(c, fmt, ap);
	va_end(ap);
	compare->revision = revision;
}

void bl_change_put(struct bl_change *c, json_t *value, const char *fmt, ...)
{
	struct bl_store_put *put = &c->puts[c->put_count++];
	va_list ap;

	assert(c->put_count <= BL_STORE_MANY_MAX);
	va_start(ap, fmt);
	put->key = keep_key(c, fmt, ap);
	va_end(ap);
	put->data = keep(c, value ? json_dumps(value,
					       JSON_COMPACT | JSON_ENCODE_ANY)
				  : NULL);
	put->len = strlen(put->data);
	c->bytes += put->len;
	json_decref(value);
}

void bl_change_remove(struct bl_change *c, const char *fmt, ...)
{
	struct bl_store_put *put = &c->puts[c->put_count++];
	va_list ap;

	assert(c->put_count <= BL_STORE_MANY_MAX);
	va_start(ap, fmt);
	*put = (struct bl_store_put){ .key = keep_key(c, fmt, ap) };
	va_end(ap);
}

int bl_change_write(struct bl_change *c, struct bl_store *store,
		    struct bl_err *err)
{
	int64_t ignored;

	if (!c->failed && !c->put_count)
		return 0;
	return bl_change_write_at(c, store, &ignored, err);
}

int bl_change_write_at(struct bl_change *c, struct bl_store *store,
		       int64_t *ret_revision, struct bl_err *err)
{
	if (c->failed)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_store_txn_at(store, c->compares, c->compare_count, c->puts,
			       c->put_count, ret_revision, err);
}
