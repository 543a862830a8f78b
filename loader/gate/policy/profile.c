/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/policy/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"
#include "loader/gate/policy/helper.h"
#include "loader/gate/policy/hook.h"
#include "loader/gate/policy/profile_table.h"
#include "loader/object/mapdef.h"

static const char *const bases[BL_PROFILE_BASES] = {
	[BL_PROFILE_OBSERVE] = "observe",
	[BL_PROFILE_ENFORCE] = "enforce",
	[BL_PROFILE_TRUSTED] = "trusted",
};

static const char *const subjects[BL_SUBJECTS] = {
	[BL_SUBJECT_TYPES] = "types",	      [BL_SUBJECT_ATTACH] = "attach",
	[BL_SUBJECT_HELPERS] = "helpers",     [BL_SUBJECT_KFUNCS] = "kfuncs",
	[BL_SUBJECT_SLEEPABLE] = "sleepable", [BL_SUBJECT_MAPS] = "maps",
	[BL_SUBJECT_PINNING] = "pinning",
};

const char *bl_profile_base_name(enum bl_profile_base base)
{
	return bases[base];
}

const char *bl_subject_name(enum bl_subject subject)
{
	return subjects[subject];
}

void bl_profile_free(struct bl_profile *p)
{
	size_t s, i;

	for (s = 0; s < BL_SUBJECTS; s++) {
		for (i = 0; i < p->rules[s].count; i++) {
			free(p->rules[s].list[i].pattern);
			free(p->rules[s].list[i].reason);
		}
		free(p->rules[s].list);
	}
	*p = (struct bl_profile){ 0 };
}

