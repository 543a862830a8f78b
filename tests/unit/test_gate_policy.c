/* SPDX-License-Identifier: Apache-2.0 */
/* What profiles say of objects: kinds of programs, calls, maps. */
#include <elf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/gate/policy/policy.h"
#include "tests/main.h"

static struct bl_buf file;
static struct bl_object object;
static struct bl_profile profile;
static struct bl_report report;
static struct bl_err err;

static void teardown(void)
{
	bl_report_free(&report);
	bl_profile_free(&profile);
	bl_object_free(&object);
	bl_buf_free(&file);
}

static void load(const char *path)
{
	bl_autofree char *full =
		bl_path("%s/%s.bpf.o", BL_TEST_BUILD_DIR, path);

	bl_buf_free(&file);
	ck_assert_msg(bl_file_read(full, 1 << 20, &file, &err) == 0, "%s",
		      err.text);
}

/* The report on what was loaded. @profile_text: a name, or JSON. */
static void judge(const char *profile_text, bool denies)
{
	int r;

	bl_report_free(&report);
	bl_profile_free(&profile);
	bl_object_free(&object);
	ck_assert_msg(bl_object_open("x.bpf.o", file.data, file.len, &object,
				     &err) == 0,
		      "%s", err.text);
	r = *profile_text == '{'
		    ? bl_profile_parse("own.json", profile_text,
				       strlen(profile_text), &profile, &err)
		    : bl_profile_load(profile_text, &profile, &err);
	ck_assert_msg(r == 0, "%s", err.text);
	ck_assert_int_eq(bl_report_init(&report, "x", "object"), 0);
	ck_assert_int_eq(bl_policy_check(&object, &profile, denies, &report),
			 0);
	ck_assert_uint_gt(report.count, 1);
}

/* The finding of policy whose message has @words; NULL: there is none. */
static const struct bl_finding *find(const char *words)
{
	size_t i;

	for (i = 0; i < report.count; i++)
		if (strcmp(report.findings[i].check, "policy") == 0 &&
		    strstr(report.findings[i].message, words))
			return &report.findings[i];
	return NULL;
}

static const struct bl_finding *about(const char *program, const char *words)
{
	size_t i;

	for (i = 0; i < report.count; i++)
		if (strcmp(report.findings[i].program, program) == 0 &&
		    strstr(report.findings[i].message, words))
			return &report.findings[i];
	return NULL;
}

static size_t count_of(enum bl_verdict v)
{
	size_t i, n = 0;

	for (i = 0; i < report.count; i++)
		n += report.findings[i].verdict == v;
	return n;
}

static void assert_hint(const struct bl_finding *f, const char *words)
{
	ck_assert_msg(strstr(f->hint, words), "%s", f->hint);
}

START_TEST(a_forbidden_helper_is_named_with_its_line)
{
	const struct bl_finding *f;

	load("tests/lab/objects/forbidden");
	judge("observe", false);
	f = find(
		"instruction 1 calls bpf_send_signal, which sends signals to the process it observes: profile observe denies it");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->verdict, BL_VERDICT_REJECT);
	ck_assert_str_eq(f->program, "kills");
	ck_assert_str_eq(f->section, "tracepoint/syscalls/sys_enter_openat");
	ck_assert_uint_eq(f->line, 11);
	ck_assert_ptr_nonnull(strstr(f->source, "bpf_send_signal(9)"));
	assert_hint(f, "\"helpers\": \"bpf_send_signal\"");
	assert_hint(f, "--profile trusted only warns");
	ck_assert_ptr_null(find("none denied"));
	ck_assert_int_eq(bl_report_verdict(&report, NULL), BL_VERDICT_REJECT);
}
END_TEST

