/* SPDX-License-Identifier: Apache-2.0 */
/* What maps take of a kernel's memory, on few CPUs and on many. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/maps/maps.h"
#include "tests/main.h"
#include "tests/support/btf_build.h"

#define MIB (UINT64_C(1) << 20)

static struct bl_report report;
static struct bl_object object;
static struct bl_maps_limits limits;
static struct bl_err err;

static void set_up(void)
{
	limits = BL_MAPS_LIMITS;
	ck_assert_int_eq(bl_report_init(&report, "x.bpf.o", "object"), 0);
}

static void tear_down(void)
{
	bl_report_free(&report);
	bl_object_free(&object);
}

static void check(const char *name)
{
	bl_autofree char *path =
		bl_path("%s/%s.bpf.o", BL_TEST_BUILD_DIR, name);
	bl_autobuf struct bl_buf file = { 0 };

	ck_assert_int_eq(bl_file_read(path, 1 << 20, &file, &err), 0);
	ck_assert_int_eq(
		bl_object_open(name, file.data, file.len, &object, &err), 0);
	ck_assert_int_eq(bl_maps_check(&object, &limits, &report), 0);
}

static const struct bl_finding *saying(const char *text)
{
	size_t i;

	for (i = 0; i < report.count; i++)
		if (strstr(report.findings[i].message, text)) {
			ck_assert_str_eq(report.findings[i].check, "map");
			return &report.findings[i];
		}
	for (i = 0; i < report.count; i++)
		fprintf(stderr, "%s\n", report.findings[i].message);
	ck_abort_msg("nothing says: %s", text);
}

static unsigned count(enum bl_verdict verdict)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < report.count; i++)
		n += report.findings[i].verdict == verdict;
	return n;
}

/* --- formulas -------------------------------------------------------------- */

static const struct {
	struct bl_map_def def;
	unsigned cpus;
	uint64_t bytes; /* without what every map has */
} formulas[] = {
#define DEF(kind, key, val, n, fl)                                     \
	{                                                              \
		.type = BPF_MAP_TYPE_##kind, .key_size = (key),        \
		.value_size = (val), .max_entries = (n), .flags = (fl) \
	}
	{ DEF(ARRAY, 4, 5, 1000, 0), 64, 8000 },
	{ DEF(ARRAY, 4, 5, 1000, BPF_F_MMAPABLE), 64, 8192 + 4096 },
	{ DEF(PERCPU_ARRAY, 4, 8, 1000, 0), 1, 16000 },
	{ DEF(PERCPU_ARRAY, 4, 8, 1000, 0), 256, 8000 + 256 * 8000 },
	{ DEF(PROG_ARRAY, 4, 4, 100, 0), 64, 800 },
	{ DEF(PERF_EVENT_ARRAY, 4, 4, 0, 0), 64, 512 },
	{ DEF(HASH, 4, 4, 1000, 0), 24, 1024 * 64 + 1024 * 16 },
	/* one by one: 64 and the allocator's 8, in slabs of 96 */
	{ DEF(HASH, 4, 4, 1000, BPF_F_NO_PREALLOC), 24, 1000 * 96 + 1024 * 16 },
	{ DEF(PERCPU_HASH, 4, 4, 1000, 0), 4,
	  1000 * (48 + 8 + 8) + 4 * 8000 + 1024 * 16 },
	{ DEF(LPM_TRIE, 8, 4, 1000, BPF_F_NO_PREALLOC), 64, 2000 * 64 },
	{ DEF(QUEUE, 0, 3, 1000, 0), 64, 3003 },
	{ DEF(STACK_TRACE, 4, 80, 1000, 0), 64, 1000 * 96 + 1024 * 8 },
	/* 5 hashes × 7/5: 7000 bits, 8192 of them */
	{ DEF(BLOOM_FILTER, 0, 8, 1000, 0), 64, 1024 },
	{ DEF(RINGBUF, 0, 0, 65536, 0), 64, 65536 + 3 * 4096 + 35 * 8 },
	/* libbpf makes pages, and a power of two, of it */
	{ DEF(RINGBUF, 0, 0, 40000, 0), 64, 65536 + 3 * 4096 + 35 * 8 },
	{ DEF(TASK_STORAGE, 4, 64, 0, 0), 64, 64 * 16 },
	{ DEF(CGROUP_STORAGE, 16, 64, 0, 0), 64, 0 },
	{ DEF(HASH_OF_MAPS, 4, 4, 1024, 0), 0, 1024 * 64 + 1024 * 16 },
};

