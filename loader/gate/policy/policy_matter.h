/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the policy check share: the check under way, and the way
 * from a matter (something in the object that a profile has a say in) to its
 * finding. Only policy*.c includes this.
 */
#ifndef BL_GATE_POLICY_MATTER_H
#define BL_GATE_POLICY_MATTER_H

#include "loader/base/buf.h"
#include "loader/gate/policy/policy.h"

/* The check of one object. */
struct bl_policy {
	const struct bl_object *o;
	const struct bl_profile *p;
	bool denies;
	struct bl_report *report;
	size_t programs, helpers, kfuncs, maps; /* for the summary */
	size_t listed; /* findings, and those beyond the limit */
	enum bl_verdict worst, worst_unlisted;
};

/* What is judged, and the place in the object where it is to be seen. */
struct bl_matter {
	enum bl_subject subject;
	const char *name; /* what the profile was asked about */
	const struct bl_object_program *program, *function; /* or NULL */
	size_t insn;
	struct bl_ruling ruling;
	bool unloaded;	  /* its loader leaves it out, or nothing reaches it */
	bool nameless;	  /* a file cannot name it */
	const char *hint; /* instead of which profile allows it; or NULL */
};

/* Fills in the ruling. */
void bl_matter_judge(const struct bl_policy *c, struct bl_matter *m);

/* Whether nobody needs to be told. */
bool bl_matter_is_silent(const struct bl_policy *c, const struct bl_matter *m);

/* Adds a finding, from the words in @b for what it is. 0, or as
 * bl_report_add. */
int bl_matter_report(struct bl_policy *c, const struct bl_matter *m,
		     struct bl_buf *b);

/* The helpers and kfuncs of all functions. 0, -ENOMEM or as bl_report_add; a
 * damaged object is a finding. */
int bl_policy_check_calls(struct bl_policy *c);

#endif
