/* SPDX-License-Identifier: Apache-2.0 */
/* What each kind of relocation comes to on kernels that differ, as compilers
 * wrote them (tests/lab/objects/core*) and as they are written by hand. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/core/core_match.h"
#include "tests/main.h"
#include "tests/support/btf_build.h"
#include "tests/support/built.h"

static struct bl_object object;
static struct bl_err err;
static struct bl_buf old_btf, new_btf;

static void set_up(void)
{
	bl_autobuf struct bl_buf file = { 0 };

	built_object("core", &file);
	ck_assert_int_eq(
		bl_object_open("core", file.data, file.len, &object, &err), 0);
	built_btf("core-old", &old_btf);
	built_btf("core-new", &new_btf);
}

static void tear_down(void)
{
	bl_object_free(&object);
	bl_buf_free(&old_btf);
	bl_buf_free(&new_btf);
}

static struct bl_core_relos relos;
static struct bl_btf target_btf;
static struct bl_core_index *names;
static struct bl_core_target *target;

static void aim(const struct bl_buf *b)
{
	ck_assert_int_eq(bl_core_relos_read(&object, &relos, &err), 0);
	ck_assert_int_eq(bl_btf_open("k", b->data, b->len, &target_btf, &err),
			 0);
	ck_assert_int_eq(bl_core_index_new(&relos, &names), 0);
	ck_assert_int_eq(bl_core_target_new(names, &target_btf, &target), 0);
}

static void let_go(void)
{
	bl_core_target_free(target);
	bl_core_index_free(names);
	bl_btf_free(&target_btf);
	bl_core_relos_free(&relos);
	target = NULL;
	names = NULL;
}

static struct bl_core_result resolve(const struct bl_core_relo *relo)
{
	const struct bl_object_section *s = &object.sections[relo->section];

	return bl_core_resolve(target, relo, s->data + relo->offset,
			       s->size - relo->offset);
}

/* The first relocation of that kind in a program. */
static struct bl_core_relo *relo_of(const char *program, unsigned kind)
{
	const struct bl_object_program *p = bl_object_program(&object, program);
	size_t i;

	ck_assert_ptr_nonnull(p);
	for (i = 0; i < relos.count; i++) {
		struct bl_core_relo *r = &relos.list[i];

		if (r->section == p->section_index && r->kind == kind &&
		    r->offset >= p->offset && r->offset - p->offset < p->size)
			return r;
	}
	ck_abort_msg("%s has no relocation of kind %u", program, kind);
}

/* Computed by hand from core-types.bpf.h. */
static const struct {
	const char *program;
	unsigned kind;
	uint64_t old, new;
} values[] = {
	{ "deep", BPF_CORE_FIELD_BYTE_OFFSET, 40, 56 },
	{ "bare", BPF_CORE_FIELD_BYTE_OFFSET, 0, 0 },
	{ "direct", BPF_CORE_FIELD_BYTE_OFFSET, 4, 8 },
	{ "properties", BPF_CORE_FIELD_BYTE_SIZE, 16, 8 },
	{ "bits", BPF_CORE_FIELD_BYTE_OFFSET, 64, 80 },
	{ "bits", BPF_CORE_FIELD_BYTE_SIZE, 4, 4 },
	{ "bits", BPF_CORE_FIELD_LSHIFT_U64, 61, 61 },
	{ "bits", BPF_CORE_FIELD_RSHIFT_U64, 61, 61 },
	{ "bits", BPF_CORE_FIELD_SIGNED, 0, 0 },
	{ "guarded", BPF_CORE_FIELD_EXISTS, 1, 0 },
	{ "guarded_type", BPF_CORE_TYPE_EXISTS, 0, 1 },
	{ "guarded_type", BPF_CORE_TYPE_SIZE, 0, 4 },
	{ "guarded_value", BPF_CORE_ENUMVAL_EXISTS, 0, 1 },
	{ "value", BPF_CORE_ENUMVAL_VALUE, 5, 7 },
};