START_TEST(each_type_has_its_formula)
{
	uint64_t bytes = bl_map_bytes(&formulas[_i].def, formulas[_i].cpus);

	ck_assert_uint_eq(bytes, 512 + formulas[_i].bytes);
}
END_TEST

START_TEST(absurd_sizes_saturate)
{
	struct bl_map_def d = { .key_size = UINT32_MAX,
				.value_size = UINT32_MAX,
				.max_entries = UINT32_MAX,
				.extra = UINT64_MAX };
	uint64_t before;
	unsigned cpus;

	for (d.type = 0; d.type < BL_MAP_TYPE_INSN_ARRAY + 5; d.type++)
		for (before = 0, cpus = 1; cpus <= BL_MAPS_CPUS_MAX;
		     cpus *= 8) {
			uint64_t bytes = bl_map_bytes(&d, cpus);

			/* more CPUs never take less */
			ck_assert_uint_ge(bytes, before);
			before = bytes;
		}
	d.type = BPF_MAP_TYPE_PERCPU_HASH;
	ck_assert_uint_eq(bl_map_bytes(&d, BL_MAPS_CPUS_MAX), UINT64_MAX);
}
END_TEST

START_TEST(sizes_are_for_people)
{
	static const struct {
		uint64_t n;
		const char *text;
	} sizes[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 10239, "10 KiB" },
		{ 1023 * 1024 + 900, "1.0 MiB" },
		{ 12 * MIB, "12 MiB" },
		{ UINT64_MAX - 1, "16 EiB" },
		{ UINT64_MAX, "over 16 EiB" },
	};
	char text[BL_MAPS_SIZE_LEN];
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(sizes); i++)
		ck_assert_str_eq(bl_maps_size(sizes[i].n, text), sizes[i].text);
}
END_TEST

/* --- objects --------------------------------------------------------------- */

START_TEST(the_sensor_stays_under_the_limit)
{
	check("bpf/sensor");
	ck_assert_uint_eq(count(BL_VERDICT_REJECT), 0);
	ck_assert_uint_eq(count(BL_VERDICT_UNDECIDED), 0);
	saying("map bl_scratch: percpu_array");
}
END_TEST

START_TEST(memory_is_told_by_cpus)
{
	check("tests/lab/objects/maps");
	saying("map m_percpu_array: percpu_array, 32768 entries of 4 + 64 bytes: 8.3 MiB on 4 CPUs, 128 MiB on 64, 512 MiB on 256");
	saying("map m_array: array, 131072 entries of 4 + 64 bytes: 8.0 MiB");
	saying("m_task_storage: task_storage, 0 entries of 4 + 64 bytes: 576 B on 4 CPUs");
	saying("; for each task about 192 B more");
	saying("; each map in it: ");
	ck_assert_int_eq(saying("map .rodata: array")->verdict,
			 BL_VERDICT_PASS);
}
END_TEST

START_TEST(limits_warn_and_reject)
{
	const struct bl_finding *f;

	limits.max_bytes = 1024 * MIB;
	limits.warn_bytes = 64 * MIB;
	check("tests/lab/objects/maps");
	ck_assert_uint_eq(count(BL_VERDICT_REJECT), 0);
	f = saying("more than 64 MiB on 64 CPUs; the largest is ");
	ck_assert_int_eq(f->verdict, BL_VERDICT_WARN);

	tear_down();
	set_up();
	limits.max_bytes = 64 * MIB;
	limits.cpus = 4;
	check("tests/lab/objects/maps");
	f = saying("more than 64 MiB on 4 CPUs");
	ck_assert_int_eq(f->verdict, BL_VERDICT_REJECT);
	ck_assert_str_ne(f->hint, "");
}
END_TEST

START_TEST(a_map_that_its_loader_sizes_is_told)
{
	const struct bl_finding *f;

	check("tests/lab/objects/foreign");
	f = saying("map counts: hash, sized by its loader: about ");
	ck_assert_int_eq(f->verdict, BL_VERDICT_WARN);
	ck_assert_ptr_nonnull(strstr(f->message, "not in the sum"));
}
END_TEST

/* --- by hand --------------------------------------------------------------- */

static struct btf_build build;

