/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: the built-in ones, files, and the mistakes that people make. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/policy/helper.h"
#include "loader/gate/policy/hook.h"
#include "loader/gate/policy/profile.h"
#include "tests/main.h"

static struct bl_profile profile;
static struct bl_err err;

static int parse(const char *text)
{
	bl_profile_free(&profile);
	err = (struct bl_err){ 0 };
	return bl_profile_parse("edr.json", text, strlen(text), &profile, &err);
}

static void teardown(void)
{
	bl_profile_free(&profile);
}

/* What the three built-in profiles say, in their order. */
static const struct {
	enum bl_subject subject;
	const char *name, *says;
} built_in[] = {
	{ BL_SUBJECT_TYPES, "kprobe", "pass pass pass" },
	{ BL_SUBJECT_TYPES, "lsm", "reject pass pass" },
	{ BL_SUBJECT_TYPES, "xdp", "reject pass pass" },
	{ BL_SUBJECT_TYPES, "cgroup", "reject pass pass" },
	{ BL_SUBJECT_TYPES, "struct_ops", "reject reject warn" },
	{ BL_SUBJECT_TYPES, "freplace", "reject reject warn" },
	{ BL_SUBJECT_TYPES, "unknown", "undecided undecided warn" },
	{ BL_SUBJECT_ATTACH, "fentry/tcp_connect", "pass pass pass" },
	{ BL_SUBJECT_ATTACH, "fmod_ret/should_failslab", "reject reject warn" },
	{ BL_SUBJECT_ATTACH, "fmod_ret.s/security_bpf", "reject pass pass" },
	{ BL_SUBJECT_HELPERS, "bpf_map_lookup_elem", "pass pass pass" },
	{ BL_SUBJECT_HELPERS, "bpf_redirect", "reject pass pass" },
	{ BL_SUBJECT_HELPERS, "bpf_probe_write_user", "reject reject warn" },
	{ BL_SUBJECT_HELPERS, "bpf_override_return", "reject reject warn" },
	{ BL_SUBJECT_HELPERS, "bpf_send_signal", "reject reject warn" },
	{ BL_SUBJECT_HELPERS, "bpf_send_signal_thread", "reject reject warn" },
	{ BL_SUBJECT_HELPERS, "helper 4711", "reject reject warn" },
	{ BL_SUBJECT_KFUNCS, "bpf_rcu_read_lock", "pass pass pass" },
	{ BL_SUBJECT_KFUNCS, "bpf_skb_ct_lookup", "reject pass pass" },
	{ BL_SUBJECT_KFUNCS, "bpf_send_signal_task", "reject reject warn" },
	{ BL_SUBJECT_KFUNCS, "bpf_set_dentry_xattr", "reject reject warn" },
	{ BL_SUBJECT_KFUNCS, "bpf_iter_num_new", "pass pass pass" },
	{ BL_SUBJECT_KFUNCS, "bpf_iter_scx_dsq_new", "reject reject warn" },
	{ BL_SUBJECT_KFUNCS, "not_known_here", "reject reject warn" },
	{ BL_SUBJECT_SLEEPABLE, "lsm", "pass pass pass" },
	{ BL_SUBJECT_MAPS, "ringbuf", "pass pass pass" },
	{ BL_SUBJECT_MAPS, "sockmap", "reject pass pass" },
	{ BL_SUBJECT_MAPS, "type 99", "reject reject warn" },
	{ BL_SUBJECT_PINNING, "anything", "warn warn pass" },
};

START_TEST(built_in_profiles_say_what_is_documented)
{
	static const char *const names[] = { "observe", "enforce", "trusted" };
	char said[64] = "";
	size_t i, len = 0;

	for (i = 0; i < BL_ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(bl_profile_load(names[i], &profile, &err), 0);
		ck_assert_str_eq(profile.name, names[i]);
		len += (size_t)snprintf(
			said + len, sizeof(said) - len, "%s%s", i ? " " : "",
			bl_verdict_name(bl_profile_judge(&profile,
							 built_in[_i].subject,
							 built_in[_i].name)
						.verdict));
	}
	ck_assert_msg(strcmp(said, built_in[_i].says) == 0, "%s: %s",
		      built_in[_i].name, said);
}
END_TEST

