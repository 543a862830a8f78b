/* SPDX-License-Identifier: Apache-2.0 */
/* A profile that is accepted has reasons and patterns within their limits; its
 * last rule that matches counts; patterns match as the C library's do; and no
 * name gets worse than what is said of its beginning. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "loader/gate/policy/profile.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

#define NAME_MAX_LEN 24 /* the C library's matching is exponential */

/* A name that the pattern matches, with @with for what it leaves open. */
static void make_name(const char *pattern, const char *with, char *ret,
		      size_t size)
{
	size_t len = 0;

	for (; *pattern && len + 4 < size; pattern++)
		if (*pattern == '*')
			len += (size_t)snprintf(ret + len, size - len, "%s",
						with);
		else
			ret[len++] = *pattern == '?' ? 'q' : *pattern;
	ret[len] = '\0';
}

static void check_name(const struct bl_profile *p, enum bl_subject subject,
		       const char *name)
{
	const struct bl_profile_rules *rules = &p->rules[subject];
	struct bl_ruling r = bl_profile_judge(p, subject, name);
	char prefix[NAME_MAX_LEN + 1];
	size_t i, last = rules->count;

	for (i = 0; i < rules->count; i++) {
		const char *pattern = rules->list[i].pattern;
		bool matches = bl_profile_match(pattern, name);

		if (strlen(pattern) <= NAME_MAX_LEN)
			FUZZ_CHECK(matches ==
				   !fnmatch(pattern, name, FNM_NOESCAPE));
		if (matches)
			last = i;
	}
	FUZZ_CHECK(r.what && r.reason);
	if (last < rules->count)
		FUZZ_CHECK(r.verdict == rules->list[last].verdict &&
			   r.reason == rules->list[last].reason);
	else
		FUZZ_CHECK(
			r.verdict ==
			bl_profile_judge_base(p->base, subject, name).verdict);
	for (i = 0; i < strlen(name); i++) {
		snprintf(prefix, sizeof(prefix), "%.*s", (int)i, name);
		FUZZ_CHECK(bl_profile_worst(p, subject, prefix) >= r.verdict);
	}
}

static void check_rule(const struct bl_profile *p, enum bl_subject subject,
		       const struct bl_profile_rule *rule)
{
	static const char *const with[] = { "", "a", "_x" };
	char name[NAME_MAX_LEN + 1];
	size_t i;

	FUZZ_CHECK(rule->verdict != BL_VERDICT_UNDECIDED);
	FUZZ_CHECK(*rule->pattern &&
		   strlen(rule->pattern) <= BL_PROFILE_PATTERN_MAX);
	FUZZ_CHECK(*rule->reason &&
		   strlen(rule->reason) <= BL_PROFILE_REASON_MAX);
	for (i = 0; i < 3; i++) {
		make_name(rule->pattern, with[i], name, sizeof(name));
		check_name(p, subject, name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autoprofile struct bl_profile p = { 0 };
	struct bl_err err = { 0 };
	int r = bl_profile_parse("in", (const char *)data, size, &p, &err);
	size_t s, i;

	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0 || !*p.name);
	if (r)
		return 0;
	fuzz_accepted++;
	FUZZ_CHECK(*p.name && p.base < BL_PROFILE_BASES);
	for (s = 0; s < BL_SUBJECTS; s++) {
		FUZZ_CHECK(p.rules[s].count <= BL_PROFILE_RULES_MAX);
		check_name(&p, (enum bl_subject)s, "kprobe/tcp_connect");
		for (i = 0; i < p.rules[s].count; i++)
			check_rule(&p, (enum bl_subject)s, &p.rules[s].list[i]);
	}
	return 0;
}
