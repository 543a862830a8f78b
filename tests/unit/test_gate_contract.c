/* SPDX-License-Identifier: Apache-2.0 */
/* A sensor's object against the content it is shipped with: compiled objects
 * that read something else than the content supplies. */
#include <stdlib.h>
#include <string.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/gate/content/contract.h"
#include "tests/main.h"

static struct bl_report report;
static struct bl_buf bin, file;
static struct bl_object object;

static void open_object(const char *name)
{
	bl_autofree char *path = bl_path("%s/%s", BL_TEST_BUILD_DIR, name);
	struct bl_err err = { 0 };

	ck_assert_msg(!bl_file_read(path, 64u << 20, &file, &err), "%s",
		      err.text);
	ck_assert_msg(!bl_object_open(name, file.data, file.len, &object, &err),
		      "%s", err.text);
}

static void compile(void)
{
	static const char json[] =
		"{\"contract\":1,\"default\":{\"exec\":\"emit\"},\"rules\":["
		"{\"event\":\"open\",\"path\":\"/a\",\"action\":\"emit\"}]}";

	ck_assert_int_eq(bl_content_compile("c", json, strlen(json), &bin, NULL,
					    NULL),
			 0);
}

static void check(const char *name, bool content)
{
	open_object(name);
	if (content)
		compile();
	ck_assert_int_eq(bl_report_init(&report, name, "bundle"), 0);
	ck_assert_int_eq(bl_contract_check(&object, content ? bin.data : NULL,
					   bin.len, &report),
			 0);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_str_eq(report.findings[0].check, "content");
}

#define OBJECT(name) "tests/lab/objects/contract" name ".bpf.o"
#define FITS \
	"contract 4: the object reads content as it is supplied, member by member"
#define NO_MAP \
	"the content has 1 rules, and the object has no map bl_content_hdr that would read them"

static const struct {
	const char *object;
	enum bl_verdict verdict;
	const char *message;
} objects[] = {
	{ "bpf/sensor.bpf.o", BL_VERDICT_PASS, FITS },
	{ "bpf/sensor-v3.bpf.o", BL_VERDICT_PASS, FITS },
	{ "tests/faults/ebpf/oob-read.bpf.o", BL_VERDICT_PASS, FITS },
	{ OBJECT(""), BL_VERDICT_PASS, FITS },
	{ OBJECT("-MEMBER_MORE"), BL_VERDICT_REJECT,
	  "map bl_content_slots: it reads 7 members, the content supplies 6" },
	{ OBJECT("-MEMBER_MISSING"), BL_VERDICT_REJECT,
	  "map bl_content_slots: it reads 5 members, the content supplies 6" },
	{ OBJECT("-MEMBER_SWAPPED"), BL_VERDICT_REJECT,
	  "map bl_content_slots: its member 2 is type (4 bytes at 64), that of the content is rule (16 bytes at 64)" },
	{ OBJECT("-MEMBER_RENAMED"), BL_VERDICT_REJECT,
	  "map bl_content_slots: its member 4 is event (4 bytes at 84), that of the content is kind (4 bytes at 84)" },
	{ OBJECT("-ARRAY_LONGER"), BL_VERDICT_REJECT,
	  "map bl_content_hdr: its member 12 is net_len (68 bytes at 82), that of the content is net_len (66 bytes at 82)" },
	{ OBJECT("-MAP_HASH"), BL_VERDICT_REJECT,
	  "map bl_content_slots: its type is hash, content needs an array" },
	{ OBJECT("-MAP_UNTYPED"), BL_VERDICT_UNDECIDED,
	  "map bl_content_slots: the object does not say which struct its values are" },
	{ OBJECT("-MAP_UNTYPED_LONGER"), BL_VERDICT_REJECT,
	  "map bl_content_slots: its values have 104 bytes, those of the content 96" },
	{ OBJECT("-MAP_MISSING"), BL_VERDICT_REJECT,
	  "map bl_content_slots: the object does not have it, and has the other one" },
	{ "tests/lab/objects/foreign.bpf.o", BL_VERDICT_REJECT, NO_MAP },
};

START_TEST(an_object_reads_what_content_supplies)
{
	check(objects[_i].object, true);
	ck_assert_str_eq(report.findings[0].message, objects[_i].message);
	ck_assert_int_eq(report.findings[0].verdict, objects[_i].verdict);
	if (objects[_i].verdict >= BL_VERDICT_UNDECIDED &&
	    strcmp(objects[_i].message, NO_MAP) != 0)
		ck_assert_str_ne(report.findings[0].hint, "");
}
END_TEST

START_TEST(an_object_of_contract_1_is_told_from_one_of_today)
{
	open_object(OBJECT("-CONTRACT_1"));
	compile();
	ck_assert_int_eq(bl_report_init(&report, "old", "bundle"), 0);
	ck_assert_int_eq(bl_contract_check(&object, bin.data, bin.len, &report),
			 0);
	ck_assert_uint_eq(report.count, 2);
	ck_assert_str_eq(
		report.findings[0].message,
		"map bl_content_hdr: its member 4 is slot_count (4 bytes at 12), that of the content is bucket_count (4 bytes at 12)");
	ck_assert_str_eq(
		report.findings[1].message,
		"map bl_content_slots: its member 1 is hash (16 bytes at 0), that of the content is hash (64 bytes at 0)");
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_REJECT);
	ck_assert_int_eq(report.findings[1].verdict, BL_VERDICT_REJECT);
}
END_TEST

/* An object by itself: its layout can be wrong all the same. */
START_TEST(without_content_the_layout_is_checked)
{
	check(OBJECT("-MEMBER_MORE"), false);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_REJECT);
}
END_TEST

START_TEST(a_foreign_object_without_content_is_fine)
{
	check("tests/lab/objects/foreign.bpf.o", false);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_PASS);
}
END_TEST

START_TEST(damaged_content_is_rejected)
{
	open_object("bpf/sensor.bpf.o");
	compile();
	bin.data[8]++;
	ck_assert_int_eq(bl_contract_check(&object, bin.data, bin.len, &report),
			 0);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_REJECT);
	ck_assert_str_eq(report.findings[0].message,
			 "content: its size is not what its header says");
}
END_TEST

static void teardown(void)
{
	bl_report_free(&report);
	bl_object_free(&object);
	bl_buf_free(&bin);
	bl_buf_free(&file);
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("contract");
	TCase *t = tcase_create("contract");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_loop_test(t, an_object_reads_what_content_supplies, 0,
			    BL_ARRAY_SIZE(objects));
	tcase_add_test(t, an_object_of_contract_1_is_told_from_one_of_today);
	tcase_add_test(t, without_content_the_layout_is_checked);
	tcase_add_test(t, a_foreign_object_without_content_is_fine);
	tcase_add_test(t, damaged_content_is_rejected);
	suite_add_tcase(s, t);
	return s;
}
