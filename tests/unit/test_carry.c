/* SPDX-License-Identifier: Apache-2.0 */
/* What an update does with the entries of a map, by its form and by the
 * manifest's word. */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/object/carry.h"
#include "loader/object/object.h"
#include "tests/main.h"
#include "tests/support/built.h"

static struct bl_object before, now;
static struct bl_map_list old_maps, new_maps;
static struct bl_carry_rules rules;
static struct bl_carry carry;
static struct bl_err err;

static void load(const char *name, struct bl_object *ret,
		 struct bl_map_list *ret_maps)
{
	bl_autobuf struct bl_buf file = { 0 };

	built_object(name, &file);
	ck_assert_int_eq(bl_object_open(name, file.data, file.len, ret, &err),
			 0);
	ck_assert_int_eq(bl_map_list_read(ret, ret_maps, &err), 0);
}

static void load_both(void)
{
	load("abi", &before, &old_maps);
	load("abi-new", &now, &new_maps);
}

static void tear_down(void)
{
	bl_carry_free(&carry);
	bl_map_list_free(&old_maps);
	bl_map_list_free(&new_maps);
	bl_object_free(&before);
	bl_object_free(&now);
	rules = (struct bl_carry_rules){ 0 };
}

static void say(const char *map, enum bl_carry_word word)
{
	struct bl_carry_rule *rule = &rules.rules[rules.count++];

	snprintf(rule->map, sizeof(rule->map), "%s", map);
	rule->word = word;
}

static void decide(const struct bl_map_list *live,
		   const struct bl_map_list *next,
		   const struct bl_map_fact *facts, bool back)
{
	struct bl_carry_ask ask = { .live = live,
				    .now = next,
				    .facts = facts,
				    .rules = &rules,
				    .back = back };

	bl_carry_free(&carry);
	ck_assert_int_eq(bl_carry_decide(&ask, &carry, &err), 0);
}

static const struct bl_carry_map *about(const char *map)
{
	for (size_t i = 0; i < carry.count; i++)
		if (!strcmp(carry.maps[i].name, map))
			return &carry.maps[i];
	return NULL;
}

/* --- by form ---------------------------------------------------------------- */

#define SHARE  BL_CARRY_SHARE
#define COPY   BL_CARRY_COPY
#define REFUSE BL_CARRY_REFUSE

static const struct {
	const char *map;
	enum bl_carry_way unsaid, migrate;
	const char *why;
} forms[] = {
	{ "same", SHARE, COPY, "" },
	{ "same_by_typedefs", SHARE, COPY, "" },
	{ "same_enum", SHARE, COPY, "" },
	{ "same_pinned_now", SHARE, COPY, "" },
	{ "bad_unpinned", SHARE, COPY, "" }, /* belay pins none by name */
	{ "form_described", SHARE, COPY, "compared by size alone" },
	/* What was there is where it was, and as large. */
	{ "ext_in_padding", SHARE, COPY, "\"more\" is new at byte 12" },
	{ "ext_in_reserve", SHARE, COPY, "\"used\" is new at byte 8" },
	{ "ext_renamed", SHARE, COPY, "is called \"noticed\" now" },
	{ "ext_an_arm", SHARE, COPY, "is new" },
	/* What one kernel map cannot be. */
	{ "ext_at_end", REFUSE, COPY, "\"dropped\" is new at byte 8" },
	{ "ext_entries", REFUSE, COPY, "16 entries, 64 now" },
	{ "same_entries_unpinned", REFUSE, COPY, "16 entries, 64 now" },
	{ "ext_flags", REFUSE, COPY, "flags 0x0, 0x1 now" },
	{ "bad_flags", REFUSE, COPY, "flags 0x0, 0x1 now" },
	/* What cannot be carried over at all. */
	{ "form_fewer_unpinned", REFUSE, REFUSE, "64 entries, 16 now" },
	{ "bad_fewer", REFUSE, REFUSE, "64 entries, 16 now" },
	{ "bad_type", REFUSE, REFUSE, "of type hash, and is lru_hash now" },
	{ "bad_key", REFUSE, REFUSE, "unsigned of 8 bytes" },
	{ "bad_moved", REFUSE, REFUSE, "moved from byte 8 to 16" },
	{ "bad_narrower", REFUSE, REFUSE, "is unsigned of 4" },
	{ "bad_gone_member", REFUSE, REFUSE, "is gone from byte 8" },
	{ "bad_renumbered", REFUSE, REFUSE, "KIND_EXEC was 1 and is 2 now" },
	{ "bad_size", REFUSE, REFUSE, "24 bytes, 32 now" },
	{ "bad_rdonly", REFUSE, REFUSE, "may not write it" },
};

