/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/content/rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loader/base/cleanup.h"
#include "loader/gate/content/ruleset.h"
#include "loader/gate/content/vital.h"

#define CHECK "content"
/* Findings of one sort about single rules; what is beyond is counted. */
#define EACH_MAX 16
/* Hex digits that a person would take for a digest. */
#define DIGEST_MIN 12

#define EXEC BL_VITAL_EXEC
#define OPEN BL_VITAL_OPEN

/* One check of a content under way. */
struct judge {
	const struct bl_ruleset *rs;
	struct bl_report *report;
	unsigned said;	       /* findings of the sort that is looked for now */
	uint32_t more;	       /* of that sort, not said */
	enum bl_verdict worst; /* of those that were not said */
	bool *condemned;       /* rules that were rejected for all they deny */
};

static const char *verb(const struct bl_ruleset_rule *r)
{
	static const char *const verbs[BL_ACTIONS] = { "ignores", "reports",
						       "denies" };

	return verbs[r->action];
}

static const char *what_of(enum bl_event_kind kind)
{
	static const char *const words[BL_EVENT_KINDS] = {
		"executing", "opening", "connecting to", "asking for"
	};

	return words[kind];
}

/* --- rules over nearly everything ----------------------------------------- */

/* Prefixes under which a host has most of what it has. @deny: kinds of which a
 * host does not survive the loss; @flood: kinds that are too many to report. */
static const struct {
	const char *prefix, *what;
	unsigned deny, flood, blind;
} broad[] = {
	{ "/", "everything", EXEC | OPEN, OPEN, EXEC | OPEN },
	{ "/usr/", "nearly all programs and libraries", EXEC | OPEN, OPEN,
	  EXEC | OPEN },
	{ "/usr/bin/", "nearly all programs", EXEC | OPEN, 0, EXEC },
	{ "/usr/sbin/", "the system's services", EXEC | OPEN, 0, 0 },
	{ "/usr/lib/", "nearly all libraries", EXEC | OPEN, OPEN, 0 },
	{ "/usr/lib64/", "nearly all libraries", EXEC | OPEN, OPEN, 0 },
	{ "/usr/lib/x86_64-linux-gnu/", "nearly all libraries", EXEC | OPEN,
	  OPEN, 0 },
	{ "/usr/lib/aarch64-linux-gnu/", "nearly all libraries", EXEC | OPEN,
	  OPEN, 0 },
	{ "/usr/lib/systemd/", "the system's own services", EXEC | OPEN, 0, 0 },
	{ "/usr/share/", "what programs read as they start", OPEN, OPEN, 0 },
	{ "/bin/", "nearly all programs where it is no link", EXEC | OPEN, 0,
	  EXEC },
	{ "/sbin/", "the system's services where it is no link", EXEC | OPEN, 0,
	  0 },
	{ "/lib/", "nearly all libraries where it is no link", EXEC | OPEN,
	  OPEN, 0 },
	{ "/lib64/", "nearly all libraries where it is no link", EXEC | OPEN,
	  OPEN, 0 },
	{ "/etc/", "the whole configuration", OPEN, 0, 0 },
	{ "/dev/", "all devices, /dev/null among them", OPEN, OPEN, 0 },
	{ "/proc/", "what the kernel says of processes", OPEN, OPEN, 0 },
	{ "/sys/", "what the kernel says of devices and control groups", OPEN,
	  OPEN, 0 },
	{ "/run/", "the state of all services", OPEN, 0, 0 },
	{ "/var/", "the data of all services", OPEN, 0, 0 },
	{ "/var/lib/", "the data of all services", OPEN, 0, 0 },
	{ "/tmp/", "all temporary files", OPEN, 0, 0 },
	{ "/home/", "all that users have", OPEN, 0, 0 },
};

/* Of an address: one in eight of all, or more. */
#define NET_BITS_BROAD 3

static int say(struct judge *j, enum bl_verdict verdict, uint32_t rule,
	       const char *hint, const char *message)
{
	if (j->said == EACH_MAX) {
		j->more++;
		j->worst = verdict > j->worst ? verdict : j->worst;
		return 0;
	}
	j->said++;
	return bl_ruleset_report(j->rs, j->report, verdict, CHECK, rule,
				 j->rs->rules[rule].kind, hint, "%s", message);
}

