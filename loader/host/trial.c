/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/trial.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct judge {
	const struct bl_trial_limits *limits;
	const struct bl_trial_facts *facts;
	bool over;
	char *reason;
	size_t reason_len;
};

static bool __attribute__((format(printf, 2, 3)))
bad(struct judge *j, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->reason, j->reason_len, fmt, ap);
	va_end(ap);
	return true;
}

static bool over_limit(const struct judge *j, uint64_t part, uint64_t all)
{
	return part && (double)part > j->limits->max_drop_ratio * (double)all;
}

static bool splats(struct judge *j)
{
	const struct bl_kern_splats *s = j->facts->splats;

	if (!s || !s->count)
		return false;
	return bad(j, "the kernel's log: %s", s->first);
}

static bool detached(struct judge *j)
{
	unsigned attached = j->facts->sample.attached;

	if (attached >= j->facts->expected)
		return false;
	return bad(j, "only %u of %u programs are still attached", attached,
		   j->facts->expected);
}

/* Events that were due and found no room in the ring. */
static bool drops(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;
	uint64_t due = s->events + s->drops;

	if (!s->sensor || !over_limit(j, s->drops, due))
		return false;
	return bad(j,
		   "lost %" PRIu64 " of %" PRIu64
		   " events (%.1f %%, the limit is %.1f %%)",
		   s->drops, due, 100.0 * (double)s->drops / (double)due,
		   100 * j->limits->max_drop_ratio);
}

/*
 * Operations that were not looked at. Most of them the content would have
 * ignored, so they are held against all that was seen, not against the events.
 */
static bool overlooks(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;
	uint64_t blind = s->torn + s->missed, all = s->seen + s->missed;

	if (!s->sensor || !over_limit(j, blind, all))
		return false;
	return bad(j,
		   "did not look at %" PRIu64 " of %" PRIu64
		   " operations (%.1f %%, the limit is %.1f %%): %" PRIu64
		   " skipped by the kernel, %" PRIu64 " too many tasks deep",
		   blind, all, 100.0 * (double)blind / (double)all,
		   100 * j->limits->max_drop_ratio, s->missed, s->torn);
}

static bool slow(struct judge *j)
{
	const struct bl_pace *p = j->facts->pace;
	uint64_t ns;

	if (p->count < BL_PACE_MIN_INTERVALS && !j->over)
		return false;
	if (!bl_pace_median(p, &ns) || ns <= j->limits->max_ns_per_event)
		return false;
	return bad(j,
		   "takes %" PRIu64 " ns per event, the limit is %" PRIu64
		   " ns",
		   ns, j->limits->max_ns_per_event);
}

/* Only at the end: until then activity may still come. */
static bool silent(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;

	if (!s->sensor || !j->over)
		return false;
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
	return false;
}

enum bl_verdict bl_trial_judge(const struct bl_trial_limits *limits,
			       const struct bl_trial_facts *facts,
			       char *ret_reason, size_t reason_len)
{
	/* The gravest first: only one reason is told. */
	static bool (*const probes[])(struct judge *) = { splats, detached,
							  drops,  overlooks,
							  slow,	  silent };
	struct judge j = { limits, facts,
			   facts->elapsed_ms >= facts->probation_ms, ret_reason,
			   reason_len };

	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++)
		if (probes[i](&j))
			return BL_VERDICT_BAD;
	return j.over ? BL_VERDICT_GOOD : BL_VERDICT_GO_ON;
}
