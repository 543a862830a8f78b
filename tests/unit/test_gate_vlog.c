/* SPDX-License-Identifier: Apache-2.0 */
/* Verifier logs of real kernels: each words, orders and closes them otherwise. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/kern/ask/vlog.h"
#include "loader/kern/ask/vlog_lines.h"
#include "tests/main.h"

static struct bl_buf log_buf;
static struct bl_vlog v;

static const char *load(const char *name)
{
	bl_autofree char *path =
		bl_path("%s/tests/unit/vlog/%s", BL_TEST_SOURCE_DIR, name);

	bl_buf_free(&log_buf);
	ck_assert_int_eq(bl_file_read(path, 1 << 20, &log_buf, NULL), 0);
	return bl_buf_str(&log_buf);
}

static const char *const kernels[] = { "5.10", "6.1", "6.12", "7.3" };

START_TEST(every_kernel_says_why_and_where)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-direct.log", kernels[_i]);
	bl_vlog_read(load(name), &v);
	ck_assert_str_eq(
		v.reason,
		"R0 unbounded memory access, make sure to bounds check any such access");
	ck_assert_int_eq(v.insn, 11);
	ck_assert_uint_eq(v.effort.insns, 11);
	ck_assert_str_eq(v.source, "return (int)c->fields[c->count]; "
				   "/* bad line: direct */");
	/* Linux 6.9 and later name the file. */
	ck_assert_str_eq(v.file, _i < 2 ? "" : "oob.bpf.c");
	ck_assert_uint_eq(v.line, _i < 2 ? 0 : 38);
}
END_TEST

START_TEST(every_kernel_says_where_in_a_called_function)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-called.log", kernels[_i]);
	bl_vlog_read(load(name), &v);
	ck_assert_str_eq(v.reason,
			 "R1 max value is outside of the allowed memory range");
	ck_assert_int_eq(v.insn, 23);
	ck_assert_uint_eq(v.effort.insns, 16);
	ck_assert_str_eq(v.source, "return (int)c->fields[index & 31]; "
				   "/* bad line: called */");
}
END_TEST

/* The last line of what is shown is the reason, or the kernel's explanation,
 * but never the totals. */
START_TEST(excerpt_ends_where_it_matters)
{
	const char *text, *from;
	char name[64];
	size_t len;

	snprintf(name, sizeof(name), "%s-direct.log", kernels[_i]);
	text = load(name);
	from = bl_vlog_excerpt(text, 5, &len);
	ck_assert(from >= text && from + len <= text + strlen(text));
	ck_assert_ptr_nonnull(
		memmem(from, len, "R0 unbounded memory access", 26));
	ck_assert_ptr_null(memmem(from, len, "processed ", 10));
	ck_assert_ptr_null(memmem(from, len, "stack depth", 11));
	ck_assert_ptr_null(memmem(from, len, "Causal path", 11));
	ck_assert_int_ne(from[len - 1], '\n');
}
END_TEST

static void line_is(const struct bl_vlog_lines *l, size_t i, const char *text)
{
	ck_assert_uint_lt(i, l->count);
	ck_assert_msg(l->line[i].len >= strlen(text) &&
			      memcmp(l->line[i].text, text, strlen(text)) == 0,
		      "%.*s", (int)l->line[i].len, l->line[i].text);
}

/* Where the register got its value, the instruction, why: on every kernel. */
START_TEST(few_lines_explain_a_rejection)
{
	struct bl_vlog_lines l;
	char name[64];

	snprintf(name, sizeof(name), "%s-direct.log", kernels[_i]);
	bl_vlog_lines(load(name), &l);
	ck_assert_uint_eq(l.count, 3);
	line_is(&l, 0, "10: (0f) r0 += r1");
	line_is(&l, 1, "11: (61) r6 = *(u32 *)(r0 +4)");
	line_is(&l, 2, "R0 unbounded memory access");
	snprintf(name, sizeof(name), "%s-called.log", kernels[_i]);
	bl_vlog_lines(load(name), &l);
	ck_assert_uint_eq(l.count, 4);
	line_is(&l, 0, "22: (0f) r1 += r2");
	line_is(&l, 1, "23: (61) r0 = *(u32 *)(r1 +4)");
	line_is(&l, 2, "invalid access to map value");
	line_is(&l, 3, "R1 max value is outside");
}
END_TEST