START_TEST(each_kind_of_relocation_has_its_value)
{
	const struct bl_core_relo *relo;
	struct bl_core_result r;
	int new;

	for (new = 0; new < 2; new ++) {
		aim(new ? &new_btf : &old_btf);
		relo = relo_of(values[_i].program, values[_i].kind);
		r = resolve(relo);
		if (r.outcome == BL_CORE_POISONED)
			ck_assert_str_eq(values[_i].program, "bare");
		else
			ck_assert_int_eq(r.outcome, BL_CORE_RESOLVED);
		ck_assert_uint_eq(r.value,
				  new ? values[_i].new : values[_i].old);
		let_go();
	}
}
END_TEST

START_TEST(type_ids_are_those_of_the_kernel_or_the_object)
{
	const struct bl_core_relo *relo;

	aim(&old_btf);
	relo = relo_of("guarded_by_id", BPF_CORE_TYPE_ID_TARGET);
	ck_assert_uint_eq(resolve(relo).value,
			  bl_btf_find(&target_btf, "bt_gone", BTF_KIND_STRUCT));
	relo = relo_of("properties", BPF_CORE_TYPE_ID_LOCAL);
	ck_assert_uint_eq(resolve(relo).value,
			  bl_btf_find(&relos.btf, "bt_thing", BTF_KIND_STRUCT));
	let_go();
	aim(&new_btf);
	relo = relo_of("guarded_by_id", BPF_CORE_TYPE_ID_TARGET);
	ck_assert_uint_eq(resolve(relo).value, 0);
	ck_assert(resolve(relo).absent);
	let_go();
}
END_TEST

/* Kernels before pahole 1.24 have 32-bit enums, later ones may have both. */
START_TEST(an_enum_of_64_bits_is_an_enum)
{
	bl_autobuf struct bl_buf b = { 0 };
	struct btf_build build = { 0 };
	struct bl_core_result r;

	btf_type(&build, BTF_KIND_ENUM64, "bt_mode", 1, false, 8);
	btf_words(&build, 3, btf_name(&build, "BT_ON"), 6, 1);
	btf_finish(&build, &b);
	aim(&b);
	r = resolve(relo_of("value", BPF_CORE_ENUMVAL_VALUE));
	ck_assert_int_eq(r.outcome, BL_CORE_RESOLVED);
	ck_assert_uint_eq(r.value, 1ull << 32 | 6);
	let_go();
}
END_TEST

static void add_thing(struct btf_build *build, const char *name,
		      const char *member, uint32_t offset)
{
	uint32_t type = btf_int(build, "int", 4, BTF_INT_SIGNED);

	btf_type(build, BTF_KIND_STRUCT, name, 1, false, 64);
	btf_words(build, 3, btf_name(build, member), type, offset * 8);
}

START_TEST(types_of_one_name_must_agree)
{
	bl_autobuf struct bl_buf agree = { 0 };
	bl_autobuf struct bl_buf differ = { 0 };
	struct btf_build build = { 0 };
	struct bl_core_result r;

	add_thing(&build, "bt_thing", "state", 4);
	add_thing(&build, "bt_thing___2", "other", 8);
	add_thing(&build, "bt_thing___3", "state", 4);
	btf_finish(&build, &agree);
	aim(&agree);
	r = resolve(relo_of("bare", BPF_CORE_FIELD_BYTE_OFFSET));
	ck_assert_int_eq(r.outcome, BL_CORE_RESOLVED);
	ck_assert_uint_eq(r.value, 4);
	let_go();

	add_thing(&build, "bt_thing", "state", 4);
	add_thing(&build, "bt_thing", "state", 8);
	btf_finish(&build, &differ);
	aim(&differ);
	r = resolve(relo_of("bare", BPF_CORE_FIELD_BYTE_OFFSET));
	ck_assert_int_eq(r.outcome, BL_CORE_REFUSED);
	ck_assert_int_eq(r.why, BL_CORE_WHY_AMBIGUOUS);
	let_go();
}
END_TEST

