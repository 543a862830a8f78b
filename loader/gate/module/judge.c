/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/module/judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "kmod/abi.h"
#include "loader/gate/kernel/exercise.h"
#include "loader/gate/kernel/verify.h"

#define MESSAGE_MAX 1024
/* A module that keeps something of each event: more than this in all, which is
 * more than a kernel takes and gives by itself under the workload, and more than
 * that for each. */
#define GROWN_MIN	(4u << 20)
#define GROWN_PER_EVENT 1024

struct judge {
	const char *kernel;
	struct bl_report *report;
};

static int __attribute__((format(printf, 5, 6)))
tell(const struct judge *j, enum bl_verdict verdict, const char *check,
     const char *hint, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	/* What passed is told of the kernel; the table has the program. */
	struct bl_finding f = {
		.verdict = verdict,
		.check = (char *)check,
		.program = (char *)(verdict ? BL_KMOD_NAME : ""),
		.kernel = (char *)j->kernel,
		.message = message,
		.hint = (char *)hint,
	};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return bl_report_add(j->report, &f);
}

static const char *words(const char *text)
{
	return text ? text : "";
}

/* The finding that the table of programs and kernels shows. */
static int load(const struct judge *j, const struct bl_facts_program *p)
{
	static const enum bl_status statuses[] = {
		[BL_LOAD_ACCEPTED] = BL_STATUS_ACCEPTED,
		[BL_LOAD_REJECTED] = BL_STATUS_REJECTED,
		[BL_LOAD_REFUSED] = BL_STATUS_REFUSED,
		[BL_LOAD_UNDECIDED] = BL_STATUS_UNKNOWN,
		[BL_LOAD_MISSING] = BL_STATUS_MISSING,
	};
	enum bl_status status = p ? statuses[p->load] : BL_STATUS_UNKNOWN;
	struct bl_finding f = {
		.verdict = bl_gate_judge(status, false, false),
		.status = status,
		.check = (char *)"module",
		.program = (char *)BL_KMOD_NAME,
		.section = p ? p->section : NULL,
		.kernel = (char *)j->kernel,
		.message = p ? p->why
			     : (char *)"this kernel gave no answer about it",
	};

	if (status == BL_STATUS_ACCEPTED)
		f.message = (char *)"is loaded, and takes its content";
	return bl_report_add(j->report, &f);
}

static int attach(const struct judge *j, const struct bl_facts_program *p)
{
	if (p->attach == BL_ATTACH_DONE)
		return tell(j, BL_VERDICT_PASS, "attach", "",
			    "its hooks go in");
	return tell(j, BL_VERDICT_REJECT, "attach", "",
		    "it is loaded, and its hooks do not go in: %s",
		    words(p->attach_why));
}

static int grown(const struct judge *j, const struct bl_facts_exercise *x)
{
	if (!x->ran || x->grown_bytes < GROWN_MIN ||
	    x->grown_bytes / GROWN_PER_EVENT < x->seen)
		return 0;
	return tell(j, BL_VERDICT_REJECT, "exercise",
		    "a host with it runs out of memory, sooner or later",
		    "the kernel's memory grew by %" PRIu64
		    " KiB while it saw %" PRIu64
		    " operations, and did not shrink again",
		    x->grown_bytes / 1024, x->seen);
}

static int unseen(const struct judge *j, const char *what)
{
	if (!what || !*what)
		return 0;
	return tell(j, BL_VERDICT_UNDECIDED, "exercise", "",
		    "could not be seen: %s", what);
}

static int left(const struct judge *j, const struct bl_facts_swap *s,
		bool exercised)
{
	if (s->splats)
		return tell(
			j, BL_VERDICT_REJECT, "exercise",
			"the whole report of the kernel is in its console's log",
			"the kernel complained %u time%s while it was unloaded and loaded again: %s",
			s->splats, s->splats == 1 ? "" : "s",
			words(s->first_splat));
	if (s->left_behind && *s->left_behind)
		return tell(
			j, BL_VERDICT_REJECT, "exercise",
			"the next call of that function runs code that is gone",
			"it leaves a hook behind at %s when it is unloaded",
			s->left_behind);
	if (s->ran && s->unseen && *s->unseen)
		return unseen(j, s->unseen);
	/* A probe that stays at a tracepoint is in no list: one that the work
	 * afterwards comes by ends the guest, others are not found. */
	if (s->ran)
		return tell(
			j, BL_VERDICT_PASS, "exercise", "",
			"unloaded under its hooks %u times, and no ftrace hook was left",
			s->switches + 1);
	return tell(j, exercised ? BL_VERDICT_REJECT : BL_VERDICT_UNDECIDED,
		    "exercise",
		    exercised ? "a host could not go back from it" : "",
		    "it cannot be unloaded and loaded again: %s",
		    words(s->why_not));
}

static int gap(const struct judge *j, const struct bl_facts_swap *s)
{
	if (!s->ran)
		return 0;
	return tell(
		j, BL_VERDICT_WARN, "swap", "",
		"a module of one name is there once: a host sees nothing for some %" PRIu64
		" ms when versions are exchanged",
		s->worst_ms);
}

int bl_module_judge(const struct bl_answer *a,
		    const struct bl_exercise_limits *limits, const char *kernel,
		    struct bl_report *r)
{
	const struct judge j = { kernel, r };
	const struct bl_facts *f = &a->facts;
	const struct bl_facts_program *p =
		a->have[BL_PROBE_LOAD] && f->program_count ? f->programs : NULL;
	int e = 0;

	if (a->error)
		e = tell(&j, BL_VERDICT_UNDECIDED, "module", "", "%s",
			 a->error);
	if (e == 0)
		e = load(&j, p);
	if (e < 0 || !p || p->load != BL_LOAD_ACCEPTED)
		return e;
	if (a->have[BL_PROBE_ATTACH])
		e = attach(&j, p);
	if (e < 0 || p->attach != BL_ATTACH_DONE)
		return e;
	if (a->have[BL_PROBE_EXERCISE])
		e = bl_exercise_check(f, limits, kernel, r);
	if (e == 0 && a->have[BL_PROBE_EXERCISE])
		e = grown(&j, &f->exercise);
	if (e == 0 && a->have[BL_PROBE_EXERCISE])
		e = unseen(&j, f->exercise.unseen);
	if (e == 0 && a->have[BL_PROBE_SWAP])
		e = left(&j, &f->swap, f->exercise.ran);
	if (e == 0 && a->have[BL_PROBE_SWAP])
		e = gap(&j, &f->swap);
	return e;
}
