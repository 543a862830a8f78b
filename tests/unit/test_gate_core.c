/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relocations against two kernels that differ (tests/lab/objects/core*): what
 * is found, and what guards it.
 */
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/core/core.h"
#include "tests/main.h"
#include "tests/support/btf_build.h"
#include "tests/support/built.h"

static struct bl_object object;
static struct bl_report report;
static struct bl_err err;
static struct bl_buf old_btf, new_btf;

static void open_object(const char *name)
{
	bl_autobuf struct bl_buf file = { 0 };

	built_object(name, &file);
	bl_object_free(&object);
	ck_assert_msg(bl_object_open(name, file.data, file.len, &object,
				     &err) == 0,
		      "%s", err.text);
}

static void set_up(void)
{
	open_object("core");
	built_btf("core-old", &old_btf);
	built_btf("core-new", &new_btf);
}

static void tear_down(void)
{
	bl_report_free(&report);
	bl_object_free(&object);
	bl_buf_free(&old_btf);
	bl_buf_free(&new_btf);
}

static void check(const struct bl_btf_source *list, size_t count)
{
	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, "x", "object"), 0);
	ck_assert_int_eq(bl_core_check(&object, list, count, &report), 0);
	ck_assert_uint_gt(report.count, 0);
}

static struct bl_btf_source source(const char *name, const struct bl_buf *b)
{
	return (struct bl_btf_source){ .name = name,
				       .data = b->data,
				       .len = b->len };
}

static void check_one(const char *name, const struct bl_buf *b)
{
	struct bl_btf_source s = source(name, b);

	check(&s, 1);
}

static const struct bl_finding *finding_of(const char *program)
{
	const struct bl_finding *f = NULL;
	size_t i;

	for (i = 0; i < report.count; i++)
		if (strcmp(report.findings[i].program, program) == 0) {
			ck_assert_msg(!f, "%s has two findings", program);
			f = &report.findings[i];
		}
	return f;
}

#define NOTHING BL_VERDICT_PASS

/* What is found of each program on the new kernel. The old one has all. */
static const struct {
	const char *program;
	enum bl_verdict verdict;
	const char *says;
} expected[] = {
	{ "bare", BL_VERDICT_REJECT,
	  "struct bt_thing has no \"state\", and nothing guards the access" },
	{ "guarded", NOTHING, NULL },
	{ "flavored", NOTHING, NULL },
	{ "guarded_early", NOTHING, NULL },
	{ "guarded_by_flags", NOTHING, NULL },
	{ "guarded_by_function", NOTHING, NULL },
	{ "guarded_by_argument", NOTHING, NULL },
	{ "guards_call", NOTHING, NULL },
	{ "bare_call", BL_VERDICT_REJECT, "(in read_in_function)" },
	{ "guards_global", BL_VERDICT_UNDECIDED, "kernels before 6.8" },
	{ "bare_callback", BL_VERDICT_REJECT, "(in callback)" },
	{ "guards_callback", NOTHING, NULL },
	{ "by_rodata", BL_VERDICT_UNDECIDED, "not known before it is loaded" },
	{ "behind_rodata", BL_VERDICT_REJECT, "nothing guards" },
	{ "by_version", BL_VERDICT_UNDECIDED, "not known before it is loaded" },
	{ "by_symbol", BL_VERDICT_UNDECIDED, "not known before it is loaded" },
	{ "by_luck", BL_VERDICT_REJECT, "nothing guards" },
	{ "in_loop", BL_VERDICT_REJECT, "nothing guards" },
	{ "optional", BL_VERDICT_WARN, "nothing guards" },
	{ "deep", NOTHING, NULL },
	{ "beyond", BL_VERDICT_REJECT, "struct bt_thing has no \"name[12]\"" },
	{ "retyped", BL_VERDICT_REJECT,
	  "\"retyped\" of struct bt_thing has become another kind of type" },
	{ "bits", NOTHING, NULL },
	{ "direct", NOTHING, NULL },
	{ "direct_signed", BL_VERDICT_REJECT,
	  "\"widened_signed\" of struct bt_thing has 8 bytes, not 4" },
	{ "direct_far", BL_VERDICT_REJECT,
	  "\"moved_far\" of struct bt_thing lies too far" },
	{ "guarded_type", NOTHING, NULL },
	{ "guarded_by_id", NOTHING, NULL },
	{ "guarded_by_size", NOTHING, NULL },
	{ "value", NOTHING, NULL },
	{ "value_gone", BL_VERDICT_REJECT,
	  "enum bt_mode has no value \"BT_GONE\"" },
	{ "guarded_value", NOTHING, NULL },
	{ "properties", NOTHING, NULL },
};