static const struct {
	const char *log;
	size_t count;
	const char *first;
} few[] = {
	{ "", 0, NULL },
	{ "processed 3 insns\n", 0, NULL },
	{ "unreachable insn 7\nprocessed 0 insns\n", 1, "unreachable insn 7" },
	/* not where it was compared */
	{ "1: (b7) r3 = 4\n2: (65) if r3 s> 8 goto pc+1\n3: (0f) r1 += r3\n"
	  "4: (85) call x#1\nR3 bad\n",
	  3, "1: (b7) r3 = 4" },
	/* a result of a call */
	{ "1: (85) call x#1\n2: (61) r1 = *(u32 *)(r0 +0)\nR0 bad\n", 3,
	  "1: (85) call x#1" },
	{ "3: (85) call x#1\n9: (95) exit\n"
	  "Unreleased reference id=2 alloc_insn=3\n",
	  3, "3: (85) call x#1" },
	/* cut off, without a newline, without what it speaks of */
	{ "R7 bad", 1, "R7 bad" },
	{ "9: (95) exit\nUnreleased reference id=2 alloc_insn=", 2,
	  "9: (95) exit" },
	{ "1: (85)\n2: (0f) r\nR0 bad", 2, "2: (0f) r" },
};

START_TEST(lines_that_are_not_there_are_left_out)
{
	struct bl_vlog_lines l;

	bl_vlog_lines(few[_i].log, &l);
	ck_assert_uint_eq(l.count, few[_i].count);
	if (few[_i].first)
		line_is(&l, 0, few[_i].first);
}
END_TEST

START_TEST(log_without_instructions_still_has_its_reason)
{
	bl_vlog_read(load("5.10-reason-only.log"), &v);
	ck_assert_str_eq(v.reason, "R1 invalid mem access 'inv'");
	ck_assert_int_eq(v.insn, -1);
	ck_assert_uint_gt(v.effort.insns, 100000);
}
END_TEST

static const struct {
	const char *log, *reason;
	int64_t insn;
} whole[] = {
	{ "unreachable insn 7\nprocessed 0 insns (limit 1000000)\n",
	  "unreachable insn 7", 7 },
	{ "0: R1=ctx() R10=fp0\n; x @ a.c:1\n0: (b7) r0 = 0\n"
	  "back-edge from insn 12 to 3\nprocessed 1 insns\n",
	  "back-edge from insn 12 to 3", 12 },
	{ "0: (85) call bpf_foo#999\ninvalid func unknown#999\n"
	  "processed 1 insns\n",
	  "invalid func unknown#999", 0 },
	/* a global function whose argument cannot be verified (6.1) */
	{ "arg#0 reference type('FWD file') size cannot be determined: -22\n"
	  "processed 0 insns\n",
	  "arg#0 reference type('FWD file') size cannot be determined: -22",
	  -1 },
	{ "0: (85) call x#1\narg#0 type PTR\nR1 bad\n", "R1 bad", 0 },
	/* 7.3 */
	{ "0: (85) call bpf_tail_call#12\n"
	  "expected prog array map for tail callverification time 753 usec\n",
	  "expected prog array map for tail call", 0 },
	/* no totals: the log was cut off at its end */
	{ "0: (b7) r0 = 0\n1: (95) exit", "", 1 },
	{ "", "", -1 },
	{ "\n\n\n", "", -1 },
	{ "; \n99999999999999: (b7)\n", "99999999999999: (b7)", -1 },
};

START_TEST(forms_of_a_reason)
{
	size_t len;

	bl_vlog_read(whole[_i].log, &v);
	ck_assert_str_eq(v.reason, whole[_i].reason);
	ck_assert_int_eq(v.insn, whole[_i].insn);
	bl_vlog_excerpt(whole[_i].log, 3, &len);
	ck_assert_uint_le(len, strlen(whole[_i].log));
}
END_TEST

#define FAILED(text)                                            \
	"libbpf: prog 'p': BPF program load failed: " text "\n" \
	"libbpf: failed to load object 'x'\n"

