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

/* "12 in the ring, 900 runs skipped by the kernel": where they went. */
static void where_lost(const struct bl_kern_sample *s, char *ret, size_t size)
{
	const struct {
		uint64_t count;
		const char *where;
	} ways[] = {
		{ s->drops, "in the ring" },
		{ s->torn, "too many tasks deep" },
		{ s->missed, s->missed == 1 ? "run skipped by the kernel"
					    : "runs skipped by the kernel" },
	};
	size_t at = 0;

	*ret = 0;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (ways[i].count && at < size)
			at += (size_t)snprintf(ret + at, size - at,
					       "%s%" PRIu64 " %s",
					       at ? ", " : "", ways[i].count,
					       ways[i].where);
}

static bool loses(struct judge *j)
{
	const struct bl_kern_sample *s = &j->facts->sample;
	uint64_t lost = bl_kern_lost(s);
	char where[160];
	double ratio;

	if (!s->sensor || !lost)
		return false;
	ratio = (double)lost / ((double)s->events + (double)lost);
	if (ratio <= j->limits->max_drop_ratio)
		return false;
	where_lost(s, where, sizeof(where));
	return bad(j,
		   "lost %" PRIu64 " of %" PRIu64
		   " events (%.1f %%, the limit is %.1f %%): %s",
		   lost, s->events + lost, 100 * ratio,
		   100 * j->limits->max_drop_ratio, where);
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
							  loses, slow, silent };
	struct judge j = { limits, facts,
			   facts->elapsed_ms >= facts->probation_ms, ret_reason,
			   reason_len };

	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++)
		if (probes[i](&j))
			return BL_VERDICT_BAD;
	return j.over ? BL_VERDICT_GOOD : BL_VERDICT_GO_ON;
}