static void expect(const char *map, enum bl_carry_way way, const char *why)
{
	const struct bl_carry_map *m = about(map);

	ck_assert_msg(m, "nothing about %s", map);
	ck_assert_msg(m->way == way, "%s: %s: %s", map,
		      bl_carry_way_name(m->way), m->why);
	ck_assert_msg(strstr(m->why, why), "%s: %s", map, m->why);
	/* whoever is refused is told what to write, by the map's name */
	ck_assert_int_eq(*m->hint != 0, way == BL_CARRY_REFUSE);
	if (way == BL_CARRY_REFUSE)
		ck_assert_msg(strstr(m->hint, map) &&
				      strstr(m->hint, "\"reset\""),
			      "%s", m->hint);
}

START_TEST(each_form_has_its_way)
{
	load_both();
	decide(&old_maps, &new_maps, NULL, false);
	expect(forms[_i].map, forms[_i].unsaid, forms[_i].why);
	/* "migrate" is proposed where it is an answer, and nowhere else */
	if (forms[_i].unsaid == BL_CARRY_REFUSE)
		ck_assert_int_eq(strstr(about(forms[_i].map)->hint,
					"migrate") != NULL,
				 forms[_i].migrate == BL_CARRY_COPY);
	say(forms[_i].map, BL_CARRY_KEEP);
	decide(&old_maps, &new_maps, NULL, false);
	expect(forms[_i].map, forms[_i].unsaid, forms[_i].why);
	rules.rules[0].word = BL_CARRY_MIGRATE;
	decide(&old_maps, &new_maps, NULL, false);
	expect(forms[_i].map, forms[_i].migrate, forms[_i].why);
	rules.rules[0].word = BL_CARRY_RESET;
	decide(&old_maps, &new_maps, NULL, false);
	expect(forms[_i].map, BL_CARRY_FRESH, "as the manifest says");
}
END_TEST

START_TEST(what_holds_no_state_is_not_spoken_of)
{
	load_both();
	decide(&old_maps, &new_maps, NULL, false);
	ck_assert_ptr_null(about("same_ring"));
	ck_assert_ptr_null(about("bad_inner"));
	ck_assert_ptr_null(about("new_one"));
	ck_assert_ptr_null(about("bad_gone"));
	ck_assert_ptr_null(about(".bss"));
}
END_TEST

/* The way back is never refused: an older version begins with what it can
 * take over, and empty where it cannot. */
START_TEST(the_way_back_refuses_nothing)
{
	size_t more = 0;

	load_both();
	decide(&new_maps, &old_maps, NULL, true);
	ck_assert_ptr_null(bl_carry_refused(&carry, &more));
	expect("same", BL_CARRY_SHARE, "");
	expect("ext_at_end", BL_CARRY_FRESH, "\"dropped\" is gone");
	expect("bad_moved", BL_CARRY_FRESH, "moved from byte 16 to 8");
}
END_TEST

/* The words told the two versions apart, in both directions. */
START_TEST(on_the_way_back_the_words_of_the_way_there_count)
{
	load_both();
	say("same", BL_CARRY_RESET);
	say("same_enum", BL_CARRY_MIGRATE);
	say("ext_at_end", BL_CARRY_MIGRATE);
	say("ext_flags", BL_CARRY_MIGRATE);
	decide(&new_maps, &old_maps, NULL, true);
	expect("same", BL_CARRY_FRESH, "as the manifest says");
	expect("same_enum", BL_CARRY_SHARE, "");
	expect("ext_at_end", BL_CARRY_FRESH, "is gone");
	expect("ext_flags", BL_CARRY_COPY, "");
}
END_TEST

START_TEST(the_same_object_needs_no_word)
{
	struct bl_carry_ask ask = { .live = &old_maps,
				    .now = &old_maps,
				    .rules = &rules,
				    .same_object = true };

	load_both();
	say("same", BL_CARRY_RESET);
	say("same_enum", BL_CARRY_MIGRATE);
	bl_carry_free(&carry);
	ck_assert_int_eq(bl_carry_decide(&ask, &carry, &err), 0);
	expect("same", BL_CARRY_SHARE, "");
	expect("same_enum", BL_CARRY_SHARE, "");
}
END_TEST

START_TEST(the_first_refused_map_is_named_and_the_others_are_counted)
{
	const struct bl_carry_map *m;
	size_t more = 0;

	load_both();
	decide(&old_maps, &new_maps, NULL, false);
	m = bl_carry_refused(&carry, &more);
	ck_assert_ptr_nonnull(m);
	ck_assert_str_eq(m->name, "ext_at_end");
	ck_assert_uint_gt(more, 10);
}
END_TEST

