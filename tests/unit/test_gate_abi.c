/* SPDX-License-Identifier: Apache-2.0 */
/* Two versions of an object: which of its maps are what they were. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/maps/abi.h"
#include "loader/object/layout.h"
#include "tests/main.h"
#include "tests/support/btf_build.h"

static struct bl_report report;
static struct bl_object before, now;
static struct bl_err err;

static void load(const char *name, struct bl_object *ret)
{
	bl_autofree char *path =
		bl_path("%s/%s.bpf.o", BL_TEST_BUILD_DIR, name);
	bl_autobuf struct bl_buf file = { 0 };

	ck_assert_int_eq(bl_file_read(path, 1 << 20, &file, &err), 0);
	ck_assert_int_eq(bl_object_open(name, file.data, file.len, ret, &err),
			 0);
}

static void compare(const char *old_name, const char *new_name)
{
	load(old_name, &before);
	load(new_name, &now);
	ck_assert_int_eq(bl_report_init(&report, "x.bpf.o", "object"), 0);
	ck_assert_int_eq(bl_abi_check(&now, &before, NULL, &report), 0);
}

static void tear_down(void)
{
	bl_report_free(&report);
	bl_object_free(&before);
	bl_object_free(&now);
}

/* The one finding about a map. */
static const struct bl_finding *about(const char *map)
{
	bl_autofree char *begin = bl_path("map %s: ", map);
	const struct bl_finding *f = NULL;
	size_t i;

	for (i = 0; i < report.count; i++) {
		if (strncmp(report.findings[i].message, begin, strlen(begin)) !=
		    0)
			continue;
		ck_assert_ptr_null(f);
		f = &report.findings[i];
	}
	ck_assert_msg(f, "nothing about %s", map);
	ck_assert_str_eq(f->check, "abi");
	return f;
}

static const struct {
	const char *map;
	enum bl_verdict verdict;
	const char *says;
} rows[] = {
	{ "same", BL_VERDICT_PASS, ": same" },
	{ "same_by_typedefs", BL_VERDICT_PASS, ": same" },
	{ "same_entries_unpinned", BL_VERDICT_PASS, "16 entries, 64 now" },
	{ "same_enum", BL_VERDICT_PASS, ": same" },
	{ "same_pinned_now", BL_VERDICT_PASS, "it is pinned now" },
	{ "same_ring", BL_VERDICT_PASS, ": same" },
	{ "same_by_loader", BL_VERDICT_PASS, ": same" },
	{ "new_one", BL_VERDICT_PASS, ": new" },
	{ "ext_at_end", BL_VERDICT_WARN,
	  "extended: value struct at_end: member \"dropped\" is new at byte 8; value: 8 bytes, 16 now" },
	{ "ext_at_end_unpinned", BL_VERDICT_WARN, "is new at byte 8" },
	{ "ext_in_padding", BL_VERDICT_WARN,
	  "extended: value struct in_padding: member \"more\" is new at byte 12" },
	{ "ext_in_reserve", BL_VERDICT_WARN,
	  "member \"used\" is new at byte 8" },
	{ "ext_renamed", BL_VERDICT_WARN,
	  "member \"seen\" is called \"noticed\" now" },
	{ "ext_not_room", BL_VERDICT_WARN,
	  "member \"paddr\" is called \"pad_it_not\" now, and 2 more" },
	{ "ext_deep_padding", BL_VERDICT_WARN,
	  "member \"in.c\" is new at byte 12" },
	{ "ext_an_arm", BL_VERDICT_WARN, "\"b\" is new at byte 4" },
	{ "ext_entries", BL_VERDICT_WARN, "extended: 16 entries, 64 now" },
	{ "ext_flags", BL_VERDICT_WARN, "extended: flags 0x0, 0x1 now" },
	{ "form_fewer_unpinned", BL_VERDICT_WARN, "64 entries, 16 now" },
	{ "form_described", BL_VERDICT_WARN,
	  "value: compared by size alone, its type is not described before" },
	{ "gone_unpinned", BL_VERDICT_WARN, ": gone" },
	{ "bad_type", BL_VERDICT_REJECT,
	  "incompatible: it was of type hash, and is lru_hash now" },
	{ "bad_key", BL_VERDICT_REJECT,
	  "key: it was unsigned of 4 bytes and is unsigned of 8 bytes" },
	{ "bad_key_padding", BL_VERDICT_REJECT,
	  "key struct in_padding: member \"more\" is new at byte 12" },
	{ "bad_moved", BL_VERDICT_REJECT,
	  "value struct moved: member \"dropped\" moved from byte 8 to 16" },
	{ "bad_swapped", BL_VERDICT_REJECT,
	  "member \"a\" moved from byte 0 to 4, and 1 more" },
	{ "bad_narrower", BL_VERDICT_REJECT,
	  "member \"dropped\" was unsigned of 8 bytes and is unsigned of 4" },
	{ "bad_sign", BL_VERDICT_REJECT,
	  "member \"delta\" was unsigned of 4 bytes and is signed of 4" },
	{ "bad_gone_member", BL_VERDICT_REJECT,
	  "member \"dropped\" is gone from byte 8" },
	{ "bad_longer_array", BL_VERDICT_REJECT,
	  "member \"name\" was array of 16, 16 bytes and is array of 32" },
	{ "bad_inside", BL_VERDICT_REJECT,
	  "member \"points\" was array of 4, 32 bytes and is array of 4, 48" },
	{ "bad_renumbered", BL_VERDICT_REJECT,
	  "member \"kind\": KIND_EXEC was 1 and is 2 now" },
	{ "bad_bits", BL_VERDICT_REJECT,
	  "member \"b\" moved from byte 0 bit 3 to 0 bit 4" },
	{ "bad_fewer", BL_VERDICT_REJECT, "64 entries, 16 now" },
	{ "bad_flags", BL_VERDICT_REJECT, "flags 0x0 (extra 0), 0x1" },
	{ "bad_mmap", BL_VERDICT_REJECT, "user space cannot mmap it any more" },
	{ "bad_rdonly", BL_VERDICT_REJECT, "may not write it any more" },
	{ "bad_unpinned", BL_VERDICT_REJECT, "it was pinned and is not any" },
	{ "bad_gone", BL_VERDICT_REJECT, ": gone, and it was pinned" },
	{ "bad_size", BL_VERDICT_REJECT, "value: 24 bytes, 32 now" },
	{ "bad_inner", BL_VERDICT_REJECT,
	  "in its maps: value struct moved: member \"dropped\" moved" },
};

