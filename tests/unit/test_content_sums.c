/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for digests of programs, and what of a program's instructions says that
 * it refuses nothing. */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/bundle/content.h"
#include "loader/bundle/digest.h"
#include "loader/kern/sensor.h"
#include "loader/object/harmless.h"
#include "loader/object/object.h"
#include "tests/main.h"
#include "tests/support/rules.h"

#define HEX   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define RULE  "{\"event\":\"exec\",\"sha256\":\"" HEX
#define DENY  "\",\"action\":\"deny\"}"
#define EMIT  "\",\"action\":\"emit\"}"
#define CLEAR "\",\"action\":\"ignore\"}"

/* What becomes of a program of this digest and path; -1: no rule for it. */
static int action_of(const char *hex, const char *path)
{
	struct bl_match m = bl_content_match_path(rules.bin.data, BL_EVENT_EXEC,
						  path, strlen(path));
	__u64 sum[BL_CONTENT_SUM_WORDS];

	ck_assert_ptr_null(bl_content_sum_read(hex, sum));
	bl_content_match_sum(rules.bin.data, sum, &m);
	return m.rule == BL_RULE_NONE ? -1 : (int)m.action;
}

START_TEST(a_digest_is_found_whatever_the_path_and_no_other_is)
{
	rules_compile(RULE "0" DENY "," RULE "1" EMIT);
	ck_assert_uint_eq(rules.info.sums, 2);
	ck_assert_uint_eq(rules.info.denies, 1);
	ck_assert_uint_eq(rules.info.kinds[BL_EVENT_EXEC], 2);
	ck_assert(bl_sensor_sums(rules.bin.data));
	ck_assert_int_eq(action_of(HEX "0", "/a"), BL_ACTION_DENY);
	ck_assert_int_eq(action_of(HEX "1", "/b"), BL_ACTION_EMIT);
	ck_assert_int_eq(action_of(HEX "2", "/a"), -1);
}
END_TEST

/* The digest of a file as it lies in the kernel's memory is what its hex digits
 * say, in their order. */
