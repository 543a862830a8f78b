/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/policy/policy_matter.h"

#include <string.h>

#include "loader/gate/object/source.h"

void bl_matter_judge(const struct bl_policy *c, struct bl_matter *m)
{
	m->ruling = bl_profile_judge(c->p, m->subject, m->name);
}

/* A file allows it, its base does not: people are told. */
static bool is_exception(const struct bl_policy *c, const struct bl_matter *m)
{
	return m->ruling.verdict == BL_VERDICT_PASS && *m->ruling.reason &&
	       bl_profile_judge_base(c->p->base, m->subject, m->name).verdict !=
		       BL_VERDICT_PASS;
}

bool bl_matter_is_silent(const struct bl_policy *c, const struct bl_matter *m)
{
	return m->ruling.verdict == BL_VERDICT_PASS && !is_exception(c, m);
}

/* Behind the words for what it is: ", which …: profile … denies it: …". */
static int end_sentence(const struct bl_policy *c, const struct bl_matter *m,
			struct bl_buf *b)
{
	static const char *const words[] = {
		[BL_VERDICT_PASS] = "allows it",
		[BL_VERDICT_WARN] = "warns of it",
		[BL_VERDICT_UNDECIDED] = "leaves it undecided",
		[BL_VERDICT_REJECT] = "denies it",
	};
	const struct bl_ruling *r = &m->ruling;
	int ret = 0;

	if (*r->what)
		ret = bl_buf_printf(b, ", which %s", r->what);
	if (ret < 0)
		return ret;
	return bl_buf_printf(b, ": profile %s %s%s%s", c->p->name,
			     words[r->verdict], *r->reason ? ": " : "",
			     r->reason);
}

/* The first built-in profile above this one's base that lets it pass. */
static const char *allowed_by(const struct bl_policy *c,
			      const struct bl_matter *m)
{
	int i;

	for (i = (int)c->p->base + 1; i < BL_PROFILE_BASES; i++) {
		enum bl_profile_base base = (enum bl_profile_base)i;

		if (bl_profile_judge_base(base, m->subject, m->name).verdict ==
		    BL_VERDICT_PASS)
			return bl_profile_base_name(base);
	}
	return NULL;
}

static int add_hint(const struct bl_policy *c, const struct bl_matter *m,
		    struct bl_buf *b)
{
	const char *base = allowed_by(c, m);

	if (m->ruling.verdict < BL_VERDICT_UNDECIDED)
		return 0;
	if (m->hint)
		return bl_buf_printf(b, "%s", m->hint);
	if (m->unloaded && m->function->called)
		return bl_buf_printf(b, "nothing loads it: it can go");
	if (*m->ruling.reason)
		return bl_buf_printf(
			b, "the rule stands under \"%s\" in profile %s",
			bl_subject_name(m->subject), c->p->name);
	if (base && strcmp(c->p->name, bl_profile_base_name(c->p->base)) != 0)
		return bl_buf_printf(
			b,
			"profile %s allows it: a rule in %s, or that as its \"base\"",
			base, c->p->name);
	if (base)
		return bl_buf_printf(
			b,
			m->unloaded
				? "where it is loaded, it needs profile %s: --profile %s"
				: "profile %s allows it: --profile %s",
			base, base);
	if (m->nameless)
		return bl_buf_printf(b, "--profile trusted only warns of it");
	return bl_buf_printf(
		b,
		"a profile file can allow it with a reason (\"%s\": \"%s\"); --profile trusted only warns of it",
		bl_subject_name(m->subject), m->name);
}

static void find_source(const struct bl_policy *c, const struct bl_matter *m,
			struct bl_finding *f)
{
	struct bl_source src;

	if (!m->function ||
	    bl_source_find(c->o, m->function->section_index,
			   m->function->offset + m->insn * BL_OBJECT_INSN,
			   &src) < 0)
		return;
	f->file = (char *)src.file;
	f->source = (char *)src.text;
	f->line = src.line;
}

/* Whether there is room to list one more; if not, it is counted. */
static bool may_list(struct bl_policy *c, enum bl_verdict v)
{
	if (v > c->worst)
		c->worst = v;
	if (c->listed++ < BL_POLICY_FINDINGS_MAX)
		return true;
	if (v > c->worst_unlisted)
		c->worst_unlisted = v;
	return false;
}

int bl_matter_report(struct bl_policy *c, const struct bl_matter *m,
		     struct bl_buf *b)
{
	bl_autobuf struct bl_buf hint = { 0 };
	struct bl_finding f = { .check = (char *)"policy",
				.verdict = m->ruling.verdict };
	int r;

	if (m->unloaded && f.verdict > BL_VERDICT_WARN)
		f.verdict = BL_VERDICT_WARN;
	if (!may_list(c, f.verdict))
		return 0;
	r = end_sentence(c, m, b);
	if (r == 0)
		r = add_hint(c, m, &hint);
	if (r < 0)
		return r;
	if (m->program) {
		f.program = (char *)m->program->name;
		f.section = (char *)m->program->section;
		f.optional = m->program->optional;
	}
	f.message = b->data;
	f.hint = hint.data;
	find_source(c, m, &f);
	return bl_report_add(c->report, &f);
}
