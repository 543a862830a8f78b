/* SPDX-License-Identifier: Apache-2.0 */
/* BTF as compilers write it, as nobody writes it, and cut short. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/object/btf.h"
#include "loader/object/object.h"
#include "tests/main.h"
#include "tests/support/btf_build.h"

static struct btf_build build;
static struct bl_buf bytes;
static struct bl_btf btf;
static struct bl_err err;

static int reopen(size_t len)
{
	bl_btf_free(&btf);
	err = (struct bl_err){ 0 };
	return bl_btf_open("x.btf", bytes.data, len, &btf, &err);
}

static void finish(void)
{
	bl_buf_free(&bytes);
	btf_finish(&build, &bytes);
}

/* The BTF of the sensor, as clang wrote it. */
static void load_sensor(void)
{
	bl_autofree char *path =
		bl_path("%s/bpf/sensor.bpf.o", BL_TEST_BUILD_DIR);
	bl_autobuf struct bl_buf file = { 0 };
	bl_autoobject struct bl_object o = { 0 };
	const struct bl_object_section *s;

	ck_assert_int_eq(bl_file_read(path, 1 << 20, &file, &err), 0);
	ck_assert_int_eq(bl_object_open("s", file.data, file.len, &o, &err), 0);
	s = bl_object_section(&o, ".BTF");
	ck_assert_ptr_nonnull(s);
	bl_buf_free(&bytes);
	ck_assert_int_eq(bl_buf_add(&bytes, s->data, s->size), 0);
}

START_TEST(reads_what_clang_wrote)
{
	struct bl_btf_type t;
	struct bl_btf_member m;
	uint32_t id, size = 0;

	load_sensor();
	ck_assert_msg(reopen(bytes.len) == 0, "%s", err.text);
	id = bl_btf_find(&btf, "bl_event", BTF_KIND_STRUCT);
	ck_assert_uint_ne(id, 0);
	t = bl_btf_type(&btf, id);
	ck_assert_uint_gt(t.count, 2);
	m = bl_btf_member(&btf, &t, 0);
	ck_assert_str_ne(m.name, "");
	ck_assert_uint_eq(m.bit_offset, 0);
	ck_assert_int_eq(bl_btf_size(&btf, id, &size), 0);
	ck_assert_uint_eq(size, t.size);
	id = bl_btf_find(&btf, "license", BTF_KIND_DATASEC);
	ck_assert_uint_ne(id, 0);
	t = bl_btf_type(&btf, id);
	t = bl_btf_type(&btf, bl_btf_var(&t, 0).type);
	ck_assert_uint_eq(t.kind, BTF_KIND_VAR);
	ck_assert_uint_eq(bl_btf_resolve(&btf, t.type).kind, BTF_KIND_ARRAY);
}
END_TEST