/* Where a forbidden helper may hide. */
static const struct {
	const char *message, *program;
	unsigned line;
	enum bl_verdict verdict;
} hidden[] = {
	{ "of inner(), reached from by_static, calls bpf_send_signal,",
	  "by_static", 42, BL_VERDICT_REJECT },
	{ "of shared(), reached from by_global, calls bpf_send_signal,",
	  "by_global", 52, BL_VERDICT_REJECT },
	/* an optional program may be loaded, so what it calls counts */
	{ "of each(), reached from by_callback, calls bpf_send_signal_thread,",
	  "by_callback", 62, BL_VERDICT_REJECT },
	{ "of nobody(), which no program reaches, calls bpf_send_signal_thread,",
	  "nobody", 57, BL_VERDICT_WARN },
};

START_TEST(no_call_hides_a_helper)
{
	const struct bl_finding *f;

	load("tests/lab/objects/policy-calls");
	judge("enforce", false);
	f = find(hidden[_i].message);
	ck_assert_ptr_nonnull(f);
	ck_assert_str_eq(f->program, hidden[_i].program);
	ck_assert_uint_eq(f->line, hidden[_i].line);
	ck_assert_int_eq(f->verdict, hidden[_i].verdict);
	ck_assert_uint_eq(count_of(BL_VERDICT_REJECT), 3);
	ck_assert_ptr_null(about("harmless", ""));
}
END_TEST

START_TEST(trusted_names_each_use_and_rejects_none)
{
	load("tests/lab/objects/policy-calls");
	judge("trusted", false);
	ck_assert_uint_eq(count_of(BL_VERDICT_REJECT), 0);
	ck_assert_uint_eq(count_of(BL_VERDICT_WARN), 4);
	ck_assert_ptr_nonnull(find("profile trusted warns of it"));
	ck_assert_ptr_nonnull(find(
		"profile trusted: 5 programs, 5 helpers, 2 kfuncs and 2 maps, none denied"));
}
END_TEST

/* An exception is not silent: its reason stands in the report. */
START_TEST(a_file_allows_with_a_reason)
{
	const struct bl_finding *f;

	load("tests/lab/objects/policy-calls");
	judge("{ \"helpers\": [ { \"allow\": \"bpf_send_signal*\", \"reason\": \"SEC-12\" } ] }",
	      false);
	f = find("of inner(), reached from by_static, calls bpf_send_signal,");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->verdict, BL_VERDICT_PASS);
	ck_assert_ptr_nonnull(
		strstr(f->message, "profile own allows it: SEC-12"));
	ck_assert_uint_eq(count_of(BL_VERDICT_REJECT), 0);
	ck_assert_ptr_null(find("nobody()"));
	ck_assert_ptr_nonnull(find("none denied"));
}
END_TEST

START_TEST(a_file_denies_with_a_reason)
{
	const struct bl_finding *f;

	load("tests/lab/objects/policy-calls");
	judge("{ \"base\": \"trusted\", \"helpers\": [ { \"deny\": \"bpf_map_lookup_elem\", \"reason\": \"no maps here\" } ] }",
	      false);
	f = find(
		"instruction 6 calls bpf_map_lookup_elem: profile own denies it: no maps here");
	ck_assert_ptr_nonnull(f);
	ck_assert_str_eq(f->program, "harmless");
	ck_assert_int_eq(f->verdict, BL_VERDICT_REJECT);
	ck_assert_str_eq(f->hint,
			 "the rule stands under \"helpers\" in profile own");
	ck_assert_uint_eq(count_of(BL_VERDICT_REJECT), 2);
}
END_TEST

