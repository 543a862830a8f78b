/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/trial/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "loader/base/duration.h"

struct judge {
	const struct bl_trial_limits *limits;
	const struct bl_trial_facts *facts;
	bool over;
	char *reason;
	size_t reason_len;
};

/* Each probe below says GO_ON if it has nothing against the generation. */
static enum bl_verdict __attribute__((format(printf, 3, 4)))
say(struct judge *j, enum bl_verdict verdict, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->reason, j->reason_len, fmt, ap);
	va_end(ap);
	return verdict;
}

#define bad(j, ...) say(j, BL_VERDICT_BAD, __VA_ARGS__)

static bool over_limit(const struct judge *j, uint64_t part, uint64_t all)
{
	return part && (double)part > j->limits->max_drop_ratio * (double)all;
}

/* What any driver did wrong meanwhile convicts nobody else. */
static enum bl_verdict splats(struct judge *j)
{
	const struct bl_kern_splats *s = j->facts->splats;
	const char *accused = j->facts->accused;

	if (!s || !s->count)
		return BL_VERDICT_GO_ON;
	if (accused && *accused)
		return bad(j, "the kernel's log: %.150s; in its %.70s",
			   s->first, accused);
	return say(j, BL_VERDICT_UNDECIDED,
		   "the kernel's log: %.150s; none of its programs is named",
		   s->first);
}

/* What could be used before it was live and cannot now is its doing, unless a
 * machine that is short of time or memory says the same. */
static enum bl_verdict locks_out(struct judge *j)
{
	const struct bl_trial_facts *f = j->facts;
	const char *how = f->locked_out ? f->locked_out : "";

	if (!f->usable)
		return BL_VERDICT_GO_ON;
	if (f->usable == -EAGAIN)
		return say(
			j, BL_VERDICT_UNDECIDED,
			"cannot tell whether this host can be used while it is live: %s",
			how);
	if (f->usable_before)
		return say(
			j, BL_VERDICT_UNDECIDED,
			"this host cannot be used, nor could it be seen to just before this was live: %s",
			how);
	if (f->usable == -ETIMEDOUT && !f->can_refuse)
		return say(
			j, BL_VERDICT_UNDECIDED,
			"this host cannot be used while it is live, or is too busy: %s",
			how);
	return bad(j, "this host cannot be used while it is live: %s", how);
}

static enum bl_verdict detached(struct judge *j)
{
	unsigned attached = j->facts->sample.attached;
	unsigned lost = j->facts->sample.lost;

	if (attached >= j->facts->expected)
		return BL_VERDICT_GO_ON;
	/* Whoever removed the place did that. */
	if (attached + lost >= j->facts->expected)
		return say(
			j, BL_VERDICT_UNDECIDED,
			"%u of %u programs lost their place: its interface or cgroup is gone",
			lost, j->facts->expected);
	return bad(j, "only %u of %u programs are still attached", attached,
		   j->facts->expected);
}

/* Events that were due and found no room in the ring. */
static enum bl_verdict drops(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;
	uint64_t due = s->events + s->drops;
	uint64_t its = s->drops - j->facts->excused_drops;

	if (!s->sensor || !over_limit(j, s->drops, due))
		return BL_VERDICT_GO_ON;
	/* What comes yet may settle it either way. */
	if (!over_limit(j, its, due) && !j->over)
		return BL_VERDICT_GO_ON;
	return say(j,
		   over_limit(j, its, due) ? BL_VERDICT_BAD
					   : BL_VERDICT_UNDECIDED,
		   "lost %" PRIu64 " of %" PRIu64
		   " events (%.1f %%, the limit is %.1f %%)%s",
		   s->drops, due, 100.0 * (double)s->drops / (double)due,
		   100 * j->limits->max_drop_ratio,
		   over_limit(j, its, due)
			   ? ""
			   : ", but its ring was not read in time");
}

/*
 * Operations that were not looked at. Most of them the content would have
 * ignored, so they are held against all that was seen, not against the events.
 */
static enum bl_verdict overlooks(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;
	uint64_t blind = s->torn + s->missed, all = s->seen + s->missed;

	if (!s->sensor || !over_limit(j, blind, all))
		return BL_VERDICT_GO_ON;
	return bad(j,
		   "did not look at %" PRIu64 " of %" PRIu64
		   " operations (%.1f %%, the limit is %.1f %%): %" PRIu64
		   " skipped by the kernel, %" PRIu64 " too many tasks deep",
		   blind, all, 100.0 * (double)blind / (double)all,
		   100 * j->limits->max_drop_ratio, s->missed, s->torn);
}

static enum bl_verdict slow(struct judge *j)
{
	const struct bl_pace *p = j->facts->pace;
	const unsigned least = j->over ? BL_PACE_END_INTERVALS
				       : BL_PACE_MIN_INTERVALS;
	uint64_t ns;

	if (p->count < least)
		return BL_VERDICT_GO_ON;
	if (!bl_pace_median(p, &ns) || ns <= j->limits->max_ns_per_event)
		return BL_VERDICT_GO_ON;
	return bad(j,
		   "takes %" PRIu64 " ns per event, the limit is %" PRIu64
		   " ns",
		   ns, j->limits->max_ns_per_event);
}

static enum bl_verdict busy(struct judge *j)
{
	const struct bl_pace *p = j->facts->pace;
	double ratio;

	if (p->share_count < BL_PACE_MIN_INTERVALS && !j->over)
		return BL_VERDICT_GO_ON;
	if (!bl_pace_share(p, &ratio) || ratio <= j->limits->max_cpu_ratio)
		return BL_VERDICT_GO_ON;
	return bad(
		j,
		"takes %.1f %% of the time of all processors, the limit is %.1f %%",
		100 * ratio, 100 * j->limits->max_cpu_ratio);
}