/* A profile allows whatever the one before it does. */
START_TEST(built_in_profiles_widen)
{
	uint32_t i;
	int base;

	for (i = 0; i < BL_HELPERS_END; i++)
		for (base = 1; bl_helper_name(i) && base < BL_PROFILE_BASES;
		     base++)
			ck_assert_msg(bl_profile_judge_base(
					      (enum bl_profile_base)base,
					      BL_SUBJECT_HELPERS,
					      bl_helper_name(i))
						      .verdict <=
					      bl_profile_judge_base(
						      (enum bl_profile_base)(
							      base - 1),
						      BL_SUBJECT_HELPERS,
						      bl_helper_name(i))
						      .verdict,
				      "%s", bl_helper_name(i));
	ck_assert_str_eq(bl_helper_name(1), "bpf_map_lookup_elem");
	ck_assert_str_eq(bl_helper_name(211), "bpf_cgrp_storage_delete");
	ck_assert_ptr_null(bl_helper_name(0));
	ck_assert_ptr_null(bl_helper_name(BL_HELPERS_END));
}
END_TEST

static const char example[] =
	"{ \"base\": \"observe\",\n"
	"  \"types\": [ { \"allow\": \"lsm\", \"reason\": \"it blocks\" } ],\n"
	"  \"attach\": [\n"
	"    { \"deny\": \"kprobe/tcp_*\", \"reason\": \"too hot\" },\n"
	"    { \"allow\": \"kprobe/tcp_connect\", \"reason\": \"rare\" } ],\n"
	"  \"helpers\": [\n"
	"    { \"deny\": \"bpf_*user*\", \"reason\": \"no user memory\" },\n"
	"    { \"allow\": \"bpf_send_signal\", \"reason\": \"SEC-12\" } ],\n"
	"  \"kfuncs\": [ { \"warn\": \"bpf_ct_*\", \"reason\": \"ask\" } ],\n"
	"  \"sleepable\": [ { \"deny\": \"*\", \"reason\": \"none\" } ],\n"
	"  \"maps\": [ { \"deny\": \"arena\", \"reason\": \"new\" } ],\n"
	"  \"pinning\": [ { \"allow\": \"counts\", \"reason\": \"read\" } ] }\n";

static void assert_says(enum bl_subject subject, const char *name,
			enum bl_verdict verdict, const char *reason)
{
	struct bl_ruling r = bl_profile_judge(&profile, subject, name);

	ck_assert_msg(r.verdict == verdict, "%s: %s", name,
		      bl_verdict_name(r.verdict));
	ck_assert_str_eq(r.reason, reason);
}

START_TEST(a_file_changes_its_base)
{
	ck_assert_msg(parse(example) == 0, "%s", err.text);
	ck_assert_str_eq(profile.name, "edr");
	assert_says(BL_SUBJECT_TYPES, "lsm", BL_VERDICT_PASS, "it blocks");
	assert_says(BL_SUBJECT_TYPES, "xdp", BL_VERDICT_REJECT, "");
	/* the last rule that matches */
	assert_says(BL_SUBJECT_ATTACH, "kprobe/tcp_sendmsg", BL_VERDICT_REJECT,
		    "too hot");
	assert_says(BL_SUBJECT_ATTACH, "kprobe/tcp_connect", BL_VERDICT_PASS,
		    "rare");
	assert_says(BL_SUBJECT_HELPERS, "bpf_send_signal", BL_VERDICT_PASS,
		    "SEC-12");
	assert_says(BL_SUBJECT_HELPERS, "bpf_send_signal_thread",
		    BL_VERDICT_REJECT, "");
	assert_says(BL_SUBJECT_HELPERS, "bpf_probe_read_user",
		    BL_VERDICT_REJECT, "no user memory");
	assert_says(BL_SUBJECT_KFUNCS, "bpf_ct_release", BL_VERDICT_WARN,
		    "ask");
	assert_says(BL_SUBJECT_SLEEPABLE, "uprobe", BL_VERDICT_REJECT, "none");
	assert_says(BL_SUBJECT_MAPS, "arena", BL_VERDICT_REJECT, "new");
	assert_says(BL_SUBJECT_PINNING, "counts", BL_VERDICT_PASS, "read");
	assert_says(BL_SUBJECT_PINNING, "other", BL_VERDICT_WARN, "");
}
END_TEST