/* Programs of all kinds under the built-in profiles. */
static const struct {
	const char *profile, *program, *says, *hint;
	enum bl_verdict verdict;
} kinds[] = {
	{ "observe", "refuses",
	  "a program of type lsm, which can refuse what processes do: profile observe denies it",
	  "profile enforce allows it: --profile enforce", BL_VERDICT_REJECT },
	{ "observe", "may_refuse",
	  "a program of type lsm (optional: loaded only by a loader that enforces)",
	  "it needs profile enforce", BL_VERDICT_WARN },
	{ "observe", "forges", "a program of type fmod_ret", "",
	  BL_VERDICT_REJECT },
	{ "enforce", "forges", "attaches to fmod_ret/should_failslab",
	  "\"attach\": \"fmod_ret/should_failslab\"", BL_VERDICT_REJECT },
	{ "enforce", "forges_somewhere",
	  "attaches where only its loader knows, somewhere below fmod_ret/",
	  "write the whole of it into the section", BL_VERDICT_UNDECIDED },
	{ "trusted", "forges_somewhere", "profile trusted warns of it", "",
	  BL_VERDICT_WARN },
	{ "enforce", "schedules", "a program of type struct_ops",
	  "--profile trusted only warns", BL_VERDICT_REJECT },
	{ "enforce", "is_what",
	  "a program whose section names no type that libbpf has: my_own_section: profile enforce leaves it undecided",
	  "\"types\": \"unknown\"", BL_VERDICT_UNDECIDED },
	{ "enforce", "closes",
	  "instruction 0 calls kfunc bpf_sock_destroy, which closes sockets of others: profile enforce denies it",
	  "\"kfuncs\": \"bpf_sock_destroy\"", BL_VERDICT_REJECT },
	{ "enforce", "closes",
	  "kfunc bpf_never_heard_of, which belay does not know", "",
	  BL_VERDICT_REJECT },
	{ "{ \"sleepable\": [ { \"deny\": \"fentry\", \"reason\": \"slow\" } ] }",
	  "sleeps",
	  "a program that may sleep: fentry.s/do_unlinkat: profile own denies it: slow",
	  "the rule stands under \"sleepable\"", BL_VERDICT_REJECT },
	{ "{ \"sleepable\": [] }", "refuses", "a program of type lsm",
	  "profile enforce allows it: a rule in own, or that as its \"base\"",
	  BL_VERDICT_REJECT },
	{ "{ \"attach\": [ { \"deny\": \"kprobe*/tcp_*\", \"reason\": \"hot\" } ] }",
	  "probes",
	  "attaches to kprobe/tcp_connect: profile own denies it: hot", "",
	  BL_VERDICT_REJECT },
	{ "{ \"attach\": [ { \"deny\": \"kprobe.multi/tcp_close\", \"reason\": \"hot\" } ] }",
	  "probes_many", "somewhere below kprobe.multi/tcp_", "",
	  BL_VERDICT_UNDECIDED },
	{ "{ \"attach\": [ { \"warn\": \"kprobe/*\", \"reason\": \"ask\" } ] }",
	  "probes_somewhere", "profile own warns of it", "", BL_VERDICT_WARN },
};

START_TEST(kinds_of_programs_are_judged)
{
	const struct bl_finding *f;

	load("tests/lab/objects/policy-kinds");
	judge(kinds[_i].profile, false);
	f = about(kinds[_i].program, kinds[_i].says);
	ck_assert_ptr_nonnull(f);
	ck_assert_msg(f->verdict == kinds[_i].verdict, "%s: %s", f->message,
		      bl_verdict_name(f->verdict));
	assert_hint(f, kinds[_i].hint);
}
END_TEST

START_TEST(what_only_watches_is_not_mentioned)
{
	static const char *const quiet[] = { "sleeps", "probes", "probes_many",
					     "probes_somewhere" };
	size_t i;

	load("tests/lab/objects/policy-kinds");
	judge("observe", false);
	for (i = 0; i < BL_ARRAY_SIZE(quiet); i++)
		ck_assert_ptr_null(about(quiet[i], ""));
}
END_TEST