START_TEST(reads_every_kind_by_hand)
{
	uint32_t u32 = btf_int(&build, "unsigned int", 4, 0);
	uint32_t s64 = btf_int(&build, "long", 8, BTF_INT_SIGNED);
	uint32_t array, name, size = 0, td, e, e64, s, proto;
	struct bl_btf_type t;
	struct bl_btf_member m;

	array = btf_type(&build, BTF_KIND_ARRAY, "", 0, false, 0);
	btf_words(&build, 3, s64, u32, 7);
	td = btf_type(&build, BTF_KIND_TYPEDEF, "row", 0, false,
		      btf_type(&build, BTF_KIND_CONST, "", 0, false, array));
	s = btf_type(&build, BTF_KIND_STRUCT, "s", 2, true, 64);
	btf_words(&build, 3, btf_name(&build, "bits"), u32, 5u << 24 | 3);
	btf_words(&build, 3, btf_name(&build, "plain"), td, 64);
	e = btf_type(&build, BTF_KIND_ENUM, "e", 1, true, 4);
	btf_words(&build, 2, btf_name(&build, "MINUS"), (uint32_t)-2);
	e64 = btf_type(&build, BTF_KIND_ENUM64, "e64", 1, false, 8);
	btf_words(&build, 3, btf_name(&build, "LARGE"), 1, 2);
	proto = btf_type(&build, BTF_KIND_FUNC_PROTO, "", 2, false, u32);
	name = btf_name(&build, "first");
	btf_words(&build, 4, name, s64, 0, 0);
	btf_type(&build, BTF_KIND_FUNC, "f", BTF_FUNC_GLOBAL, false, proto);
	finish();
	ck_assert_msg(reopen(bytes.len) == 0, "%s", err.text);

	ck_assert_int_eq(bl_btf_size(&btf, td, &size), 0);
	ck_assert_uint_eq(size, 56);
	ck_assert_uint_eq(bl_btf_resolve(&btf, td).id, array);
	t = bl_btf_type(&btf, s);
	m = bl_btf_member(&btf, &t, 0);
	ck_assert_str_eq(m.name, "bits");
	ck_assert_uint_eq(m.bit_offset, 3);
	ck_assert_uint_eq(m.bit_size, 5);
	ck_assert_uint_eq(bl_btf_member(&btf, &t, 1).bit_size, 0);
	ck_assert_str_eq(bl_btf_member(&btf, &t, 2).name, "");
	t = bl_btf_type(&btf, e);
	ck_assert_uint_eq(bl_btf_value(&btf, &t, 0).value, (uint64_t)-2);
	t = bl_btf_type(&btf, e64);
	ck_assert_uint_eq(bl_btf_value(&btf, &t, 0).value, 2ull << 32 | 1);
	t = bl_btf_type(&btf, proto);
	ck_assert_str_eq(bl_btf_param(&btf, &t, 0).name, "first");
	ck_assert_uint_eq(bl_btf_param(&btf, &t, 1).type, 0);
	ck_assert_int_eq(bl_btf_size(&btf, proto, &size), -EINVAL);
	t = bl_btf_type(&btf, bl_btf_find(&btf, "f", BTF_KIND_FUNC));
	ck_assert_uint_eq(t.linkage, BTF_FUNC_GLOBAL);
	ck_assert_uint_eq(bl_btf_type(&btf, btf.count).kind, BTF_KIND_UNKN);
}
END_TEST

START_TEST(sizes_beyond_reason_are_refused)
{
	uint32_t u32 = btf_int(&build, "unsigned int", 4, 0), size = 0, id, i;

	for (i = 0, id = u32; i < 3; i++) {
		uint32_t next =
			btf_type(&build, BTF_KIND_ARRAY, "", 0, false, 0);

		btf_words(&build, 3, id, u32, 65536);
		id = next;
	}
	/* an array of itself */
	id = btf_type(&build, BTF_KIND_ARRAY, "", 0, false, 0);
	btf_words(&build, 3, id, u32, 1);
	finish();
	ck_assert_int_eq(reopen(bytes.len), 0);
	ck_assert_int_eq(bl_btf_size(&btf, 2, &size), 0);
	ck_assert_int_eq(bl_btf_size(&btf, 3, &size), -E2BIG);
	ck_assert_int_eq(bl_btf_size(&btf, 4, &size), -E2BIG);
	ck_assert_int_eq(bl_btf_size(&btf, id, &size), -E2BIG);
}
END_TEST

static void typedef_of_itself(void)
{
	btf_type(&build, BTF_KIND_TYPEDEF, "t", 0, false, 1);
}

static void endless_chain(void)
{
	uint32_t i;

	for (i = 0; i < 40; i++)
		btf_type(&build, BTF_KIND_CONST, "", 0, false, i);
}

static void pointer_to_nowhere(void)
{
	btf_type(&build, BTF_KIND_PTR, "", 0, false, 9);
}

static void member_of_nowhere(void)
{
	btf_type(&build, BTF_KIND_STRUCT, "s", 1, false, 8);
	btf_words(&build, 3, 0, 2, 0);
}

static void name_from_nowhere(void)
{
	btf_type(&build, BTF_KIND_ENUM, "e", 1, false, 4);
	btf_words(&build, 2, 4000, 1);
}

static void members_missing(void)
{
	btf_type(&build, BTF_KIND_STRUCT, "s", 60000, false, 8);
}

static void unknown_kind(void)
{
	btf_type(&build, 20, "new", 0, false, 0);
}