START_TEST(an_empty_file_is_observe)
{
	ck_assert_int_eq(parse("{}"), 0);
	assert_says(BL_SUBJECT_TYPES, "lsm", BL_VERDICT_REJECT, "");
	ck_assert_int_eq(parse("{\"base\": \"trusted\"}"), 0);
	assert_says(BL_SUBJECT_TYPES, "lsm", BL_VERDICT_PASS, "");
}
END_TEST

#define RULE(list, rule) "{ \"" list "\": [ " rule " ] }"
#define WHY		 ", \"reason\": \"why\" }"

static const struct {
	const char *text, *says;
} mistakes[] = {
	{ "", "edr.json:1" },
	{ "[]", "an object was expected, this is an array" },
	{ "{ \"helper\": [] }",
	  "edr.json:1: helper: unknown key (known: types, attach, helpers" },
	{ "{ \"base\": \"enfroce\" }",
	  "base: there is no profile 'enfroce' (observe, enforce, trusted)" },
	{ "{ \"base\": 1 }", "base: a string was expected" },
	{ "{ \"types\": \"lsm\" }", "types: an array was expected" },
	{ "{ \"types\": [], \"types\": [] }", "edr.json:1" },
	{ RULE("types", "\"lsm\""), "types[0]: an object was expected" },
	{ RULE("helpers", "{ \"allow\": \"bpf_send_signal\" }"),
	  "helpers[0]: required key 'reason' is missing" },
	{ RULE("helpers", "{ \"allow\": \"bpf_loop\", \"reason\": \"\" }"),
	  "helpers[0].reason: 0 bytes is outside 1 to" },
	{ RULE("helpers", "{ \"allow\": \"bpf_loop\", \"reason\": \" \\n\" }"),
	  "helpers[0]: the reason is blank" },
	{ RULE("helpers", "{ \"allow\": \"bpf_loop\", \"deny\": \"*\"" WHY),
	  "helpers[0]: a rule has one of 'allow', 'warn' and 'deny'" },
	{ RULE("helpers", "{ \"reason\": \"why\" }"),
	  "helpers[0]: a rule has one of 'allow', 'warn' and 'deny'" },
	{ RULE("helpers", "{ \"permit\": \"bpf_loop\"" WHY),
	  "helpers[0].permit: unknown key (known: allow, warn, deny, reason)" },
	{ RULE("helpers", "{ \"allow\": \"bpf_send_sginal\"" WHY),
	  "no helper 'bpf_send_sginal'; did you mean 'bpf_send_signal'?" },
	{ RULE("helpers", "{ \"deny\": \"bpf_probe_wirte_*\"" WHY),
	  "helpers[0].deny: there is no helper 'bpf_probe_wirte_*'" },
	{ RULE("types", "{ \"allow\": \"lms\"" WHY),
	  "there is no kind of program 'lms'; did you mean 'lsm'?" },
	{ RULE("types", "{ \"allow\": \"BPF_PROG_TYPE_LSM\"" WHY),
	  "there is no kind of program 'BPF_PROG_TYPE_LSM'" },
	{ RULE("attach", "{ \"deny\": \"kpobe/tcp_*\"" WHY),
	  "there is no section 'kpobe'; did you mean 'kprobe'?" },
	{ RULE("sleepable", "{ \"deny\": \"fentry.s\"" WHY),
	  "did you mean 'fentry'?" },
	{ RULE("maps", "{ \"deny\": \"hashmap\"" WHY),
	  "there is no type of map 'hashmap'" },
	{ RULE("maps", "{ \"deny\": \"per_cpu_hash\"" WHY),
	  "did you mean 'percpu_hash'?" },
	{ RULE("kfuncs", "{ \"allow\": \"bpf_[a-z]\"" WHY),
	  "'[' means nothing in a pattern: there are '*' and '?'" },
	{ RULE("kfuncs", "{ \"allow\": \"bpf_**\"" WHY),
	  "kfuncs[0].allow: one '*' says what '**' says" },
	{ RULE("kfuncs", "{ \"allow\": \"bpf ct\"" WHY),
	  "a pattern has no blanks" },
	{ RULE("kfuncs", "{ \"allow\": \"\"" WHY), "0 bytes is outside 1 to" },
	{ RULE("kfuncs", "{ \"allow\": \"a\"" WHY ", { \"deny\": \"a\"" WHY),
	  "kfuncs[1].deny: rule 0 is about 'a' already" },
	{ RULE("types", "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"),
	  "nested deeper than" },
};

