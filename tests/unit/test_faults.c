/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of faults: the one that is shipped, and mistakes in one. */
#include <errno.h>
#include <string.h>

#include "canary/compare/catalog.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"

static struct bl_err err;

static void set_up(void)
{
	err = (struct bl_err){ 0 };
}

#define FAULT                                                                  \
	"{'id': 'x-y', 'number': '27a', 'title': 'X', 'what': 'w', 'story': "  \
	"'s', 'incidents': [], 'inject': 'bundle', 'module': {'variant': "     \
	"'x-y'}, 'ebpf': {'none': 'there is no such thing'}, 'expect': {'A': " \
	"'never', 'B': {'gate': 'exercise', 'past': 'boot-loop'}}}"
#define CATALOG(faults) "{'schema': 1, 'faults': [" faults "]}"

/* Quotes are easier to read as single ones. */
static int parse(const char *text, struct bl_faults *ret)
{
	bl_autofree char *json = strdup(text);

	for (char *p = json; *p; p++)
		if (*p == '\'')
			*p = '"';
	return bl_faults_parse("c.json", json, strlen(json), ret, &err);
}

/* @from in the catalogue of one fault becomes @to, which is an error that
 * @says so. */
static void refused(const char *from, const char *to, const char *says)
{
	static const char good[] = CATALOG(FAULT);
	const char *at = strstr(good, from);
	struct bl_faults f = { 0 };
	bl_autofree char *bad = NULL;

	ck_assert_ptr_nonnull(at);
	bad = bl_path("%.*s%s%s", (int)(at - good), good, to,
		      at + strlen(from));
	ck_assert_int_eq(parse(bad, &f), -EBADMSG);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
	ck_assert_uint_eq(f.count, 0);
}

START_TEST(the_catalogue_that_is_shipped_is_whole)
{
	static struct bl_faults f;
	const struct bl_fault *fault;
	struct bl_fault_lines lines;
	char number[8];

	ck_assert_msg(bl_faults_load(BL_TEST_SOURCE_DIR
				     "/tests/faults/catalog.json",
				     &f, &err) == 0,
		      "%s", err.text);
	ck_assert_uint_ge(f.count, 30);
	for (int i = 1; i <= 30; i++) {
		snprintf(number, sizeof(number), "%d", i);
		fault = bl_faults_find(&f, number);
		if (!fault) {
			snprintf(number, sizeof(number), "%da", i);
			fault = bl_faults_find(&f, number);
		}
		ck_assert_msg(fault != NULL, "%s", number);
	}
	fault = bl_faults_find(&f, "null-dereference");
	ck_assert_ptr_nonnull(fault);
	ck_assert(bl_fault_lines(fault, "6.1.0-1", BL_COMPARE_C, &lines));
	ck_assert_int_eq(lines.gate, BL_COMPARE_VERIFIER);
	bl_faults_free(&f);
}
END_TEST

START_TEST(a_fault_is_found_by_its_number_and_by_its_id)
{
	static struct bl_faults f;

	ck_assert_msg(parse(CATALOG(FAULT), &f) == 0, "%s", err.text);
	ck_assert_ptr_eq(bl_faults_find(&f, "27a"), &f.fault[0]);
	ck_assert_ptr_eq(bl_faults_find(&f, "x-y"), &f.fault[0]);
	ck_assert_ptr_null(bl_faults_find(&f, "27"));
	bl_faults_free(&f);
}
END_TEST

START_TEST(what_there_is_of_it_depends_on_the_way)
{
	static struct bl_faults f;
	struct bl_fault_lines lines;

	ck_assert_int_eq(parse(CATALOG(FAULT), &f), 0);
	ck_assert_str_eq(bl_fault_twin(&f.fault[0], BL_COMPARE_A)->variant,
			 "x-y");
	ck_assert_str_eq(bl_fault_twin(&f.fault[0], BL_COMPARE_C)->none,
			 "there is no such thing");
	ck_assert(bl_fault_lines(&f.fault[0], "6.1.0", BL_COMPARE_B, &lines));
	ck_assert_int_eq(lines.gate, BL_COMPARE_EXERCISE);
	ck_assert_int_eq(lines.past, BL_COMPARE_BOOT_LOOP);
	ck_assert(!bl_fault_lines(&f.fault[0], "6.1.0", BL_COMPARE_C, &lines));
	bl_faults_free(&f);
}
END_TEST