START_TEST(maps_are_judged_by_type_and_by_pinning)
{
	const struct bl_finding *f;

	load("tests/lab/objects/policy-kinds");
	judge("observe", false);
	f = find(
		"map sockets is of type sockmap, which hands data to another socket: profile observe denies it");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->verdict, BL_VERDICT_REJECT);
	f = find("map kept pins itself, which keeps it in /sys/fs/bpf");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->verdict, BL_VERDICT_WARN);
	judge("{ \"base\": \"enforce\", \"pinning\": [ { \"deny\": \"ke?t\", \"reason\": \"no\" } ] }",
	      false);
	ck_assert_ptr_null(find("sockmap"));
	ck_assert_int_eq(find("map kept pins itself")->verdict,
			 BL_VERDICT_REJECT);
	judge("trusted", false);
	ck_assert_ptr_null(find("map "));
}
END_TEST

/* Each of its ends returns 0, so it only looks; a file may know better. */
START_TEST(what_never_refuses_only_looks)
{
	load("tests/lab/objects/policy-kinds");
	judge("observe", false);
	ck_assert_ptr_null(about("only_looks", "lsm"));
	ck_assert_ptr_nonnull(about("refuses", "lsm"));
	judge("{ \"types\": [ { \"deny\": \"lsm\", \"reason\": \"none\" } ] }",
	      false);
	ck_assert_int_eq(about("only_looks", "lsm")->verdict,
			 BL_VERDICT_REJECT);
}
END_TEST

/* The sensor has optional LSM programs for content that denies. */
START_TEST(denying_content_needs_enforce)
{
	const struct bl_finding *f;

	load("bpf/sensor");
	judge("observe", false);
	ck_assert_uint_eq(count_of(BL_VERDICT_REJECT), 0);
	ck_assert_int_eq(about("bl_deny_open", "lsm")->verdict,
			 BL_VERDICT_WARN);
	ck_assert_ptr_nonnull(find("none denied"));
	judge("observe", true);
	f = about("bl_deny_open", "optional, but the content denies");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->verdict, BL_VERDICT_REJECT);
	assert_hint(f, "--profile enforce");
	judge("enforce", true);
	ck_assert_uint_eq(count_of(BL_VERDICT_WARN), 0);
	ck_assert_uint_eq(count_of(BL_VERDICT_REJECT), 0);
}
END_TEST

START_TEST(other_peoples_filters_are_told_which_profile_they_need)
{
	static const char *const filters[] = { "pass_ipv4", "on_egress",
					       "classify" };
	size_t i;

	load("tests/lab/objects/foreign");
	judge("observe", false);
	for (i = 0; i < BL_ARRAY_SIZE(filters); i++)
		assert_hint(about(filters[i], "denies it"),
			    "--profile enforce");
	ck_assert_ptr_null(about("on_unlink", ""));
	judge("enforce", false);
	ck_assert_uint_eq(count_of(BL_VERDICT_REJECT), 0);
	ck_assert_ptr_nonnull(find("profile enforce: 5 programs, 2 helpers, "
				   "0 kfuncs and 1 map, none denied"));
}
END_TEST

static struct bpf_insn *insn_of(const char *program, size_t insn)
{
	const struct bl_object_program *p = bl_object_program(&object, program);
	size_t at =
		(size_t)(object.sections[p->section_index].data - object.copy) +
		p->offset + insn * 8;

	return (struct bpf_insn *)(file.data + at);
}

START_TEST(what_cannot_be_told_is_undecided)
{
	const struct bl_finding *f;

	load("tests/lab/objects/forbidden");
	judge("observe", false);
	insn_of("kills", 1)->imm = 4711;
	judge("enforce", false);
	f = find(
		"calls helper 4711, which belay does not know and cannot judge: profile enforce denies it");
	ck_assert_ptr_nonnull(f);
	ck_assert_str_eq(f->hint, "--profile trusted only warns of it");
	insn_of("kills", 1)->src_reg = BPF_PSEUDO_CALL;
	judge("trusted", false);
	f = find("instruction 1 calls what libbpf would not find");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->verdict, BL_VERDICT_UNDECIDED);
	ck_assert_ptr_null(find("none denied"));
	insn_of("kills", 1)->src_reg = BPF_PSEUDO_KFUNC_CALL;
	judge("observe", false);
	ck_assert_ptr_nonnull(find("calls kfunc 4711, which belay does not"));
}
END_TEST

