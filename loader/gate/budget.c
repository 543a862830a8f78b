/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/budget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

/* What a kernel said about a program. The strings are the report's; findings
 * move when one is added, their strings do not. */
struct answer {
	const char *program, *section, *kernel;
	enum bl_status status;
	bool optional;
	struct bl_effort effort;
};

struct budget {
	const struct bl_baseline *base; /* NULL: none */
	struct bl_budget_limits limits;
	struct bl_report *report;
	struct answer *answers; /* by program, then kernel; each pair once */
	size_t count;
	/* of the report's kernels, the release of the baseline for each */
	const char *known[BL_REPORT_KERNELS_MAX];
	/* for the summary */
	size_t accepted, within, compared, in_growth, shrunk;
	const struct answer *dearest, *grown, *shrunk_most;
	uint64_t grown_from, shrunk_from;
};

#define NUMBER_LEN 32

/* 500000 as "500,000". */
static const char *grouped(uint64_t n, char ret[static NUMBER_LEN])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	int i, out = 0;

	for (i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			ret[out++] = ',';
		ret[out++] = digits[i];
	}
	ret[out] = '\0';
	return ret;
}

/* --- the answers ---------------------------------------------------------- */

static int by_program(const void *a, const void *b)
{
	const struct answer *x = a, *y = b;
	int d = strcmp(x->program, y->program);

	return d ? d : strcmp(x->kernel, y->kernel);
}

/* Of two answers about one pair the worse counts. */
static bool is_worse(const struct answer *a, const struct answer *b)
{
	if (a->status != BL_STATUS_ACCEPTED || b->status != BL_STATUS_ACCEPTED)
		return b->status == BL_STATUS_ACCEPTED;
	return !a->effort.insns ||
	       (b->effort.insns && a->effort.insns > b->effort.insns);
}

static int collect(struct budget *b)
{
	const struct bl_report *r = b->report;
	size_t i, n = 0;

	b->answers = calloc(r->count + 1, sizeof(*b->answers));
	if (!b->answers)
		return -ENOMEM;
	for (i = 0; i < r->count; i++) {
		const struct bl_finding *f = &r->findings[i];

		if (strcmp(f->check, "verifier") == 0 && *f->program)
			b->answers[n++] =
				(struct answer){ f->program,  f->section,
						 f->kernel,   f->status,
						 f->optional, f->effort };
	}
	if (n)
		qsort(b->answers, n, sizeof(*b->answers), by_program);
	for (i = 0; i < n; i++) {
		struct answer *a = &b->answers[i], *last;

		last = b->count ? &b->answers[b->count - 1] : NULL;
		if (!last || by_program(last, a) != 0)
			b->answers[b->count++] = *a;
		else if (is_worse(a, last))
			*last = *a;
	}
	for (i = 0; i < r->kernel_count; i++)
		b->known[i] = b->base ? bl_baseline_kernel(b->base,
							   r->kernels[i].name)
				      : NULL;
	return 0;
}

static const struct answer *find(const struct budget *b, const char *program,
				 const char *kernel)
{
	struct answer key = { .program = program, .kernel = kernel };

	return bsearch(&key, b->answers, b->count, sizeof(key), by_program);
}

/* The release in the baseline for @kernel; NULL: none, or it was not asked. */
static const char *known_as(const struct budget *b, const char *kernel)
{
	size_t i;

	for (i = 0; i < b->report->kernel_count; i++)
		if (strcmp(b->report->kernels[i].name, kernel) == 0)
			return b->known[i];
	return NULL;
}

static int by_program_alone(const void *a, const void *b)
{
	const struct answer *x = a, *y = b;

	return strcmp(x->program, y->program);
}

static bool in_object(const struct budget *b, const char *program)
{
	struct answer key = { .program = program };

	return bsearch(&key, b->answers, b->count, sizeof(key),
		       by_program_alone);
}

static int by_entry_program(const void *a, const void *b)
{
	const struct bl_baseline_entry *e = b;

	return strcmp(a, e->program);
}

static bool in_baseline(const struct bl_baseline *base, const char *program)
{
	return base->count && bsearch(program, base->entries, base->count,
				      sizeof(*base->entries), by_entry_program);
}

