/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/policy/hook.h"
#include "loader/gate/policy/policy_matter.h"
#include "loader/object/harmless.h"
#include "loader/object/mapdef.h"

/* The kernel's own list: include/linux/license.h. */
static const char *const gpl_compatible[] = {
	"GPL",		"GPL v2",	"GPL and additional rights",
	"Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL",
};

static int check_license(const struct bl_object *o, struct bl_report *report)
{
	size_t i;

	if (!o->license)
		return bl_report_note(
			report, BL_VERDICT_WARN, "license", NULL,
			"no license section: kernels take it as proprietary and refuse GPL-only helpers");
	for (i = 0; i < BL_ARRAY_SIZE(gpl_compatible); i++)
		if (strcmp(o->license, gpl_compatible[i]) == 0)
			return bl_report_note(report, BL_VERDICT_PASS,
					      "license", NULL, "license %s",
					      o->license);
	return bl_report_note(
		report, BL_VERDICT_WARN, "license", NULL,
		"license \"%.80s\" is not GPL-compatible: kernels refuse GPL-only helpers to it",
		o->license);
}

/* About a program as such: @phrase says what it is, @value completes it. */
static int report_program(struct bl_policy *c, struct bl_matter *m,
			  const char *phrase, const char *value)
{
	bl_autobuf struct bl_buf b = { 0 };
	const char *optional = "";
	int r;

	if (m->program->optional && m->ruling.verdict > BL_VERDICT_WARN) {
		m->unloaded = !c->denies;
		optional =
			c->denies
				? " (optional, but the content denies: it is loaded)"
				: " (optional: loaded only by a loader that enforces)";
	}
	r = bl_buf_printf(&b, "%s%s%s", phrase, value, optional);
	return r < 0 ? r : bl_matter_report(c, m, &b);
}

static bool never_refuses(const struct bl_object *o,
			  const struct bl_object_program *p)
{
	const unsigned char *code = o->sections[p->section_index].data;

	return code && bl_object_harmless(code + p->offset, p->size);
}

static int check_type(struct bl_policy *c, const struct bl_object_program *p,
		      const struct bl_hook *hook, bool *ret_denied)
{
	struct bl_matter m = { .subject = BL_SUBJECT_TYPES,
			       .name = hook ? hook->kind : BL_HOOK_UNKNOWN,
			       .program = p,
			       .function = p };

	bl_matter_judge(c, &m);
	/* What refuses nothing only looks, whatever its kind could do. A file
	 * has the last word. */
	if (hook && !strcmp(hook->kind, "lsm") && !*m.ruling.reason &&
	    never_refuses(c->o, p))
		m.ruling.verdict = BL_VERDICT_PASS;
	*ret_denied = m.ruling.verdict > BL_VERDICT_WARN;
	if (bl_matter_is_silent(c, &m))
		return 0;
	if (hook)
		return report_program(c, &m, "a program of type ", hook->kind);
	return report_program(
		c, &m,
		"a program whose section names no type that libbpf has: ",
		p->section);
}

/* Where it attaches, if the section says so in full; otherwise the part that
 * it says is all there is to judge. */
static int check_attach(struct bl_policy *c, const struct bl_object_program *p,
			const struct bl_hook *hook)
{
	const char *target = bl_hook_target(hook, p->section);
	bl_autofree char *prefix = NULL;
	struct bl_matter m = { .subject = BL_SUBJECT_ATTACH,
			       .name = p->section,
			       .program = p,
			       .function = p };

	bl_matter_judge(c, &m);
	if (!bl_matter_is_silent(c, &m))
		return report_program(c, &m, "attaches to ", p->section);
	if (!hook->target || (target && !strpbrk(target, "*?")))
		return 0;
	prefix = target ? strndup(p->section, strcspn(p->section, "*?"))
			: bl_path("%s/", hook->section);
	if (!prefix)
		return -ENOMEM;
	m.ruling.verdict = bl_profile_worst(c->p, BL_SUBJECT_ATTACH, prefix);
	if (m.ruling.verdict > BL_VERDICT_WARN)
		m.ruling.verdict = BL_VERDICT_UNDECIDED;
	m.hint = "write the whole of it into the section";
	if (bl_matter_is_silent(c, &m))
		return 0;
	return report_program(
		c, &m, "attaches where only its loader knows, somewhere below ",
		prefix);
}

