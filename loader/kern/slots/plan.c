/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/plan.h"

#include <errno.h>
#include <string.h>

static const struct bl_kern_wish *wish_for(const struct bl_generation *gen,
					   const char *name)
{
	for (size_t i = 0; i < gen->wish_count; i++)
		if (!strcmp(gen->wishes[i].program, name))
			return &gen->wishes[i];
	return NULL;
}

static int check_wishes(const struct bpf_object *object,
			const struct bl_generation *gen, struct bl_err *err)
{
	for (size_t i = 0; i < gen->wish_count; i++)
		if (!bpf_object__find_program_by_name(object,
						      gen->wishes[i].program))
			return bl_err_set(
				err, -EINVAL,
				"programs.%s: the object has no program of this name",
				gen->wishes[i].program);
	return 0;
}

static int choose(struct bl_plan_step *s, bool refused, struct bl_err *err)
{
	struct bl_strategy_case c = { .kind = s->hook.kind,
				      .sleepable = s->hook.sleepable,
				      .harmless = s->hook.harmless,
				      .refused = refused,
				      .wish = s->wish };
	const char *name = bpf_program__name(s->program);
	int r = bl_strategy_choose(&c, &s->choice);

	if (!r)
		return 0;
	bl_err_set(err, r, "program %s (%s): %s", name,
		   bpf_program__section_name(s->program), s->choice.why);
	if (s->choice.lease == BL_LEASE_KEPT)
		bl_err_hint(
			err,
			"if that is meant, say so in the manifest: \"programs\": {\"%s\": {\"lease\": false}}",
			name);
	return r;
}

/* Two programs of one object on one hook have a dispatcher each. */
static void number_it(const struct bl_plan *plan, struct bl_hook *hook)
{
	unsigned before = 0;
	size_t len = strlen(hook->name);

	for (unsigned i = 0; i < plan->count; i++) {
		const char *name = plan->step[i].hook.name;

		before += !strncmp(name, hook->name, len) &&
			  (!name[len] || name[len] == '~');
	}
	if (before)
		bl_hook_next(hook, before + 1);
}

int bl_plan_make(const struct bpf_object *object,
		 const struct bl_generation *gen, struct bl_plan *ret,
		 struct bl_err *err)
{
	int r = check_wishes(object, gen, err);
	struct bpf_program *p;

	ret->count = 0;
	if (r)
		return r;
	bpf_object__for_each_program (p, object) {
		struct bl_plan_step *s = &ret->step[ret->count];

		if (!bpf_program__autoload(p))
			continue;
		if (ret->count == BL_KERN_PROGRAMS_MAX)
			return bl_err_set(err, -E2BIG,
					  "it has more than %d programs",
					  BL_KERN_PROGRAMS_MAX);
		*s = (struct bl_plan_step){ .program = p, .link_fd = -1 };
		s->wish = wish_for(gen, bpf_program__name(p));
		r = bl_hook_of(p, s->wish, &s->hook, err);
		if (!r)
			r = choose(s, false, err);
		if (r)
			return r;
		if (s->hook.kind)
			number_it(ret, &s->hook);
		ret->count++;
	}
	if (!ret->count)
		return bl_err_set(err, -EINVAL, "it has no program to run");
	return 0;
}

int bl_plan_refused(struct bl_plan_step *step, struct bl_err *err)
{
	return choose(step, true, err);
}
