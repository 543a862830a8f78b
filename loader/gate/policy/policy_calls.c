/* SPDX-License-Identifier: Apache-2.0 */
/* The helpers and kfuncs that an object calls. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/object/code.h"
#include "loader/gate/policy/helper.h"
#include "loader/gate/policy/policy_matter.h"

#define NOBODY UINT32_MAX

/* A call of a helper or kfunc, or one that cannot be told. */
struct use {
	const struct bl_code_ref *ref;
	uint32_t function;
};

struct calls {
	struct bl_policy *policy;
	struct bl_code code;
	uint32_t *reached_by; /* of each function: a program, or NOBODY */
	struct use *uses;     /* what is the same stands together */
	size_t use_count;
};

static void calls_free(struct calls *c)
{
	bl_code_free(&c->code);
	free(c->reached_by);
	free(c->uses);
}

/* One program for each function: rather one that is loaded in any case. */
static int find_reached(struct calls *c)
{
	struct bl_code_set set;
	size_t n = c->policy->o->program_count, i, f;
	int optional;

	c->reached_by = calloc(n, sizeof(*c->reached_by));
	if (!c->reached_by)
		return -ENOMEM;
	for (f = 0; f < n; f++)
		c->reached_by[f] = NOBODY;
	for (optional = 0; optional < 2; optional++)
		for (i = 0; i < n; i++) {
			if (c->policy->o->programs[i].called ||
			    c->policy->o->programs[i].optional != optional)
				continue;
			bl_code_reach(&c->code, i, &set);
			for (f = 0; f < n; f++)
				if (c->reached_by[f] == NOBODY &&
				    bl_code_has(&set, f))
					c->reached_by[f] = (uint32_t)i;
		}
	return 0;
}

static int by_thing(const struct use *a, const struct use *b)
{
	const char *x = a->ref->name ? a->ref->name : "";
	const char *y = b->ref->name ? b->ref->name : "";

	if (a->ref->kind != b->ref->kind)
		return a->ref->kind < b->ref->kind ? -1 : 1;
	if (a->ref->id != b->ref->id)
		return a->ref->id < b->ref->id ? -1 : 1;
	return strcmp(x, y);
}

static int by_thing_and_place(const void *va, const void *vb)
{
	const struct use *a = va, *b = vb;
	int r = by_thing(a, b);

	if (r)
		return r;
	if (a->function != b->function)
		return a->function < b->function ? -1 : 1;
	return (a->ref->insn > b->ref->insn) - (a->ref->insn < b->ref->insn);
}

static int collect_uses(struct calls *c)
{
	size_t f, i, n = 0;

	for (f = 0; f < c->code.function_count; f++)
		n += c->code.functions[f].ref_count;
	c->uses = calloc(n + 1, sizeof(*c->uses));
	if (!c->uses)
		return -ENOMEM;
	for (f = 0; f < c->code.function_count; f++)
		for (i = 0; i < c->code.functions[f].ref_count; i++) {
			const struct bl_code_ref *ref =
				&c->code.functions[f].refs[i];

			if (ref->kind == BL_CODE_HELPER ||
			    ref->kind == BL_CODE_KFUNC ||
			    ref->kind == BL_CODE_UNKNOWN)
				c->uses[c->use_count++] =
					(struct use){ ref, (uint32_t)f };
		}
	qsort(c->uses, c->use_count, sizeof(*c->uses), by_thing_and_place);
	return 0;
}