START_TEST(each_change_has_its_verdict)
{
	const struct bl_finding *f;

	compare("tests/lab/objects/abi", "tests/lab/objects/abi-new");
	f = about(rows[_i].map);
	ck_assert_msg(strstr(f->message, rows[_i].says), "%s", f->message);
	ck_assert_str_eq(bl_verdict_name(f->verdict),
			 bl_verdict_name(rows[_i].verdict));
	/* what stops an update says what to do about it */
	if (f->verdict == BL_VERDICT_REJECT)
		ck_assert_str_ne(f->hint, "");
	if (strstr(rows[_i].says, " moved from ")) {
		ck_assert_ptr_nonnull(strstr(f->log, " before: "));
		ck_assert_ptr_nonnull(strstr(f->log, " now: "));
	}
}
END_TEST

START_TEST(no_map_is_left_out_and_none_is_made_up)
{
	compare("tests/lab/objects/abi", "tests/lab/objects/abi-new");
	ck_assert_uint_eq(report.count, BL_ARRAY_SIZE(rows));
}
END_TEST

/* The way back must be as safe as the way there: what grew, shrinks. */
START_TEST(a_member_that_goes_again_is_incompatible)
{
	compare("tests/lab/objects/abi-new", "tests/lab/objects/abi");
	ck_assert_int_eq(about("ext_at_end")->verdict, BL_VERDICT_REJECT);
	ck_assert_int_eq(about("ext_entries")->verdict, BL_VERDICT_REJECT);
	ck_assert_int_eq(about("new_one")->verdict, BL_VERDICT_REJECT);
	ck_assert_int_eq(about("bad_gone")->verdict, BL_VERDICT_PASS);
}
END_TEST

START_TEST(the_layouts_are_shown)
{
	const struct bl_finding *f;

	compare("tests/lab/objects/abi", "tests/lab/objects/abi-new");
	f = about("bad_moved");
	ck_assert_str_eq(f->log, "value struct moved before: 16 bytes\n"
				 "     0    seen: unsigned of 8 bytes\n"
				 "     8    dropped: unsigned of 8 bytes\n"
				 "value struct moved now: 24 bytes\n"
				 "     0    seen: unsigned of 8 bytes\n"
				 "     8    emitted: unsigned of 8 bytes\n"
				 "    16    dropped: unsigned of 8 bytes\n");
}
END_TEST