/* What was beyond EACH_MAX of the sort that ends here. */
static int say_more(struct judge *j, const char *sort)
{
	int r = 0;

	if (j->more)
		r = bl_report_note(j->report, j->worst, CHECK, NULL,
				   "and %u more rules that %s", j->more, sort);
	j->said = 0;
	j->more = 0;
	j->worst = BL_VERDICT_PASS;
	return r;
}

static int judge_prefix(struct judge *j, uint32_t i, size_t b)
{
	const struct bl_ruleset_rule *r = &j->rs->rules[i];
	unsigned kind = 1u << r->kind;
	char name[BL_RULESET_NAME_MAX], text[512];

	bl_ruleset_name(j->rs, i, r->kind, name);
	snprintf(text, sizeof(text), "%s %s %s all below %s: %s", name, verb(r),
		 what_of(r->kind), r->prefix, broad[b].what);
	if (r->action == BL_ACTION_DENY && broad[b].deny & kind) {
		j->condemned[i] = true;
		return say(
			j, BL_VERDICT_REJECT, i,
			"deny single files or a folder that only what is unwanted lives in",
			text);
	}
	if (r->action == BL_ACTION_EMIT && broad[b].flood & kind)
		return say(
			j, BL_VERDICT_WARN, i,
			"such a flood hides what matters and may fill the ring",
			text);
	if (r->action == BL_ACTION_IGNORE && broad[b].blind & kind &&
	    bl_ruleset_parent(j->rs, i).action != BL_ACTION_IGNORE)
		return say(j, BL_VERDICT_WARN, i,
			   "whatever happens there will never be seen", text);
	return 0;
}

static int judge_address(struct judge *j, uint32_t i)
{
	const struct bl_ruleset_rule *r = &j->rs->rules[i];
	char name[BL_RULESET_NAME_MAX], text[256];

	if (r->bits > NET_BITS_BROAD)
		return 0;
	bl_ruleset_name(j->rs, i, r->kind, name);
	snprintf(text, sizeof(text), "%s %s connecting to %s, %s IPv%d address",
		 name, verb(r), r->address, r->bits ? "nearly every" : "every",
		 r->family == AF_INET6 ? 6 : 4);
	return say(
		j, BL_VERDICT_WARN, i,
		r->action == BL_ACTION_IGNORE
			? "whatever happens there will never be seen"
			: "\"default\" says the same, and its events need no rule",
		text);
}

static int judge_domain(struct judge *j, uint32_t i)
{
	const struct bl_ruleset_rule *r = &j->rs->rules[i];
	char name[BL_RULESET_NAME_MAX], text[512];

	if (strchr(r->domain, '.'))
		return 0;
	bl_ruleset_name(j->rs, i, r->kind, name);
	snprintf(text, sizeof(text), "%s %s asking for every name below .%s",
		 name, verb(r), r->domain);
	return say(
		j, BL_VERDICT_WARN, i,
		r->action == BL_ACTION_IGNORE
			? "whatever is asked for there will never be seen"
			: "such a flood hides what matters and may fill the ring",
		text);
}

static int judge_breadth(struct judge *j)
{
	uint32_t i;
	size_t b;
	int r = 0;

	for (i = 0; !r && i < j->rs->count; i++) {
		const struct bl_ruleset_rule *rule = &j->rs->rules[i];

		if (rule->address)
			r = judge_address(j, i);
		if (rule->domain)
			r = judge_domain(j, i);
		for (b = 0; !r && rule->prefix && b < BL_ARRAY_SIZE(broad); b++)
			if (!strcmp(rule->prefix, broad[b].prefix))
				r = judge_prefix(j, i, b);
	}
	return r ? r : say_more(j, "match nearly everything");
}

/* --- what a host needs ---------------------------------------------------- */

/* What one rule would take from a host. */
struct loss {
	const struct bl_vital *first;
	const char *path; /* of the first, in the form that was denied */
	unsigned kind;
	uint32_t others;
};