START_TEST(a_contradiction_in_the_code_is_a_rejection)
{
	Elf64_Sym sym;
	size_t i;

	load("tests/lab/objects/policy-calls");
	judge("trusted", false);
	for (i = 0;; i += sizeof(sym)) {
		const struct bl_object_section *s =
			&object.sections[object.symtab];
		size_t at = (size_t)(s->data - object.copy) + i;

		ck_assert_uint_lt(i, s->size);
		memcpy(&sym, file.data + at, sizeof(sym));
		if (ELF64_ST_TYPE(sym.st_info) != STT_FUNC || sym.st_value < 16)
			continue;
		sym.st_value -= 8; /* into the function before it */
		memcpy(file.data + at, &sym, sizeof(sym));
		break;
	}
	judge("trusted", false);
	ck_assert_int_eq(find("overlap")->verdict, BL_VERDICT_REJECT);
}
END_TEST

START_TEST(license_that_kernels_do_not_know_is_a_warning)
{
	char *license;

	load("tests/lab/objects/foreign");
	license = memmem(file.data, file.len, "Dual BSD/GPL", 12);
	ck_assert_ptr_nonnull(license);
	memcpy(license, "Proprietary", sizeof("Proprietary"));
	judge("enforce", false);
	ck_assert_str_eq(report.findings[0].check, "license");
	ck_assert_int_eq(report.findings[0].verdict, BL_VERDICT_WARN);
	ck_assert_ptr_nonnull(
		strstr(report.findings[0].message, "\"Proprietary\""));
}
END_TEST

#define BIG_PROGRAMS 200
#define BIG_INSNS    9800 /* of each: 15 MB in all */

static void add(const void *data, size_t len)
{
	ck_assert_int_eq(bl_buf_add(&file, data, len), 0);
}

/* The instructions of each program: every tenth calls a helper, the first one
 * @odd. */
static void make_code(int odd, struct bpf_insn code[BIG_INSNS])
{
	size_t i;

	for (i = 0; i < BIG_INSNS; i++) {
		code[i] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV };
		if (i % 10)
			continue;
		code[i].code = BPF_JMP | BPF_CALL;
		code[i].imm = i ? 1 + (int)(i / 10) % 8 : odd;
	}
	code[BIG_INSNS - 1].code = BPF_JMP | BPF_EXIT;
}

/* 200 programs, each in a section of its own, without BTF. @odd: a helper that
 * each calls once. */
static void make_big(int odd)
{
	static struct bpf_insn code[BIG_INSNS];
	static const char names[] = "\0.strtab\0.symtab\0kprobe/x\0program";
	Elf64_Shdr sections[3 + BIG_PROGRAMS] = { 0 };
	Elf64_Sym symbols[1 + BIG_PROGRAMS] = { 0 };
	Elf64_Ehdr h = { .e_type = ET_REL,
			 .e_machine = EM_BPF,
			 .e_version = EV_CURRENT,
			 .e_ehsize = sizeof(h),
			 .e_shentsize = sizeof(sections[0]),
			 .e_shnum = BL_ARRAY_SIZE(sections),
			 .e_shstrndx = 1 };
	size_t i;

	make_code(odd, code);
	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_ident[EI_VERSION] = EV_CURRENT;
	bl_buf_free(&file);
	add(&h, sizeof(h));
	sections[1] = (Elf64_Shdr){ .sh_name = 1,
				    .sh_type = SHT_STRTAB,
				    .sh_offset = file.len,
				    .sh_size = sizeof(names) };
	add(names, sizeof(names));
	for (i = 0; i < BIG_PROGRAMS; i++) {
		sections[3 + i] = (Elf64_Shdr){
			.sh_name = 17,
			.sh_type = SHT_PROGBITS,
			.sh_flags = SHF_ALLOC | SHF_EXECINSTR,
			.sh_offset = file.len,
			.sh_size = sizeof(code),
		};
		symbols[1 + i] = (Elf64_Sym){
			.st_name = 26,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			.st_shndx = (uint16_t)(3 + i),
			.st_size = sections[3 + i].sh_size,
		};
		add(code, sizeof(code));
	}
	sections[2] = (Elf64_Shdr){ .sh_name = 9,
				    .sh_type = SHT_SYMTAB,
				    .sh_link = 1,
				    .sh_entsize = sizeof(symbols[0]),
				    .sh_offset = file.len,
				    .sh_size = sizeof(symbols) };
	add(symbols, sizeof(symbols));
	h.e_shoff = file.len;
	memcpy(file.data, &h, sizeof(h));
	add(sections, sizeof(sections));
}

