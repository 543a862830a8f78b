/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/content/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/content/ruleset.h"

#define CHECK	   "replay"
#define DENIED_MAX 8  /* findings about denials of one recording */
#define RULES_MAX  20 /* findings about matches of one rule each */

/* What one rule, or one default, did with all recordings. */
struct tally {
	uint32_t rule; /* BL_RULE_NONE: the default of kind */
	enum bl_event_kind kind;
	enum bl_action action;
	uint64_t events;
	/* Of the recording that is played now. */
	uint64_t here;
	uint32_t objects; /* different ones that were denied */
	struct bl_recorded first;
	char where[96]; /* "boot 3, compile 12" */
};

struct player {
	const struct bl_ruleset *rs;
	struct bl_report *report;
	struct tally *tallies; /* of each rule, then of each kind's default */
	uint64_t events;       /* of all recordings */
};

static size_t tally_count(const struct player *p)
{
	return (size_t)p->rs->count + BL_EVENT_KINDS;
}

static struct tally *tally_of(const struct player *p, enum bl_event_kind kind,
			      uint32_t rule)
{
	return &p->tallies[rule < p->rs->count ? rule : p->rs->count + kind];
}

static void play_event(struct player *p, const struct bl_recorded *e)
{
	struct bl_match m;
	struct tally *t;

	if (e->kind == BL_EVENT_CONNECT)
		m = bl_content_match_addr(p->rs->bin, e->family, e->addr);
	else if (e->kind == BL_EVENT_DNS)
		m = bl_content_match_domain(p->rs->bin, e->what, e->len);
	else
		m = bl_content_match_path(p->rs->bin, e->kind, e->what, e->len);
	if (e->script && m.action != BL_ACTION_DENY)
		return; /* its interpreter is what is reported */
	t = tally_of(p, e->kind, m.rule);
	t->rule = m.rule;
	t->kind = e->kind;
	t->action = m.action;
	t->here += e->count;
	if (!t->objects++)
		t->first = *e;
}

/* --- what one recording showed -------------------------------------------- */

static int say_denied(struct player *p, const char *recording,
		      const struct tally *t)
{
	char name[BL_RULESET_NAME_MAX], more[64] = "", hint[160];

	bl_ruleset_name(p->rs, t->rule, t->kind, name);
	if (t->objects > 1)
		snprintf(more, sizeof(more), " and %u more, %" PRIu64 " times",
			 t->objects - 1, t->here);
	snprintf(
		hint, sizeof(hint),
		"a healthy host did this (recording %s): narrow the rule, or report instead of denying",
		recording);
	return bl_ruleset_report(
		p->rs, p->report, BL_VERDICT_REJECT, CHECK, t->rule, t->kind,
		hint, "%s denies, in the recording %s, %s %.*s%s", name,
		recording, t->kind == BL_EVENT_EXEC ? "executing" : "opening",
		(int)t->first.len, t->first.what, more);
}

static int say_denials(struct player *p, const char *recording,
		       unsigned *ret_rules)
{
	unsigned rules = 0;
	uint32_t i;
	int r = 0;

	for (i = 0; !r && i < p->rs->count; i++) {
		const struct tally *t = &p->tallies[i];

		if (!t->here || t->action != BL_ACTION_DENY)
			continue;
		if (rules++ < DENIED_MAX)
			r = say_denied(p, recording, t);
	}
	if (!r && rules > DENIED_MAX)
		r = bl_report_note(p->report, BL_VERDICT_REJECT, CHECK, NULL,
				   "%s: and %u more rules that deny", recording,
				   rules - DENIED_MAX);
	*ret_rules = rules;
	return r;
}

static int say_recording(struct player *p, const char *recording,
			 const uint64_t kinds[static BL_EVENT_KINDS])
{
	uint64_t by_rules = 0, by_defaults = 0;
	char questions[48] = "";
	unsigned rules = 0;
	size_t i;

	if (kinds[BL_EVENT_DNS])
		snprintf(questions, sizeof(questions),
			 ", %" PRIu64 " questions to DNS", kinds[BL_EVENT_DNS]);
	for (i = 0; i < tally_count(p); i++) {
		const struct tally *t = &p->tallies[i];

		if (!t->here || t->action != BL_ACTION_EMIT)
			continue;
		rules += i < p->rs->count;
		*(i < p->rs->count ? &by_rules : &by_defaults) += t->here;
	}
	return bl_report_note(p->report, BL_VERDICT_PASS, CHECK, NULL,
			      "%s (%" PRIu64 " opens, %" PRIu64
			      " execs, %" PRIu64 " connects%s): %" PRIu64
			      " reported by %u rules, %" PRIu64
			      " by defaults, none denied",
			      recording, kinds[BL_EVENT_OPEN],
			      kinds[BL_EVENT_EXEC], kinds[BL_EVENT_CONNECT],
			      questions, by_rules, rules, by_defaults);
}

/* Adds what this recording showed to the sums, and forgets it. */
static void close_recording(struct player *p, const char *recording)
{
	size_t i, len;

	for (i = 0; i < tally_count(p); i++) {
		struct tally *t = &p->tallies[i];

		if (!t->here)
			continue;
		len = strlen(t->where);
		snprintf(t->where + len, sizeof(t->where) - len,
			 "%s%s %" PRIu64, len ? ", " : "", recording, t->here);
		t->events += t->here;
		t->here = 0;
		t->objects = 0;
	}
}

