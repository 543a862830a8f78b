/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"

/* --- the gate ------------------------------------------------------------- */

/* The gate's checks that need more than the file, in their order; all others
 * come before them. */
static const struct {
	const char *check;
	enum bl_compare_stop line;
} asked[] = {
	{ "verifier", BL_COMPARE_VERIFIER },
	{ "budget", BL_COMPARE_GATE },
	{ "attach", BL_COMPARE_EXERCISE },
	{ "exercise", BL_COMPARE_EXERCISE },
	{ "swap", BL_COMPARE_EXERCISE },
	{ "kernel", BL_COMPARE_EXERCISE },
};

static size_t rank_of(const char *check)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(asked); i++)
		if (strcmp(asked[i].check, check) == 0)
			return i + 1;
	return 0;
}

static const char *text_of(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

/* The first finding of @report, by rank, with the verdict @word. */
static bool find_first(const json_t *report, const char *word,
		       struct bl_judge_gate *ret)
{
	const json_t *list = json_object_get(report, "findings");
	size_t i, best = SIZE_MAX;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *f = json_array_get(list, i);
		size_t rank = rank_of(text_of(f, "check"));

		if (strcmp(text_of(f, "verdict"), word) != 0 || rank >= best)
			continue;
		best = rank;
		ret->check = text_of(f, "check");
		ret->words = text_of(f, "message");
		ret->line = rank ? asked[rank - 1].line : BL_COMPARE_GATE;
	}
	return best != SIZE_MAX;
}

void bl_judge_report(const json_t *report, struct bl_judge_gate *ret)
{
	const char *verdict = text_of(report, "verdict");

	*ret = (struct bl_judge_gate){ .verdict = BL_COMPARE_UNDECIDED,
				       .line = BL_COMPARE_GATE,
				       .check = "",
				       .words = "" };
	if (strcmp(verdict, "accepted") == 0) {
		ret->verdict = BL_COMPARE_ACCEPTED;
		ret->line = BL_COMPARE_NOWHERE;
	} else if (strcmp(verdict, "rejected") == 0) {
		ret->verdict = BL_COMPARE_REJECTED;
		find_first(report, "reject", ret);
	} else {
		find_first(report, "undecided", ret);
	}
}

/* --- outage --------------------------------------------------------------- */

struct edge {
	int64_t t_ms;
	int step; /* +1: a host more is down */
};

static int by_time(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->t_ms > y->t_ms) - (x->t_ms < y->t_ms);
}

/* The curve of hosts down, from the edges of all of them. */
static int draw(struct edge *edges, size_t count, int64_t end_ms,
		struct bl_compare_result *r)
{
	unsigned down = 0;
	size_t i;
	int e;

	qsort(edges, count, sizeof(*edges), by_time);
	e = bl_compare_down(r, 0, 0);
	for (i = 0; !e && i < count; i++) {
		down = (unsigned)((int)down + edges[i].step);
		if (i + 1 < count && edges[i + 1].t_ms == edges[i].t_ms)
			continue;
		e = bl_compare_down(r, edges[i].t_ms, down);
	}
	return e ? e : bl_compare_down(r, end_ms, down);
}

static int measure_outage(const struct bl_judge_case *c,
			  struct bl_compare_result *r)
{
	bl_autofree struct edge *edges = NULL;
	struct bl_observed_down d;
	size_t h, i, n = 0, size = 0;
	bool down = false; /* somebody, at the end */

	for (h = 0; h < c->count; h++)
		for (i = 0; bl_observed_down_at(&c->hosts[h], i, c->end_ms, &d);
		     i++)
			size += 2;
	edges = calloc(size + 1, sizeof(*edges));
	if (!edges)
		return -ENOMEM;
	for (h = 0; h < c->count; h++)
		for (i = 0; bl_observed_down_at(&c->hosts[h], i, c->end_ms, &d);
		     i++) {
			edges[n++] = (struct edge){ d.from_ms, 1 };
			/* Who is down at the end stays down in the curve. */
			if (d.to_ms < c->end_ms)
				edges[n++] = (struct edge){ d.to_ms, -1 };
			else
				down = true;
			r->outage_ms += d.to_ms - d.from_ms;
			if (d.to_ms > r->recover_ms)
				r->recover_ms = d.to_ms;
		}
	if (down)
		r->recover_ms = BL_COMPARE_NEVER;
	return draw(edges, n, c->end_ms, r);
}

/* --- hosts ---------------------------------------------------------------- */

/* Given up, or not heard of any more. */
static bool is_down(const struct bl_judge_case *c,
		    const struct bl_observed_host *h)
{
	int64_t last = h->count ? h->good[h->count - 1] : 0;

	return h->dead || c->end_ms - last > BL_OBSERVED_LOST_MS;
}

static bool is_lost(const struct bl_judge_case *c,
		    const struct bl_observed_host *h)
{
	if (is_down(c, h))
		return true;
	if (c->way == BL_COMPARE_A)
		return false;
	/* What was stopped must be gone; something must be there anyway. */
	return !*h->live || (c->stopped && strcmp(h->live, c->good) != 0);
}

/* A panic leaves a record, so the version must be convicted; after a reset
 * without one nobody can do more than suspect it. */
static bool is_blamed(const struct bl_observed_host *h)
{
	const char *said = h->txn.attribution;

	return strcmp(said, "convicted") == 0 ||
	       (!h->panics && strcmp(said, "suspect") == 0);
}

