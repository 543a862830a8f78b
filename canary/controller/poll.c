/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/poll.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "canary/controller/controller.h"
#include "loader/base/text.h"

/* A host that nothing is happening on is written down this often. */
#define IDLE_REFRESH_MS 3000

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

/* Whether the host is free to be exposed to something new. */
static bool is_free(const struct bl_poll_state *s, const struct bl_poll *poll)
{
	if (poll->work.order != BL_ORDER_NONE &&
	    poll->work.state == BL_WORK_GOING)
		return false;
	/* A stuck host may get the next version: it may be the cure. */
	return !s->exposure || !bl_exposure_open(s->exposure) ||
	       s->own->state == BL_ROLLOUT_DONE ||
	       s->exposure->state == BL_EXPOSURE_STUCK;
}

static void decide(struct bl_poll_state *s, const struct bl_poll *poll,
		   int64_t now_ms, struct bl_order *ret)
{
	if (s->exposure) {
		s->own_changed =
			bl_ledger_report(s->own, s->exposure, poll, now_ms);
		bl_ledger_order(s->own, s->exposure, now_ms, ret);
	}
	if (ret->kind == BL_ORDER_NONE && s->active &&
	    strcmp(poll->live, s->active->digest) != 0 && is_free(s, poll) &&
	    bl_ledger_expose(s->active, s->host, now_ms, &s->fresh)) {
		s->exposed = true;
		bl_ledger_order(s->active, &s->fresh, now_ms, ret);
	}
}

/* How often the host is to come while something is going on. */
static int64_t poll_ms(const struct bl_poll_state *s)
{
	const struct bl_rollout *r = s->active ? s->active : s->own;

	if (!s->active && (!s->exposure || !bl_rollout_open(s->own)))
		return 0;
	return bl_plan_poll_ms(&r->plan);
}

int bl_poll_judge(struct bl_poll_state *s, const struct bl_poll *poll,
		  int64_t now_ms, struct bl_order *ret, struct bl_err *err)
{
	bool session = strcmp(s->host->sessions[0], poll->session) != 0;
	struct bl_order order = { .kind = BL_ORDER_NONE };
	int r = take_session(s->host, poll, now_ms, err);

	if (r < 0)
		return r;
	s->host_changed = update_host(s->host, poll) || session;
	s->host->heard_ms = now_ms;
	decide(s, poll, now_ms, &order);
	order.poll_ms = poll_ms(s);
	*ret = order;
	return 0;
}

int64_t bl_poll_refresh_ms(const struct bl_poll_state *s)
{
	int64_t ms = IDLE_REFRESH_MS;

	if (s->exposure && bl_rollout_open(s->own) &&
	    bl_decision_slack_ms(&s->own->plan) / 2 < ms)
		ms = bl_decision_slack_ms(&s->own->plan) / 2;
	return ms;
}
