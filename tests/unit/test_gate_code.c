/* SPDX-License-Identifier: Apache-2.0 */
/* What functions of an object call, and which of them a program reaches. */
#include <elf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/object/code.h"
#include "tests/main.h"

static struct bl_buf file;
static struct bl_object object;
static struct bl_code code;
static struct bl_err err;

static void load(const char *name)
{
	bl_autofree char *path = bl_path("%s/tests/lab/objects/%s.bpf.o",
					 BL_TEST_BUILD_DIR, name);

	bl_buf_free(&file);
	ck_assert_msg(bl_file_read(path, 1 << 20, &file, &err) == 0, "%s",
		      err.text);
}

static int reread(void)
{
	bl_code_free(&code);
	bl_object_free(&object);
	err = (struct bl_err){ 0 };
	ck_assert_msg(bl_object_open("x.bpf.o", file.data, file.len, &object,
				     &err) == 0,
		      "%s", err.text);
	return bl_code_read(&object, &code, &err);
}

static void setup(void)
{
	load("policy-calls");
	ck_assert_msg(reread() == 0, "%s", err.text);
}

static void teardown(void)
{
	bl_code_free(&code);
	bl_object_free(&object);
	bl_buf_free(&file);
}

static size_t find(const char *name)
{
	size_t i;

	for (i = 0; i < object.program_count; i++)
		if (strcmp(object.programs[i].name, name) == 0)
			return i;
	ck_abort_msg("no function %s", name);
}

/* Reference number @n of that kind in the function; NULL: there is none. */
static const struct bl_code_ref *nth(const char *function,
				     enum bl_code_kind kind, size_t n)
{
	const struct bl_code_function *f = &code.functions[find(function)];
	size_t i;

	for (i = 0; i < f->ref_count; i++)
		if (f->refs[i].kind == kind && n-- == 0)
			return &f->refs[i];
	return NULL;
}

static const struct bl_code_ref *the(const char *function,
				     enum bl_code_kind kind)
{
	const struct bl_code_ref *ref = nth(function, kind, 0);

	ck_assert_msg(ref, "%s has none of kind %d", function, (int)kind);
	ck_assert_msg(!nth(function, kind, 1), "%s has more than one of %d",
		      function, (int)kind);
	return ref;
}

START_TEST(helpers_are_found_with_their_instruction)
{
	const struct bl_code_ref *ref = the("inner", BL_CODE_HELPER);

	ck_assert_uint_eq(ref->id, BPF_FUNC_send_signal);
	ck_assert_uint_eq(ref->insn, 2);
	ck_assert_uint_eq(the("each", BL_CODE_HELPER)->id,
			  BPF_FUNC_send_signal_thread);
	/* also in a function that nobody calls */
	ck_assert_uint_eq(the("nobody", BL_CODE_HELPER)->id,
			  BPF_FUNC_send_signal_thread);
	ck_assert_ptr_null(nth("by_static", BL_CODE_HELPER, 0));
}
END_TEST

START_TEST(calls_lead_to_their_function)
{
	/* against the section, against the symbol, and within .text */
	ck_assert_uint_eq(the("by_static", BL_CODE_CALL)->id, find("outer"));
	ck_assert_uint_eq(the("by_global", BL_CODE_CALL)->id, find("shared"));
	ck_assert_uint_eq(nth("outer", BL_CODE_CALL, 0)->id, find("first"));
	ck_assert_uint_eq(nth("outer", BL_CODE_CALL, 1)->id, find("inner"));
	ck_assert_uint_eq(the("by_callback", BL_CODE_POINTER)->id,
			  find("each"));
}
END_TEST

START_TEST(kfuncs_have_their_name)
{
	const struct bl_code_ref *ref = nth("by_kfunc", BL_CODE_KFUNC, 0);

	ck_assert_str_eq(ref->name, "bpf_rcu_read_lock");
	ref = nth("by_kfunc", BL_CODE_KFUNC, 1);
	ck_assert_str_eq(ref->name, "bpf_rcu_read_unlock");
	ck_assert_uint_eq(ref->insn, 4);
	ck_assert_str_eq(nth("by_kfunc", BL_CODE_EXTERNAL, 1)->name,
			 "bpf_prog_active");
}
END_TEST