static int check_sleep(struct bl_policy *c, const struct bl_object_program *p,
		       const struct bl_hook *hook)
{
	struct bl_matter m = { .subject = BL_SUBJECT_SLEEPABLE,
			       .name = hook->kind,
			       .program = p,
			       .function = p };

	if (!hook->sleepable)
		return 0;
	bl_matter_judge(c, &m);
	if (bl_matter_is_silent(c, &m))
		return 0;
	return report_program(c, &m, "a program that may sleep: ", p->section);
}

static int check_programs(struct bl_policy *c)
{
	bool denied;
	size_t i;
	int r = 0;

	for (i = 0; i < c->o->program_count && r == 0; i++) {
		const struct bl_object_program *p = &c->o->programs[i];
		const struct bl_hook *hook = bl_hook_find(p->section);

		if (p->called)
			continue;
		c->programs++;
		r = check_type(c, p, hook, &denied);
		if (r < 0 || denied || !hook)
			continue;
		r = check_attach(c, p, hook);
		if (r == 0)
			r = check_sleep(c, p, hook);
	}
	return r;
}

/* Its type, and those of the maps in it. */
static int check_map_type(struct bl_policy *c, const struct bl_map_def *def,
			  const struct bl_map_def *map)
{
	char type[BL_MAP_TYPE_NAME_LEN];
	struct bl_matter m = {
		.subject = BL_SUBJECT_MAPS,
		.name = bl_map_type_name(map->type, type),
		.nameless = !bl_map_type_known(map->type),
	};
	bl_autobuf struct bl_buf b = { 0 };
	int r;

	bl_matter_judge(c, &m);
	if (bl_matter_is_silent(c, &m))
		return 0;
	r = bl_buf_printf(&b, "map %s %s %s", def->name,
			  map == def ? "is of type" : "holds maps of type",
			  m.name);
	return r < 0 ? r : bl_matter_report(c, &m, &b);
}

static int check_pinning(struct bl_policy *c, const struct bl_map_def *def)
{
	struct bl_matter m = { .subject = BL_SUBJECT_PINNING,
			       .name = def->name };
	bl_autobuf struct bl_buf b = { 0 };
	int r;

	if (!def->pinned)
		return 0;
	bl_matter_judge(c, &m);
	if (bl_matter_is_silent(c, &m))
		return 0;
	r = bl_buf_printf(&b, "map %s pins itself", def->name);
	return r < 0 ? r : bl_matter_report(c, &m, &b);
}

static int check_maps(struct bl_policy *c)
{
	bl_automaps struct bl_map_list maps = { 0 };
	const struct bl_map_def *inner;
	struct bl_err why = { 0 };
	int r = bl_map_list_read(c->o, &maps, &why);
	size_t i;

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		c->worst = BL_VERDICT_UNDECIDED;
		return bl_report_note(
			c->report, BL_VERDICT_UNDECIDED, "policy", NULL,
			"profile %s has a say in maps, and these cannot be read: %s",
			c->p->name, why.text);
	}
	for (i = 0; i < maps.count && r == 0; i++) {
		const struct bl_map_def *def = &maps.defs[i];

		if (def->implicit)
			continue; /* variables */
		c->maps++;
		for (inner = def; inner && r == 0; inner = inner->inner)
			r = check_map_type(c, def, inner);
		if (r == 0)
			r = check_pinning(c, def);
	}
	return r;
}

static int summarise(struct bl_policy *c)
{
	if (c->listed > BL_POLICY_FINDINGS_MAX)
		return bl_report_note(
			c->report, c->worst_unlisted, "policy", NULL,
			"%zu more findings like these are not listed",
			c->listed - BL_POLICY_FINDINGS_MAX);
	if (c->worst > BL_VERDICT_WARN)
		return 0;
	return bl_report_note(
		c->report, BL_VERDICT_PASS, "policy", NULL,
		"profile %s: %zu program%s, %zu helper%s, %zu kfunc%s and %zu map%s, none denied",
		c->p->name, c->programs, c->programs == 1 ? "" : "s",
		c->helpers, c->helpers == 1 ? "" : "s", c->kfuncs,
		c->kfuncs == 1 ? "" : "s", c->maps, c->maps == 1 ? "" : "s");
}

int bl_policy_check(const struct bl_object *o, const struct bl_profile *p,
		    bool denies, struct bl_report *report)
{
	struct bl_policy c = {
		.o = o, .p = p, .denies = denies, .report = report
	};
	int r = check_license(o, report);

	if (r == 0)
		r = check_programs(&c);
	if (r == 0)
		r = bl_policy_check_calls(&c);
	if (r == 0)
		r = check_maps(&c);
	return r < 0 ? r : summarise(&c);
}