static void try_vital(const struct judge *j, const struct bl_vital *v,
		      const char *path, struct loss *losses)
{
	bool counted = false;
	unsigned kind;

	for (kind = BL_EVENT_EXEC; kind <= BL_EVENT_OPEN; kind++) {
		struct bl_match m;
		struct loss *l;

		if (!(v->kinds & 1u << kind))
			continue;
		m = bl_content_match_path(j->rs->bin, kind, path, strlen(path));
		if (m.action != BL_ACTION_DENY || m.rule >= j->rs->count)
			continue;
		l = &losses[m.rule];
		if (l->first) {
			l->others += !counted;
		} else {
			*l = (struct loss){ v, path, kind, 0 };
		}
		counted = true;
	}
}

static int say_loss(struct judge *j, uint32_t rule, const struct loss *l)
{
	char name[BL_RULESET_NAME_MAX], more[64] = "", text[512], hint[256];

	bl_ruleset_name(j->rs, rule, l->kind, name);
	if (l->others)
		snprintf(more, sizeof(more),
			 " and %u more path%s that a host needs", l->others,
			 l->others == 1 ? "" : "s");
	snprintf(text, sizeof(text), "%s denies %s %s%s: %s", name,
		 what_of(l->kind), l->path, more, l->first->loss);
	snprintf(
		hint, sizeof(hint),
		"narrow it, or let through what a host needs by a longer rule: \"path\": \"%s\", \"action\": \"ignore\"",
		l->path);
	return say(j, BL_VERDICT_REJECT, rule, hint, text);
}

static int judge_vitals(struct judge *j)
{
	bl_autofree struct loss *losses =
		calloc((size_t)j->rs->count + 1, sizeof(*losses));
	uint32_t i;
	size_t v;
	int r = 0;

	if (!losses)
		return -ENOMEM;
	for (v = 0; v < bl_vital_count; v++) {
		const char *path = bl_vitals[v].path;

		try_vital(j, &bl_vitals[v], path, losses);
		if (!strncmp(path, "/usr/", 5))
			try_vital(j, &bl_vitals[v], path + 4, losses);
	}
	for (i = 0; !r && i < j->rs->count; i++)
		if (losses[i].first && !j->condemned[i])
			r = say_loss(j, i, &losses[i]);
	return r ? r : say_more(j, "deny what a host needs");
}

/* --- rules that do nothing ------------------------------------------------ */

/* Where a path leads through a link on most systems, and the path of what is
 * there as the kernel says it; NULL: it depends on the process. */
static const struct {
	const char *link, *real;
} links[] = {
	{ "/bin/", "/usr/bin/" },	{ "/sbin/", "/usr/sbin/" },
	{ "/lib/", "/usr/lib/" },	{ "/lib32/", "/usr/lib32/" },
	{ "/lib64/", "/usr/lib64/" },	{ "/var/run/", "/run/" },
	{ "/var/lock/", "/run/lock/" }, { "/proc/self/", NULL },
	{ "/proc/thread-self/", NULL }, { "/dev/fd/", NULL },
};

/* Whether another rule does the same behind the link. */
static bool has_twin(const struct judge *j, const struct bl_ruleset_rule *r,
		     const char *real, const char *rest)
{
	char path[BL_EVENT_PATH_MAX * 2];
	struct bl_match m;

	/* No UTF-8: below a prefix, and no exact path. */
	snprintf(path, sizeof(path), "%s%s%s", real, rest,
		 r->prefix ? "\xff" : "");
	m = bl_content_match_path(j->rs->bin, r->kind, path, strlen(path));
	return m.rule != BL_RULE_NONE && m.action == r->action;
}