static const char *const objects[] = {
	"tests/lab/objects/abi",     "tests/lab/objects/abi-new",
	"tests/lab/objects/maps",    "bpf/sensor",
	"tests/lab/objects/foreign",
};

START_TEST(an_object_is_the_same_as_itself)
{
	size_t i;

	compare(objects[_i], objects[_i]);
	ck_assert_uint_gt(report.count, 0);
	for (i = 0; i < report.count; i++)
		ck_assert_msg(report.findings[i].verdict == BL_VERDICT_PASS,
			      "%s", report.findings[i].message);
}
END_TEST

START_TEST(maps_that_cannot_be_read_are_undecided)
{
	struct bl_object_section sections[] = {
		{ .name = "" },
		{ .name = ".maps", .size = 64 },
	};
	struct bl_object odd = { .sections = sections, .section_count = 2 };
	size_t side;

	load("tests/lab/objects/abi", &now);
	for (side = 0; side < 2; side++) {
		bl_report_free(&report);
		ck_assert_int_eq(bl_report_init(&report, "x", "object"), 0);
		ck_assert_int_eq(bl_abi_check(side ? &odd : &now,
					      side ? &now : &odd, NULL,
					      &report),
				 0);
		ck_assert_uint_eq(report.count, 1);
		ck_assert_int_eq(report.findings[0].verdict,
				 BL_VERDICT_UNDECIDED);
		ck_assert_ptr_nonnull(strstr(report.findings[0].message,
					     side ? "of the new version"
						  : "of the previous"));
	}
}
END_TEST

START_TEST(objects_without_maps_get_a_finding)
{
	struct bl_object_section none = { .name = "" };
	struct bl_object o = { .sections = &none, .section_count = 1 };

	ck_assert_int_eq(bl_report_init(&report, "x", "object"), 0);
	ck_assert_int_eq(bl_abi_check(&o, &o, NULL, &report), 0);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_PASS);
}
END_TEST

/* --- objects and types that no compiler writes ----------------------------------------- */

static struct btf_build build;
static struct bl_buf bytes;
static struct bl_btf btf;

#define MANY_MAPS 1000u

/* A thousand maps of four thousand members each end, and not as a pass. */
START_TEST(too_much_to_compare_is_undecided)
{
	static const unsigned char zeros[8];
	uint32_t u32 = btf_int(&build, "unsigned int", 4, 0);
	uint32_t s, a, types[2], first;
	char name[16];
	unsigned i;

	s = btf_type(&build, BTF_KIND_STRUCT, "s", BL_LAYOUT_FIELDS_MAX, false,
		     BL_LAYOUT_FIELDS_MAX * 4);
	for (i = 0; i < BL_LAYOUT_FIELDS_MAX; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		btf_words(&build, 3, btf_name(&build, name), u32, 32 * i);
	}
	a = btf_type(&build, BTF_KIND_ARRAY, "", 0, false, 0);
	btf_words(&build, 3, u32, u32, 1);
	types[0] = btf_type(&build, BTF_KIND_PTR, "", 0, false, a);
	types[1] = btf_type(&build, BTF_KIND_PTR, "", 0, false, s);
	s = btf_type(&build, BTF_KIND_STRUCT, "", 2, false, 16);
	btf_words(&build, 3, btf_name(&build, "type"), types[0], 0);
	btf_words(&build, 3, btf_name(&build, "value"), types[1], 64);
	first = build.last + 1;
	for (i = 0; i < MANY_MAPS; i++) {
		snprintf(name, sizeof(name), "map%u", i);
		btf_type(&build, BTF_KIND_VAR, name, 0, false, s);
		btf_words(&build, 1, 1);
	}
	btf_type(&build, BTF_KIND_DATASEC, ".maps", MANY_MAPS, false, 8);
	for (i = 0; i < MANY_MAPS; i++)
		btf_words(&build, 3, first + i, 0, 8);
	btf_finish(&build, &bytes);

	struct bl_object_section sections[] = {
		{ .name = "" },
		{ .name = ".maps", .data = zeros, .size = 8 },
		{ .name = ".BTF",
		  .data = (unsigned char *)bytes.data,
		  .size = bytes.len },
	};
	struct bl_object o = { .sections = sections, .section_count = 3 };

	ck_assert_int_eq(bl_report_init(&report, "x", "object"), 0);
	ck_assert_int_eq(bl_abi_check(&o, &o, NULL, &report), 0);
	ck_assert_uint_eq(report.count, MANY_MAPS);
	ck_assert_int_eq(about("map0")->verdict, BL_VERDICT_PASS);
	ck_assert_int_eq(about("map999")->verdict, BL_VERDICT_UNDECIDED);
}
END_TEST