START_TEST(a_large_object_is_no_trouble)
{
	uint64_t start;

	make_big(1);
	ck_assert_uint_gt(file.len, 15u << 20 >> 1);
	start = bl_clock_mono_ms();
	judge("observe", false);
	printf("%zu bytes, %d programs: %llu ms\n", file.len, BIG_PROGRAMS,
	       (unsigned long long)(bl_clock_mono_ms() - start));
	ck_assert_ptr_nonnull(find("200 programs, 8 helpers"));
	make_big(BPF_FUNC_send_signal);
	judge("observe", false);
	ck_assert_uint_eq(count_of(BL_VERDICT_REJECT), BIG_PROGRAMS);
}
END_TEST

/* A report that is flooded says how much it leaves out, and still rejects. */
START_TEST(a_flood_of_findings_is_counted)
{
	make_big(BPF_FUNC_send_signal);
	judge("{ \"base\": \"trusted\", \"helpers\": [ { \"warn\": \"bpf_*e*\", \"reason\": \"a\" }, { \"deny\": \"bpf_trace_printk\", \"reason\": \"b\" } ] }",
	      false);
	ck_assert_uint_eq(report.count, 1 + BL_POLICY_FINDINGS_MAX + 1);
	ck_assert_ptr_nonnull(strstr(report.findings[report.count - 1].message,
				     "more findings like these"));
	ck_assert_int_eq(report.findings[report.count - 1].verdict,
			 BL_VERDICT_REJECT);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-policy");
	TCase *t = tcase_create("policy");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_forbidden_helper_is_named_with_its_line);
	tcase_add_loop_test(t, no_call_hides_a_helper, 0,
			    (int)BL_ARRAY_SIZE(hidden));
	tcase_add_test(t, trusted_names_each_use_and_rejects_none);
	tcase_add_test(t, a_file_allows_with_a_reason);
	tcase_add_test(t, a_file_denies_with_a_reason);
	tcase_add_loop_test(t, kinds_of_programs_are_judged, 0,
			    (int)BL_ARRAY_SIZE(kinds));
	tcase_add_test(t, what_only_watches_is_not_mentioned);
	tcase_add_test(t, maps_are_judged_by_type_and_by_pinning);
	tcase_add_test(t, what_never_refuses_only_looks);
	tcase_add_test(t, denying_content_needs_enforce);
	tcase_add_test(t,
		       other_peoples_filters_are_told_which_profile_they_need);
	tcase_add_test(t, what_cannot_be_told_is_undecided);
	tcase_add_test(t, a_contradiction_in_the_code_is_a_rejection);
	tcase_add_test(t, license_that_kernels_do_not_know_is_a_warning);
	tcase_add_test(t, a_large_object_is_no_trouble);
	tcase_add_test(t, a_flood_of_findings_is_counted);
	suite_add_tcase(s, t);
	return s;
}