START_TEST(maps_and_variables_have_their_place)
{
	const struct bl_code_ref *ref = nth("harmless", BL_CODE_DATA, 0);

	ck_assert_str_eq(ref->name, "misses");
	ck_assert_str_eq(object.sections[ref->section].name, ".maps");
	ck_assert_uint_eq(ref->offset, 0);
	ck_assert_uint_eq(the("by_callback", BL_CODE_DATA)->offset, 32);
	ref = nth("harmless", BL_CODE_DATA, 2);
	ck_assert_str_eq(ref->name, ".bss");
	ck_assert_uint_eq(ref->offset, 8);
	ref = nth("harmless", BL_CODE_DATA, 3);
	ck_assert_str_eq(ref->name, "visible");
	ck_assert_uint_eq(ref->offset, 16);
}
END_TEST

static void assert_reaches(const char *from, const char *to, bool whether)
{
	struct bl_code_set set;

	bl_code_reach(&code, find(from), &set);
	ck_assert_msg(bl_code_has(&set, find(to)) == whether, "%s to %s", from,
		      to);
}

START_TEST(a_program_reaches_what_it_calls_and_hands_out)
{
	assert_reaches("by_static", "by_static", true);
	assert_reaches("by_static", "outer", true);
	assert_reaches("by_static", "inner", true);
	assert_reaches("by_static", "shared", false);
	assert_reaches("by_callback", "each", true);
	assert_reaches("by_callback", "outer", false);
	assert_reaches("harmless", "harmless", true);
	assert_reaches("harmless", "inner", false);
}
END_TEST

/* The bytes of instruction @insn of a function in the file. */
static struct bpf_insn *insn_of(const char *function, size_t insn)
{
	const struct bl_object_program *p = &object.programs[find(function)];
	size_t at =
		(size_t)(object.sections[p->section_index].data - object.copy) +
		p->offset + insn * 8;

	return (struct bpf_insn *)(file.data + at);
}

static Elf64_Rel *rel_of(const char *section, size_t n)
{
	const struct bl_object_section *s = bl_object_section(&object, section);

	ck_assert_ptr_nonnull(s);
	return (Elf64_Rel *)(file.data + (s->data - object.copy)) + n;
}

static void call_nowhere(void)
{
	insn_of("outer", 1)->imm = 100000;
}

static void call_before_the_section(void)
{
	insn_of("by_static", 0)->imm = -4;
}

static void call_through_a_register(void)
{
	insn_of("outer", 1)->code = BPF_JMP | BPF_CALL | BPF_X;
}

static void call_by_unknown_means(void)
{
	insn_of("outer", 1)->src_reg = 9;
}

static void helper_with_a_relocation(void)
{
	insn_of("by_static", 0)->src_reg = 0;
}

static void relocation_of_a_jump(void)
{
	insn_of("by_static", 0)->code = BPF_JMP | BPF_JA;
}

static void relocation_between_instructions(void)
{
	rel_of(".reltracepoint/syscalls/sys_enter_close", 0)->r_offset = 4;
}

static void relocation_by_no_symbol(void)
{
	rel_of(".reltracepoint/syscalls/sys_enter_close", 0)->r_info =
		ELF64_R_INFO(UINT64_C(100000), 10);
}

static void relocation_by_the_null_symbol(void)
{
	rel_of(".reltracepoint/syscalls/sys_enter_close", 0)->r_info = 10;
}

static void map_by_number(void)
{
	insn_of("outer", 1)->code = BPF_LD | BPF_IMM | BPF_DW;
}

static const struct {
	void (*make)(void);
	const char *function;
	unsigned insn;
} unknown[] = {
	{ call_nowhere, "outer", 1 },
	{ call_before_the_section, "by_static", 0 },
	{ call_through_a_register, "outer", 1 },
	{ call_by_unknown_means, "outer", 1 },
	{ helper_with_a_relocation, "by_static", 0 },
	{ relocation_of_a_jump, "by_static", 0 },
	{ relocation_between_instructions, "by_static", 0 },
	{ relocation_by_no_symbol, "by_static", 0 },
	{ relocation_by_the_null_symbol, "by_static", 0 },
	{ map_by_number, "outer", 1 },
};

START_TEST(what_cannot_be_told_is_not_left_out)
{
	unknown[_i].make();
	ck_assert_msg(reread() == 0, "%s", err.text);
	ck_assert_uint_eq(the(unknown[_i].function, BL_CODE_UNKNOWN)->insn,
			  unknown[_i].insn);
}
END_TEST

/* libbpf takes a call without a relocation as one into .text, even from a
 * program: read as a call within the program, it would hide a function. */