/* What is used, and what the profile says of it. */
static void judge_use(const struct calls *c, const struct bl_code_ref *ref,
		      char *name, size_t size, struct bl_matter *m)
{
	const char *known = ref->name;

	if (ref->kind == BL_CODE_UNKNOWN) {
		m->name = "what libbpf would not find";
		m->hint =
			"functions that programs call stand in .text, without a section of their own";
		m->ruling = (struct bl_ruling){ BL_VERDICT_UNDECIDED, "", "" };
		return;
	}
	if (ref->kind == BL_CODE_HELPER)
		known = bl_helper_name(ref->id);
	m->nameless = !known;
	m->subject = ref->kind == BL_CODE_HELPER ? BL_SUBJECT_HELPERS
						 : BL_SUBJECT_KFUNCS;
	snprintf(name, size, "%s %u",
		 ref->kind == BL_CODE_HELPER ? "helper" : "kfunc", ref->id);
	m->name = known ? known : name;
	bl_matter_judge(c->policy, m);
}

/* @n uses of one thing in one function. */
static int report_use(struct calls *c, const struct use *use, size_t n,
		      struct bl_matter *m)
{
	const struct bl_object_program *programs = c->policy->o->programs;
	uint32_t by = c->reached_by[use->function];
	bl_autobuf struct bl_buf b = { 0 };
	int r;

	m->function = &programs[use->function];
	m->program = by == NOBODY ? m->function : &programs[by];
	m->insn = use->ref->insn;
	m->unloaded = by == NOBODY;
	if (m->ruling.verdict == BL_VERDICT_PASS && m->unloaded)
		return 0;
	r = bl_buf_printf(
		&b, n > 1 ? "instructions %zu and %zu more" : "instruction %zu",
		m->insn, n - 1);
	if (r == 0 && by == NOBODY)
		r = bl_buf_printf(&b, " of %s(), which no program reaches,",
				  m->function->name);
	else if (r == 0 && by != use->function)
		r = bl_buf_printf(&b, " of %s(), reached from %s,",
				  m->function->name, m->program->name);
	if (r == 0)
		r = bl_buf_printf(&b, " call%s %s%s", n > 1 ? "" : "s",
				  use->ref->kind == BL_CODE_KFUNC &&
						  !m->nameless
					  ? "kfunc "
					  : "",
				  m->name);
	return r < 0 ? r : bl_matter_report(c->policy, m, &b);
}

/* All uses of one thing, @n of them: a finding for each function. */
static int check_thing(struct calls *c, const struct use *uses, size_t n)
{
	struct bl_matter m = { 0 };
	bool reached = false;
	char name[32];
	size_t i, end;
	int r = 0;

	judge_use(c, uses->ref, name, sizeof(name), &m);
	for (i = 0; i < n; i++)
		reached |= c->reached_by[uses[i].function] != NOBODY;
	c->policy->helpers += reached && uses->ref->kind == BL_CODE_HELPER;
	c->policy->kfuncs += reached && uses->ref->kind == BL_CODE_KFUNC;
	if (bl_matter_is_silent(c->policy, &m))
		return 0;
	for (i = 0; i < n && r == 0; i = end) {
		for (end = i + 1;
		     end < n && uses[end].function == uses[i].function; end++)
			;
		r = report_use(c, &uses[i], end - i, &m);
	}
	return r;
}

static int check_uses(struct calls *c)
{
	size_t i, end;
	int r = 0;

	for (i = 0; i < c->use_count && r == 0; i = end) {
		for (end = i + 1; end < c->use_count &&
				  by_thing(&c->uses[i], &c->uses[end]) == 0;
		     end++)
			;
		r = check_thing(c, &c->uses[i], end - i);
	}
	return r;
}

int bl_policy_check_calls(struct bl_policy *policy)
{
	BL_CLEANUP(calls_free) struct calls c = { .policy = policy };
	struct bl_err why = { 0 };
	int r = bl_code_read(policy->o, &c.code, &why);

	if (r == -EBADMSG || r == -EFBIG) {
		policy->worst = BL_VERDICT_REJECT;
		return bl_report_note(policy->report, BL_VERDICT_REJECT,
				      "policy", NULL, "%s", why.text);
	}
	if (r == 0)
		r = find_reached(&c);
	if (r == 0)
		r = collect_uses(&c);
	return r < 0 ? r : check_uses(&c);
}