static int cannot_read(struct player *p, const struct bl_recording *rec,
		       const char *why)
{
	return bl_report_note(p->report, BL_VERDICT_UNDECIDED, CHECK, NULL,
			      "the recording %s was not played: %s", rec->name,
			      why);
}

static int play(struct player *p, const struct bl_recording *rec)
{
	struct bl_recording_reader reader = { .recording = rec };
	uint64_t kinds[BL_EVENT_KINDS] = { 0 }, events = 0;
	struct bl_err why = { 0 };
	struct bl_recorded e;
	unsigned denying = 0;
	int r, more;

	while ((more = bl_recording_next(&reader, &e, &why)) > 0) {
		play_event(p, &e);
		if (e.script)
			continue;
		kinds[e.kind] += e.count;
		events += e.count;
	}
	/* What was read before a mistake counts: it may be denied. */
	p->events += events;
	r = say_denials(p, rec->name, &denying);
	if (!r && more < 0)
		r = cannot_read(p, rec, why.text);
	else if (!r && !events)
		r = cannot_read(p, rec, "it holds no event");
	else if (!r && !denying)
		r = say_recording(p, rec->name, kinds);
	close_recording(p, rec->name);
	return r;
}

/* --- what all of them showed ---------------------------------------------- */

static int say_flood(struct player *p, const struct tally *t)
{
	char name[BL_RULESET_NAME_MAX];

	bl_ruleset_name(p->rs, t->rule, t->kind, name);
	return bl_ruleset_report(
		p->rs, p->report, BL_VERDICT_WARN, CHECK, t->rule, t->kind,
		"such a flood hides what matters and may fill the ring: ignore what is ordinary by longer rules",
		"%s would report %" PRIu64
		" %% of what healthy hosts did (%" PRIu64 " of %" PRIu64
		" recorded events)",
		name, t->events * 100 / p->events, t->events, p->events);
}

static int say_floods(struct player *p)
{
	size_t i;
	int r = 0;

	/* At most 100 / BL_REPLAY_FLOOD_PERCENT can be that large. */
	for (i = 0; !r && i < tally_count(p); i++) {
		const struct tally *t = &p->tallies[i];

		if (t->action == BL_ACTION_EMIT &&
		    t->events > p->events / 100 * BL_REPLAY_FLOOD_PERCENT)
			r = say_flood(p, t);
	}
	return r;
}

static int most_first(const void *a, const void *b)
{
	const struct tally *x = a, *y = b;

	if (x->events != y->events)
		return x->events < y->events ? 1 : -1;
	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

static int say_rule(struct player *p, const struct tally *t)
{
	static const char *const did[BL_ACTIONS] = { "ignored", "reported",
						     "denied" };
	char name[BL_RULESET_NAME_MAX];

	bl_ruleset_name(p->rs, t->rule, t->kind, name);
	return bl_ruleset_report(p->rs, p->report, BL_VERDICT_PASS, CHECK,
				 t->rule, t->kind, NULL,
				 "%s: %" PRIu64 " %s (%s)", name, t->events,
				 did[t->action], t->where);
}

/* Which rules matched and how often; sorts the tallies. */
static int say_rules(struct player *p)
{
	uint64_t rest = 0;
	uint32_t i, matched = 0, others = 0;
	int r = 0;

	/* Few of many rules: those that did not match are not even touched. */
	for (i = 0; i < p->rs->count; i++)
		if (p->tallies[i].events)
			p->tallies[matched++] = p->tallies[i];
	qsort(p->tallies, matched, sizeof(*p->tallies), most_first);
	for (i = 0; !r && i < matched; i++) {
		if (i < RULES_MAX) {
			r = say_rule(p, &p->tallies[i]);
			continue;
		}
		rest += p->tallies[i].events;
		others++;
	}
	if (!r && others)
		r = bl_report_note(p->report, BL_VERDICT_PASS, CHECK, NULL,
				   "and %u more rules: %" PRIu64 " matches",
				   others, rest);
	return r;
}

static int play_all(struct player *p, const struct bl_recording *recordings,
		    size_t count)
{
	size_t i;
	int r = 0;

	if (!count)
		return bl_report_note(p->report, BL_VERDICT_UNDECIDED, CHECK,
				      NULL, "there is no recording to play");
	for (i = 0; !r && i < count; i++)
		r = play(p, &recordings[i]);
	if (!r)
		r = say_floods(p);
	return r ? r : say_rules(p);
}

int bl_replay_check_with(const char *name, const char *json, size_t json_len,
			 const void *bin, size_t bin_len,
			 const struct bl_recording *recordings, size_t count,
			 struct bl_report *report)
{
	bl_autoruleset struct bl_ruleset rs = { 0 };
	struct player p = { .rs = &rs, .report = report };
	bl_autofree struct tally *tallies = NULL;
	struct bl_err why = { 0 };
	int r;

	r = bl_ruleset_open(name, json, json_len, bin, bin_len, &rs, &why);
	if (r == -EBADMSG || r == -EFBIG)
		return bl_report_note(report, BL_VERDICT_REJECT, CHECK, NULL,
				      "%s", why.text);
	if (r)
		return r;
	tallies = calloc(tally_count(&p), sizeof(*tallies));
	if (!tallies)
		return -ENOMEM;
	p.tallies = tallies;
	return play_all(&p, recordings, count);
}

int bl_replay_check(const char *name, const char *json, size_t json_len,
		    const void *bin, size_t bin_len, struct bl_report *report)
{
	return bl_replay_check_with(name, json, json_len, bin, bin_len,
				    bl_benign, bl_benign_count, report);
}