START_TEST(a_call_without_relocation_leads_into_text)
{
	insn_of("harmless", 0)->code = BPF_JMP | BPF_CALL;
	insn_of("harmless", 0)->src_reg = BPF_PSEUDO_CALL;
	insn_of("harmless", 0)->imm = 21;
	ck_assert_int_eq(reread(), 0);
	ck_assert_uint_eq(the("harmless", BL_CODE_CALL)->id, find("inner"));
	/* the middle of a function means its start */
	insn_of("harmless", 0)->imm = 23;
	ck_assert_int_eq(reread(), 0);
	ck_assert_uint_eq(the("harmless", BL_CODE_CALL)->id, find("inner"));
	assert_reaches("harmless", "inner", true);
}
END_TEST

START_TEST(a_kfunc_by_number_has_no_name)
{
	insn_of("outer", 1)->src_reg = BPF_PSEUDO_KFUNC_CALL;
	insn_of("outer", 1)->imm = 4711;
	ck_assert_int_eq(reread(), 0);
	ck_assert_ptr_null(the("outer", BL_CODE_KFUNC)->name);
	ck_assert_uint_eq(the("outer", BL_CODE_KFUNC)->id, 4711);
}
END_TEST

/* The symbol of that name in the file. */
static Elf64_Sym *symbol_of(const char *name)
{
	const struct bl_object_section *s = &object.sections[object.symtab];
	struct bl_object_symbol symbol;
	size_t i;

	for (i = 0; bl_object_symbol_at(&object, i, &symbol) == 0; i++)
		if (strcmp(symbol.name, name) == 0)
			return (Elf64_Sym *)(file.data +
					     (s->data - object.copy)) +
			       i;
	ck_abort_msg("no symbol %s", name);
}

static void overlapping_functions(void)
{
	symbol_of("inner")->st_value -= 8;
}

static void two_relocations_at_once(void)
{
	rel_of(".reltp_btf/sched_process_exec", 2)->r_offset = 0;
}

static void relocation_outside(void)
{
	rel_of(".reltp_btf/sched_process_exec", 2)->r_offset = 1 << 20;
}

static void two_texts(void)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)file.data;
	Elf64_Shdr *s = (Elf64_Shdr *)(file.data + h->e_shoff);

	s[symbol_of("by_static")->st_shndx].sh_name =
		s[symbol_of("inner")->st_shndx].sh_name;
}

static const struct {
	void (*make)(void);
	const char *says;
} wrong[] = {
	{ overlapping_functions,
	  "functions first and inner of section .text overlap" },
	{ two_relocations_at_once,
	  "two relocations for byte 0 of section tp_btf/sched_process_exec" },
	{ relocation_outside, "lies outside of it" },
	{ two_texts, "two sections .text" },
};

START_TEST(contradictions_are_refused)
{
	wrong[_i].make();
	ck_assert_int_eq(reread(), -EBADMSG);
	ck_assert_msg(strstr(err.text, wrong[_i].says), "%s", err.text);
}
END_TEST

START_TEST(two_names_of_a_function_do_the_same)
{
	symbol_of("first")->st_value = symbol_of("inner")->st_value;
	symbol_of("first")->st_size = symbol_of("inner")->st_size;
	ck_assert_msg(reread() == 0, "%s", err.text);
	ck_assert_uint_eq(the("first", BL_CODE_HELPER)->id,
			  BPF_FUNC_send_signal);
	ck_assert_uint_eq(the("inner", BL_CODE_HELPER)->id,
			  BPF_FUNC_send_signal);
	ck_assert_uint_eq(the("shared", BL_CODE_HELPER)->insn, 0);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-code");
	TCase *t = tcase_create("code");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, helpers_are_found_with_their_instruction);
	tcase_add_test(t, calls_lead_to_their_function);
	tcase_add_test(t, kfuncs_have_their_name);
	tcase_add_test(t, maps_and_variables_have_their_place);
	tcase_add_test(t, a_program_reaches_what_it_calls_and_hands_out);
	tcase_add_loop_test(t, what_cannot_be_told_is_not_left_out, 0,
			    (int)BL_ARRAY_SIZE(unknown));
	tcase_add_test(t, a_call_without_relocation_leads_into_text);
	tcase_add_test(t, a_kfunc_by_number_has_no_name);
	tcase_add_loop_test(t, contradictions_are_refused, 0,
			    (int)BL_ARRAY_SIZE(wrong));
	tcase_add_test(t, two_names_of_a_function_do_the_same);
	suite_add_tcase(s, t);
	return s;
}