bool bl_profile_match(const char *pattern, const char *name)
{
	const char *star = NULL, *from = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			from = name;
		} else if (*pattern == '?' || *pattern == *name) {
			pattern++;
			name++;
		} else if (star) { /* the last '*' takes one more */
			pattern = star;
			name = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

struct bl_ruling bl_profile_judge_base(enum bl_profile_base base,
				       enum bl_subject subject,
				       const char *name)
{
	size_t i;
	const struct bl_profile_row *rows = bl_profile_rows(subject, &i);

	while (--i > 0 && !bl_profile_match(rows[i].pattern, name))
		;
	return (struct bl_ruling){
		.verdict = bl_profile_verdict(rows[i].class, base),
		.what = rows[i].what,
		.reason = "",
	};
}

struct bl_ruling bl_profile_judge(const struct bl_profile *p,
				  enum bl_subject subject, const char *name)
{
	struct bl_ruling r = bl_profile_judge_base(p->base, subject, name);
	const struct bl_profile_rules *rules = &p->rules[subject];
	size_t i = rules->count;

	while (i-- > 0) {
		if (!bl_profile_match(rules->list[i].pattern, name))
			continue;
		r.verdict = rules->list[i].verdict;
		r.reason = rules->list[i].reason;
		break;
	}
	return r;
}

/* Whether some name that begins with @prefix matches. */
static bool may_match(const char *pattern, const char *prefix)
{
	size_t literal = strcspn(pattern, "*?"), len = strlen(prefix);

	return strncmp(pattern, prefix, literal < len ? literal : len) == 0 &&
	       (literal > len || pattern[literal]);
}

/* Whether every name that begins with @prefix matches. */
static bool must_match(const char *pattern, const char *prefix)
{
	size_t len = strlen(pattern);

	return len && pattern[len - 1] == '*' &&
	       bl_profile_match(pattern, prefix);
}

enum bl_verdict bl_profile_worst(const struct bl_profile *p,
				 enum bl_subject subject, const char *prefix)
{
	const struct bl_profile_rules *rules = &p->rules[subject];
	enum bl_verdict worst = BL_VERDICT_PASS, v;
	const struct bl_profile_row *rows;
	size_t i;

	for (i = rules->count; i-- > 0;) {
		if (rules->list[i].verdict > worst &&
		    may_match(rules->list[i].pattern, prefix))
			worst = rules->list[i].verdict;
		if (must_match(rules->list[i].pattern, prefix))
			return worst;
	}
	rows = bl_profile_rows(subject, &i);
	while (i-- > 0) {
		v = bl_profile_verdict(rows[i].class, p->base);
		if (v > worst && may_match(rows[i].pattern, prefix))
			worst = v;
		if (must_match(rows[i].pattern, prefix))
			break;
	}
	return worst;
}

/*
 * What a pattern can be about, for those subjects where that is known: name
 * number @i, NULL behind the last. @room may hold it.
 */
static const char *known(enum bl_subject subject, uint32_t i,
			 char room[BL_MAP_TYPE_NAME_LEN])
{
	const struct bl_hook *hook;

	switch (subject) {
	case BL_SUBJECT_TYPES:
	case BL_SUBJECT_SLEEPABLE:
		hook = i ? bl_hook_at(i - 1) : NULL;
		return hook ? hook->kind : i ? NULL : BL_HOOK_UNKNOWN;
	case BL_SUBJECT_ATTACH:
		hook = bl_hook_at(i);
		return hook ? hook->section : NULL;
	case BL_SUBJECT_HELPERS:
		return bl_helper_name(i + 1);
	case BL_SUBJECT_MAPS:
		return bl_map_type_known(i + 1) ? bl_map_type_name(i + 1, room)
						: NULL;
	default:
		return NULL;
	}
}

#define DISTANCE_MAX 3 /* edits between a mistake and what was meant */

/* Levenshtein's; names are short. */
static size_t distance(const char *a, const char *b)
{
	size_t row[BL_PROFILE_PATTERN_MAX + 1], len = strlen(b), i, k;

	if (len > BL_PROFILE_PATTERN_MAX)
		return SIZE_MAX;
	for (k = 0; k <= len; k++)
		row[k] = k;
	for (i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (k = 1; k <= len; k++) {
			size_t best = diagonal + (a[i - 1] != b[k - 1]);

			diagonal = row[k];
			if (row[k] + 1 < best)
				best = row[k] + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			row[k] = best;
		}
	}
	return row[len];
}

/* Empty when nothing is near. */
static void find_closest(enum bl_subject subject, const char *name, char *ret,
			 size_t size)
{
	char room[BL_MAP_TYPE_NAME_LEN];
	size_t best = DISTANCE_MAX + 1, d;
	const char *at;
	uint32_t i;

	*ret = '\0';
	for (i = 0; (at = known(subject, i, room)); i++) {
		d = distance(name, at);
		if (d >= best)
			continue;
		best = d;
		snprintf(ret, size, "; did you mean '%s'?", at);
	}
}

static bool is_known(enum bl_subject subject, const char *pattern)
{
	char room[BL_MAP_TYPE_NAME_LEN];
	const char *name;
	uint32_t i;

	for (i = 0; (name = known(subject, i, room)); i++)
		if (bl_profile_match(pattern, name))
			return true;
	return false;
}

/* A pattern that can match nothing would be silent for ever. */
static int check_known(const struct bl_json_doc *doc, const char *path,
		       enum bl_subject subject, const char *pattern,
		       struct bl_err *err)
{
	static const char *const what[BL_SUBJECTS] = {
		[BL_SUBJECT_TYPES] = "kind of program",
		[BL_SUBJECT_SLEEPABLE] = "kind of program",
		[BL_SUBJECT_ATTACH] = "section",
		[BL_SUBJECT_HELPERS] = "helper",
		[BL_SUBJECT_MAPS] = "type of map",
	};
	char head[BL_PROFILE_PATTERN_MAX + 1], meant[128];

	if (!what[subject] || is_known(subject, pattern))
		return 0;
	snprintf(head, sizeof(head), "%s", pattern);
	if (subject == BL_SUBJECT_ATTACH) {
		if (strchr(pattern, '*') && !strchr(pattern, '/'))
			return 0; /* no more can be said of "*tcp*" */
		head[strcspn(head, "/")] = '\0';
		if (is_known(subject, head))
			return 0;
	}
	find_closest(subject, head, meant, sizeof(meant));
	return bl_json_fail(doc, path, err, "there is no %s '%s'%s",
			    what[subject], head, meant);
}

static int check_pattern(const struct bl_json_doc *doc, const char *path,
			 enum bl_subject subject, const char *pattern,
			 struct bl_err *err)
{
	const char *c;

	for (c = pattern; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return bl_json_fail(
				doc, path, err,
				"a pattern has no blanks and plain letters only");
		if (strchr("[]{}\\|^$\"'", *c))
			return bl_json_fail(
				doc, path, err,
				"'%c' means nothing in a pattern: there are '*' and '?'",
				*c);
		if (c[0] == '*' && c[1] == '*')
			return bl_json_fail(doc, path, err,
					    "one '*' says what '**' says");
	}
	return check_known(doc, path, subject, pattern, err);
}

struct raw_rule {
	const char *reason, *patterns[3];
};

static const struct {
	const char *key;
	enum bl_verdict verdict;
} actions[] = {
	{ "allow", BL_VERDICT_PASS },
	{ "warn", BL_VERDICT_WARN },
	{ "deny", BL_VERDICT_REJECT },
};

#define PATTERN(i)                                                          \
	{                                                                   \
		.key = actions[i].key, .type = BL_JSON_STRING,              \
		.offset = offsetof(struct raw_rule, patterns[i]), .min = 1, \
		.max = BL_PROFILE_PATTERN_MAX                               \
	}

/* Which of the three keys a rule has. */
static int read_raw_rule(const struct bl_json_doc *doc, const json_t *obj,
			 const char *path, struct raw_rule *ret,
			 size_t *ret_action, struct bl_err *err)
{
	const struct bl_json_field fields[] = {
		PATTERN(0),
		PATTERN(1),
		PATTERN(2),
		{ "reason", BL_JSON_STRING, true,
		  offsetof(struct raw_rule, reason), 1, BL_PROFILE_REASON_MAX },
	};
	size_t i, found = 0;
	int r = bl_json_read(doc, obj, path, fields, BL_ARRAY_SIZE(fields), ret,
			     err);

	if (r < 0)
		return r;
	for (i = 0; i < BL_ARRAY_SIZE(actions); i++) {
		if (!ret->patterns[i])
			continue;
		*ret_action = i;
		found++;
	}
	if (found != 1)
		return bl_json_fail(
			doc, path, err,
			"a rule has one of 'allow', 'warn' and 'deny'");
	if (!ret->reason[strspn(ret->reason, " \t\n")])
		return bl_json_fail(doc, path, err, "the reason is blank");
	return 0;
}

static int check_new(const struct bl_json_doc *doc, const char *path,
		     const struct bl_profile_rules *rules, const char *pattern,
		     struct bl_err *err)
{
	size_t i;

	for (i = 0; i < rules->count; i++)
		if (strcmp(rules->list[i].pattern, pattern) == 0)
			return bl_json_fail(doc, path, err,
					    "rule %zu is about '%s' already", i,
					    pattern);
	return 0;
}

static int read_rule(const struct bl_json_doc *doc, const json_t *obj,
		     const char *path, enum bl_subject subject,
		     struct bl_profile_rules *rules, struct bl_err *err)
{
	struct bl_profile_rule *rule = &rules->list[rules->count];
	char at[BL_JSON_PATH_MAX + 8];
	struct raw_rule raw = { 0 };
	size_t action = 0;
	int r = read_raw_rule(doc, obj, path, &raw, &action, err);

	if (r < 0)
		return r;
	snprintf(at, sizeof(at), "%s.%s", path, actions[action].key);
	r = check_pattern(doc, at, subject, raw.patterns[action], err);
	if (r == 0)
		r = check_new(doc, at, rules, raw.patterns[action], err);
	if (r < 0)
		return r;
	rule->verdict = actions[action].verdict;
	rule->pattern = strdup(raw.patterns[action]);
	rule->reason = strdup(raw.reason);
	rules->count++; /* also of a half: it is freed */
	if (!rule->pattern || !rule->reason)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int read_rules(const struct bl_json_doc *doc, const json_t *array,
		      enum bl_subject subject, struct bl_profile_rules *rules,
		      struct bl_err *err)
{
	char path[BL_JSON_PATH_MAX];
	json_t *rule;
	size_t i;
	int r;

	if (!json_array_size(array))
		return 0;
	rules->list = calloc(json_array_size(array), sizeof(*rules->list));
	if (!rules->list)
		return bl_err_set(err, -ENOMEM, "out of memory");
	json_array_foreach (array, i, rule) {
		snprintf(path, sizeof(path), "%s[%zu]",
			 bl_subject_name(subject), i);
		r = read_rule(doc, rule, path, subject, rules, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int find_base(const char *name, enum bl_profile_base *ret)
{
	size_t i;

	for (i = 0; i < BL_PROFILE_BASES; i++) {
		if (strcmp(name, bases[i]) != 0)
			continue;
		*ret = (enum bl_profile_base)i;
		return 0;
	}
	return -ENOENT;
}

struct raw_profile {
	const char *base;
	json_t *rules[BL_SUBJECTS];
};

static int read_top(const struct bl_json_doc *doc, struct raw_profile *raw,
		    struct bl_err *err)
{
	struct bl_json_field fields[BL_SUBJECTS + 1];
	size_t i;

	for (i = 0; i < BL_SUBJECTS; i++)
		fields[i] = (struct bl_json_field){
			.key = subjects[i],
			.type = BL_JSON_ARRAY,
			.offset = offsetof(struct raw_profile, rules) +
				  i * sizeof(raw->rules[0]),
			.min = 0,
			.max = BL_PROFILE_RULES_MAX,
		};
	fields[BL_SUBJECTS] = (struct bl_json_field){
		.key = "base",
		.type = BL_JSON_STRING,
		.offset = offsetof(struct raw_profile, base),
	};
	return bl_json_read(doc, doc->root, "", fields, BL_ARRAY_SIZE(fields),
			    raw, err);
}

/* The file's name without folder and ".json": what findings call it. */
static void name_profile(const char *path, char *ret, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t len;

	snprintf(ret, size, "%s", slash && slash[1] ? slash + 1 : path);
	len = strlen(ret);
	if (len > 5 && strcmp(ret + len - 5, ".json") == 0)
		ret[len - 5] = '\0';
}

static int read_profile(const struct bl_json_doc *doc, struct bl_profile *ret,
			struct bl_err *err)
{
	bl_autoprofile struct bl_profile p = { 0 };
	struct raw_profile raw = { .base = bases[BL_PROFILE_OBSERVE] };
	size_t i;
	int r = read_top(doc, &raw, err);

	if (r == 0 && find_base(raw.base, &p.base) < 0)
		r = bl_json_fail(
			doc, "base", err,
			"there is no profile '%s' (observe, enforce, trusted)",
			raw.base);
	for (i = 0; i < BL_SUBJECTS && r == 0; i++)
		r = read_rules(doc, raw.rules[i], (enum bl_subject)i,
			       &p.rules[i], err);
	if (r < 0)
		return r;
	name_profile(doc->name, p.name, sizeof(p.name));
	*ret = p;
	p = (struct bl_profile){ 0 };
	return 0;
}

int bl_profile_parse(const char *name, const char *text, size_t len,
		     struct bl_profile *ret, struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r;

	if (len > BL_PROFILE_BYTES_MAX)
		return bl_err_set(err, -EFBIG,
				  "%s is larger than the limit of %u bytes",
				  name, BL_PROFILE_BYTES_MAX);
	r = bl_json_parse(name, text, len, &doc, err);
	return r < 0 ? r : read_profile(&doc, ret, err);
}

/* A word that is no file was meant to be the name of a profile. */
static int fail_name(const char *name, struct bl_err *err)
{
	size_t i, best = BL_PROFILE_BASES;

	for (i = 0; i < BL_PROFILE_BASES; i++)
		if (distance(name, bases[i]) <= DISTANCE_MAX)
			best = i;
	bl_err_set(err, -ENOENT, "there is no profile '%s' and no such file",
		   name);
	if (best < BL_PROFILE_BASES)
		bl_err_hint(err, "did you mean %s?", bases[best]);
	else
		bl_err_hint(
			err,
			"observe, enforce and trusted are built in; a file is JSON");
	return -ENOENT;
}

int bl_profile_load(const char *name_or_path, struct bl_profile *ret,
		    struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_profile p = { 0 };
	int r;

	if (find_base(name_or_path, &p.base) == 0) {
		snprintf(p.name, sizeof(p.name), "%s", name_or_path);
		*ret = p;
		return 0;
	}
	if (access(name_or_path, F_OK) < 0 && errno == ENOENT)
		return fail_name(name_or_path, err);
	r = bl_json_load(name_or_path, BL_PROFILE_BYTES_MAX, &doc, err);
	return r < 0 ? r : read_profile(&doc, ret, err);
}