static const struct {
	struct bl_vlog_case c;
	enum bl_load_status status;
	const char *why;
} cases[] = {
	{ { -EACCES, "0: (95) exit\nR0 !read_ok\nprocessed 1 insns\n",
	    FAILED("Permission denied"), -1, false },
	  BL_LOAD_REJECTED,
	  "R0 !read_ok" },
	/* said by libbpf, before the kernel was asked about a program */
	{ { -EINVAL, "",
	    "libbpf: extern (func ksym) 'bpf_x': not found in kernel or module BTFs\n"
	    "libbpf: failed to load object 'a'\n",
	    -1, false },
	  BL_LOAD_MISSING,
	  "'bpf_x': not found in kernel" },
	{ { -EINVAL, "",
	    "libbpf: extern (func ksym) 'bpf_x': func_proto [4] incompatible with kernel [7]\n",
	    -1, false },
	  BL_LOAD_REJECTED,
	  "incompatible with kernel" },
	/* not for want of a type: no kernel knows such a section */
	{ { -EINVAL, "",
	    "libbpf: prog 'p': missing BPF prog type, check ELF section name 'socket/main'\n"
	    "libbpf: prog 'p': failed to load: -22\n",
	    0, false },
	  BL_LOAD_UNDECIDED,
	  "section name 'socket/main'" },
	/* EPERM with a reason is the verifier, without one privilege */
	{ { -EPERM, "R1 has pointer with unsupported alu\n", "", -1, false },
	  BL_LOAD_REJECTED,
	  "R1 has pointer" },
	{ { -EPERM, "", FAILED("Operation not permitted"), -1, false },
	  BL_LOAD_REFUSED,
	  "not permitted here" },
	{ { -ESRCH, "",
	    "libbpf: prog 'p': failed to find kernel BTF type ID of 'f': -3\n"
	    "libbpf: prog 'p': failed to prepare load attributes: -3\n",
	    -1, false },
	  BL_LOAD_MISSING,
	  "failed to find kernel BTF type ID of 'f'" },
	{ { -EINVAL, "", FAILED("Invalid argument"), 0, false },
	  BL_LOAD_MISSING,
	  "does not know its type" },
	{ { -EINVAL, "", FAILED("Invalid argument"), 1, false },
	  BL_LOAD_MISSING,
	  "attach point" },
	/* libbpf gave up by itself: the kernel was never asked */
	{ { -EINVAL, "",
	    "libbpf: prog 'p': missing BPF prog type, check ELF section name 'x'\n",
	    -1, false },
	  BL_LOAD_UNDECIDED,
	  "missing BPF prog type" },
	{ { -ENOMEM, "R1 something\n", "", -1, false },
	  BL_LOAD_UNDECIDED,
	  "did not come to an end" },
	{ { -E2BIG, "", FAILED("Argument list too long"), 1, false },
	  BL_LOAD_REJECTED,
	  "too large" },
	/* a map is not a program */
	{ { -E2BIG, "", "libbpf: map 'm': failed to create: Argument list\n",
	    -1, false },
	  BL_LOAD_UNDECIDED,
	  "map 'm': failed to create" },
	/* a helper or a hook that only later kernels have; who can do without
	 * such a program does */
	{ { -EINVAL, "0: (85) call unknown#193\ninvalid func unknown#193\n", "",
	    -1, true },
	  BL_LOAD_MISSING,
	  "invalid func unknown#193" },
	{ { -EINVAL, "0: (85) call unknown#193\ninvalid func unknown#193\n", "",
	    -1, false },
	  BL_LOAD_REJECTED,
	  "invalid func unknown#193" },
	{ { -EINVAL, "bpf_lsm_bprm_creds_for_exec is not sleepable\n", "", -1,
	    true },
	  BL_LOAD_MISSING,
	  "is not sleepable" },
	{ { -EACCES, "R0 !read_ok\n", "", -1, true },
	  BL_LOAD_REJECTED,
	  "R0 !read_ok" },
	{ { -EIO, "", "", -1, false }, BL_LOAD_UNDECIDED, "" },
};

START_TEST(failures_are_told_apart)
{
	char why[256];

	ck_assert_int_eq(bl_vlog_classify(&cases[_i].c, why, sizeof(why)),
			 cases[_i].status);
	ck_assert_msg(strstr(why, cases[_i].why), "%s", why);
	ck_assert_int_ne(why[0], '\0');
}
END_TEST

START_TEST(tail_keeps_within_lines_and_bytes)
{
	ck_assert_str_eq(bl_vlog_tail("a\nb\nc\n", 2, 100), "b\nc\n");
	ck_assert_str_eq(bl_vlog_tail("a\nb\nc", 100, 3), "b\nc");
	ck_assert_str_eq(bl_vlog_tail("", 3, 3), "");
	ck_assert_str_eq(bl_vlog_tail("abc", 1, 0), "");
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-vlog");
	TCase *t = tcase_create("logs");

	tcase_add_loop_test(t, every_kernel_says_why_and_where, 0,
			    (int)BL_ARRAY_SIZE(kernels));
	tcase_add_loop_test(t, every_kernel_says_where_in_a_called_function, 0,
			    (int)BL_ARRAY_SIZE(kernels));
	tcase_add_loop_test(t, excerpt_ends_where_it_matters, 0,
			    (int)BL_ARRAY_SIZE(kernels));
	tcase_add_loop_test(t, few_lines_explain_a_rejection, 0,
			    (int)BL_ARRAY_SIZE(kernels));
	tcase_add_loop_test(t, lines_that_are_not_there_are_left_out, 0,
			    (int)BL_ARRAY_SIZE(few));
	tcase_add_test(t, log_without_instructions_still_has_its_reason);
	tcase_add_loop_test(t, forms_of_a_reason, 0, (int)BL_ARRAY_SIZE(whole));
	tcase_add_loop_test(t, failures_are_told_apart, 0,
			    (int)BL_ARRAY_SIZE(cases));
	tcase_add_test(t, tail_keeps_within_lines_and_bytes);
	suite_add_tcase(s, t);
	return s;
}