/* --- by nature -------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t type, flags;
	int unsaid; /* -1: not spoken of */
	bool implicit, can_keep, can_migrate;
} natures[] = {
	{ "m", BPF_MAP_TYPE_HASH, 0, SHARE, false, true, true },
	{ "m", BPF_MAP_TYPE_LRU_HASH, 0, SHARE, false, true, true },
	{ "m", BPF_MAP_TYPE_PERCPU_HASH, 0, SHARE, false, true, true },
	{ "m", BPF_MAP_TYPE_LRU_PERCPU_HASH, 0, SHARE, false, true, true },
	{ "m", BPF_MAP_TYPE_ARRAY, 0, SHARE, false, true, true },
	{ "m", BPF_MAP_TYPE_PERCPU_ARRAY, 0, SHARE, false, true, true },
	{ "m", BPF_MAP_TYPE_LPM_TRIE, 0, SHARE, false, true, true },
	{ "m", BPF_MAP_TYPE_TASK_STORAGE, 0, SHARE, false, true, false },
	{ "m", BPF_MAP_TYPE_SK_STORAGE, 0, SHARE, false, true, false },
	{ "m", BPF_MAP_TYPE_INODE_STORAGE, 0, SHARE, false, true, false },
	{ "m", BL_MAP_TYPE_CGRP_STORAGE, 0, SHARE, false, true, false },
	{ "m", BPF_MAP_TYPE_QUEUE, 0, SHARE, false, true, false },
	{ "m", BPF_MAP_TYPE_SOCKHASH, 0, SHARE, false, true, false },
	{ "m", BPF_MAP_TYPE_DEVMAP, 0, BL_CARRY_FRESH, false, true, false },
	{ "m", BPF_MAP_TYPE_STACK_TRACE, 0, BL_CARRY_FRESH, false, true,
	  false },
	{ "m", BPF_MAP_TYPE_RINGBUF, 0, -1, false, false, false },
	{ "m", BPF_MAP_TYPE_PERF_EVENT_ARRAY, 0, -1, false, false, false },
	{ "m", BPF_MAP_TYPE_PROG_ARRAY, 0, -1, false, false, false },
	{ "m", BPF_MAP_TYPE_ARRAY_OF_MAPS, 0, -1, false, false, false },
	{ "m", BPF_MAP_TYPE_STRUCT_OPS, 0, -1, false, false, false },
	{ "m", BPF_MAP_TYPE_ARRAY, BPF_F_RDONLY_PROG, -1, false, false, false },
	{ "bl_stats", BPF_MAP_TYPE_PERCPU_ARRAY, 0, -1, false, false, false },
	{ ".data", BPF_MAP_TYPE_ARRAY, 0, -1, true, false, false },
	{ "m", 4711, 0, -1, false, false, false },
};

static struct bl_map_def def;
static const struct bl_map_list one = { .defs = &def, .count = 1 };

static void make(const char *name, uint32_t type)
{
	def = (struct bl_map_def){ .name = name,
				   .type = type,
				   .key_size = 4,
				   .value_size = 8,
				   .max_entries = 16 };
}

START_TEST(each_type_has_its_nature)
{
	make(natures[_i].name, natures[_i].type);
	def.flags = natures[_i].flags;
	def.implicit = natures[_i].implicit;
	decide(&one, &one, NULL, false);
	if (natures[_i].unsaid < 0) {
		ck_assert_uint_eq(carry.count, 0);
	} else {
		ck_assert_uint_eq(carry.count, 1);
		ck_assert_int_eq(carry.maps[0].way, natures[_i].unsaid);
	}
	/* what cannot be done is an error before it is shipped */
	say(def.name, BL_CARRY_KEEP);
	ck_assert_int_eq(bl_carry_check(&one, &rules, &err),
			 natures[_i].can_keep ? 0 : -EBADMSG);
	rules.rules[0].word = BL_CARRY_MIGRATE;
	ck_assert_int_eq(bl_carry_check(&one, &rules, &err),
			 natures[_i].can_migrate ? 0 : -EBADMSG);
	rules.rules[0].word = BL_CARRY_RESET;
	ck_assert_int_eq(bl_carry_check(&one, &rules, &err), 0);
	/* what can be done is done */
	rules.rules[0].word = natures[_i].can_migrate ? BL_CARRY_MIGRATE
						      : BL_CARRY_KEEP;
	if (!natures[_i].can_keep)
		return;
	decide(&one, &one, NULL, false);
	ck_assert_int_eq(carry.maps[0].way, natures[_i].can_migrate
						    ? BL_CARRY_COPY
						    : BL_CARRY_SHARE);
}
END_TEST