static int judge_link(struct judge *j, uint32_t i, size_t l)
{
	const struct bl_ruleset_rule *r = &j->rs->rules[i];
	const char *text = bl_ruleset_text(j->rs, i);
	const char *rest = text + strlen(links[l].link);
	char name[BL_RULESET_NAME_MAX], message[640];

	if (links[l].real && has_twin(j, r, links[l].real, rest))
		return 0;
	bl_ruleset_name(j->rs, i, r->kind, name);
	if (links[l].real)
		snprintf(
			message, sizeof(message),
			"%s never matches where %.*s is a symbolic link, as on most hosts: the kernel says %s%s",
			name, (int)strlen(links[l].link) - 1, links[l].link,
			links[l].real, rest);
	else
		snprintf(
			message, sizeof(message),
			"%s never matches: %.*s is a symbolic link that differs from process to process",
			name, (int)strlen(links[l].link) - 1, links[l].link);
	return say(
		j, BL_VERDICT_WARN, i,
		"rules are for paths as the kernel knows them: write the path behind the link",
		message);
}

static int judge_links(struct judge *j)
{
	uint32_t i;
	size_t l;
	int r = 0;

	for (i = 0; !r && i < j->rs->count; i++) {
		if (j->rs->rules[i].address)
			continue;
		for (l = 0; !r && l < BL_ARRAY_SIZE(links); l++)
			if (!strncmp(bl_ruleset_text(j->rs, i), links[l].link,
				     strlen(links[l].link)))
				r = judge_link(j, i, l);
	}
	return r ? r : say_more(j, "never match");
}

/* Rules that can be left out and nothing is different. */
static int judge_redundancy(struct judge *j)
{
	char name[BL_RULESET_NAME_MAX];
	uint32_t i, first = 0, count = 0;

	for (i = 0; i < j->rs->count; i++) {
		const struct bl_ruleset_rule *r = &j->rs->rules[i];

		if (r->id && r->action != BL_ACTION_IGNORE)
			continue;
		/* It may be there against some prefix or path. */
		if (r->name || r->sha256)
			continue;
		if (bl_ruleset_parent(j->rs, i).action != r->action)
			continue;
		if (!count++)
			first = i;
	}
	if (!count)
		return 0;
	bl_ruleset_name(j->rs, first, j->rs->rules[first].kind, name);
	return bl_ruleset_report(
		j->rs, j->report, BL_VERDICT_WARN, CHECK, first, 0,
		"leave them out, or give them an id that is worth an event's name",
		count == 1
			? "%s changes nothing: a shorter rule or the default does the same"
			: "%s and %u more rules change nothing: a shorter rule or the default does the same",
		name, count - 1);
}

/* --- digests of nothing --------------------------------------------------- */

/* MD5, SHA-1, SHA-256, SHA-512 of no bytes at all. */
static const char *const empty_digests[] = {
	"d41d8cd98f00b204e9800998ecf8427e",
	"da39a3ee5e6b4b0d3255bfef95601890afd80709",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
};

/* Whether @text has such a digest, or its beginning, as one of its words. */
static bool names_nothing(const char *text)
{
	size_t len, i;

	for (; text && *text; text += len ? len : 1) {
		len = strspn(text, "0123456789abcdefABCDEF");
		for (i = 0; len >= DIGEST_MIN && i < 4; i++)
			if (len <= strlen(empty_digests[i]) &&
			    !strncasecmp(text, empty_digests[i], len))
				return true;
	}
	return false;
}

static int judge_digests(struct judge *j)
{
	char name[BL_RULESET_NAME_MAX], message[160];
	uint32_t i;
	int r = 0;

	for (i = 0; !r && i < j->rs->count; i++) {
		if (!names_nothing(j->rs->rules[i].id) &&
		    !names_nothing(bl_ruleset_text(j->rs, i)))
			continue;
		bl_ruleset_name(j->rs, i, j->rs->rules[i].kind, name);
		snprintf(message, sizeof(message),
			 "%s names the digest of the empty file", name);
		r = say(j, BL_VERDICT_WARN, i,
			"every host has empty files: look where this indicator came from",
			message);
	}
	return r ? r : say_more(j, "name that digest");
}

/* --- the content as a whole ----------------------------------------------- */

