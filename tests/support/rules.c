/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/rules.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct rules rules;

int rules_try(const char *members)
{
	char json[4096];

	rules_done();
	rules.err = (struct bl_err){ 0 };
	snprintf(json, sizeof(json), "{\"contract\":1,\"rules\":[\n%s]}",
		 members);
	return bl_content_compile("c", json, strlen(json), &rules.bin,
				  &rules.info, &rules.err);
}

void rules_compile(const char *members)
{
	ck_assert_msg(!rules_try(members), "%s", rules.err.text);
	ck_assert_msg(!bl_content_check_binary("b", rules.bin.data,
					       rules.bin.len, &rules.info,
					       &rules.err),
		      "%s", rules.err.text);
}

void rules_refused(const char *rule, const char *why)
{
	char text[512];

	snprintf(text, sizeof(text), "{%s,\"action\":\"emit\"}", rule);
	ck_assert_int_eq(rules_try(text), -EBADMSG);
	ck_assert_str_eq(rules.err.text, why);
}

void rules_done(void)
{
	bl_buf_free(&rules.bin);
}