static int say(struct budget *b, enum bl_verdict verdict,
	       const struct answer *about, const char *hint, const char *fmt,
	       ...) __attribute__((format(printf, 5, 6)));

static int say(struct budget *b, enum bl_verdict verdict,
	       const struct answer *about, const char *hint, const char *fmt,
	       ...)
{
	struct bl_finding f = {
		.verdict = verdict,
		.optional = about->optional,
		.effort = about->effort,
		.check = (char *)"budget",
		.program = (char *)about->program,
		.section = (char *)about->section,
		.kernel = (char *)about->kernel,
		.hint = (char *)hint,
	};
	bl_autofree char *message = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&message, fmt, ap);
	va_end(ap);
	if (n < 0) {
		message = NULL;
		return -ENOMEM;
	}
	f.message = message;
	return bl_report_add(b->report, &f);
}

/* --- one answer ----------------------------------------------------------- */

static double percent(uint64_t now, uint64_t before)
{
	return ((double)now - (double)before) * 100 / (double)before;
}

static bool grew_too_much(const struct bl_budget_limits *l, uint64_t now,
			  uint64_t before)
{
	uint64_t more = now > before ? now - before : 0;

	if (l->max_growth > 0 && more <= BL_BUDGET_SLACK)
		return false;
	return (double)more * 100 > (double)before * l->max_growth;
}

/* Keeps what the summary will say. */
static void note_change(struct budget *b, const struct answer *a,
			uint64_t before)
{
	uint64_t now = a->effort.insns;

	if (now > before &&
	    (!b->grown || percent(now, before) > percent(b->grown->effort.insns,
							 b->grown_from))) {
		b->grown = a;
		b->grown_from = before;
	}
	if (now >= before)
		return;
	b->shrunk++;
	if (!b->shrunk_most ||
	    percent(now, before) <
		    percent(b->shrunk_most->effort.insns, b->shrunk_from)) {
		b->shrunk_most = a;
		b->shrunk_from = before;
	}
}

static int check_growth(struct budget *b, const struct answer *a,
			const struct bl_baseline_entry *e)
{
	char now[NUMBER_LEN], before[NUMBER_LEN];
	bool other = strcmp(e->kernel, a->kernel) != 0;

	b->compared++;
	note_change(b, a, e->effort.insns);
	if (!grew_too_much(&b->limits, a->effort.insns, e->effort.insns)) {
		b->in_growth++;
		return 0;
	}
	return say(
		b, BL_VERDICT_REJECT, a,
		"find out what grew; if it is meant, --update-baseline and commit the diff",
		"%s instructions processed, %s in the baseline%s%s: %+.2f %%, the limit is +%g %%",
		grouped(a->effort.insns, now), grouped(e->effort.insns, before),
		other ? " of " : "", other ? e->kernel : "",
		percent(a->effort.insns, e->effort.insns),
		b->limits.max_growth);
}

static int check_cost(struct budget *b, const struct answer *a,
		      const struct bl_baseline_entry *e)
{
	char now[NUMBER_LEN], limit[NUMBER_LEN], before[NUMBER_LEN];

	b->accepted++;
	if (!a->effort.insns)
		return say(b, BL_VERDICT_UNDECIDED, a, NULL,
			   "accepted, but the kernel did not say at what cost");
	if (a->effort.insns > b->limits.max_insns)
		return say(
			b, BL_VERDICT_REJECT, a,
			"split the program or bound its loops more tightly; if this is meant, raise --max-insns",
			"%s instructions processed, the limit is %s%s%s",
			grouped(a->effort.insns, now),
			grouped(b->limits.max_insns, limit),
			e ? "; in the baseline: " : "",
			e ? grouped(e->effort.insns, before) : "");
	b->within++;
	if (!b->dearest || a->effort.insns > b->dearest->effort.insns)
		b->dearest = a;
	return e ? check_growth(b, a, e) : 0;
}

