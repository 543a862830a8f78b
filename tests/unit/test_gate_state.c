/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate says about a version's state is what the host will do. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/maps/abi.h"
#include "loader/gate/maps/state.h"
#include "tests/main.h"
#include "tests/support/built.h"

static struct bl_report report;
static struct bl_object before, now;
static struct bl_carry_rules words;
static struct bl_err err;

static void load(int version, struct bl_object *ret)
{
	bl_autobuf struct bl_buf file = { 0 };
	char name[16];

	snprintf(name, sizeof(name), "state-v%d", version);
	built_object(name, &file);
	ck_assert_int_eq(bl_object_open(name, file.data, file.len, ret, &err),
			 0);
}

static void tear_down(void)
{
	bl_report_free(&report);
	bl_object_free(&before);
	bl_object_free(&now);
	words = (struct bl_carry_rules){ 0 };
}

static void say(const char *map, enum bl_carry_word word)
{
	struct bl_carry_rule *rule = &words.rules[words.count++];

	snprintf(rule->map, sizeof(rule->map), "%s", map);
	rule->word = word;
}

static void check(int from, int to)
{
	load(from, &before);
	load(to, &now);
	ck_assert_int_eq(bl_report_init(&report, "x.bundle", "bundle"), 0);
	ck_assert_int_eq(bl_state_check(&now, &before, &words, false, &report),
			 0);
}

static const struct bl_finding *about(const char *text)
{
	for (size_t i = 0; i < report.count; i++)
		if (strstr(report.findings[i].message, text))
			return &report.findings[i];
	ck_abort_msg("no finding says: %s", text);
	return NULL;
}

START_TEST(what_the_host_would_refuse_is_rejected_with_its_words)
{
	const struct bl_finding *f;

	check(1, 2);
	ck_assert_int_eq(about("map counts: kept")->verdict, BL_VERDICT_PASS);
	f = about("map peers: refused: one kernel map cannot be both: ");
	ck_assert_int_eq(f->verdict, BL_VERDICT_REJECT);
	ck_assert_ptr_nonnull(strstr(f->hint, "{\"peers\": \"migrate\"}"));
	ck_assert_str_eq(f->check, "state");
}
END_TEST

START_TEST(words_of_the_manifest_count)
{
	const struct bl_finding *f;

	say("peers", BL_CARRY_MIGRATE);
	say("peers_by_processor", BL_CARRY_RESET);
	check(1, 2);
	ck_assert_int_eq(
		about("map peers: migrated: value struct peer")->verdict,
		BL_VERDICT_PASS);
	ck_assert_int_eq(about("map peers_by_processor: reset: as the manifest "
			       "says")
				 ->verdict,
			 BL_VERDICT_PASS);
	f = about("map peers: a rollback to the previous version would begin "
		  "with it empty: incompatible: ");
	ck_assert_int_eq(f->verdict, BL_VERDICT_WARN);
	/* what is dropped either way is no news on the way back */
	for (size_t i = 0; i < report.count; i++)
		ck_assert_ptr_null(strstr(report.findings[i].message,
					  "map peers_by_processor: a roll"));
}
END_TEST

/* The check of the interface does not reject what the manifest gives up. */
START_TEST(a_map_that_is_given_up_is_a_warning_for_its_readers)
{
	load(2, &before);
	load(3, &now);
	ck_assert_int_eq(bl_report_init(&report, "x.bundle", "bundle"), 0);
	ck_assert_int_eq(bl_abi_check(&now, &before, &words, &report), 0);
	ck_assert_int_eq(about("map counts: incompatible")->verdict,
			 BL_VERDICT_REJECT);
	bl_report_free(&report);
	say("counts", BL_CARRY_RESET);
	ck_assert_int_eq(bl_report_init(&report, "x.bundle", "bundle"), 0);
	ck_assert_int_eq(bl_abi_check(&now, &before, &words, &report), 0);
	ck_assert_int_eq(about("map counts: incompatible")->verdict,
			 BL_VERDICT_WARN);
}
END_TEST

START_TEST(the_same_object_needs_no_word)
{
	check(2, 2);
	ck_assert_uint_eq(report.count, 7);
	for (size_t i = 0; i < report.count; i++)
		ck_assert_msg(strstr(report.findings[i].message, ": kept"),
			      "%s", report.findings[i].message);
}
END_TEST

START_TEST(another_sensor_takes_over_nothing)
{
	load(1, &before);
	load(3, &now);
	ck_assert_int_eq(bl_report_init(&report, "x.bundle", "bundle"), 0);
	ck_assert_int_eq(bl_state_check(&now, &before, &words, true, &report),
			 0);
	ck_assert_int_eq(
		about("map counts: reset: it is another sensor's")->verdict,
		BL_VERDICT_WARN);
}
END_TEST

START_TEST(a_version_without_state_gets_a_finding)
{
	struct bl_object_section none = { .name = "" };
	struct bl_object o = { .sections = &none, .section_count = 1 };

	ck_assert_int_eq(bl_report_init(&report, "x.bundle", "bundle"), 0);
	ck_assert_int_eq(bl_state_check(&o, &o, &words, false, &report), 0);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_PASS);
}
END_TEST

START_TEST(state_that_is_gone_is_a_warning)
{
	struct bl_object_section none = { .name = "" };
	struct bl_object o = { .sections = &none, .section_count = 1 };

	load(1, &before);
	ck_assert_int_eq(bl_report_init(&report, "x.bundle", "bundle"), 0);
	ck_assert_int_eq(bl_state_check(&o, &before, &words, false, &report),
			 0);
	ck_assert_uint_eq(report.count, 7); /* its ring is not among them */
	ck_assert_int_eq(about("map counts: gone")->verdict, BL_VERDICT_WARN);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate_state");
	TCase *t = tcase_create("state");

	tcase_add_checked_fixture(t, NULL, tear_down);
	tcase_add_test(t,
		       what_the_host_would_refuse_is_rejected_with_its_words);
	tcase_add_test(t, words_of_the_manifest_count);
	tcase_add_test(t, a_map_that_is_given_up_is_a_warning_for_its_readers);
	tcase_add_test(t, the_same_object_needs_no_word);
	tcase_add_test(t, another_sensor_takes_over_nothing);
	tcase_add_test(t, a_version_without_state_gets_a_finding);
	tcase_add_test(t, state_that_is_gone_is_a_warning);
	suite_add_tcase(s, t);
	return s;
}