static enum bl_verdict large(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;

	if (!s->memory_bytes)
		return say(j, BL_VERDICT_UNDECIDED,
			   "the kernel does not tell how much memory it takes");
	if (s->memory_bytes <= j->limits->max_memory_bytes)
		return BL_VERDICT_GO_ON;
	return bad(j,
		   "takes %" PRIu64
		   " bytes of the kernel's memory, the limit is %" PRIu64,
		   s->memory_bytes, j->limits->max_memory_bytes);
}

/* A module's slabs are nobody's by name. What grew may be another's, so it
 * convicts nobody; but a host must not be left to run out of it. */
static enum bl_verdict grows(struct judge *j)
{
	uint64_t grown = j->facts->sample.grown_bytes;

	if (grown <= j->limits->max_memory_bytes)
		return BL_VERDICT_GO_ON;
	return say(j, BL_VERDICT_UNDECIDED,
		   "the kernel's slabs grew by %" PRIu64
		   " bytes since it came, the limit is %" PRIu64
		   "; whose they are is not told",
		   grown, j->limits->max_memory_bytes);
}

static enum bl_verdict command(struct judge *j, const struct bl_command *c)
{
	const char *colon = *c->line ? ": " : "";
	char text[BL_DURATION_LEN];

	switch (c->end) {
	case BL_COMMAND_NONE:
	case BL_COMMAND_GOOD:
		return BL_VERDICT_GO_ON;
	case BL_COMMAND_BAD:
		return bad(j, "probe '%.80s' ended with status %d%s%s", c->text,
			   c->status, colon, c->line);
	case BL_COMMAND_LATE:
		return bad(j, "probe '%.80s' did not end within %s%s%s",
			   c->text,
			   bl_duration_text(j->facts->command_timeout_ms, text),
			   colon, c->line);
	case BL_COMMAND_BROKEN:
		return say(j, BL_VERDICT_UNDECIDED,
			   "probe '%.80s' could not be run%s%s", c->text, colon,
			   c->line);
	}
	return BL_VERDICT_UNDECIDED;
}

/* What speaks against it before what says nothing. */
static enum bl_verdict commands(struct judge *j)
{
	enum bl_verdict verdict = BL_VERDICT_GO_ON, v;

	for (size_t i = 0; i < j->facts->command_count; i++) {
		if (verdict == BL_VERDICT_UNDECIDED &&
		    j->facts->commands[i].end == BL_COMMAND_BROKEN)
			continue;
		v = command(j, &j->facts->commands[i]);
		if (v == BL_VERDICT_BAD)
			return v;
		if (v != BL_VERDICT_GO_ON)
			verdict = v;
	}
	return verdict;
}

static bool all_commands_ran(const struct bl_trial_facts *f)
{
	for (size_t i = 0; i < f->command_count; i++)
		if (!f->commands[i].runs)
			return false;
	return true;
}

/* Only at the end: until then activity may still come. */
static enum bl_verdict silent(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;

	if (!s->sensor || !j->over)
		return BL_VERDICT_GO_ON;
	if (!s->seen)
		return bad(j, "saw none of the activity that belay made");
	if (s->events < j->limits->min_events)
		return bad(j,
			   "sent %" PRIu64 " events, at least %" PRIu64
			   " are asked for (trial.min_events)",
			   s->events, j->limits->min_events);
	if (s->events && !j->facts->events_read)
		return bad(j,
			   "counted %" PRIu64
			   " events, but none came through the ring",
			   s->events);
	return BL_VERDICT_GO_ON;
}

/* Only at the end, too. Rules for digests that could match nothing on this host
 * are no rules that matched nothing. */
static enum bl_verdict hashes(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;

	if (!s->sensor || !j->over || s->hashed || !s->unhashed)
		return BL_VERDICT_GO_ON;
	return say(
		j, BL_VERDICT_UNDECIDED,
		"hashed none of %" PRIu64
		" programs that ran: no rule for a digest can match here (is there ima_hash= on the kernel's command line?)",
		s->unhashed);
}

/* The last word about one that has nothing against it. */
static enum bl_verdict confirmed(struct judge *j)
{
	const struct bl_trial_facts *f = j->facts;
	char within[BL_DURATION_LEN];

	if (f->confirm == BL_CONFIRM_AUTO || f->confirmed)
		return BL_VERDICT_GOOD;
	if (f->elapsed_ms < f->within_ms)
		return BL_VERDICT_GO_ON;
	return say(j, BL_VERDICT_UNCONFIRMED, "nobody confirmed it within %s",
		   bl_duration_text(f->within_ms, within));
}

enum bl_verdict bl_trial_judge(const struct bl_trial_limits *limits,
			       const struct bl_trial_facts *facts,
			       char *ret_reason, size_t reason_len)
{
	/* The gravest first: only one reason is told. */
	static enum bl_verdict (*const probes[])(struct judge *) = {
		splats, locks_out, detached, drops,    overlooks, slow,
		busy,	large,	   grows,    commands, silent,	  hashes,
	};
	struct judge j = { limits, facts,
			   facts->elapsed_ms >= facts->probation_ms, ret_reason,
			   reason_len };

	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		enum bl_verdict verdict = probes[i](&j);

		if (verdict != BL_VERDICT_GO_ON)
			return verdict;
	}
	if (!j.over || !all_commands_ran(facts))
		return BL_VERDICT_GO_ON;
	return confirmed(&j);
}
