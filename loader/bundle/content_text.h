/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content in JSON, rule by rule. A document of a million rules as a tree of
 * values would take ten times the memory of its text; here the text is read
 * once, from the front, and never copied.
 *
 *	bl_autocontent_text struct bl_content_text t = { 0 };
 *
 *	r = bl_content_text_open("content.json", text, len, &t, err);
 *	while (!r && (r = bl_content_text_next(&t, &rule, err)) > 0)
 *		...
 *
 * What is read is strict JSON (loader/base/json.h): jansson parses all but the
 * rules, as one document, and each rule that is not written in the plainest way
 * (its strings ASCII without escapes, its keys known and each there once). So
 * there is one opinion about what JSON is, and one about what is wrong with it.
 *
 * Invariants: a rule is returned only once whole; after an error nothing more
 * is read; text and name are borrowed until bl_content_text_close.
 */
#ifndef BL_BUNDLE_CONTENT_TEXT_H
#define BL_BUNDLE_CONTENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/buf.h"
#include "loader/base/json.h"

/* Bytes of one rule, and of all that is no rule; blanks count. */
#define BL_CONTENT_PIECE_MAX (64U << 10)

/* A rule as its author wrote it: NULL for what is not there. The strings stay
 * until the next one is read. */
struct bl_content_rule {
	const char *id, *event, *path, *prefix, *name, *address, *domain,
		*sha256, *action;
	uint32_t number;
	size_t offset; /* of its first byte in the text */
};

struct bl_content_text {
	const char *name, *text;
	size_t len;
	struct bl_json_doc doc; /* all but the rules: "rules" is empty */
	/* Only jansson reads: for tests, which compare the two ways. */
	bool plain_off;

	/* Where it is. */
	const char *at, *end;
	uint32_t count;
	/* Lines before a place up to which they were counted. */
	size_t counted;
	unsigned lines;
	/* What the strings of the last rule lie in. */
	struct bl_json_doc piece;
	char strings[9][BL_EVENT_PATH_MAX];
};

#define bl_autocontent_text __attribute__((cleanup(bl_content_text_close)))
void bl_content_text_close(struct bl_content_text *t);

/* -EBADMSG with "NAME:LINE: why" when it is no document with a list of rules;
 * -ENOMEM. */
int bl_content_text_open(const char *name, const char *text, size_t len,
			 struct bl_content_text *ret, struct bl_err *err);

/* 1 with the next rule in *ret, 0 behind the last one; -EBADMSG, -ENOMEM. What
 * the rule says has been checked for types and lengths only. */
int bl_content_text_next(struct bl_content_text *t, struct bl_content_rule *ret,
			 struct bl_err *err);

/* An error about @field of @rule ("" for all of it): -EBADMSG with
 * "NAME:LINE: rules[3].FIELD: why". */
int bl_content_text_fail(struct bl_content_text *t,
			 const struct bl_content_rule *rule, const char *field,
			 struct bl_err *err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#endif