START_TEST(a_mistake_is_named)
{
	ck_assert_int_eq(parse(mistakes[_i].text), -EBADMSG);
	ck_assert_msg(strstr(err.text, mistakes[_i].says), "%s", err.text);
	ck_assert_ptr_null(profile.rules[BL_SUBJECT_HELPERS].list);
}
END_TEST

START_TEST(limits_hold)
{
	bl_autobuf struct bl_buf b = { 0 };
	int i;

	ck_assert_int_eq(bl_buf_printf(&b, "{ \"pinning\": ["), 0);
	for (i = 0; i <= BL_PROFILE_RULES_MAX; i++)
		ck_assert_int_eq(
			bl_buf_printf(
				&b,
				"%s{ \"allow\": \"m%d\", \"reason\": \"r\" }",
				i ? "," : "", i),
			0);
	ck_assert_int_eq(bl_buf_printf(&b, "] }"), 0);
	ck_assert_int_eq(parse(b.data), -EBADMSG);
	ck_assert_msg(strstr(err.text, "257 elements is outside 0 to 256"),
		      "%s", err.text);
	while (b.len <= BL_PROFILE_BYTES_MAX)
		ck_assert_int_eq(bl_buf_add(&b, "        ", 8), 0);
	ck_assert_int_eq(parse(b.data), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "larger than the limit"));
}
END_TEST

