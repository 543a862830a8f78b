/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of a few rules, compiled: for tests of what a rule means. Each compile
 * takes the place of the one before; rules_done() at the end.
 */
#ifndef BL_TESTS_RULES_H
#define BL_TESTS_RULES_H

#include "loader/base/buf.h"
#include "loader/base/err.h"
#include "loader/bundle/content.h"

struct rules {
	struct bl_buf bin;
	struct bl_content_info info;
	struct bl_err err; /* why it was refused */
};
extern struct rules rules;

/* @members: of content's "rules", JSON. As bl_content_compile(). */
int rules_try(const char *members);
/* The same for what must be right, and must be so as bytes, too. */
void rules_compile(const char *members);
/* @rule, JSON without its action, is refused and told why. */
void rules_refused(const char *rule, const char *why);
void rules_done(void);

#endif