START_TEST(another_word_may_hold_from_a_kernel_on)
{
	static const char text[] =
		"{'schema': 1, 'faults': [{'id': 'x', 'number': '1', 'title': 'X',"
		" 'what': 'w', 'story': 's', 'incidents': ['i'], 'inject': 'content',"
		" 'module': {'none': 'no'}, 'ebpf': {'variant': 'x', 'content': 'c.json'},"
		" 'expect': {'C': {'gate': 'verifier', 'past': 'verifier'},"
		" 'later': [{'since': '5.17', 'C': {'gate': 'exercise', 'past': 'watchdog'}},"
		" {'since': '6.12', 'C': {'gate': 'exercise', 'past': 'trial'}}]}}]}";
	static struct bl_faults f;
	struct bl_fault_lines lines;

	ck_assert_msg(parse(text, &f) == 0, "%s", err.text);
	ck_assert_str_eq(f.fault[0].ebpf.content, "c.json");
	ck_assert(bl_fault_lines(&f.fault[0], "5.10.0-37-cloud-amd64",
				 BL_COMPARE_C, &lines));
	ck_assert_int_eq(lines.past, BL_COMPARE_VERIFIER);
	ck_assert(
		bl_fault_lines(&f.fault[0], "5.17.0-1", BL_COMPARE_C, &lines));
	ck_assert_int_eq(lines.past, BL_COMPARE_WATCHDOG);
	ck_assert(bl_fault_lines(&f.fault[0], "6.1.0-37-cloud-amd64",
				 BL_COMPARE_C, &lines));
	ck_assert_int_eq(lines.past, BL_COMPARE_WATCHDOG);
	ck_assert(bl_fault_lines(&f.fault[0], "6.12.95+deb12-cloud-amd64",
				 BL_COMPARE_C, &lines));
	ck_assert_int_eq(lines.past, BL_COMPARE_TRIAL);
	bl_faults_free(&f);
}
END_TEST

START_TEST(mistakes_are_named_with_their_place)
{
	refused("'inject': 'bundle'", "'inject': 'luck'", "faults[0].inject");
	refused("'inject': 'bundle'", "'inject': 'damage'", "faults[0].inject");
	refused("'inject': 'bundle'",
		"'inject': 'bundle', 'damage': 'truncated'",
		"faults[0].inject");
	refused("'boot-loop'", "'bootloop'", "faults[0].expect.B.past");
	refused("'story'", "'storry'", "storry");
	refused("{'variant': 'x-y'}", "{}", "faults[0].module");
	refused("{'variant': 'x-y'}", "{'variant': '../x'}",
		"faults[0].module.variant");
	refused("{'none': 'there is no such thing'}", "{'variant': 'x'}",
		"faults[0].expect");
	refused("'A': 'never', ", "", "faults[0].expect");
	refused("]}", ", 7]}", "faults[1]");
	refused("]}", ", " FAULT "]}", "twice");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("faults");
	TCase *c = tcase_create("catalogue");

	tcase_add_checked_fixture(c, set_up, NULL);
	tcase_add_test(c, the_catalogue_that_is_shipped_is_whole);
	tcase_add_test(c, a_fault_is_found_by_its_number_and_by_its_id);
	tcase_add_test(c, what_there_is_of_it_depends_on_the_way);
	tcase_add_test(c, another_word_may_hold_from_a_kernel_on);
	tcase_add_test(c, mistakes_are_named_with_their_place);
	suite_add_tcase(s, c);
	return s;
}
