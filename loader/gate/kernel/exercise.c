/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/exercise.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/bundle/content.h"

#define CHECK	    "exercise"
#define MESSAGE_MAX 1024

struct judge {
	const struct bl_facts *facts;
	const struct bl_facts_exercise *x;
	const struct bl_exercise_limits *limits;
	const char *kernel;
	struct bl_report *report;
	unsigned expected; /* BL_EXPECT bits */
	uint64_t runs, missed;
	size_t attached, ran; /* programs */
	bool told;	      /* something that is no pass */
};

static int __attribute__((format(printf, 4, 5)))
tell(struct judge *j, enum bl_verdict verdict, const char *hint,
     const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	struct bl_finding f = {
		.verdict = verdict,
		.check = (char *)CHECK,
		.kernel = (char *)j->kernel,
		.message = message,
		.hint = (char *)hint,
	};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	j->told = true;
	return bl_report_add(j->report, &f);
}

static bool over(const struct judge *j, uint64_t part, uint64_t all)
{
	return part && (double)part > j->limits->max_drop_ratio * (double)all;
}

static double percent(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

static int splats(struct judge *j)
{
	if (!j->x->splats)
		return 0;
	return tell(
		j, BL_VERDICT_REJECT,
		"the whole report of the kernel is in its console's log",
		"the kernel complained %u time%s while it was exercised: %s",
		j->x->splats, j->x->splats == 1 ? "" : "s",
		j->x->first_splat ? j->x->first_splat : "");
}

static int broken(struct judge *j)
{
	const char *what = j->x->broken;

	if (!what || !*what)
		return 0;
	return tell(
		j, BL_VERDICT_REJECT,
		"a host with it could not be used, nor repaired",
		"the machine cannot be used with it, as it could before: %s",
		what);
}

static int not_run(struct judge *j)
{
	const char *why = j->x->why_not;

	if (j->x->ran)
		return 0;
	return tell(j, BL_VERDICT_UNDECIDED, "", "not exercised: %s",
		    why && *why ? why : "it was not tried");
}

/* Of a kind that is expected, why there is no event. */
static int no_event(struct judge *j, unsigned kind)
{
	const char *name = bl_event_kind_name(kind);

	if (!(j->x->reports & BL_EXPECT(kind)))
		return tell(
			j, BL_VERDICT_REJECT,
			"correct exercise.expect of the manifest, or the content",
			"the manifest expects %s events and the content reports none",
			name);
	if (!(j->x->visible & BL_EXPECT(kind)))
		return tell(
			j, BL_VERDICT_UNDECIDED, "",
			"the manifest expects %s events and the content reports nothing of what the workload does",
			name);
	if (!j->x->done[kind])
		return tell(j, BL_VERDICT_UNDECIDED, "",
			    "the workload could do no %s, so nothing is known",
			    name);
	return tell(
		j, BL_VERDICT_REJECT,
		"its programs load and attach, and see nothing: is the hook the one that this kernel calls?",
		"saw nothing: %" PRIu64 " operations of kind %s and no event",
		j->x->done[kind], name);
}

static int silence(struct judge *j)
{
	int e = 0;

	for (unsigned kind = 0; e >= 0 && kind < BL_EVENT_KINDS; kind++)
		if (j->expected & BL_EXPECT(kind) && !j->x->events[kind])
			e = no_event(j, kind);
	return e;
}

/* What the content reports and the workload could not show: worth a line, and
 * no reason not to say what was shown. */
static int unreached(struct judge *j)
{
	unsigned bits = j->x->reports & ~j->x->visible & ~j->expected;
	int e = 0;

	for (unsigned kind = 0; e >= 0 && kind < BL_EVENT_KINDS; kind++)
		if (bits & BL_EXPECT(kind))
			e = bl_report_note(
				j->report, BL_VERDICT_WARN, CHECK, j->kernel,
				"%s was not exercised: the content reports nothing of what the workload does",
				bl_event_kind_name(kind));
	return e;
}

static uint64_t unseen_of(const struct judge *j, unsigned kind)
{
	const struct bl_facts_exercise *x = j->x;

	if (!(x->visible & BL_EXPECT(kind)) || x->shown[kind] >= x->done[kind])
		return 0;
	return x->done[kind] - x->shown[kind];
}

/* Operations of one kind without an event, more than the kernel skipped. */
static int unseen_kind(struct judge *j, unsigned kind)
{
	uint64_t lost = unseen_of(j, kind), done = j->x->done[kind];

	if (!j->x->events[kind])
		return 0; /* silence has said it */
	if (lost <= j->missed || !over(j, lost - j->missed, done))
		return 0;
	return tell(
		j, BL_VERDICT_REJECT, "",
		"%" PRIu64 " of %" PRIu64
		" operations of kind %s had no event (%.1f %%, the limit is %.1f %%): %" PRIu64
		" events found the ring full, %" PRIu64
		" operations came too many tasks deep, %" PRIu64
		" runs were skipped by the kernel",
		lost, done, bl_event_kind_name(kind), percent(lost, done),
		100 * j->limits->max_drop_ratio, j->x->dropped, j->x->torn,
		j->missed);
}

/* What the kernel skips where tasks preempt each other (7.x) is lost, too, but
 * falls on whichever kind the tasks do: it is held against all of them. */
static int unseen(struct judge *j)
{
	uint64_t lost = 0, done = 0;
	int e = 0;

	if (j->told)
		return 0; /* that is why */
	for (unsigned kind = 0; e >= 0 && kind < BL_EVENT_KINDS; kind++) {
		e = unseen_kind(j, kind);
		if (!(j->x->visible & BL_EXPECT(kind)) || !j->x->events[kind])
			continue;
		lost += unseen_of(j, kind);
		done += j->x->done[kind];
	}
	if (e < 0 || j->told || !over(j, lost, done))
		return e;
	return tell(
		j, BL_VERDICT_REJECT, "",
		"%" PRIu64 " of %" PRIu64
		" operations had no event (%.1f %%, the limit is %.1f %%): the kernel skipped %" PRIu64
		" runs, since tasks preempted each other inside the programs",
		lost, done, percent(lost, done),
		100 * j->limits->max_drop_ratio, j->missed);
}

static int drops(struct judge *j)
{
	uint64_t due = j->x->emitted + j->x->dropped;

	if (!over(j, j->x->dropped, due))
		return 0;
	return tell(
		j, BL_VERDICT_REJECT, "report less, or give the ring more room",
		"lost %" PRIu64 " of %" PRIu64
		" events, the ring was full (%.1f %%, the limit is %.1f %%)",
		j->x->dropped, due, percent(j->x->dropped, due),
		100 * j->limits->max_drop_ratio);
}

static int torn(struct judge *j)
{
	if (!over(j, j->x->torn, j->x->seen))
		return 0;
	return tell(
		j, BL_VERDICT_REJECT, "",
		"did not look at %" PRIu64 " of %" PRIu64
		" operations, too many tasks deep (%.1f %%, the limit is %.1f %%)",
		j->x->torn, j->x->seen, percent(j->x->torn, j->x->seen),
		100 * j->limits->max_drop_ratio);
}

static int slow(struct judge *j)
{
	if (j->runs && !j->x->ns_per_run)
		return tell(j, BL_VERDICT_UNDECIDED, "",
			    "how long its programs take was not measured");
	if (j->x->ns_per_run <= j->limits->max_ns_per_event)
		return 0;
	return tell(j, BL_VERDICT_REJECT, "",
		    "takes %" PRIu64 " ns per event, the limit is %" PRIu64
		    " ns",
		    j->x->ns_per_run, j->limits->max_ns_per_event);
}

static int large(struct judge *j)
{
	uint64_t maps = j->x->map_bytes, progs = j->x->prog_bytes;

	if (!progs)
		return tell(j, BL_VERDICT_UNDECIDED, "",
			    "how much memory it takes was not measured");
	if (maps <= UINT64_MAX - progs &&
	    maps + progs <= j->limits->max_memory_bytes)
		return 0;
	return tell(j, BL_VERDICT_REJECT, "",
		    "takes %" PRIu64
		    " bytes of the kernel's memory in maps and %" PRIu64
		    " in programs, the limit is %" PRIu64,
		    maps, progs, j->limits->max_memory_bytes);
}

static int unused(struct judge *j)
{
	if (j->ran)
		return 0;
	if (!j->x->sensor)
		return tell(
			j, BL_VERDICT_WARN, "",
			"none of its %zu attached programs ran: attached, and the workload did not reach it",
			j->attached);
	if (j->expected)
		return 0; /* silence has said it */
	return tell(j, BL_VERDICT_REJECT, "",
		    "none of its %zu attached programs ran: it sees nothing",
		    j->attached);
}

static int praise(struct judge *j)
{
	const struct bl_facts_exercise *x = j->x;
	bl_autobuf struct bl_buf text = { 0 };
	int e = 0;

	for (unsigned kind = 0; e == 0 && x->sensor && kind < BL_EVENT_KINDS;
	     kind++)
		if (x->visible & BL_EXPECT(kind))
			e = bl_buf_printf(&text,
					  "%s%" PRIu64 " of %" PRIu64 " %s",
					  text.len ? ", " : "saw ",
					  x->shown[kind], x->done[kind],
					  bl_event_kind_name(kind));
	if (e == 0 && text.len && j->missed)
		e = bl_buf_printf(&text,
				  " (%" PRIu64 " runs skipped by the kernel)",
				  j->missed);
	if (e == 0 && !text.len)
		e = bl_buf_printf(&text, "%zu of %zu attached programs ran",
				  j->ran, j->attached);
	if (e == 0)
		e = bl_buf_printf(&text,
				  " in %" PRIu64 " ms; %" PRIu64
				  " ns per event, %" PRIu64
				  " KiB of the kernel's memory, no splat",
				  x->wall_ms, x->ns_per_run,
				  (x->map_bytes + x->prog_bytes) / 1024);
	if (e < 0)
		return e;
	return bl_report_note(j->report, BL_VERDICT_PASS, CHECK, j->kernel,
			      "%s", bl_buf_str(&text));
}

static void sum_up(struct judge *j)
{
	for (size_t i = 0; i < j->facts->program_count; i++) {
		const struct bl_facts_program *p = &j->facts->programs[i];

		if (p->attach != BL_ATTACH_DONE)
			continue;
		j->attached++;
		j->ran += p->runs > 0;
		j->runs += p->runs;
		j->missed += p->missed;
	}
}

int bl_exercise_check(const struct bl_facts *f,
		      const struct bl_exercise_limits *limits,
		      const char *kernel, struct bl_report *r)
{
	static int (*const of_all[])(struct judge *) = { slow, large, unused };
	static int (*const of_sensor[])(
		struct judge *) = { silence, unreached, drops, torn, unseen };
	struct judge j = {
		.facts = f,
		.x = &f->exercise,
		.limits = limits,
		.kernel = kernel,
		.report = r,
		.expected = limits->expect_given ? limits->expect
						 : f->exercise.visible,
	};
	int e = splats(&j);

	sum_up(&j);
	if (e == 0)
		e = broken(&j);
	if (e == 0)
		e = not_run(&j);
	if (e < 0 || !f->exercise.ran)
		return e;
	for (size_t i = 0; e == 0 && i < BL_ARRAY_SIZE(of_all); i++)
		e = of_all[i](&j);
	for (size_t i = 0;
	     e == 0 && f->exercise.sensor && i < BL_ARRAY_SIZE(of_sensor); i++)
		e = of_sensor[i](&j);
	if (e < 0 || j.told)
		return e;
	return praise(&j);
}