/* A type that fitted one relocation is the one for all that follow. */
START_TEST(a_candidate_once_chosen_stays)
{
	bl_autobuf struct bl_buf b = { 0 };
	struct btf_build build = { 0 };
	struct bl_core_relo *state, *widened;

	add_thing(&build, "bt_thing", "state", 4);
	add_thing(&build, "bt_thing", "moved_far", 8);
	btf_finish(&build, &b);
	aim(&b);
	state = relo_of("bare", BPF_CORE_FIELD_BYTE_OFFSET);
	widened = relo_of("direct_far", BPF_CORE_FIELD_BYTE_OFFSET);
	ck_assert_int_eq(resolve(state).outcome, BL_CORE_RESOLVED);
	ck_assert_int_eq(resolve(widened).outcome, BL_CORE_POISONED);
	let_go();
	aim(&b);
	ck_assert_int_eq(
		resolve(relo_of("direct_far", BPF_CORE_FIELD_BYTE_OFFSET))
			.outcome,
		BL_CORE_RESOLVED);
	let_go();
}
END_TEST

START_TEST(too_many_types_of_one_name_are_too_many)
{
	bl_autobuf struct bl_buf b = { 0 };
	struct btf_build build = { 0 };
	unsigned i;

	for (i = 0; i <= BL_CORE_CANDIDATES_MAX; i++)
		add_thing(&build, "bt_thing", "state", 4);
	btf_finish(&build, &b);
	aim(&b);
	ck_assert_int_eq(
		resolve(relo_of("bare", BPF_CORE_FIELD_BYTE_OFFSET)).outcome,
		BL_CORE_GAVE_UP);
	let_go();
}
END_TEST

/* clang 14 cannot write BPF_CORE_TYPE_MATCHES; its other type relocations look
 * alike. */
static uint64_t matches(uint32_t member_type(struct btf_build *), bool more)
{
	bl_autobuf struct bl_buf b = { 0 };
	struct btf_build build = { 0 };
	struct bl_core_relo relo;
	struct bl_core_result r;
	uint32_t type = member_type(&build);

	btf_type(&build, BTF_KIND_STRUCT, "bt_come", more ? 2 : 1, false, 64);
	if (more)
		btf_words(&build, 3, btf_name(&build, "first"), type, 0);
	btf_words(&build, 3, btf_name(&build, "x"), type, 64);
	btf_finish(&build, &b);
	aim(&b);
	relo = *relo_of("guarded_type", BPF_CORE_TYPE_EXISTS);
	relo.kind = BPF_CORE_TYPE_MATCHES;
	r = resolve(&relo);
	let_go();
	ck_assert_int_eq(r.outcome, BL_CORE_RESOLVED);
	return r.value;
}

static uint32_t an_int(struct btf_build *b)
{
	return btf_int(b, "int", 4, BTF_INT_SIGNED);
}

static uint32_t an_unsigned(struct btf_build *b)
{
	return btf_int(b, "int", 4, 0);
}

static uint32_t a_long(struct btf_build *b)
{
	return btf_int(b, "int", 8, BTF_INT_SIGNED);
}

static uint32_t a_const_int(struct btf_build *b)
{
	return btf_type(b, BTF_KIND_CONST, "", 0, false, an_int(b));
}

START_TEST(types_match_by_name_size_and_sign_of_members)
{
	ck_assert_uint_eq(matches(an_int, false), 1);
	ck_assert_uint_eq(matches(an_int, true), 1);
	ck_assert_uint_eq(matches(a_const_int, false), 1);
	ck_assert_uint_eq(matches(an_unsigned, false), 0);
	ck_assert_uint_eq(matches(a_long, false), 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-core-match");
	TCase *t = tcase_create("match");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, each_kind_of_relocation_has_its_value, 0,
			    (int)BL_ARRAY_SIZE(values));
	tcase_add_test(t, type_ids_are_those_of_the_kernel_or_the_object);
	tcase_add_test(t, an_enum_of_64_bits_is_an_enum);
	tcase_add_test(t, types_of_one_name_must_agree);
	tcase_add_test(t, a_candidate_once_chosen_stays);
	tcase_add_test(t, too_many_types_of_one_name_are_too_many);
	tcase_add_test(t, types_match_by_name_size_and_sign_of_members);
	suite_add_tcase(s, t);
	return s;
}