static const struct {
	void (*make)(void);
	int code;
	const char *says;
} wrong[] = {
	{ typedef_of_itself, -EBADMSG, "type 1 never comes to an end" },
	{ endless_chain, -EBADMSG, "type 33 never comes to an end" },
	{ pointer_to_nowhere, -EBADMSG, "type 1 refers to what is not there" },
	{ member_of_nowhere, -EBADMSG, "type 1 refers to what is not there" },
	{ name_from_nowhere, -EBADMSG, "type 1 refers to what is not there" },
	{ members_missing, -EBADMSG, "truncated BTF: type 1" },
	{ unknown_kind, -ENOTSUP, "type 1 is of the unknown kind 20" },
};

START_TEST(wrong_types_are_named)
{
	wrong[_i].make();
	finish();
	ck_assert_int_eq(reopen(bytes.len), wrong[_i].code);
	ck_assert_msg(strstr(err.text, wrong[_i].says), "%s", err.text);
	ck_assert_ptr_null(btf.offsets);
}
END_TEST

START_TEST(other_bytes_are_no_btf)
{
	load_sensor();
	bytes.data[2] = 2;
	ck_assert_int_eq(reopen(bytes.len), -ENOTSUP);
	bytes.data[0] = 'x';
	ck_assert_int_eq(reopen(bytes.len), -EBADMSG);
	ck_assert_str_eq(err.text, "x.btf: this is no BTF");
	ck_assert_int_eq(reopen(0), -EBADMSG);
}
END_TEST

START_TEST(no_truncation_passes)
{
	size_t len;

	load_sensor();
	for (len = 0; len < bytes.len; len++) {
		ck_assert_int_eq(reopen(len), -EBADMSG);
		ck_assert_str_ne(err.text, "");
	}
}
END_TEST

/* Everything that can be asked of it; sanitizers watch. */
static void use_all_of_it(void)
{
	uint32_t id, size, seen = 0;
	unsigned i;

	for (id = 0; id < btf.count; id++) {
		struct bl_btf_type t = bl_btf_type(&btf, id);

		ck_assert(!bl_btf_is_modifier(bl_btf_resolve(&btf, id).kind));
		seen += bl_btf_size(&btf, id, &size) == 0;
		seen += bl_btf_array(&t).type < btf.count;
		seen += bl_btf_int(&t).bits;
		for (i = 0; i <= t.count; i++) {
			seen += strlen(bl_btf_member(&btf, &t, i).name) > 0;
			seen += strlen(bl_btf_value(&btf, &t, i).name) > 0;
			seen += strlen(bl_btf_param(&btf, &t, i).name) > 0;
			ck_assert_uint_lt(bl_btf_var(&t, i).type, btf.count);
			ck_assert_uint_lt(bl_btf_member(&btf, &t, i).type,
					  btf.count);
		}
	}
	ck_assert_uint_gt(seen, 0);
}

START_TEST(damage_is_survived)
{
	unsigned taken = 0;
	size_t i;

	load_sensor();
	srand(3);
	for (i = 0; i < bytes.len; i++) {
		char old = bytes.data[i];

		bytes.data[i] = (char)(i % 3 ? old ^ (1 << (rand() & 7))
					     : rand() & 0xff);
		if (reopen(bytes.len) == 0) {
			taken++;
			if (i % 16 == 0)
				use_all_of_it();
		} else {
			ck_assert_str_ne(err.text, "");
		}
		bytes.data[i] = old;
	}
	ck_assert_uint_gt(taken, 100);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-btf");
	TCase *t = tcase_create("btf");
	TCase *damage = tcase_create("damage");

	tcase_add_test(t, reads_what_clang_wrote);
	tcase_add_test(t, reads_every_kind_by_hand);
	tcase_add_test(t, sizes_beyond_reason_are_refused);
	tcase_add_loop_test(t, wrong_types_are_named, 0,
			    (int)BL_ARRAY_SIZE(wrong));
	tcase_add_test(t, other_bytes_are_no_btf);
	suite_add_tcase(s, t);
	tcase_add_test(damage, no_truncation_passes);
	tcase_add_test(damage, damage_is_survived);
	suite_add_tcase(s, damage);
	return s;
}
