/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of maps: as compilers write them, and as nobody does. */
#include <elf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/object/mapdef.h"
#include "tests/main.h"
#include "tests/support/btf_build.h"

static struct bl_object object;
static struct bl_map_list list;
static struct bl_err err;

static void load(const char *name)
{
	bl_autofree char *path =
		bl_path("%s/%s.bpf.o", BL_TEST_BUILD_DIR, name);
	bl_autobuf struct bl_buf file = { 0 };

	bl_map_list_free(&list);
	bl_object_free(&object);
	ck_assert_int_eq(bl_file_read(path, 1 << 20, &file, &err), 0);
	ck_assert_int_eq(
		bl_object_open(name, file.data, file.len, &object, &err), 0);
	ck_assert_msg(bl_map_list_read(&object, &list, &err) == 0, "%s",
		      err.text);
}

static void tear_down(void)
{
	bl_map_list_free(&list);
	bl_object_free(&object);
}

static const struct bl_map_def *def(const char *name)
{
	size_t i;

	for (i = 0; i < list.count; i++)
		if (strcmp(list.defs[i].name, name) == 0)
			return &list.defs[i];
	ck_abort_msg("no map %s", name);
}

static const struct {
	const char *name;
	uint32_t type, key_size, value_size, max_entries, flags;
	bool sized_by_loader;
} expected[] = {
	{ "m_hash", BPF_MAP_TYPE_HASH, 8, 64, 65536, 0, false },
	{ "m_hash_lazy", BPF_MAP_TYPE_HASH, 8, 64, 65536, BPF_F_NO_PREALLOC,
	  false },
	{ "m_array_mmap", BPF_MAP_TYPE_ARRAY, 4, 64, 131072, BPF_F_MMAPABLE,
	  false },
	{ "m_lpm", BPF_MAP_TYPE_LPM_TRIE, 8, 8, 65536, BPF_F_NO_PREALLOC,
	  false },
	{ "m_stack_trace", BPF_MAP_TYPE_STACK_TRACE, 4, 1016, 8192, 0, false },
	{ "m_queue", BPF_MAP_TYPE_QUEUE, 0, 64, 131072, 0, false },
	{ "m_ringbuf", BPF_MAP_TYPE_RINGBUF, 0, 0, 8 << 20, 0, false },
	{ "m_perf", BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 0, 0, false },
	{ "m_task_storage", BPF_MAP_TYPE_TASK_STORAGE, 4, 64, 0,
	  BPF_F_NO_PREALLOC, false },
	{ "m_cgrp_storage", BL_MAP_TYPE_CGRP_STORAGE, 4, 64, 0,
	  BPF_F_NO_PREALLOC, false },
	{ "m_array_of_maps", BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 524288, 0,
	  false },
	{ ".rodata", BPF_MAP_TYPE_ARRAY, 4, 4, 1,
	  BPF_F_RDONLY_PROG | BPF_F_MMAPABLE, false },
	{ ".data.names", BPF_MAP_TYPE_ARRAY, 4, 4000, 1, BPF_F_MMAPABLE,
	  false },
	{ ".bss", BPF_MAP_TYPE_ARRAY, 4, 16, 1, BPF_F_MMAPABLE, false },
	{ ".kconfig", BPF_MAP_TYPE_ARRAY, 4, 8, 1,
	  BPF_F_RDONLY_PROG | BPF_F_MMAPABLE, false },
};

START_TEST(reads_what_clang_wrote)
{
	const struct bl_map_def *d;

	load("tests/lab/objects/maps");
	d = def(expected[_i].name);
	ck_assert_uint_eq(d->type, expected[_i].type);
	ck_assert_uint_eq(d->key_size, expected[_i].key_size);
	ck_assert_uint_eq(d->value_size, expected[_i].value_size);
	ck_assert_uint_eq(d->max_entries, expected[_i].max_entries);
	ck_assert_uint_eq(d->flags, expected[_i].flags);
	ck_assert(d->sized_by_loader == expected[_i].sized_by_loader);
	ck_assert(d->implicit == (d->name[0] == '.'));
	ck_assert(!d->pinned);
}
END_TEST