START_TEST(what_a_program_needs_and_what_guards_it)
{
	const struct bl_finding *f;

	check_one("new", &new_btf);
	f = finding_of(expected[_i].program);
	if (expected[_i].verdict == NOTHING) {
		ck_assert_msg(!f, "%s: %s", expected[_i].program,
			      f ? f->message : "");
		ck_assert_ptr_nonnull(
			bl_object_program(&object, expected[_i].program));
		return;
	}
	ck_assert_msg(f, "%s: nothing was found", expected[_i].program);
	ck_assert_int_eq(f->verdict, expected[_i].verdict);
	ck_assert_msg(strstr(f->message, expected[_i].says), "%s: %s",
		      f->program, f->message);
	ck_assert_str_eq(f->kernel, "new");
	ck_assert_str_eq(f->check, "core");
}
END_TEST

START_TEST(findings_say_where_and_what_to_do)
{
	const struct bl_finding *f;

	check_one("new", &new_btf);
	f = finding_of("direct_signed");
	ck_assert_ptr_nonnull(f);
	ck_assert_str_eq(f->section, "tp_btf/sys_enter");
	ck_assert_ptr_nonnull(strstr(f->file, "core.bpf.c"));
	ck_assert_str_eq(f->source, "return ctx[0]->widened_signed;");
	ck_assert_uint_gt(f->line, 0);
	f = finding_of("bare");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(strstr(f->hint, "it has \"__state\""));
}
END_TEST

/* The kernel that the object was built for has all but one type, and is not
 * held responsible for what the other one lacks. */
START_TEST(each_kernel_gets_findings_of_its_own)
{
	struct bl_btf_source both[] = { source("old", &old_btf),
					source("new", &new_btf) };
	size_t i, old = 0, new = 0;

	check(both, 2);
	for (i = 0; i < report.count; i++) {
		old += strcmp(report.findings[i].kernel, "old") == 0;
		new += strcmp(report.findings[i].kernel, "new") == 0;
	}
	ck_assert_uint_eq(old, 1);
	ck_assert_uint_gt(new, 10);
	ck_assert_str_eq(report.findings[0].program, "no_type");
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_REJECT);
	ck_assert_int_eq(bl_report_verdict(&report, "new"), BL_VERDICT_REJECT);
}
END_TEST

START_TEST(what_resolves_everywhere_passes)
{
	struct bl_btf_source both[] = { source("old", &old_btf),
					source("new", &new_btf) };

	open_object("core-guarded");
	check(both, 2);
	ck_assert_uint_eq(report.count, 2);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_PASS);
	ck_assert_str_eq(report.findings[0].message,
			 "3 of 4 CO-RE relocations resolve; 1 of what this "
			 "kernel lacks is never reached there");
	ck_assert_int_eq(report.findings[1].verdict, BL_VERDICT_PASS);
	ck_assert_str_eq(report.findings[1].kernel, "new");
}
END_TEST

/* A module that is loaded may bring a type that the kernel lacks. */
START_TEST(a_type_that_a_module_may_have_is_undecided)
{
	struct bl_btf_source s = source("old", &old_btf);
	const struct bl_finding *f;

	s.modules = true;
	check(&s, 1);
	f = finding_of("no_type");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->verdict, BL_VERDICT_UNDECIDED);
	ck_assert_ptr_nonnull(strstr(f->message,
				     "there is no struct "
				     "bt_nowhere, unless a module"));
}
END_TEST

START_TEST(what_cannot_be_checked_is_undecided)
{
	struct bl_btf_source none = { .name = "k", .why_not = "no BTF in it" };
	struct bl_btf_source bad = { .name = "k", .data = "what?", .len = 5 };

	check(&none, 1);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_UNDECIDED);
	ck_assert_ptr_nonnull(strstr(report.findings[0].message,
				     "cannot be checked: no BTF in it"));
	check(&bad, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_UNDECIDED);
	ck_assert_ptr_nonnull(
		strstr(report.findings[0].message, "this is no BTF"));
	check(NULL, 0);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_UNDECIDED);
	ck_assert_ptr_nonnull(strstr(report.findings[0].message, "--btf"));
}
END_TEST

START_TEST(an_object_without_relocations_passes_and_says_so)
{
	struct bl_btf_source none = { .name = "k", .why_not = "no BTF in it" };

	open_object("oob");
	check(&none, 1);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_PASS);
	ck_assert_ptr_nonnull(
		strstr(report.findings[0].message, "no CO-RE relocations"));
}
END_TEST