/* An object with one map: of this type and this number of entries. */
static void check_one(uint32_t type, uint32_t entries)
{
	static const unsigned char zeros[8];
	bl_autobuf struct bl_buf btf = { 0 };
	uint32_t u32 = btf_int(&build, "unsigned int", 4, 0);
	const char *const names[] = { "type", "max_entries", "key_size",
				      "value_size" };
	const uint32_t values[] = { type, entries, 4, 1 << 30 };
	uint32_t types[4], s, var;
	struct bl_object o;
	size_t i;

	for (i = 0; i < 4; i++) {
		uint32_t a = btf_type(&build, BTF_KIND_ARRAY, "", 0, false, 0);

		btf_words(&build, 3, u32, u32, values[i]);
		types[i] = btf_type(&build, BTF_KIND_PTR, "", 0, false, a);
	}
	s = btf_type(&build, BTF_KIND_STRUCT, "", 4, false, 8);
	for (i = 0; i < 4; i++)
		btf_words(&build, 3, btf_name(&build, names[i]), types[i], 0);
	var = btf_type(&build, BTF_KIND_VAR, "m", 0, false, s);
	btf_words(&build, 1, 1);
	btf_type(&build, BTF_KIND_DATASEC, ".maps", 1, false, 8);
	btf_words(&build, 3, var, 0, 8);
	btf_finish(&build, &btf);

	struct bl_object_section sections[] = {
		{ .name = "" },
		{ .name = ".maps", .data = zeros, .size = 8 },
		{ .name = ".BTF",
		  .data = (unsigned char *)btf.data,
		  .size = btf.len },
	};

	o = (struct bl_object){ .sections = sections, .section_count = 3 };
	ck_assert_int_eq(bl_maps_check(&o, &limits, &report), 0);
}

START_TEST(four_billion_entries_of_a_gigabyte_are_rejected)
{
	const struct bl_finding *f;

	check_one(BPF_MAP_TYPE_PERCPU_ARRAY, UINT32_MAX);
	ck_assert_uint_eq(count(BL_VERDICT_REJECT), 1);
	f = saying("the largest is m with over 16 EiB");
	ck_assert_int_eq(f->verdict, BL_VERDICT_REJECT);
}
END_TEST

START_TEST(a_type_that_is_not_known_is_undecided)
{
	check_one(99, 10);
	ck_assert_uint_eq(count(BL_VERDICT_UNDECIDED), 1);
	saying("map m: of type 99, which is not known here");
}
END_TEST

START_TEST(maps_that_cannot_be_read_are_undecided)
{
	struct bl_object_section sections[] = {
		{ .name = "" },
		{ .name = ".maps", .size = 64 },
	};
	struct bl_object o = { .sections = sections, .section_count = 2 };

	ck_assert_int_eq(bl_maps_check(&o, &limits, &report), 0);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_UNDECIDED);
}
END_TEST

START_TEST(an_old_section_of_maps_is_rejected)
{
	struct bl_object_section sections[] = {
		{ .name = "" },
		{ .name = "maps", .size = 64 },
	};
	struct bl_object o = { .sections = sections, .section_count = 2 };

	ck_assert_int_eq(bl_maps_check(&o, &limits, &report), 0);
	ck_assert_int_eq(saying("libbpf refuses since 1.0")->verdict,
			 BL_VERDICT_REJECT);
}
END_TEST

START_TEST(an_object_without_maps_gets_a_finding)
{
	struct bl_object_section none = { .name = "" };
	struct bl_object o = { .sections = &none, .section_count = 1 };

	ck_assert_int_eq(bl_maps_check(&o, &limits, &report), 0);
	ck_assert_uint_eq(report.count, 1);
	ck_assert_int_eq(saying("no maps")->verdict, BL_VERDICT_PASS);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate_maps");
	TCase *c = tcase_create("formulas");

	tcase_add_loop_test(c, each_type_has_its_formula, 0,
			    BL_ARRAY_SIZE(formulas));
	tcase_add_test(c, absurd_sizes_saturate);
	tcase_add_test(c, sizes_are_for_people);
	suite_add_tcase(s, c);

	c = tcase_create("check");
	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, the_sensor_stays_under_the_limit);
	tcase_add_test(c, memory_is_told_by_cpus);
	tcase_add_test(c, limits_warn_and_reject);
	tcase_add_test(c, a_map_that_its_loader_sizes_is_told);
	tcase_add_test(c, four_billion_entries_of_a_gigabyte_are_rejected);
	tcase_add_test(c, a_type_that_is_not_known_is_undecided);
	tcase_add_test(c, maps_that_cannot_be_read_are_undecided);
	tcase_add_test(c, an_old_section_of_maps_is_rejected);
	tcase_add_test(c, an_object_without_maps_gets_a_finding);
	suite_add_tcase(s, c);
	return s;
}