START_TEST(knows_types_inner_maps_and_what_the_loader_owes)
{
	const struct bl_map_def *d;

	load("tests/lab/objects/maps");
	ck_assert(!list.legacy);
	d = bl_map_list_find(&list, "m_hash");
	ck_assert_str_eq(bl_btf_type(&list.btf, d->value_type).name, "row");
	ck_assert_uint_eq(bl_btf_resolve(&list.btf, d->key_type).size, 8);
	ck_assert_ptr_null(d->inner);
	ck_assert_ptr_null(bl_map_list_find(&list, ".bss"));
	ck_assert_uint_eq(def("m_bloom")->extra, 3);
	d = def("m_array_of_maps")->inner;
	ck_assert_ptr_nonnull(d);
	ck_assert_uint_eq(d->type, BPF_MAP_TYPE_HASH);
	ck_assert_uint_eq(d->max_entries, 16);
	ck_assert_uint_eq(d->value_size, 64);

	load("tests/lab/objects/foreign");
	ck_assert(def("counts")->pinned);
	ck_assert(def("counts")->sized_by_loader);

	load("bpf/sensor");
	ck_assert_uint_eq(def("bl_events")->type, BPF_MAP_TYPE_RINGBUF);
}
END_TEST

START_TEST(types_have_names)
{
	char name[BL_MAP_TYPE_NAME_LEN];
	uint32_t type, found = 0;

	for (type = 1; type <= BL_MAP_TYPE_INSN_ARRAY; type++) {
		bl_map_type_name(type, name);
		ck_assert(strncmp(name, "type", 4) != 0);
		ck_assert_int_eq(bl_map_type_find(name, &found), 0);
		ck_assert_uint_eq(found, type);
	}
	ck_assert_str_eq(bl_map_type_name(BPF_MAP_TYPE_LRU_HASH, name),
			 "lru_hash");
	ck_assert_str_eq(bl_map_type_name(99, name), "type 99");
	ck_assert_str_eq(bl_map_type_name(0, name), "type 0");
	ck_assert_int_eq(bl_map_type_find("unspec", &found), -ENOENT);
	ck_assert_int_eq(bl_map_type_find("HASH", &found), -ENOENT);
}
END_TEST

/* --- by hand --------------------------------------------------------------- */

static struct btf_build build;
static uint32_t u32;

/* __uint(…, n) */
static uint32_t number(uint32_t n)
{
	uint32_t array = btf_type(&build, BTF_KIND_ARRAY, "", 0, false, 0);

	btf_words(&build, 3, u32, u32, n);
	return btf_type(&build, BTF_KIND_PTR, "", 0, false, array);
}

static uint32_t pointer(uint32_t to)
{
	return btf_type(&build, BTF_KIND_PTR, "", 0, false, to);
}

/* __array(…, what) */
static uint32_t array_of(uint32_t what, uint32_t n)
{
	uint32_t p = pointer(what);
	uint32_t array = btf_type(&build, BTF_KIND_ARRAY, "", 0, false, 0);

	btf_words(&build, 3, p, u32, n);
	return array;
}

static uint32_t definition(unsigned count, const char *const *names,
			   const uint32_t *types)
{
	uint32_t id = btf_type(&build, BTF_KIND_STRUCT, "", count, false, 8);
	unsigned i;

	for (i = 0; i < count; i++)
		btf_words(&build, 3, btf_name(&build, names[i]), types[i], 0);
	return id;
}

/* An object with one variable, "m", of type @id in section .maps. */
static int read_one(uint32_t id, const char *var, unsigned kind)
{
	static const unsigned char zeros[8];
	static struct bl_buf btf;
	static struct bl_object_section sections[3];
	uint32_t v = btf_type(&build, kind, var, 0, false, id);

	if (kind == BTF_KIND_VAR)
		btf_words(&build, 1, 1);
	btf_type(&build, BTF_KIND_DATASEC, ".maps", 1, false, 8);
	btf_words(&build, 3, v, 0, 8);
	bl_buf_free(&btf);
	btf_finish(&build, &btf);
	sections[1] = (struct bl_object_section){
		.name = ".maps", .data = zeros, .size = 8, .type = SHT_PROGBITS
	};
	sections[2] =
		(struct bl_object_section){ .name = ".BTF",
					    .data = (unsigned char *)btf.data,
					    .size = btf.len,
					    .type = SHT_PROGBITS };
	bl_map_list_free(&list);
	err = (struct bl_err){ 0 };
	return bl_map_list_read(&(struct bl_object){ .sections = sections,
						     .section_count = 3 },
				&list, &err);
}