/* Accepted, and the baseline says nothing about the pair. */
static int check_new(struct budget *b, size_t i, const char *known)
{
	static const char hint[] = "--update-baseline takes it in";
	const struct answer *a = &b->answers[i];
	size_t k = i;

	if (in_baseline(b->base, a->program)) {
		if (!known) /* said once, of the kernel */
			return 0;
		return say(b, BL_VERDICT_WARN, a, hint,
			   "new here: the baseline knows it on other kernels");
	}
	/* Once, by the first kernel that accepted it. */
	while (k && strcmp(b->answers[k - 1].program, a->program) == 0)
		if (b->answers[--k].status == BL_STATUS_ACCEPTED)
			return 0;
	return say(b, BL_VERDICT_WARN,
		   &(struct answer){ .program = a->program,
				     .section = a->section,
				     .optional = a->optional },
		   hint, "new: not in the baseline");
}

static int check_answers(struct budget *b)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < b->count; i++) {
		const struct answer *a = &b->answers[i];
		const struct bl_baseline_entry *e = NULL;
		bool host = strcmp(a->kernel, "host") == 0;
		const char *known = NULL;

		if (a->status != BL_STATUS_ACCEPTED)
			continue;
		if (b->base && !host)
			known = known_as(b, a->kernel);
		if (known)
			e = bl_baseline_find(b->base, a->program, known);
		r = check_cost(b, a, e);
		if (r == 0 && b->base && !host && !e)
			r = check_new(b, i, known);
	}
	return r;
}

/* --- what the baseline has ------------------------------------------------ */

/* The baseline's entry @e against kernel @kernel, which it is compared with. */
static int check_there(struct budget *b, const struct bl_baseline_entry *e,
		       const char *kernel)
{
	const struct answer *a = find(b, e->program, kernel);

	if (!a)
		return say(
			b, BL_VERDICT_UNDECIDED,
			&(struct answer){ .program = e->program,
					  .kernel = kernel },
			NULL,
			"in the baseline, and this kernel gave no answer about it");
	/* Of other programs "missing" is a rejection already. */
	if (a->status == BL_STATUS_MISSING && a->optional)
		return say(
			b, BL_VERDICT_REJECT, a,
			"if this is meant, --update-baseline and commit the diff",
			"lost: in the baseline this kernel had what it needs");
	return 0;
}

static int check_vanished(struct budget *b, size_t i)
{
	const struct bl_baseline_entry *e = b->base->entries;
	size_t n = i;

	if (i && strcmp(e[i - 1].program, e[i].program) == 0)
		return 0;
	while (n < b->base->count && strcmp(e[n].program, e[i].program) == 0)
		n++;
	return say(
		b, BL_VERDICT_REJECT,
		&(struct answer){ .program = e[i].program },
		"if it was removed or renamed on purpose, --update-baseline and commit the diff",
		"vanished: in the baseline for %zu kernel%s, not in the object",
		n - i, n - i == 1 ? "" : "s");
}

static int check_entries(struct budget *b)
{
	const struct bl_report *rep = b->report;
	size_t i, k;
	int r = 0;

	for (i = 0; r == 0 && i < b->base->count; i++) {
		const struct bl_baseline_entry *e = &b->base->entries[i];

		if (!in_object(b, e->program)) {
			r = check_vanished(b, i);
			continue;
		}
		for (k = 0; r == 0 && k < rep->kernel_count; k++)
			if (b->known[k] && strcmp(b->known[k], e->kernel) == 0)
				r = check_there(b, e, rep->kernels[k].name);
	}
	return r;
}

/* --- kernels -------------------------------------------------------------- */

static int check_asked(struct budget *b, size_t i)
{
	const char *kernel = b->report->kernels[i].name;
	struct answer about = { .kernel = kernel };

	if (strcmp(kernel, "host") == 0)
		return say(
			b, BL_VERDICT_PASS, &about, NULL,
			"the running kernel is in no baseline: held against the limit only");
	if (!b->known[i])
		return say(
			b, BL_VERDICT_WARN, &about,
			"--update-baseline takes it in",
			"the baseline does not know this kernel: nothing to compare with");
	if (strcmp(b->known[i], kernel) == 0)
		return 0;
	return say(b, BL_VERDICT_WARN, &about,
		   "--update-baseline once it is the release you ship to",
		   "compared with %s, the nearest that the baseline knows",
		   b->known[i]);
}

