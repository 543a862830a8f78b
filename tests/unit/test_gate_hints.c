/* SPDX-License-Identifier: Apache-2.0 */
/* What belay advises, held against what kernels really say: tests/unit/hints
 * has the words of four of them about each mistake of refused.bpf.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/report/hints.h"
#include "loader/kern/ask/vlog.h"
#include "tests/main.h"

static const char *const kernels[] = { "5.10", "6.1", "6.12", "7.3" };

/* A program of the fixtures and words that its hint must have, on whichever
 * kernel refuses it. */
static const struct {
	const char *program, *says;
} programs[] = {
	{ "negative_index", "unsigned variable" },
	{ "without_null_check", "if (!p) return 0;" },
	{ "number_as_pointer", "BPF_CORE_READ()" },
	{ "register_not_set", "on a path on which nothing was put into it" },
	{ "result_not_set", "Return a value on every path" },
	{ "code_after_exit", "nothing leads to" },
	{ "loop_without_end", "loop without an end" },
	{ "no_exit", "runs over its end" },
	{ "below_the_stack", "512 bytes of stack" },
	{ "stack_of_two_frames", "per-CPU array map" },
	{ "key_not_set", "__builtin_memset" },
	{ "misaligned", "multiple of N" },
	{ "helper_of_another_type", "programs of this type" },
	{ "record_kept", "given back on every path" },
	{ "argument_of_wrong_type", "another kind of argument" },
	{ "context_field_not_there", "field of the context" },
	{ "write_to_constant", "read-only" },
	{ "pointer_math_unbounded", "Limit it before it is added" },
	{ "math_on_null", "if (!p) return 0;" },
	{ "tail_call_of_no_array", "BPF_MAP_TYPE_PROG_ARRAY" },
	{ "calls_global_function", NULL }, /* 5.10 knows no such argument */
	{ "calls_with_opaque_argument", "static" },
	{ "result_out_of_range", "a value that its hook does not take" },
	{ "reference_kept", "bpf_sk_release()" },
	{ "context_pointer_moved", "with a constant offset" },
	{ "size_unbounded", "may be 0" },
	{ "size_negative", "may be negative" },
	{ "size_zero", "may be 0" },
	{ "tail_call_below_a_large_frame", "256 bytes of stack" },
	{ "field_not_there", "bpf_core_field_exists()" },
	{ "helper_that_sleeps", "fentry.s/" },
	{ "packet_not_checked", "data_end" },
	{ "write_to_kernel_memory", "can be read, not written" },
	{ "beyond_the_struct", "BPF_CORE_READ()" },
	{ "hook_not_there", "SEC(\"?…\")" },
	{ "kfunc_not_there", "bpf_ksym_exists(f)" },
	{ "helper_only_for_gpl", "compatible with the GPL" },
	{ "kfunc_only_for_gpl", NULL }, /* 5.10 does not get that far */
};

static size_t check_block(const char *kernel, const char *block)
{
	const char *newline = strchr(block, '\n');
	bl_autofree char *name = NULL;
	const char *hint;
	struct bl_vlog v;
	size_t i;

	ck_assert_ptr_nonnull(newline);
	name = strndup(block, (size_t)(newline - block));
	for (i = 0; i < BL_ARRAY_SIZE(programs); i++)
		if (strcmp(programs[i].program, name) == 0)
			break;
	ck_assert_msg(i < BL_ARRAY_SIZE(programs), "%s is not in the table",
		      name);
	bl_vlog_read(newline + 1, &v);
	hint = bl_hint_for(v.reason, newline + 1);
	ck_assert_msg(hint, "%s on %s has no hint: %s", name, kernel, v.reason);
	if (programs[i].says)
		ck_assert_msg(strstr(hint, programs[i].says),
			      "%s on %s: %s: %s", name, kernel, v.reason, hint);
	return 1;
}

START_TEST(each_refusal_has_its_hint_on_every_kernel)
{
	bl_autofree char *path = bl_path("%s/tests/unit/hints/%s.log",
					 BL_TEST_SOURCE_DIR, kernels[_i]);
	bl_autobuf struct bl_buf b = { 0 };
	char *block, *next;
	size_t n = 0;

	ck_assert_int_eq(bl_file_read(path, 1 << 20, &b, NULL), 0);
	for (block = strstr(b.data, "== "); block; block = next) {
		next = strstr(block + 3, "\n== ");
		if (next)
			*next++ = '\0';
		n += check_block(kernels[_i], block + 3);
	}
	ck_assert_uint_gt(n, 30);
}
END_TEST