/* The interpreter finds every rule where its author put it. */
static int judge_arity(struct judge *j)
{
	char name[BL_RULESET_NAME_MAX], message[256];
	uint32_t i;
	int r = 0;

	for (i = 0; !r && i < j->rs->count; i++) {
		struct bl_match m = bl_ruleset_own(j->rs, i);

		if (m.rule == i && m.action == j->rs->rules[i].action)
			continue;
		bl_ruleset_name(j->rs, i, j->rs->rules[i].kind, name);
		snprintf(message, sizeof(message),
			 "%s is not what the sensor finds for what it names",
			 name);
		r = say(j, BL_VERDICT_REJECT, i,
			"this is a mistake of belay's compiler: please report it with this content",
			message);
	}
	return r ? r : say_more(j, "are not found");
}

/* Bit n: something of kind n is reported or denied. */
static unsigned seen_kinds(const struct bl_ruleset *rs)
{
	const struct bl_content_hdr *hdr = bl_content_header(rs->bin);
	unsigned kinds = 0, k;
	uint32_t i;

	for (k = 0; k < BL_EVENT_KINDS; k++)
		if (hdr->default_action[k] != BL_ACTION_IGNORE)
			kinds |= 1u << k;
	for (i = 0; i < rs->count; i++)
		if (rs->rules[i].action != BL_ACTION_IGNORE)
			kinds |= 1u << rs->rules[i].kind;
	return kinds;
}

static int judge_whole(struct judge *j)
{
	const struct bl_content_hdr *hdr = bl_content_header(j->rs->bin);
	unsigned all = (1u << BL_EVENT_KINDS) - 1;
	int r = 0;

	if (!(seen_kinds(j->rs) & all))
		return bl_ruleset_report(
			j->rs, j->report, BL_VERDICT_REJECT, CHECK,
			BL_RULE_NONE, BL_EVENT_EXEC,
			"to stop a sensor, take it off the hosts: content that blinds it looks like a quiet fleet",
			"no default and no rule reports or denies anything: the sensor would see nothing");
	if (hdr->default_action[BL_EVENT_OPEN] == BL_ACTION_EMIT)
		r = bl_ruleset_report(
			j->rs, j->report, BL_VERDICT_WARN, CHECK, BL_RULE_NONE,
			BL_EVENT_OPEN,
			"such a flood hides what matters and may fill the ring",
			"the default of open reports every file that is opened");
	return r;
}

static int pass(struct judge *j)
{
	size_t i, paths = 0;

	for (i = 0; i < bl_vital_count; i++)
		paths += 1 + !strncmp(bl_vitals[i].path, "/usr/", 5);
	return bl_report_note(
		j->report, BL_VERDICT_PASS, CHECK, NULL,
		"each of its %u rules is found, none denies what a host needs (%zu paths tried)",
		j->rs->count, paths);
}

static int judge(struct judge *j)
{
	static int (*const steps[])(struct judge * j) = {
		judge_arity, judge_whole,      judge_breadth, judge_vitals,
		judge_links, judge_redundancy, judge_digests,
	};
	size_t before = j->report->count, i;
	bool rejected = false;
	int r = 0;

	for (i = 0; !r && i < BL_ARRAY_SIZE(steps); i++)
		r = steps[i](j);
	for (i = before; i < j->report->count; i++)
		rejected = rejected ||
			   j->report->findings[i].verdict == BL_VERDICT_REJECT;
	return r || rejected ? r : pass(j);
}

int bl_rules_check(const char *name, const char *json, size_t json_len,
		   const void *bin, size_t bin_len, struct bl_report *report)
{
	bl_autoruleset struct bl_ruleset rs = { 0 };
	struct judge j = { .rs = &rs, .report = report };
	bl_autofree bool *condemned = NULL;
	struct bl_err why = { 0 };
	int r;

	r = bl_ruleset_open(name, json, json_len, bin, bin_len, &rs, &why);
	if (r == -EBADMSG || r == -EFBIG)
		return bl_report_note(report, BL_VERDICT_REJECT, CHECK, NULL,
				      "%s", why.text);
	if (r)
		return r;
	condemned = calloc((size_t)rs.count + 1, sizeof(*condemned));
	if (!condemned)
		return -ENOMEM;
	j.condemned = condemned;
	return judge(&j);
}