/* What a kernel says of a program on itself is more than what is read here. */
START_TEST(the_answer_of_a_kernel_settles_what_was_open)
{
	struct bl_finding yes = { .status = BL_STATUS_ACCEPTED,
				  .check = (char *)"verifier",
				  .program = (char *)"by_symbol",
				  .kernel = (char *)"new" };
	struct bl_finding elsewhere = { .status = BL_STATUS_ACCEPTED,
					.check = (char *)"verifier",
					.program = (char *)"by_version",
					.kernel = (char *)"old" };
	size_t i;

	check_one("new", &new_btf);
	ck_assert_int_eq(bl_report_add(&report, &elsewhere), 0);
	ck_assert_int_eq(bl_core_settle(&report), 0);
	ck_assert_int_eq(bl_report_add(&report, &yes), 0);
	ck_assert_int_eq(bl_core_settle(&report), 0);
	ck_assert_int_eq(finding_of("by_rodata")->verdict,
			 BL_VERDICT_UNDECIDED);
	for (i = 0; i < report.count; i++) {
		const struct bl_finding *f = &report.findings[i];

		if (strcmp(f->check, "core") != 0)
			continue;
		if (strcmp(f->program, "by_symbol") == 0)
			ck_assert_int_eq(f->verdict, BL_VERDICT_WARN);
		if (strcmp(f->program, "by_version") == 0)
			ck_assert_int_eq(f->verdict, BL_VERDICT_UNDECIDED);
		if (strcmp(f->program, "bare") == 0)
			ck_assert_int_eq(f->verdict, BL_VERDICT_REJECT);
	}
}
END_TEST

START_TEST(what_takes_too_long_is_undecided)
{
	bl_autobuf struct bl_buf b = { 0 };
	struct btf_build build = { 0 };
	const struct bl_finding *last;
	unsigned i;

	for (i = 0; i < 1000; i++)
		btf_type(&build, BTF_KIND_STRUCT, "bt_thing", 0, false, 0);
	btf_finish(&build, &b);
	check_one("k", &b);
	last = &report.findings[report.count - 1];
	ck_assert_int_eq(last->verdict, BL_VERDICT_UNDECIDED);
	ck_assert_ptr_nonnull(strstr(last->message, "too many of"));
	ck_assert_ptr_null(finding_of("guarded"));
}
END_TEST

/* The section's bytes in the opened object, to be changed. */
static unsigned char *section_bytes(const char *name, size_t *ret_len)
{
	const struct bl_object_section *s = bl_object_section(&object, name);

	ck_assert_ptr_nonnull(s);
	*ret_len = s->size;
	return object.copy + (s->data - object.copy);
}

START_TEST(damaged_relocations_are_rejected)
{
	size_t len;
	unsigned char *ext = section_bytes(".BTF.ext", &len);

	memset(ext + 28, 0x7f, 4); /* their length */
	check_one("old", &old_btf);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_REJECT);
	ck_assert_ptr_nonnull(strstr(report.findings[0].message, "truncated"));
}
END_TEST

/* Bytes of the object's types, relocations and code are changed; sanitizers
 * see to it that nothing outside is read, the timeout that it ends. */
START_TEST(damage_is_survived)
{
	static const char *const sections[] = { ".BTF", ".BTF.ext", "socket",
						".text", ".relsocket" };
	size_t len, i;
	unsigned char *p = section_bytes(sections[_i], &len), old;

	srand((unsigned)_i + 1);
	for (i = 0; i < len; i += 1 + len / 1500) {
		old = p[i];
		p[i] = (unsigned char)(i % 3 ? old ^ (1 << (rand() & 7))
					     : rand());
		check_one("new", &new_btf);
		p[i] = old;
	}
}
END_TEST

START_TEST(damaged_kernels_are_survived)
{
	size_t i;

	srand(5);
	for (i = 0; i < new_btf.len; i++) {
		char old = new_btf.data[i];

		new_btf.data[i] =
			(char)(i % 3 ? old ^ (1 << (rand() & 7)) : rand());
		check_one("new", &new_btf);
		new_btf.data[i] = old;
	}
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-core");
	TCase *t = tcase_create("core");
	TCase *damage = tcase_create("damage");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, what_a_program_needs_and_what_guards_it, 0,
			    (int)BL_ARRAY_SIZE(expected));
	tcase_add_test(t, findings_say_where_and_what_to_do);
	tcase_add_test(t, each_kernel_gets_findings_of_its_own);
	tcase_add_test(t, what_resolves_everywhere_passes);
	tcase_add_test(t, a_type_that_a_module_may_have_is_undecided);
	tcase_add_test(t, what_cannot_be_checked_is_undecided);
	tcase_add_test(t, an_object_without_relocations_passes_and_says_so);
	tcase_add_test(t, the_answer_of_a_kernel_settles_what_was_open);
	tcase_add_test(t, what_takes_too_long_is_undecided);
	tcase_add_test(t, damaged_relocations_are_rejected);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(damage, set_up, tear_down);
	tcase_add_loop_test(damage, damage_is_survived, 0, 5);
	tcase_add_test(damage, damaged_kernels_are_survived);
	suite_add_tcase(s, damage);
	return s;
}
