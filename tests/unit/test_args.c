/* SPDX-License-Identifier: Apache-2.0 */
/* Options by a table: what people mistype, and what they are told. */
#include <string.h>

#include "loader/base/args.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "tests/main.h"

#define WORDS 12

struct target {
	const char *name, *file, *reason;
	bool json;
	long wait;
	uint64_t valid_ms;
	struct bl_arg_list kernels;
};

static const struct bl_arg rows[] = {
	{ "the name", BL_ARG_NEEDED, offsetof(struct target, name), 0, 0 },
	{ "a file", BL_ARG_OPERAND, offsetof(struct target, file), 0, 0 },
	{ "reason", BL_ARG_TEXT, offsetof(struct target, reason), 1, 8 },
	{ "json", BL_ARG_FLAG, offsetof(struct target, json), 0, 0 },
	{ "wait", BL_ARG_NUMBER, offsetof(struct target, wait), 1, 100 },
	{ "valid", BL_ARG_TIME, offsetof(struct target, valid_ms), 1000,
	  60000 },
	{ "kernel", BL_ARG_LIST, offsetof(struct target, kernels), 0, 2 },
};
static const struct bl_args spec = { "host token", "usage: …\n", rows,
				     BL_ARRAY_SIZE(rows) };
static struct target t;
static struct bl_err err;
static int code;

/* @line is split at its spaces. */
static bool read_line(const char *line)
{
	static char words[256];
	char *argv[WORDS + 1] = { 0 }, *save = NULL, *word;
	int argc = 0;

	t = (struct target){ .reason = "none", .wait = 7 };
	err = (struct bl_err){ 0 };
	snprintf(words, sizeof(words), "token %s", line);
	for (word = strtok_r(words, " ", &save); word && argc < WORDS;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	return bl_args_read(&spec, argc, argv, &t, &code, &err);
}

START_TEST(options_and_operands_come_in_any_order)
{
	ck_assert(read_line("--json web-1 --wait 100 --kernel 6.1 x.json "
			    "--valid=5s --kernel=5.10 --reason enough"));
	ck_assert_str_eq(t.name, "web-1");
	ck_assert_str_eq(t.file, "x.json");
	ck_assert_str_eq(t.reason, "enough");
	ck_assert(t.json);
	ck_assert_int_eq(t.wait, 100);
	ck_assert_uint_eq(t.valid_ms, 5000);
	ck_assert_uint_eq(t.kernels.count, 2);
	ck_assert_str_eq(t.kernels.items[1], "5.10");
}
END_TEST

START_TEST(what_is_not_given_stays_as_it_was)
{
	ck_assert(read_line("-- --web"));
	ck_assert_str_eq(t.name, "--web");
	ck_assert_ptr_null(t.file);
	ck_assert_str_eq(t.reason, "none");
	ck_assert(!t.json);
	ck_assert_int_eq(t.wait, 7);
	ck_assert_uint_eq(t.kernels.count, 0);
}
END_TEST

static const struct {
	const char *line, *said;
} mistakes[] = {
	{ "", "the name is missing" },
	{ "--json", "the name is missing" },
	{ "a b c", "'c' is more than expected" },
	{ "a --jsin", "--jsin is unknown" },
	{ "a -x", "-x is unknown" },
	{ "a --reason", "--reason needs a value" },
	{ "a --json=yes", "--json=yes is unknown" },
	{ "a --reason too-long-for-it", "--reason wants 1 to 8 bytes, not 15" },
	{ "a --reason=", "--reason wants 1 to 8 bytes, not 0" },
	{ "a --wait 0", "--wait wants a number from 1 to 100, not '0'" },
	{ "a --wait 101", "not '101'" },
	{ "a --wait -1", "not '-1'" },
	{ "a --wait 1x", "not '1x'" },
	{ "a --wait 99999999999999999999", "not '99999999999999999999'" },
	{ "a --valid soon", "--valid wants a number above 0" },
	{ "a --valid 2m", "--valid is from 1 s to 1 min, not '2m'" },
	{ "a --valid 10ms", "--valid is from 1 s to 1 min, not '10ms'" },
	{ "a --kernel 1 --kernel 2 --kernel 3", "at most 2 --kernel" },
};

START_TEST(mistake_is_named_and_help_is_pointed_at)
{
	ck_assert(!read_line(mistakes[_i].line));
	ck_assert_int_eq(code, BL_EXIT_USAGE);
	ck_assert_msg(strstr(err.text, mistakes[_i].said), "said: %s",
		      err.text);
	ck_assert_str_eq(err.hint, "try 'belay host token --help'");
}
END_TEST

/* Whatever else stands there, and whatever is missing. */
START_TEST(help_ends_it_and_is_no_failure)
{
	ck_assert(!read_line(_i ? "-h" : "--help --wait"));
	ck_assert_int_eq(code, BL_EXIT_OK);
	ck_assert_str_eq(err.text, "");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("args");
	TCase *c = tcase_create("args");

	tcase_add_test(c, options_and_operands_come_in_any_order);
	tcase_add_test(c, what_is_not_given_stays_as_it_was);
	tcase_add_loop_test(c, mistake_is_named_and_help_is_pointed_at, 0,
			    (int)BL_ARRAY_SIZE(mistakes));
	tcase_add_loop_test(c, help_ends_it_and_is_no_failure, 0, 2);
	suite_add_tcase(s, c);
	return s;
}