/* Words that no program of the fixtures draws from these four kernels. */
static const struct {
	const char *reason, *log, *says;
} others[] = {
	{ "R0 unbounded memory access, make sure to bounds check any such access",
	  "", "Nothing limits the index" },
	{ "R1 max value is outside of the allowed memory range", "",
	  "more than there is" },
	{ "R2 unbounded memory access, use 'var &= const' or 'if (var < const)'",
	  "", "no upper bound" },
	{ "R0 min value is negative, either use unsigned index or do a if (index >=0) check.",
	  "", "may be negative" },
	{ "back-edge from insn 12 to 3", "", "bpf_loop()" },
	{ "infinite loop detected at insn 4", "", "constant number of rounds" },
	{ "BPF program is too large. Processed 1000001 insn", "",
	  "A million instructions" },
	{ "The sequence of 8193 jumps is too complex.", "", "branches" },
	{ "BPF program is too complex", "", "states" },
	{ "invalid func unknown#195896080", "", "bpf_core_field_exists()" },
	{ "invalid func unknown#2002000001", "", "does not have the helper" },
	{ "calling kernel function bpf_task_acquire is not allowed", "",
	  "not for programs of this type" },
	{ "calling invalid kernel function", "", NULL },
	{ "R0 !read_ok", "4: (bf) r1 = r0\nR0 !read_ok\n", "declared" },
	{ "R10 !read_ok", "4: (95) exit\nR10 !read_ok\n", "declared" },
	{ "frame pointer is read only", "", "R10" },
	{ "the call stack of 9 frames is too deep !", "", "eight deep" },
	{ "tail_calls are not allowed in programs with bpf-to-bpf calls", "",
	  "__always_inline" },
	{ "Attach_btf_id 12 is not a function", "", NULL },
	{ "attach_btf_id 12 is not a function", "", "hook" },
	{ "extern (func ksym) 'x': not found in kernel or module BTFs", "",
	  "bpf_ksym_exists" },
	{ "arg#0 reference type('FWD file') size cannot be determined: -22", "",
	  "static" },
	{ "something that no kernel ever said", "", NULL },
	{ "", "", NULL },
	{ "R", "R", NULL },
	{ "****", "****", NULL },
};

START_TEST(other_words_have_theirs)
{
	const char *hint = bl_hint_for(others[_i].reason, others[_i].log);

	if (!others[_i].says) {
		ck_assert_msg(!hint, "%s", hint);
		return;
	}
	ck_assert_msg(hint, "%s", others[_i].reason);
	ck_assert_msg(strstr(hint, others[_i].says), "%s", hint);
}
END_TEST

static struct bl_finding finding(enum bl_verdict verdict, enum bl_status status,
				 const char *message)
{
	return (struct bl_finding){
		.verdict = verdict,
		.status = status,
		.check = (char *)"verifier",
		.message = (char *)message,
		.hint = (char *)"",
		.log = (char *)"",
	};
}

START_TEST(finding_that_has_a_hint_keeps_it)
{
	struct bl_finding f =
		finding(BL_VERDICT_REJECT, BL_STATUS_REJECTED, "R2 !read_ok");

	ck_assert_ptr_nonnull(strstr(bl_hint_of(&f), "declared"));
	f.hint = (char *)"its own";
	ck_assert_str_eq(bl_hint_of(&f), "its own");
}
END_TEST

/* A person who reads "undecided" wants to know what to do next. */
START_TEST(undecided_says_what_to_do)
{
	struct bl_finding f = finding(BL_VERDICT_UNDECIDED, BL_STATUS_REFUSED,
				      "not permitted here");

	ck_assert_ptr_nonnull(strstr(bl_hint_of(&f), "--kernel host"));
	f = finding(BL_VERDICT_UNDECIDED, BL_STATUS_NONE, "hung");
	f.check = (char *)"kernel";
	ck_assert_ptr_nonnull(strstr(bl_hint_of(&f), "--deadline"));
	f.verdict = BL_VERDICT_PASS;
	ck_assert_str_eq(bl_hint_of(&f), "");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-hints");
	TCase *t = tcase_create("hints");

	tcase_add_loop_test(t, each_refusal_has_its_hint_on_every_kernel, 0,
			    (int)BL_ARRAY_SIZE(kernels));
	tcase_add_loop_test(t, other_words_have_theirs, 0,
			    (int)BL_ARRAY_SIZE(others));
	tcase_add_test(t, finding_that_has_a_hint_keeps_it);
	tcase_add_test(t, undecided_says_what_to_do);
	suite_add_tcase(s, t);
	return s;
}