/* State that becomes something without state is lost, so it wants a word. */
START_TEST(state_that_becomes_a_ring_is_refused)
{
	struct bl_map_def ring;
	const struct bl_map_list next = { .defs = &ring, .count = 1 };

	make("m", BPF_MAP_TYPE_HASH);
	ring = def;
	ring.type = BPF_MAP_TYPE_RINGBUF;
	decide(&one, &next, NULL, false);
	expect("m", BL_CARRY_REFUSE, "of type hash, and is ringbuf now");
	decide(&next, &one, NULL, false);
	ck_assert_uint_eq(carry.count, 0);
	say("m", BL_CARRY_RESET);
	decide(&one, &next, NULL, false);
	expect("m", BL_CARRY_FRESH, "");
}
END_TEST

START_TEST(a_map_that_is_not_there_is_named_with_those_that_are)
{
	make("counts", BPF_MAP_TYPE_HASH);
	say("cuonts", BL_CARRY_KEEP);
	ck_assert_int_eq(bl_carry_check(&one, &rules, &err), -EBADMSG);
	ck_assert_str_eq(
		err.text,
		"state.cuonts: the object has no such map (it has: counts)");
}
END_TEST

/* --- by what the kernel shows ------------------------------------------------ */

START_TEST(what_the_kernel_does_not_show_is_refused)
{
	static const struct {
		struct bl_map_fact fact;
		const char *why;
	} facts[] = {
		{ { .state = BL_MAP_UNREADABLE }, "cannot be read" },
		{ { .state = BL_MAP_GONE }, "not among its pins" },
		{ { BL_MAP_THERE, BPF_MAP_TYPE_ARRAY, 4, 8 },
		  "is of type array with 4 + 8 bytes" },
		{ { BL_MAP_THERE, BPF_MAP_TYPE_HASH, 4, 16 },
		  "is of type hash with 4 + 16 bytes" },
	};
	const struct bl_map_fact good = { BL_MAP_THERE, BPF_MAP_TYPE_HASH, 4,
					  8 };

	make("m", BPF_MAP_TYPE_HASH);
	decide(&one, &one, &good, false);
	expect("m", BL_CARRY_SHARE, "");
	decide(&one, &one, &facts[_i].fact, false);
	expect("m", BL_CARRY_REFUSE, facts[_i].why);
	decide(&one, &one, &facts[_i].fact, true);
	expect("m", BL_CARRY_FRESH, facts[_i].why);
	/* who wants nothing of it need not wait for it */
	say("m", BL_CARRY_RESET);
	decide(&one, &one, &facts[_i].fact, false);
	expect("m", BL_CARRY_FRESH, "");
}
END_TEST

START_TEST(the_journal_gets_it_in_one_line)
{
	struct bl_map_def defs[3];
	const struct bl_map_list three = { .defs = defs, .count = 3 };
	bl_autobuf struct bl_buf text = { 0 };

	make("counts", BPF_MAP_TYPE_HASH);
	for (int i = 0; i < 3; i++)
		defs[i] = def;
	defs[1].name = "peers";
	defs[2].name = "cache";
	say("cache", BL_CARRY_RESET);
	say("peers", BL_CARRY_MIGRATE);
	decide(&three, &three, NULL, false);
	ck_assert_int_eq(bl_carry_text(&carry, &text), 0);
	ck_assert_str_eq(text.data, "counts:kept peers:migrated cache:reset");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("carry");
	TCase *t = tcase_create("form");

	tcase_add_checked_fixture(t, NULL, tear_down);
	tcase_add_loop_test(t, each_form_has_its_way, 0, BL_ARRAY_SIZE(forms));
	tcase_add_test(t, what_holds_no_state_is_not_spoken_of);
	tcase_add_test(t, the_way_back_refuses_nothing);
	tcase_add_test(t, on_the_way_back_the_words_of_the_way_there_count);
	tcase_add_test(t, the_same_object_needs_no_word);
	tcase_add_test(
		t, the_first_refused_map_is_named_and_the_others_are_counted);
	suite_add_tcase(s, t);
	t = tcase_create("nature");
	tcase_add_checked_fixture(t, NULL, tear_down);
	tcase_add_loop_test(t, each_type_has_its_nature, 0,
			    BL_ARRAY_SIZE(natures));
	tcase_add_test(t, state_that_becomes_a_ring_is_refused);
	tcase_add_test(t, a_map_that_is_not_there_is_named_with_those_that_are);
	suite_add_tcase(s, t);
	t = tcase_create("kernel");
	tcase_add_checked_fixture(t, NULL, tear_down);
	tcase_add_loop_test(t, what_the_kernel_does_not_show_is_refused, 0, 4);
	tcase_add_test(t, the_journal_gets_it_in_one_line);
	suite_add_tcase(s, t);
	return s;
}