static void set_up_build(void)
{
	u32 = btf_int(&build, "unsigned int", 4, 0);
}

#define DEF(...)                                             \
	definition(sizeof((const char *[]){ __VA_ARGS__ }) / \
			   sizeof(const char *),             \
		   (const char *[]){ __VA_ARGS__ }, types)

static uint32_t no_type(void)
{
	const uint32_t types[] = { number(4) };

	return DEF("key_size");
}

static uint32_t size_twice(void)
{
	const uint32_t types[] = { number(1), number(8), pointer(u32) };

	return DEF("type", "key_size", "key");
}

static uint32_t not_uint(void)
{
	const uint32_t types[] = { u32 };

	return DEF("type");
}

static uint32_t pointer_to_int(void)
{
	const uint32_t types[] = { pointer(u32) };

	return DEF("max_entries");
}

static uint32_t key_of_void(void)
{
	const uint32_t types[] = { number(1), pointer(0) };

	return DEF("type", "key");
}

static uint32_t key_of_int(void)
{
	const uint32_t types[] = { number(1), u32 };

	return DEF("type", "key");
}

static uint32_t newer(void)
{
	const uint32_t types[] = { number(1), number(1) };

	return DEF("type", "excl_prog");
}

static uint32_t pin_elsewhere(void)
{
	const uint32_t types[] = { number(1), number(2) };

	return DEF("type", "pinning");
}

static uint32_t hash_of_values(void)
{
	const uint32_t types[] = { number(1), array_of(u32, 0) };

	return DEF("type", "values");
}

static uint32_t outer_of_ints(void)
{
	const uint32_t types[] = { number(12), array_of(u32, 0) };

	return DEF("type", "values");
}

static uint32_t outer_of_four(void)
{
	const uint32_t types[] = { number(12), array_of(u32, 4) };

	return DEF("type", "values");
}

static uint32_t programs_of_ints(void)
{
	const uint32_t types[] = { number(3), array_of(u32, 0) };

	return DEF("type", "values");
}

static uint32_t inner_without_type(void)
{
	const uint32_t types[] = { number(12), array_of(no_type(), 0) };

	return DEF("type", "values");
}

/* A map of maps of maps of … itself. */
static uint32_t endless(void)
{
	uint32_t type = number(12);
	uint32_t self = build.last + 3; /* pointer, array, struct */
	const uint32_t types[] = { type, array_of(self, 0) };

	return DEF("type", "values");
}

static uint32_t many(void)
{
	const uint32_t type = number(1);
	const char *names[BL_MAP_MEMBERS_MAX + 1];
	uint32_t types[BL_MAP_MEMBERS_MAX + 1];
	unsigned i;

	for (i = 0; i < BL_ARRAY_SIZE(names); i++) {
		names[i] = "type";
		types[i] = type;
	}
	return definition(BL_ARRAY_SIZE(names), names, types);
}

static uint32_t no_struct(void)
{
	return u32;
}