START_TEST(a_name_that_is_none_gets_a_suggestion)
{
	ck_assert_int_eq(bl_profile_load("enfroce", &profile, &err), -ENOENT);
	ck_assert_str_eq(err.hint, "did you mean enforce?");
	ck_assert_int_eq(bl_profile_load("/nonexistent/p.json", &profile, &err),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/p.json"));
	ck_assert_int_eq(bl_profile_load("/", &profile, &err), -EISDIR);
}
END_TEST

START_TEST(a_file_is_loaded_by_its_path)
{
	bl_autofree char *dir = bl_test_tmpdir();
	bl_autofree char *path = bl_path("%s/strict.json", dir);

	ck_assert_int_eq(
		bl_file_write(path, example, strlen(example), 0644, &err), 0);
	ck_assert_msg(bl_profile_load(path, &profile, &err) == 0, "%s",
		      err.text);
	ck_assert_str_eq(profile.name, "strict");
	ck_assert_int_eq(bl_file_rmtree(dir, &err), 0);
}
END_TEST

/* What profile.h shows is what profile.c takes. */
START_TEST(the_documented_example_is_one)
{
	bl_autobuf struct bl_buf header = { 0 }, text = { 0 };
	char *line, *rest = NULL;

	ck_assert_int_eq(bl_file_read(BL_TEST_SOURCE_DIR
				      "/loader/gate/policy/profile.h",
				      1 << 20, &header, &err),
			 0);
	line = strstr(header.data, " *\t{\n");
	ck_assert_ptr_nonnull(line);
	for (line = strtok_r(line, "\n", &rest);
	     line && strncmp(line, " *\t", 3) == 0;
	     line = strtok_r(NULL, "\n", &rest))
		ck_assert_int_eq(bl_buf_printf(&text, "%s\n", line + 3), 0);
	ck_assert_msg(parse(bl_buf_str(&text)) == 0, "%s", err.text);
	ck_assert_uint_eq(profile.rules[BL_SUBJECT_TYPES].count, 2);
	ck_assert_uint_eq(profile.rules[BL_SUBJECT_PINNING].count, 1);
}
END_TEST

static const struct {
	const char *pattern, *name;
	bool matches;
} globs[] = {
	{ "*", "", true },
	{ "", "", true },
	{ "", "a", false },
	{ "a*", "a", true },
	{ "a*c", "abbbc", true },
	{ "a*c", "abbbcd", false },
	{ "*tcp*", "kprobe/tcp_connect", true },
	{ "*a*b", "aab", true },
	{ "*ab", "aaab", true },
	{ "a?c", "abc", true },
	{ "a?c", "ac", false },
	{ "fentry", "fentry/x", false },
	{ "kprobe/*", "kprobe/a/b", true },
};

START_TEST(patterns_match_as_people_expect)
{
	ck_assert_int_eq(bl_profile_match(globs[_i].pattern, globs[_i].name),
			 globs[_i].matches);
}
END_TEST

/* For sections that leave the target open. */
START_TEST(the_worst_of_a_beginning_is_found)
{
	ck_assert_int_eq(parse(example), 0);
	ck_assert_int_eq(bl_profile_worst(&profile, BL_SUBJECT_ATTACH,
					  "kprobe/"),
			 BL_VERDICT_REJECT);
	ck_assert_int_eq(bl_profile_worst(&profile, BL_SUBJECT_ATTACH,
					  "kprobe/tcp_s"),
			 BL_VERDICT_REJECT);
	ck_assert_int_eq(bl_profile_worst(&profile, BL_SUBJECT_ATTACH,
					  "kprobe/udp_"),
			 BL_VERDICT_PASS);
	ck_assert_int_eq(bl_profile_worst(&profile, BL_SUBJECT_ATTACH,
					  "fmod_ret/"),
			 BL_VERDICT_REJECT);
	ck_assert_int_eq(
		parse(RULE("attach", "{ \"allow\": \"fmod_ret/*\"" WHY)), 0);
	ck_assert_int_eq(bl_profile_worst(&profile, BL_SUBJECT_ATTACH,
					  "fmod_ret/"),
			 BL_VERDICT_PASS);
}
END_TEST

/* The table of sections against the libbpf of this machine: each section that
 * it knows has the type that it says. Those that it does not are newer. */
START_TEST(sections_mean_what_libbpf_takes_them_for)
{
	enum bpf_attach_type attach;
	enum bpf_prog_type type;
	const struct bl_hook *h;
	size_t i, same = 0;

	libbpf_set_print(NULL);
	for (i = 0; (h = bl_hook_at(i)); i++) {
		ck_assert_ptr_eq(bl_hook_find(h->section), h);
		if (libbpf_prog_type_by_name(h->section, &type, &attach) < 0)
			continue;
		ck_assert_msg(type == h->prog_type, "%s", h->section);
		same++;
	}
	ck_assert_uint_gt(same, 70);
	ck_assert_ptr_null(bl_hook_find("kprobes"));
	ck_assert_ptr_null(bl_hook_find("xdp/eth0"));
	ck_assert_str_eq(bl_hook_find("fentry.s/x")->kind, "fentry");
	ck_assert_str_eq(bl_hook_find("xdp.frags/devmap")->kind, "xdp");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-profile");
	TCase *t = tcase_create("profile");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_loop_test(t, built_in_profiles_say_what_is_documented, 0,
			    (int)BL_ARRAY_SIZE(built_in));
	tcase_add_test(t, built_in_profiles_widen);
	tcase_add_test(t, a_file_changes_its_base);
	tcase_add_test(t, an_empty_file_is_observe);
	tcase_add_loop_test(t, a_mistake_is_named, 0,
			    (int)BL_ARRAY_SIZE(mistakes));
	tcase_add_test(t, limits_hold);
	tcase_add_test(t, a_name_that_is_none_gets_a_suggestion);
	tcase_add_test(t, a_file_is_loaded_by_its_path);
	tcase_add_test(t, the_documented_example_is_one);
	tcase_add_loop_test(t, patterns_match_as_people_expect, 0,
			    (int)BL_ARRAY_SIZE(globs));
	tcase_add_test(t, the_worst_of_a_beginning_is_found);
	tcase_add_test(t, sections_mean_what_libbpf_takes_them_for);
	suite_add_tcase(s, t);
	return s;
}