/* Kernels of the baseline that nobody asked: not compared, and said so. */
static int check_unasked(struct budget *b)
{
	const char *told[BL_REPORT_KERNELS_MAX];
	size_t count = 0, i, k;
	int r = 0;

	for (i = 0; r == 0 && i < b->base->count; i++) {
		const char *kernel = b->base->entries[i].kernel;

		for (k = 0; k < b->report->kernel_count; k++)
			if (b->known[k] && strcmp(b->known[k], kernel) == 0)
				break;
		if (k < b->report->kernel_count)
			continue;
		for (k = 0; k < count && strcmp(told[k], kernel) != 0; k++)
			;
		if (k < count || count == BL_REPORT_KERNELS_MAX)
			continue;
		told[count++] = kernel;
		r = say(b,
			b->limits.all_kernels ? BL_VERDICT_UNDECIDED
					      : BL_VERDICT_WARN,
			&(struct answer){ .kernel = kernel },
			b->limits.all_kernels
				? "fetch this kernel again (scripts/kernels), or take it out of the baseline"
				: NULL,
			"in the baseline, but this kernel was not asked: nothing compared");
	}
	return r;
}

/* --- in all --------------------------------------------------------------- */

static int summarise(struct budget *b)
{
	char top[NUMBER_LEN], limit[NUMBER_LEN], from[NUMBER_LEN];
	int r = 0;

	if (b->within)
		r = bl_report_note(
			b->report, BL_VERDICT_PASS, "budget", NULL,
			"%zu of %zu within %s instructions; most: %s for %s on %s",
			b->within, b->accepted,
			grouped(b->limits.max_insns, limit),
			grouped(b->dearest->effort.insns, top),
			b->dearest->program, b->dearest->kernel);
	if (r == 0 && b->compared)
		r = bl_report_note(b->report, BL_VERDICT_PASS, "budget", NULL,
				   "%zu of %zu within +%g %% of the baseline",
				   b->in_growth, b->compared,
				   b->limits.max_growth);
	if (r == 0 && b->grown && b->in_growth == b->compared)
		r = say(b, BL_VERDICT_PASS, b->grown, NULL,
			"grew the most: %s to %s instructions (%+.1f %%)",
			grouped(b->grown_from, from),
			grouped(b->grown->effort.insns, top),
			percent(b->grown->effort.insns, b->grown_from));
	if (r == 0 && b->shrunk)
		r = say(b, BL_VERDICT_PASS, b->shrunk_most,
			"--update-baseline keeps the gain",
			"%zu shrank, this the most: %s to %s instructions (%+.1f %%)",
			b->shrunk, grouped(b->shrunk_from, from),
			grouped(b->shrunk_most->effort.insns, top),
			percent(b->shrunk_most->effort.insns, b->shrunk_from));
	return r;
}

static int check_baseline(struct budget *b)
{
	size_t i;
	int r = check_entries(b);

	for (i = 0; r == 0 && i < b->report->kernel_count; i++)
		r = check_asked(b, i);
	return r < 0 ? r : check_unasked(b);
}

int bl_budget_check(const struct bl_baseline *base,
		    const struct bl_budget_limits *limits,
		    struct bl_report *report)
{
	struct budget b = { .base = base, .limits = *limits, .report = report };
	int r;

	if (!b.limits.max_insns)
		b.limits.max_insns = BL_BUDGET_MAX_INSNS;
	if (!(b.limits.max_growth >= 0))
		b.limits.max_growth = 0;
	r = collect(&b);
	if (r == 0)
		r = check_answers(&b);
	if (r == 0 && !b.accepted)
		r = bl_report_note(
			report, BL_VERDICT_UNDECIDED, "budget", NULL,
			"no program was accepted by a kernel: there is no cost to hold against a limit");
	else if (r == 0 && base)
		r = check_baseline(&b);
	if (r == 0)
		r = summarise(&b);
	free(b.answers);
	return r;
}
