/* SPDX-License-Identifier: Apache-2.0 */
/* What a manifest says about single programs, and what it must not. */
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/bundle/manifest.h"
#include "tests/main.h"

#define HEAD "{\"name\": \"n\", \"version\": \"1\", \"object\": \"o\",\n"

static int parse(const char *programs, struct bl_manifest *ret,
		 struct bl_err *err)
{
	char text[4096];

	snprintf(text, sizeof(text), HEAD "\"programs\": %s}", programs);
	return bl_manifest_parse("m.json", text, strlen(text), ret, err);
}

START_TEST(each_program_has_its_place_and_its_wishes)
{
	struct bl_manifest m = { 0 };
	struct bl_err err = { 0 };
	const struct bl_manifest_program *p = m.programs.list;

	ck_assert_msg(!parse("{\"a\": {\"interface\": \"eth0.5\"},"
			     " \"b\": {\"cgroup\": \"/system.slice/x\","
			     " \"lease\": false, \"strategy\": \"replace\"},"
			     " \"c\": {\"cgroup\": \"/\", \"lease\": true},"
			     " \"d\": {\"strategy\": \"overlap\"}}",
			     &m, &err),
		      "%s", err.text);
	ck_assert_uint_eq(m.programs.count, 4);
	ck_assert_str_eq(p[0].name, "a");
	ck_assert_str_eq(p[0].interface, "eth0.5");
	ck_assert_int_eq(p[0].strategy, BL_PROGRAM_BEST);
	ck_assert(!p[0].no_lease);
	ck_assert_str_eq(p[1].cgroup, "/system.slice/x");
	ck_assert_int_eq(p[1].strategy, BL_PROGRAM_REPLACE);
	ck_assert(p[1].no_lease);
	ck_assert_str_eq(p[2].cgroup, "/");
	ck_assert(!p[2].no_lease);
	ck_assert_int_eq(p[3].strategy, BL_PROGRAM_OVERLAP);
}
END_TEST

static const struct {
	const char *programs, *says;
} mistakes[] = {
	{ "[]", "programs: an object was expected" },
	{ "{\"a\": true}", "programs.a: an object was expected" },
	{ "{\"a\": {\"lease\": 0}}", "programs.a.lease: " },
	{ "{\"a\": {\"leese\": false}}", "programs.a.leese: unknown key" },
	{ "{\"a\": {\"strategy\": \"swap\"}}",
	  "programs.a.strategy: no strategy (known: dispatch, replace, overlap)" },
	{ "{\"a\": {\"cgroup\": \"\"}}", "programs.a.cgroup: " },
	{ "{\"a\": {\"cgroup\": \"x\"}}", "programs.a.cgroup: not a path" },
	{ "{\"a\": {\"cgroup\": \"/x/\"}}", "programs.a.cgroup: not a path" },
	{ "{\"a\": {\"cgroup\": \"//x\"}}", "programs.a.cgroup: not a path" },
	{ "{\"a\": {\"cgroup\": \"/../x\"}}", "programs.a.cgroup: not a path" },
	{ "{\"a\": {\"cgroup\": \"/x/..\"}}", "programs.a.cgroup: not a path" },
	{ "{\"a\": {\"cgroup\": \"/./x\"}}", "programs.a.cgroup: not a path" },
	{ "{\"a\": {\"cgroup\": \"/x y\"}}", "programs.a.cgroup: not a path" },
	{ "{\"a\": {\"interface\": \"a/b\"}}",
	  "programs.a.interface: not a name" },
	{ "{\"a\": {\"interface\": \"..\"}}",
	  "programs.a.interface: not a name" },
	{ "{\"a\": {\"interface\": \"sixteen-letters.\"}}",
	  "programs.a.interface: " },
	{ "{\"a\": {\"interface\": \"lo\", \"cgroup\": \"/\"}}",
	  "on a cgroup or on an interface" },
	{ "{\"a b\": {}}", "'a b' is not a name of a program" },
	{ "{\"9a\": {}}", "'9a' is not a name of a program" },
	{ "{\"\": {}}", "'' is not a name of a program" },
	{ "{\"../a\": {}}", "'../a' is not a name of a program" },
};

START_TEST(a_mistake_is_named)
{
	struct bl_manifest m = { 0 };
	struct bl_err err = { 0 };

	ck_assert_int_lt(parse(mistakes[_i].programs, &m, &err), 0);
	ck_assert_msg(strstr(err.text, mistakes[_i].says), "%s: %s",
		      mistakes[_i].programs, err.text);
	ck_assert_uint_eq(m.programs.count, 0);
}
END_TEST

START_TEST(there_is_a_limit)
{
	struct bl_manifest m = { 0 };
	struct bl_err err = { 0 };
	char text[2048] = "{";
	size_t at = 1;

	for (int i = 0; i <= BL_MANIFEST_PROGRAMS_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "%s\"p%d\": {}", i ? "," : "", i);
	snprintf(text + at, sizeof(text) - at, "}");
	ck_assert_int_lt(parse(text, &m, &err), 0);
	ck_assert_msg(strstr(err.text, "more than 32"), "%s", err.text);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *suite = suite_create("programs");
	TCase *tc = tcase_create("programs");

	tcase_add_test(tc, each_program_has_its_place_and_its_wishes);
	tcase_add_loop_test(tc, a_mistake_is_named, 0, BL_ARRAY_SIZE(mistakes));
	tcase_add_test(tc, there_is_a_limit);
	suite_add_tcase(suite, tc);
	return suite;
}
