/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/swap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define CHECK	    "swap"
#define MESSAGE_MAX 1024

/* What a version's programs are compared by: "fentry.s/file_open" is of type
 * "fentry" and at "file_open". */
struct place {
	const char *type, *hook;
	size_t type_len;
};

static struct place place_of(const char *section)
{
	/* Two words for one thing, as libbpf has them. */
	static const struct {
		const char *word, *same;
	} aliases[] = { { "raw_tracepoint", "raw_tp" },
			{ "raw_tracepoint.w", "raw_tp.w" },
			{ "tracepoint", "tp" },
			{ "classifier", "tc" } };
	const char *slash = strchr(section, '/');
	struct place p = { section, slash ? slash + 1 : "",
			   slash ? (size_t)(slash - section)
				 : strlen(section) };

	/* Sleepable or not, it is attached in the same way. */
	if (p.type_len > 2 && memcmp(section + p.type_len - 2, ".s", 2) == 0)
		p.type_len -= 2;
	for (size_t i = 0; i < BL_ARRAY_SIZE(aliases); i++)
		if (strlen(aliases[i].word) == p.type_len &&
		    memcmp(aliases[i].word, section, p.type_len) == 0) {
			p.type = aliases[i].same;
			p.type_len = strlen(p.type);
			break;
		}
	return p;
}

static int __attribute__((format(printf, 4, 5)))
tell(struct bl_report *r, enum bl_verdict verdict,
     const struct bl_object_program *p, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	struct bl_finding f = {
		.verdict = verdict,
		.optional = p->optional,
		.check = (char *)CHECK,
		.program = (char *)p->name,
		.section = (char *)p->section,
		.message = message,
	};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return bl_report_add(r, &f);
}

/* 1 when it is where it was, 0 when that changed. */
static int compare(const struct bl_object_program *p,
		   const struct bl_object_program *before, struct bl_report *r)
{
	struct place is = place_of(p->section);
	struct place was = place_of(before->section);
	int e;

	if (is.type_len != was.type_len ||
	    memcmp(is.type, was.type, is.type_len) != 0)
		e = tell(
			r, BL_VERDICT_WARN, p,
			"its attach type changed from %.*s to %.*s: it cannot be replaced, both must be attached for a while",
			(int)was.type_len, was.type, (int)is.type_len, is.type);
	else if (strcmp(is.hook, was.hook) != 0)
		e = tell(
			r, BL_VERDICT_WARN, p,
			"its hook changed from %s to %s: it cannot be replaced, both must be attached for a while",
			*was.hook ? was.hook : "what its loader gave",
			*is.hook ? is.hook : "what its loader gives");
	else
		return 1;
	return e;
}

int bl_swap_compare(const struct bl_object *now,
		    const struct bl_object *previous, struct bl_report *r)
{
	size_t same = 0, all = 0;
	int e = 0;

	for (size_t i = 0; e >= 0 && i < now->program_count; i++) {
		const struct bl_object_program *p = &now->programs[i], *before;

		if (p->called)
			continue;
		all++;
		before = bl_object_program(previous, p->name);
		e = before ? compare(p, before, r)
			   : tell(r, BL_VERDICT_PASS, p,
				  "new: the previous version does not have it");
		same += e == 1;
	}
	for (size_t i = 0; e >= 0 && i < previous->program_count; i++) {
		const struct bl_object_program *p = &previous->programs[i];

		if (!p->called && !bl_object_program(now, p->name))
			e = tell(
				r, BL_VERDICT_WARN, p,
				"the previous version has it and this one does not: what it did ends with the exchange");
	}
	if (e < 0)
		return e;
	return bl_report_note(
		r, BL_VERDICT_PASS, CHECK, NULL,
		"%zu of %zu programs are attached as in the previous version",
		same, all);
}

struct ways {
	size_t replace, overlap, none, unknown;
};

static int tell_way(const struct bl_facts_program *p, const char *kernel,
		    enum bl_verdict verdict, const char *message,
		    struct bl_report *r)
{
	struct bl_finding f = {
		.verdict = verdict,
		.optional = p->optional,
		.check = (char *)CHECK,
		.kernel = (char *)kernel,
		.program = p->name,
		.section = p->section,
		.message = (char *)message,
	};