static void count_hosts(const struct bl_judge_case *c,
			struct bl_compare_result *r)
{
	bool blamed = true;
	size_t i;

	r->hosts = (unsigned)c->count;
	for (i = 0; i < c->count; i++) {
		const struct bl_observed_host *h = &c->hosts[i];
		unsigned crashes = h->panics + h->resets;

		r->exposed += h->exposed;
		r->lost += is_lost(c, h);
		r->crashes += crashes;
		r->reboots += h->reboots;
		if (crashes && !is_blamed(h))
			blamed = false;
	}
	if (r->lost)
		r->recover_ms = BL_COMPARE_NEVER;
	r->attributed = !r->crashes ? BL_COMPARE_NO_CRASH
			: blamed && c->way != BL_COMPARE_A
				? BL_COMPARE_BLAMED
				: BL_COMPARE_NOT_BLAMED;
}

/* --- what stopped it ------------------------------------------------------ */

static bool is_about(const char *reason, const char *const *words)
{
	for (; *words; words++)
		if (strcasestr(reason, *words))
			return true;
	return false;
}

/* What stopped it on this host; NOWHERE: nothing did. */
static enum bl_compare_stop stop_on(const struct bl_judge_case *c,
				    const struct bl_observed_host *h)
{
	static const char *const verifier[] = { "program ", "verifier",
						"invalid func", "processed ",
						NULL };
	static const char *const died[] = { "belay died", NULL };
	static const char *const lease[] = { "lease", "nobody called", NULL };
	const struct bl_observed_txn *t = &h->txn;

	/* Its journal says so; what never got as far as that leaves no trace in
	 * it, and the host on what it had. One that is not heard of any more
	 * ran that when it was: what stopped the version there is nothing. */
	if (is_down(c, h) || !h->exposed ||
	    !(t->back || strcmp(h->live, c->good) == 0))
		return BL_COMPARE_NOWHERE;
	if (h->panics + h->resets + h->cuts)
		return h->resets && !h->panics && !h->cuts
			       ? BL_COMPARE_WATCHDOG
			       : BL_COMPARE_BOOT_LOOP;
	if (!t->there)
		return BL_COMPARE_GATE;
	if (!t->back)
		return BL_COMPARE_NOWHERE;
	if (!t->staged && is_about(t->reason, verifier))
		return BL_COMPARE_VERIFIER;
	if (!t->staged && !is_about(t->reason, died))
		return BL_COMPARE_GATE;
	return is_about(t->reason, lease) ? BL_COMPARE_LEASE : BL_COMPARE_TRIAL;
}

/* The fault was let be. If nothing was seen of it, what was expected decides
 * whether there was anything to stop. */
static enum bl_compare_stop let_be(const struct bl_judge_case *c,
				   const struct bl_compare_result *r)
{
	bool seen = r->crashes || r->outage_ms || r->lost, refused = c->count;

	for (size_t i = 0; i < c->count; i++)
		refused = refused && c->hosts[i].refused;
	if (!seen && (refused ||
		      (c->expect && c->expect->past == BL_COMPARE_UNAFFECTED)))
		return BL_COMPARE_UNAFFECTED;
	return BL_COMPARE_NOWHERE;
}

static enum bl_compare_stop stop_past(const struct bl_judge_case *c,
				      const struct bl_compare_result *r)
{
	enum bl_compare_stop last = BL_COMPARE_NOWHERE;
	size_t i;

	if (c->way == BL_COMPARE_A)
		return let_be(c, r);
	if (c->refused || !r->exposed)
		return BL_COMPARE_GATE;
	/* The lines are numbered in the order in which an update meets them. */
	for (i = 0; i < c->count; i++) {
		enum bl_compare_stop s = stop_on(c, &c->hosts[i]);

		if (s > last)
			last = s;
	}
	if (last != BL_COMPARE_NOWHERE)
		return last;
	return c->stopped && !r->crashes ? BL_COMPARE_CANARY : let_be(c, r);
}

static bool lets_through(enum bl_compare_stop s)
{
	return s == BL_COMPARE_NOWHERE || s == BL_COMPARE_UNAFFECTED;
}

bool bl_judge_expected(const struct bl_fault_lines *expect,
		       const struct bl_compare_result *r)
{
	enum bl_compare_stop gate = r->gate.verdict == BL_COMPARE_REJECTED ||
						    r->gate.verdict ==
							    BL_COMPARE_UNDECIDED
					    ? r->stopped_by
					    : BL_COMPARE_NOWHERE;

	if (!expect || r->past_gate != expect->past)
		return false;
	if (r->way == BL_COMPARE_A)
		return true;
	/* Where the first host is what stops it, that host is the price. */
	if (r->recover_ms == BL_COMPARE_NEVER &&
	    (expect->past != BL_COMPARE_CANARY || r->lost != 1))
		return false;
	return gate == expect->gate ||
	       (lets_through(gate) && lets_through(expect->gate));
}

int bl_judge(const struct bl_judge_case *c, struct bl_compare_result *r)
{
	int e;

	r->way = c->way;
	r->gate.verdict = c->verdict;
	e = measure_outage(c, r);
	if (e)
		return e;
	count_hosts(c, r);
	r->past_gate = stop_past(c, r);
	r->stopped_by = c->way == BL_COMPARE_A || lets_through(c->gate)
				? r->past_gate
				: c->gate;
	r->as_expected = bl_judge_expected(c->expect, r);
	return 0;
}