START_TEST(the_words_are_the_bytes_of_the_digest)
{
	char hex[BL_DIGEST_HEX];
	__u64 sum[BL_CONTENT_SUM_WORDS];

	bl_digest("abc", 3, hex);
	ck_assert_ptr_null(bl_content_sum_read(hex, sum));
	ck_assert(!memcmp(sum, "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8));
	ck_assert_uint_eq(((uint8_t *)sum)[31], 0xad);
}
END_TEST

START_TEST(a_digest_beats_a_path_and_reporting_lifts_no_refusal)
{
	rules_compile(
		"{\"event\":\"exec\",\"path\":\"/a\",\"action\":\"ignore\"},"
		"{\"event\":\"exec\",\"prefix\":\"/tmp/\",\"action\":\"deny\"}," RULE
		"0" DENY "," RULE "1" EMIT "," RULE "2" CLEAR);
	ck_assert_int_eq(action_of(HEX "0", "/a"), BL_ACTION_DENY);
	ck_assert_int_eq(action_of(HEX "1", "/a"), BL_ACTION_EMIT);
	ck_assert_int_eq(action_of(HEX "1", "/tmp/x"), BL_ACTION_DENY);
	ck_assert_int_eq(action_of(HEX "2", "/tmp/x"), BL_ACTION_IGNORE);
	ck_assert_int_eq(action_of(HEX "3", "/tmp/x"), BL_ACTION_DENY);
}
END_TEST

START_TEST(content_without_digests_asks_for_none)
{
	rules_compile(
		"{\"event\":\"exec\",\"path\":\"/a\",\"action\":\"emit\"}");
	ck_assert(!bl_sensor_sums(rules.bin.data));
	ck_assert(!bl_sensor_sums(NULL));
	ck_assert_uint_eq(rules.info.sums, 0);
}
END_TEST

/* Else anybody's program could take as long as it likes, by its name. */
START_TEST(only_a_sensor_s_own_that_may_sleep_is_not_timed)
{
	ck_assert(bl_sensor_is_fill("bl_sum_fill", true, true));
	ck_assert(bl_sensor_is_fill("bl_sum_fill_in", true, true));
	ck_assert(!bl_sensor_is_fill("bl_sum_fill", false, true));
	ck_assert(!bl_sensor_is_fill("bl_sum_fill", true, false));
	ck_assert(!bl_sensor_is_fill("bl_sum_deny", true, true));
}
END_TEST

static const struct {
	const char *rule, *why;
} mistakes[] = {
	{ "\"event\":\"exec\",\"sha256\":\"0123\"",
	  "c:2: rules[0].sha256: '0123': a SHA-256 has 64 hex digits" },
	{ "\"event\":\"exec\",\"sha256\":\"" HEX "00\"",
	  "c:2: rules[0].sha256: '" HEX "00': a SHA-256 has 64 hex digits" },
	{ "\"event\":\"exec\",\"sha256\":\"" HEX "g\"",
	  "c:2: rules[0].sha256: '" HEX "g': a SHA-256 has 64 hex digits" },
	{ "\"event\":\"exec\",\"sha256\":\"" HEX "A\"",
	  "c:2: rules[0].sha256: '" HEX "A': write it in small letters" },
	{ "\"event\":\"open\",\"sha256\":\"" HEX "0\"",
	  "c:2: rules[0].sha256: only exec rules take a sha256" },
	{ "\"event\":\"exec\",\"path\":\"/a\",\"sha256\":\"" HEX "0\"",
	  "c:2: rules[0]: a rule has exactly one of path, prefix, name, address, domain and sha256, this has 2" },
};

START_TEST(a_rule_that_could_match_nothing_is_refused)
{
	rules_refused(mistakes[_i].rule, mistakes[_i].why);
}
END_TEST

START_TEST(the_same_digest_twice_is_refused)
{
	ck_assert_int_eq(rules_try(RULE "0" DENY ",\n" RULE "0" EMIT),
			 -EBADMSG);
	ck_assert_str_eq(rules.err.text,
			 "c:3: rules[1]: matches the same as rules[0]");
}
END_TEST

/* --- what refuses nothing ------------------------------------------------- */

#define MOV(reg, n)                                       \
	{                                                 \
		BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, n \
	}
#define END                                    \
	{                                      \
		BPF_JMP | BPF_EXIT, 0, 0, 0, 0 \
	}
#define JUMP(by)                                       \
	{                                              \
		BPF_JMP | BPF_JEQ | BPF_K, 1, 0, by, 0 \
	}
#define CALLS(from, what)                            \
	{                                            \
		BPF_JMP | BPF_CALL, 0, from, 0, what \
	}
#define CALL CALLS(0, BPF_FUNC_ktime_get_ns)
#define GOTO(source)                                    \
	{                                               \
		BPF_JMP | BPF_JA | (source), 1, 0, 0, 0 \
	}
#define WIDE                                          \
	{                                             \
		BPF_LD | BPF_IMM | BPF_DW, 1, 0, 0, 0 \
	}

static const struct {
	const char *name;
	struct bpf_insn insns[6];
	size_t count;
	bool harmless;
} codes[] = {
	{ "returns 0", { MOV(0, 0), END }, 2, true },
	{ "returns 1", { MOV(0, 1), END }, 2, false },
	{ "what another register has", { MOV(1, 0), END }, 2, false },
	{ "what a call gave", { CALL, END }, 2, false },
	{ "0 behind a call", { CALL, MOV(0, 0), END }, 3, true },
	{ "a jump to the end", { CALL, JUMP(1), MOV(0, 0), END }, 4, false },
	{ "a jump to the 0", { CALL, JUMP(0), MOV(0, 0), END }, 4, true },
	{ "a jump back to the end",
	  { MOV(0, 0), END, CALL, JUMP(-3), MOV(0, 0), END },
	  6,
	  false },
	{ "one of two ends", { MOV(0, 0), END, CALL, END }, 4, false },
	{ "half of a number", { WIDE, MOV(0, 0), END }, 3, false },
	{ "a function of the object, or of the kernel before the load",
	  { CALLS(BPF_PSEUDO_CALL, -1), MOV(0, 0), END },
	  3,
	  false },
	{ "a function of the kernel, which may be bpf_throw",
	  { CALLS(BPF_PSEUDO_KFUNC_CALL, 1), MOV(0, 0), END },
	  3,
	  false },
	{ "a tail call",
	  { CALLS(0, BPF_FUNC_tail_call), MOV(0, 0), END },
	  3,
	  false },
	{ "a call by register",
	  { { BPF_JMP | BPF_CALL | BPF_X, 1, 0, 0, 0 }, MOV(0, 0), END },
	  3,
	  false },
	{ "a jump to where a register says",
	  { GOTO(BPF_X), MOV(0, 0), END },
	  3,
	  false },
	{ "a jump to the next", { GOTO(BPF_K), MOV(0, 0), END }, 3, true },
	{ "no end", { MOV(0, 0) }, 1, false },
	{ "nothing", { END }, 0, false },
	{ "nothing before", { END }, 1, false },
};

START_TEST(a_program_is_harmless_if_each_of_its_ends_is_0)
{
	ck_assert_msg(
		bl_object_harmless(codes[_i].insns,
				   codes[_i].count * sizeof(struct bpf_insn)) ==
			codes[_i].harmless,
		"%s", codes[_i].name);
}
END_TEST

static bool harmless_in_sensor(const struct bl_object *o, const char *name)
{
	for (size_t i = 0; i < o->program_count; i++) {
		const struct bl_object_program *p = &o->programs[i];
		const unsigned char *code = o->sections[p->section_index].data;

		if (!strcmp(p->name, name))
			return bl_object_harmless(code + p->offset, p->size);
	}
	ck_abort_msg("the sensor has no %s", name);
}

/* Without that, hosts refuse content with digests that denies nothing. */
START_TEST(of_the_sensor_those_that_hash_are_harmless)
{
	bl_autofree char *path =
		bl_path("%s/bpf/sensor.bpf.o", BL_TEST_BUILD_DIR);
	struct bl_object o = { 0 };

	ck_assert_msg(!bl_file_read(path, 1 << 22, &rules.bin, &rules.err),
		      "%s", rules.err.text);
	ck_assert_msg(!bl_object_open("s", rules.bin.data, rules.bin.len, &o,
				      &rules.err),
		      "%s", rules.err.text);
	ck_assert(harmless_in_sensor(&o, "bl_sum_fill"));
	ck_assert(harmless_in_sensor(&o, "bl_sum_fill_in"));
	ck_assert(!harmless_in_sensor(&o, "bl_sum_deny"));
	ck_assert(!harmless_in_sensor(&o, "bl_deny_exec"));
	bl_object_free(&o);
}
END_TEST

static void teardown(void)
{
	rules_done();
}

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("content_sums");
	TCase *t = tcase_create("rules"), *code = tcase_create("harmless");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_digest_is_found_whatever_the_path_and_no_other_is);
	tcase_add_test(t, the_words_are_the_bytes_of_the_digest);
	tcase_add_test(t, a_digest_beats_a_path_and_reporting_lifts_no_refusal);
	tcase_add_test(t, content_without_digests_asks_for_none);
	tcase_add_test(t, only_a_sensor_s_own_that_may_sleep_is_not_timed);
	tcase_add_loop_test(t, a_rule_that_could_match_nothing_is_refused, 0,
			    BL_ARRAY_SIZE(mistakes));
	tcase_add_test(t, the_same_digest_twice_is_refused);
	suite_add_tcase(s, t);
	tcase_add_loop_test(code,
			    a_program_is_harmless_if_each_of_its_ends_is_0, 0,
			    BL_ARRAY_SIZE(codes));
	tcase_add_checked_fixture(code, NULL, teardown);
	tcase_add_test(code, of_the_sensor_those_that_hash_are_harmless);
	suite_add_tcase(s, code);
	return s;
}