static const struct {
	uint32_t (*make)(void);
	int code;
	const char *says;
} wrong[] = {
	{ no_type, -EBADMSG, "map m: type: it is not given" },
	{ size_twice, -EBADMSG, "map m: key: its size is given twice" },
	{ not_uint, -EBADMSG, "map m: type: it is not made by __uint()" },
	{ pointer_to_int, -EBADMSG, "max_entries: it is not made by __uint()" },
	{ key_of_void, -EBADMSG, "map m: key: its type has no size" },
	{ key_of_int, -EBADMSG, "map m: key: it is not made by __type()" },
	{ newer, -ENOTSUP, "it has a parameter \"excl_prog\"" },
	{ pin_elsewhere, -EBADMSG, "map m: pinning: no such way" },
	{ hash_of_values, -EBADMSG, "map m: values: this map can hold no" },
	{ outer_of_ints, -EBADMSG, "values: this is no definition of a map" },
	{ outer_of_four, -EBADMSG, "values: it is not made by __array()" },
	{ programs_of_ints, -EBADMSG, "values: it holds no programs" },
	{ inner_without_type, -EBADMSG, "map in m: type: it is not given" },
	{ endless, -EBADMSG, "map in m: values: this map can hold no maps" },
	{ many, -EBADMSG, "map m: 33 parameters; the limit is 32" },
	{ no_struct, -EBADMSG, "number 0 in its section .maps is no" },
};

START_TEST(a_wrong_definition_is_named)
{
	ck_assert_int_eq(read_one(wrong[_i].make(), "m", BTF_KIND_VAR),
			 wrong[_i].code);
	ck_assert_msg(strstr(err.text, wrong[_i].says), "%s", err.text);
	ck_assert_ptr_null(list.defs);
}
END_TEST

START_TEST(takes_what_libbpf_takes)
{
	uint32_t e, id;
	struct bl_map_def *d;

	/* __ulong(map_extra, …): an enum of one value */
	e = btf_type(&build, BTF_KIND_ENUM64, "", 1, false, 8);
	btf_words(&build, 3, btf_name(&build, "__unique"), 5, 1);
	{
		const uint32_t types[] = { number(77), e, number(1),
					   number(0x82) };

		id = DEF("type", "map_extra", "pinning", "map_flags");
	}
	ck_assert_msg(read_one(id, "m", BTF_KIND_VAR) == 0, "%s", err.text);
	ck_assert_uint_eq(list.count, 1);
	d = &list.defs[0];
	ck_assert_uint_eq(d->type, 77);
	ck_assert_uint_eq(d->extra, 1ull << 32 | 5);
	ck_assert(d->pinned);
	ck_assert_uint_eq(d->flags, 0x82);
	ck_assert(d->sized_by_loader);
}
END_TEST

START_TEST(what_is_no_variable_is_no_map)
{
	const uint32_t types[] = { number(1) };
	uint32_t id = DEF("type");

	ck_assert_int_eq(read_one(id, "", BTF_KIND_VAR), -EBADMSG);
	id = btf_type(&build, BTF_KIND_FUNC_PROTO, "", 0, false, 0);
	ck_assert_int_eq(read_one(id, "f", BTF_KIND_FUNC), -EBADMSG);
}
END_TEST

START_TEST(maps_without_btf_are_not_passed_over)
{
	struct bl_object_section sections[] = {
		{ .name = "" },
		{ .name = ".maps", .size = 64, .type = SHT_PROGBITS },
	};
	struct bl_object o = { .sections = sections, .section_count = 2 };

	ck_assert_int_eq(bl_map_list_read(&o, &list, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "built without -g"));
	/* nothing reads this section any more; it is not forgotten */
	sections[1].name = "maps";
	ck_assert_int_eq(bl_map_list_read(&o, &list, &err), 0);
	ck_assert(list.legacy);
	ck_assert_uint_eq(list.count, 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate_mapdef");
	TCase *c = tcase_create("compiled");

	tcase_add_checked_fixture(c, NULL, tear_down);
	tcase_add_loop_test(c, reads_what_clang_wrote, 0,
			    BL_ARRAY_SIZE(expected));
	tcase_add_test(c, knows_types_inner_maps_and_what_the_loader_owes);
	tcase_add_test(c, types_have_names);
	suite_add_tcase(s, c);

	c = tcase_create("by_hand");
	tcase_add_checked_fixture(c, set_up_build, tear_down);
	tcase_add_loop_test(c, a_wrong_definition_is_named, 0,
			    BL_ARRAY_SIZE(wrong));
	tcase_add_test(c, takes_what_libbpf_takes);
	tcase_add_test(c, what_is_no_variable_is_no_map);
	tcase_add_test(c, maps_without_btf_are_not_passed_over);
	suite_add_tcase(s, c);
	return s;
}
