/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content in both its forms, side by side: the rules as their author wrote
 * them, with their lines, and the interpreter over what they compiled to.
 *
 * Usage: bl_ruleset_open, ask, report findings by rule, bl_ruleset_close (or
 * bl_autoruleset). @name, @json and @bin are borrowed until then.
 *
 * Invariants:
 *  - what was opened belongs together: the binary is what the JSON compiles
 *    to, byte by byte;
 *  - every answer about a match comes from the interpreter that runs in the
 *    kernel (bpf/content.h).
 */
#ifndef BL_GATE_RULESET_H
#define BL_GATE_RULESET_H

#include <stddef.h>
#include <stdint.h>

#include "loader/bundle/content.h"
#include "loader/gate/finding.h"

/* A rule as written; exactly one of path, prefix, name, address, domain and
 * sha256 is not NULL. */
struct bl_ruleset_rule {
	const char *id; /* NULL: none given */
	const char *path, *prefix, *name, *address, *domain, *sha256;
	enum bl_event_kind kind;
	enum bl_action action;
	/* Of an address. */
	int family;
	unsigned bits;
	uint8_t addr[16];
	size_t offset; /* of its first byte in the JSON */
};

struct bl_ruleset {
	const char *name, *json; /* borrowed */
	size_t json_len;
	char *strings; /* what the rules point to */
	const void *bin;
	struct bl_ruleset_rule *rules;
	uint32_t count;
};

#define bl_autoruleset __attribute__((cleanup(bl_ruleset_close)))
void bl_ruleset_close(struct bl_ruleset *rs);

/* -EBADMSG with a sentence when either form is not content or they do not
 * belong together; -EFBIG, -ENOMEM. */
int bl_ruleset_open(const char *name, const char *json, size_t json_len,
		    const void *bin, size_t bin_len, struct bl_ruleset *ret,
		    struct bl_err *err);

/* What the interpreter finds for what @rule matches by itself. */
struct bl_match bl_ruleset_own(const struct bl_ruleset *rs, uint32_t rule);

/* What decides over all that @rule matches, were it not there: a shorter prefix
 * or mask, or the default. Longer rules below it are not asked. Of a name, which
 * is in every folder, the default. */
struct bl_match bl_ruleset_parent(const struct bl_ruleset *rs, uint32_t rule);

/* "rule "ssh" (rules[1])", "rules[1]", or "the default of open" for
 * BL_RULE_NONE. */
#define BL_RULESET_NAME_MAX 80
void bl_ruleset_name(const struct bl_ruleset *rs, uint32_t rule,
		     enum bl_event_kind kind, char ret[static 80]);

/* What @rule matches, as it is written. */
const char *bl_ruleset_text(const struct bl_ruleset *rs, uint32_t rule);

/*
 * Adds a finding about @rule (BL_RULE_NONE: about the default of @kind), placed
 * at its line of the JSON. @hint may be NULL. 0 or as bl_report_add. It looks
 * for the line from the top of the text: not for thousands of findings.
 */
int bl_ruleset_report(const struct bl_ruleset *rs, struct bl_report *report,
		      enum bl_verdict verdict, const char *check, uint32_t rule,
		      enum bl_event_kind kind, const char *hint,
		      const char *fmt, ...)
	__attribute__((format(printf, 8, 9)));

#endif
