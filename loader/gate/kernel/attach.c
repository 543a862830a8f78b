/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/attach.h"

#include <stdio.h>

#include "loader/base/cleanup.h"

#define MESSAGE_MAX 1024

struct outcome {
	enum bl_verdict verdict, optional, host;
	const char *words, *hint;
};

static const struct outcome outcomes[] = {
	[BL_ATTACH_UNTRIED] = { BL_VERDICT_UNDECIDED, BL_VERDICT_UNDECIDED,
				BL_VERDICT_UNDECIDED, "was not attached", "" },
	[BL_ATTACH_ELSEWHERE] = { BL_VERDICT_WARN, BL_VERDICT_WARN,
				  BL_VERDICT_WARN,
				  "not attached: only its loader knows where",
				  "its loader attaches it; belay attaches what names its hook in SEC()" },
	[BL_ATTACH_MISSING] = { BL_VERDICT_REJECT, BL_VERDICT_WARN,
				BL_VERDICT_UNDECIDED,
				"loads, but what it attaches to is not on this kernel",
				"attach to what every kernel of the fleet has, or make it optional: SEC(\"?…\")" },
	[BL_ATTACH_FAILED] = { BL_VERDICT_REJECT, BL_VERDICT_REJECT,
			       BL_VERDICT_UNDECIDED,
			       "loads, but cannot be attached", "" },
};

static const struct outcome *outcome_of(enum bl_attach_status status)
{
	size_t i = (size_t)status;

	/* A value that is none came from a guest: nothing is known. */
	if (i >= BL_ARRAY_SIZE(outcomes) || !outcomes[i].words)
		i = BL_ATTACH_UNTRIED;
	return &outcomes[i];
}

static int tell(const struct bl_facts_program *p, const char *kernel, bool host,
		struct bl_report *r)
{
	const struct outcome *o = outcome_of(p->attach);
	const char *why = p->attach_why ? p->attach_why : "";
	char message[MESSAGE_MAX];
	struct bl_finding f = {
		.verdict = host		 ? o->host
			   : p->optional ? o->optional
					 : o->verdict,
		.optional = p->optional,
		.check = (char *)"attach",
		.kernel = (char *)kernel,
		.program = p->name,
		.section = p->section,
		.message = message,
		.hint = (char *)o->hint,
	};

	snprintf(message, sizeof(message), "%s%s%s", o->words, *why ? ": " : "",
		 why);
	return bl_report_add(r, &f);
}

int bl_attach_check(const struct bl_facts *f, const char *kernel, bool host,
		    struct bl_report *r)
{
	size_t accepted = 0, done = 0;
	int e;

	for (size_t i = 0; i < f->program_count; i++) {
		const struct bl_facts_program *p = &f->programs[i];

		if (p->load != BL_LOAD_ACCEPTED)
			continue;
		accepted++;
		if (p->attach == BL_ATTACH_DONE) {
			done++;
			continue;
		}
		e = tell(p, kernel, host, r);
		if (e < 0)
			return e;
	}
	if (!accepted)
		return bl_report_note(
			r, BL_VERDICT_UNDECIDED, "attach", kernel,
			"no program was accepted, so none was attached");
	if (!done)
		return 0; /* each has its own finding */
	return bl_report_note(r, BL_VERDICT_PASS, "attach", kernel,
			      "attached and detached: %zu program%s", done,
			      done == 1 ? "" : "s");
}