	return bl_report_add(r, &f);
}

/* @measured: the exchange was rehearsed, so that nothing is unknown. */
static int tell_ways(const struct bl_facts *f, const char *kernel,
		     bool measured, struct ways *ret, struct bl_report *r)
{
	struct ways w = { 0 };
	int e = 0;

	for (size_t i = 0; e >= 0 && i < f->program_count; i++) {
		const struct bl_facts_program *p = &f->programs[i];

		if (p->attach != BL_ATTACH_DONE)
			continue;
		switch (p->swap) {
		case BL_SWAP_REPLACE:
			w.replace++;
			break;
		case BL_SWAP_OVERLAP:
			w.overlap++;
			break;
		case BL_SWAP_NONE:
			w.none++;
			e = tell_way(
				p, kernel, BL_VERDICT_WARN,
				"there is a gap when it is exchanged: this kernel can neither replace it nor attach both versions",
				r);
			break;
		default:
			w.unknown++;
			if (!measured)
				e = tell_way(
					p, kernel, BL_VERDICT_UNDECIDED,
					"how it can be exchanged on this kernel is not known",
					r);
		}
	}
	if (e < 0)
		return e;
	*ret = w;
	return 0;
}

static int sum_up(const struct ways *w, const char *kernel,
		  const char *not_rehearsed, struct bl_report *r)
{
	size_t all = w->replace + w->overlap + w->none + w->unknown;
	const char *sep = *not_rehearsed ? "not rehearsed: " : "";
	const char *end = *not_rehearsed ? "; " : "";

	if (!all)
		return bl_report_note(
			r, BL_VERDICT_UNDECIDED, CHECK, kernel,
			"%s%s%sno program was attached, so how one is exchanged is not known",
			sep, not_rehearsed, end);
	return bl_report_note(
		r, *not_rehearsed ? BL_VERDICT_WARN : BL_VERDICT_PASS, CHECK,
		kernel,
		"%s%s%sof %zu attached programs %zu can be replaced at one instant, %zu overlap with their next version",
		sep, not_rehearsed, end, all, w->replace, w->overlap);
}

int bl_swap_ways(const struct bl_facts *f, const char *kernel,
		 struct bl_report *r)
{
	struct ways w = { 0 };
	int e = tell_ways(f, kernel, false, &w, r);

	return e < 0 ? e : sum_up(&w, kernel, "", r);
}

static int judge_rehearsal(const struct bl_facts_swap *s, const char *kernel,
			   struct bl_report *r)
{
	if (!s->sent || !s->switches)
		return bl_report_note(r, BL_VERDICT_UNDECIDED, CHECK, kernel,
				      "the rehearsal shows nothing: %" PRIu64
				      " operations, %u exchanges",
				      s->sent, s->switches);
	if (s->lost)
		return bl_report_note(
			r, BL_VERDICT_REJECT, CHECK, kernel,
			"%" PRIu64 " of %" PRIu64
			" operations had no event while the versions were exchanged %u times",
			s->lost, s->sent, s->switches);
	return bl_report_note(r, BL_VERDICT_PASS, CHECK, kernel,
			      "exchanged %u times under %" PRIu64
			      " operations: none lost, %" PRIu64
			      " reported by both versions, at most %" PRIu64
			      " ms for an exchange",
			      s->switches, s->sent, s->doubled, s->worst_ms);
}

int bl_swap_check(const struct bl_facts *f, const char *kernel,
		  struct bl_report *r)
{
	const struct bl_facts_swap *s = &f->swap;
	const char *why = s->why_not && *s->why_not ? s->why_not
						    : "it was not tried";
	struct ways w = { 0 };
	int e = tell_ways(f, kernel, s->ran, &w, r);

	if (e < 0)
		return e;
	if (s->ran)
		return judge_rehearsal(s, kernel, r);
	if (!f->exercise.sensor)
		return sum_up(&w, kernel, why, r);
	return bl_report_note(r, BL_VERDICT_UNDECIDED, CHECK, kernel,
			      "the exchange was not rehearsed: %s", why);
}