static int read_type(uint32_t id)
{
	bl_autolayout struct bl_layout l = { 0 };

	bl_btf_free(&btf);
	bl_buf_free(&bytes);
	btf_finish(&build, &bytes);
	ck_assert_msg(bl_btf_open("x", bytes.data, bytes.len, &btf, &err) == 0,
		      "%s", err.text);
	return bl_layout_read(&btf, id, &l);
}

START_TEST(a_type_inside_itself_ends)
{
	uint32_t u32 = btf_int(&build, "unsigned int", 4, 0);
	uint32_t s = btf_type(&build, BTF_KIND_STRUCT, "s", 2, false, 8);

	btf_words(&build, 3, btf_name(&build, "a"), u32, 0);
	btf_words(&build, 3, btf_name(&build, "s"), s, 32);
	ck_assert_int_eq(read_type(s), -E2BIG);
}
END_TEST

/* Each level doubles the number of members: 2^30 of them, and no field. */
START_TEST(a_type_that_doubles_ends)
{
	uint32_t s = btf_type(&build, BTF_KIND_STRUCT, "", 0, false, 0);
	unsigned i;

	for (i = 0; i < 30; i++) {
		uint32_t last = s;

		s = btf_type(&build, BTF_KIND_STRUCT, "", 2, false, 0);
		btf_words(&build, 3, btf_name(&build, "a"), last, 0);
		btf_words(&build, 3, btf_name(&build, "b"), last, 0);
	}
	ck_assert_int_eq(read_type(s), -E2BIG);
}
END_TEST

START_TEST(a_part_without_a_size_is_said)
{
	uint32_t fwd = btf_type(&build, BTF_KIND_FWD, "f", 0, false, 0);
	uint32_t s = btf_type(&build, BTF_KIND_STRUCT, "s", 1, false, 8);

	btf_words(&build, 3, btf_name(&build, "f"), fwd, 0);
	ck_assert_int_eq(read_type(s), -EINVAL);
}
END_TEST

START_TEST(names_that_are_too_long_end)
{
	bl_autofree char *name = calloc(1, BL_LAYOUT_PATH_MAX + 1);
	uint32_t u32 = btf_int(&build, "unsigned int", 4, 0);
	uint32_t s = btf_type(&build, BTF_KIND_STRUCT, "s", 1, false, 4);

	memset(name, 'a', BL_LAYOUT_PATH_MAX);
	btf_words(&build, 3, btf_name(&build, name), u32, 0);
	ck_assert_int_eq(read_type(s), -E2BIG);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate_abi");
	TCase *c = tcase_create("check");

	tcase_add_checked_fixture(c, NULL, tear_down);
	tcase_add_loop_test(c, each_change_has_its_verdict, 0,
			    BL_ARRAY_SIZE(rows));
	tcase_add_test(c, no_map_is_left_out_and_none_is_made_up);
	tcase_add_test(c, a_member_that_goes_again_is_incompatible);
	tcase_add_test(c, the_layouts_are_shown);
	tcase_add_loop_test(c, an_object_is_the_same_as_itself, 0,
			    BL_ARRAY_SIZE(objects));
	tcase_add_test(c, maps_that_cannot_be_read_are_undecided);
	tcase_add_test(c, objects_without_maps_get_a_finding);
	suite_add_tcase(s, c);

	c = tcase_create("layout");
	tcase_add_test(c, too_much_to_compare_is_undecided);
	tcase_add_test(c, a_type_inside_itself_ends);
	tcase_add_test(c, a_type_that_doubles_ends);
	tcase_add_test(c, a_part_without_a_size_is_said);
	tcase_add_test(c, names_that_are_too_long_end);
	suite_add_tcase(s, c);
	return s;
}
