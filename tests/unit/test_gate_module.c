/* SPDX-License-Identifier: Apache-2.0 */
/* A module is not verified, so what is known of it is little, and the report
 * says how little; what it shows in a guest decides. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/kernel/verify_lab.h"
#include "loader/gate/kernel/vm_end.h"
#include "loader/gate/module/judge.h"
#include "loader/gate/module/module.h"
#include "tests/main.h"

#define K61   "6.1.0-56-cloud-amd64"
#define K612  "6.12.95+deb12-cloud-amd64"
#define K73   "7.3.4+deb13-cloud-amd64"
#define LIMIT (256u << 20)

static struct bl_report report;

static void begin(void)
{
	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, "x.bundle", "bundle"), 0);
}

static const struct bl_finding *said(enum bl_verdict verdict, const char *check,
				     const char *words)
{
	for (size_t i = 0; i < report.count; i++) {
		const struct bl_finding *f = &report.findings[i];

		if (f->verdict == verdict && !strcmp(f->check, check) &&
		    strstr(f->message, words))
			return f;
	}
	return NULL;
}

static void says(enum bl_verdict verdict, const char *check, const char *words)
{
	if (said(verdict, check, words))
		return;
	for (size_t i = 0; i < report.count; i++)
		fprintf(stderr, "%s %s: %s\n",
			bl_verdict_name(report.findings[i].verdict),
			report.findings[i].check, report.findings[i].message);
	ck_abort_msg("no finding '%s %s: …%s'", bl_verdict_name(verdict), check,
		     words);
}

/* --- the files, and the kernels that they are for ------------------------- */

static struct bl_candidate candidate;

static void add_module(const char *file, const char *release)
{
	struct bl_manifest_modules *list = &candidate.bundle.manifest.modules;
	struct bl_modfile *m = &candidate.modules[list->count];

	*m = (struct bl_modfile){ .name = "belay_sensor",
				  .build_id = "0123456789abcdef0123",
				  .machine = EM_X86_64,
				  .linked = true };
	snprintf(m->release, sizeof(m->release), "%s", release);
	snprintf(list->file[list->count++], BL_NAME_MAX, "%s", file);
}

static void two_modules(void)
{
	candidate = (struct bl_candidate){ .has_modules = true,
					   .has_content = true };
	add_module("6.1.ko", K61);
	add_module("6.12.ko", K612);
	begin();
}

START_TEST(each_file_is_told_by_its_kernel_and_build)
{
	two_modules();
	candidate.modules[1].has_signature = true;
	ck_assert_int_eq(bl_module_check_files(&candidate, &report), 0);
	ck_assert_uint_eq(report.count, 2);
	says(BL_VERDICT_PASS, "module",
	     "6.1.ko: belay_sensor for " K61
	     ", build 0123456789abcdef, not signed");
	says(BL_VERDICT_PASS, "module", ", signed");
}
END_TEST

START_TEST(what_no_kernel_could_load_is_rejected_unseen)
{
	two_modules();
	candidate.modules[0].machine = EM_AARCH64;
	candidate.modules[1].linked = false;
	ck_assert_int_eq(bl_module_check_files(&candidate, &report), 0);
	says(BL_VERDICT_REJECT, "module", "6.1.ko: not built for x86-64");
	says(BL_VERDICT_REJECT, "module", "6.12.ko: it has no section");
}
END_TEST

START_TEST(a_module_without_content_would_say_nothing)
{
	two_modules();
	candidate.has_content = false;
	ck_assert_int_eq(bl_module_check_files(&candidate, &report), 0);
	says(BL_VERDICT_REJECT, "content", "name it in the manifest");
}
END_TEST

START_TEST(what_cannot_be_asked_of_a_module_is_said_and_no_pass)
{
	static const char *const checks[] = { "verifier", "policy", "core",
					      "map",	  "budget", "content" };

	begin();
	ck_assert_int_eq(bl_module_not_asked(false, &report), 0);
	ck_assert_uint_eq(report.count, BL_ARRAY_SIZE(checks));
	for (size_t i = 0; i < BL_ARRAY_SIZE(checks); i++)
		says(BL_VERDICT_WARN, checks[i], "not possible for a module: ");
	/* All of that together decides nothing. */
	ck_assert_int_eq(bl_report_exit(&report), BL_EXIT_UNDECIDED);
	begin();
	ck_assert_int_eq(bl_module_not_asked(true, &report), 0);
	says(BL_VERDICT_WARN, "state", "not possible for a module: ");
}
END_TEST

static struct bl_kernel k61 = { .release = (char *)K61 };
static struct bl_kernel k612 = { .release = (char *)K612 };
static struct bl_kernel k73 = { .release = (char *)K73 };
static struct bl_gate_module got[3];

static void cover(const struct bl_kernel **kernels, size_t count, bool all,
		  bool host)
{
	struct bl_choice choice = {
		.kernels = kernels, .count = count, .all = all, .host = host
	};

	two_modules();
	ck_assert_int_eq(bl_module_cover(&candidate, &choice, got, &report), 0);
}

START_TEST(each_kernel_gets_the_module_that_was_built_for_it)
{
	const struct bl_kernel *kernels[] = { &k612, &k61 };

	cover(kernels, 2, true, false);
	ck_assert_str_eq(got[0].file, "6.12.ko");
	ck_assert_str_eq(got[1].file, "6.1.ko");
	ck_assert_uint_eq(report.count, 0);
}
END_TEST

START_TEST(a_kernel_that_was_asked_for_and_has_none_rejects)
{
	const struct bl_kernel *kernels[] = { &k61, &k612, &k73 };
	const struct bl_finding *f;

	cover(kernels, 3, true, false);
	ck_assert_ptr_null(got[2].file);
	says(BL_VERDICT_REJECT, "module",
	     "no module for " K73 ": a host with this kernel");
	f = &report.findings[0];
	ck_assert_int_eq(f->status, BL_STATUS_MISSING);
	ck_assert_str_eq(f->kernel, K73);
	ck_assert_ptr_nonnull(strstr(f->hint, "kmod/build"));
	/* In the report's table, too. */
	ck_assert_uint_eq(report.kernel_count, 1);
}
END_TEST

START_TEST(a_module_that_nobody_tried_is_no_pass)
{
	const struct bl_kernel *kernels[] = { &k61 };

	cover(kernels, 1, false, false);
	says(BL_VERDICT_WARN, "module", "6.12.ko was not tried");
	cover(kernels, 1, true, false);
	says(BL_VERDICT_UNDECIDED, "module", "6.12.ko was not tried");
}
END_TEST

START_TEST(the_running_kernel_is_not_tried)
{
	cover(NULL, 0, false, true);
	says(BL_VERDICT_UNDECIDED, "module", "not loaded on the running");
	ck_assert_int_eq(bl_report_exit(&report), BL_EXIT_UNDECIDED);
}
END_TEST

/* --- what a kernel showed ------------------------------------------------- */

static struct bl_facts_program program;
static struct bl_answer answer;
static struct bl_exercise_limits limits;

/* One that did everything right. */
static void good(void)
{
	program = (struct bl_facts_program){
		.name = (char *)"belay_sensor",
		.section = (char *)"6.1.ko",
		.load = BL_LOAD_ACCEPTED,
		.attach = BL_ATTACH_DONE,
		.swap = BL_SWAP_NONE,
		.runs = 2000,
	};
	answer = (struct bl_answer){
		.facts = { .programs = &program,
			   .program_count = 1,
			   .exercise = { .ran = true,
					 .sensor = true,
					 .reports = BL_EXPECT_ALL,
					 .visible = BL_EXPECT_ALL,
					 .wall_ms = 600,
					 .done = { 32, 1000, 1000, 16 },
					 .shown = { 32, 1000, 1000, 16 },
					 .events = { 33, 1500, 1001, 16 },
					 .seen = 2534,
					 .emitted = 2534,
					 .ns_per_run = 3000,
					 .prog_bytes = 24576,
					 .map_bytes = 1 << 20 },
			   .swap = { .ran = true,
				     .switches = 2,
				     .worst_ms = 12 } },
		.have = { true, true, true, true },
	};
	limits = bl_exercise_defaults();
	limits.max_memory_bytes = LIMIT;
}

static enum bl_exit judge(void)
{
	struct bl_report_kernel k = { .name = (char *)K61 };

	begin();
	ck_assert_int_eq(bl_report_add_kernel(&report, &k), 0);
	ck_assert_int_eq(bl_module_judge(&answer, &limits, K61, &report), 0);
	ck_assert_uint_gt(report.count, 0);
	return bl_report_exit(&report);
}

START_TEST(a_good_module_is_accepted_with_its_gap_told)
{
	good();
	ck_assert_int_eq(judge(), BL_EXIT_OK);
	says(BL_VERDICT_PASS, "module", "is loaded, and takes its content");
	says(BL_VERDICT_PASS, "attach", "its hooks go in");
	says(BL_VERDICT_PASS, "exercise", "saw 32 of 32 exec");
	says(BL_VERDICT_PASS, "exercise",
	     "unloaded under its hooks 3 times, and no ftrace hook was left");
	says(BL_VERDICT_WARN, "swap", "sees nothing for some 12 ms");
}
END_TEST

/* What is changed of a good one; and what follows. */
static void not_taken(void)
{
	program.load = BL_LOAD_REJECTED;
	program.why = (char *)"content: the module does not take it";
}

static void refused(void)
{
	program.load = BL_LOAD_REFUSED;
	program.why = (char *)"this kernel takes signed modules only";
}

static void no_hooks(void)
{
	program.attach = BL_ATTACH_FAILED;
	program.attach_why = (char *)"no hook at security_file_open";
}

static void splat(void)
{
	answer.facts.exercise.splats = 1;
	answer.facts.exercise.first_splat = (char *)"BUG kmalloc-64: Redzone";
}

static void blind(void)
{
	memset(answer.facts.exercise.events, 0,
	       sizeof(answer.facts.exercise.events));
	memset(answer.facts.exercise.shown, 0,
	       sizeof(answer.facts.exercise.shown));
}

static void hungry(void)
{
	answer.facts.exercise.map_bytes = LIMIT;
}

static void leaks(void)
{
	answer.facts.exercise.grown_bytes = 10u << 20; /* 4 KiB an event */
}

/* Refuses everything, its own figures included. */
static void unusable(void)
{
	answer.facts.exercise.ran = false;
	answer.facts.exercise.why_not = (char *)"Operation not permitted";
	answer.facts.exercise.broken = (char *)"cannot read /proc/self/status";
	answer.facts.swap = (struct bl_facts_swap){ .why_not = (char *)"" };
}

static void splat_when_gone(void)
{
	answer.facts.swap.splats = 3;
	answer.facts.swap.first_splat = (char *)"BUG: unable to handle";
}

static void leaves_hook(void)
{
	answer.facts.swap.left_behind = (char *)"security_file_open";
}

static void memory_unseen(void)
{
	answer.facts.exercise.unseen = (char *)"/proc/meminfo: gone";
}

static void hooks_unseen(void)
{
	answer.facts.swap.unseen = (char *)"which functions have hooks: EACCES";
}

static void stays(void)
{
	answer.facts.swap.ran = false;
	answer.facts.swap.why_not = (char *)"somebody reads its events";
}

static const struct {
	void (*change)(void);
	enum bl_verdict verdict;
	const char *check, *words;
} faults[] = {
	{ not_taken, BL_VERDICT_REJECT, "module", "does not take it" },
	{ refused, BL_VERDICT_UNDECIDED, "module", "signed modules only" },
	{ no_hooks, BL_VERDICT_REJECT, "attach",
	  "its hooks do not go in: no hook at security_file_open" },
	{ splat, BL_VERDICT_REJECT, "exercise",
	  "complained 1 time while it was exercised: BUG kmalloc-64" },
	{ blind, BL_VERDICT_REJECT, "exercise", "saw nothing" },
	{ hungry, BL_VERDICT_REJECT, "exercise", "bytes of the kernel's" },
	{ leaks, BL_VERDICT_REJECT, "exercise",
	  "grew by 10240 KiB while it saw 2534 operations" },
	{ unusable, BL_VERDICT_REJECT, "exercise",
	  "cannot be used with it, as it could before: cannot read" },
	{ splat_when_gone, BL_VERDICT_REJECT, "exercise",
	  "complained 3 times while it was unloaded" },
	{ leaves_hook, BL_VERDICT_REJECT, "exercise",
	  "leaves a hook behind at security_file_open" },
	{ memory_unseen, BL_VERDICT_UNDECIDED, "exercise",
	  "could not be seen: /proc/meminfo: gone" },
	{ hooks_unseen, BL_VERDICT_UNDECIDED, "exercise",
	  "could not be seen: which functions have hooks: EACCES" },
	{ stays, BL_VERDICT_REJECT, "exercise",
	  "cannot be unloaded and loaded again: somebody reads" },
};

START_TEST(what_a_faulty_module_shows_is_found)
{
	good();
	faults[_i].change();
	ck_assert_int_eq(judge(), faults[_i].verdict == BL_VERDICT_REJECT
					  ? BL_EXIT_REJECTED
					  : BL_EXIT_UNDECIDED);
	says(faults[_i].verdict, faults[_i].check, faults[_i].words);
}
END_TEST

/* A kernel takes and gives on its own: neither a little, nor much of a long
 * workload, is the module's. */
START_TEST(what_a_kernel_takes_by_itself_is_not_held_against_it)
{
	good();
	answer.facts.exercise.grown_bytes = (4u << 20) - 1;
	ck_assert_int_eq(judge(), BL_EXIT_OK);
	good();
	answer.facts.exercise.grown_bytes = 10u << 20;
	answer.facts.exercise.seen = answer.facts.exercise.emitted = 100000;
	ck_assert_int_eq(judge(), BL_EXIT_OK);
}
END_TEST

START_TEST(a_step_that_did_not_arrive_is_no_pass)
{
	good();
	answer.have[BL_PROBE_LOAD] = false;
	ck_assert_int_eq(judge(), BL_EXIT_UNDECIDED);
	says(BL_VERDICT_UNDECIDED, "module", "no answer");
	good();
	answer.error = (char *)"out of memory";
	ck_assert_int_eq(judge(), BL_EXIT_UNDECIDED);
}
END_TEST

/* --- how its guest ended -------------------------------------------------- */

static const struct {
	enum bl_vm_outcome outcome;
	int status;
	uint64_t boot_ms;
	enum bl_verdict verdict;
	bool went_down;
	const char *check, *words;
} ends[] = {
	{ BL_VM_PANIC, 0, 900, BL_VERDICT_REJECT, false, "exercise",
	  "panicked while this module was loaded: why" },
	{ BL_VM_LOST, 0, 900, BL_VERDICT_REJECT, true, "exercise",
	  "the guest was lost while" },
	{ BL_VM_EXITED, 137, 900, BL_VERDICT_REJECT, false, "exercise",
	  "it used up the memory, 512 MiB" },
	/* What may well be no doing of the module. */
	{ BL_VM_HANG, 0, 900, BL_VERDICT_UNDECIDED, false, "kernel",
	  "no answer by the deadline while this module was loaded: why" },
	{ BL_VM_PANIC, 0, 0, BL_VERDICT_UNDECIDED, false, "kernel",
	  "could not boot (panic): why" },
	{ BL_VM_HANG, 0, 0, BL_VERDICT_UNDECIDED, false, "kernel",
	  "could not boot" },
	{ BL_VM_LOST, 0, 900, BL_VERDICT_UNDECIDED, false, "kernel",
	  "the guest was lost" },
	{ BL_VM_EXITED, 1, 900, BL_VERDICT_UNDECIDED, false, "kernel",
	  "ended with status 1" },
	{ BL_VM_EXITED, 0, 900, BL_VERDICT_UNDECIDED, false, "module",
	  "no answer" },
};

START_TEST(the_end_of_a_guest_is_told_from_one_that_could_not_run)
{
	struct bl_gate_module module = { .file = "6.1.ko" };
	struct bl_gate_target t = { .modules = &module };
	struct bl_vm_result res = {
		.outcome = ends[_i].outcome,
		.boot_ms = ends[_i].boot_ms,
		.exit_status = ends[_i].status,
		.went_down = ends[_i].went_down,
		.reason = "why",
	};

	begin();
	ck_assert_int_eq(bl_gate_judge_vm(&t, K61, &res, &report), 0);
	says(ends[_i].verdict, ends[_i].check, ends[_i].words);
	ck_assert_int_ne(bl_report_exit(&report), BL_EXIT_OK);
	if (ends[_i].verdict != BL_VERDICT_REJECT)
		ck_assert_int_eq(bl_report_exit(&report), BL_EXIT_UNDECIDED);
}
END_TEST

#define CAME_IN "[    2.0] belay_sensor: loading out-of-tree module taints\r\n"

static const struct {
	const char *console;
	uint64_t boot_ms, said_ms, total_ms;
	unsigned scale;
	bool loaded; /* was answered */
	enum bl_verdict verdict;
	const char *check, *words;
} hangs[] = {
	/* One that turns in circles, and one with its interrupts off. */
	{ CAME_IN "[   25.0] watchdog: BUG: soft lockup - CPU#0 stuck\r\n",
	  9000, 9500, 40000, 1, true, BL_VERDICT_REJECT, "exercise",
	  "its kernel said: watchdog: BUG: soft lockup" },
	{ CAME_IN "[   25.0] INFO: task cat:7 blocked for more than 20 s\r\n",
	  9000, 0, 40000, 1, false, BL_VERDICT_REJECT, "exercise",
	  "while this module was loaded: why; its kernel said: INFO: task" },
	{ CAME_IN, 3000, 3500, 90000, 1, true, BL_VERDICT_REJECT, "exercise",
	  "while its hooks went in: why; the guest stood still" },
	{ CAME_IN, 3000, 0, 90000, 1, false, BL_VERDICT_REJECT, "exercise",
	  "while this module was loaded: why; the guest stood still" },
	{ "", 3000, 3500, 90000, 1, true, BL_VERDICT_REJECT, "exercise",
	  "the guest stood still" },
	/* A machine on which everything is slow. */
	{ CAME_IN, 20000, 25000, 90000, 1, true, BL_VERDICT_UNDECIDED, "kernel",
	  "not a slow machine" },
	/* It answered to the end, and has more to do than others. */
	{ CAME_IN, 3000, 80000, 90000, 1, true, BL_VERDICT_UNDECIDED, "kernel",
	  "not a slow machine" },
	{ CAME_IN, 3000, 3500, 90000, 8, true, BL_VERDICT_UNDECIDED, "kernel",
	  "not a slow machine" },
	/* It was never there: whatever it was, it was not the module. */
	{ "[    1.0] WARNING: CPU: 0 PID: 0 at boot.c:1\r\n", 3000, 0, 90000, 1,
	  false, BL_VERDICT_UNDECIDED, "kernel", "not a slow machine" },
};

START_TEST(a_deadline_rejects_only_with_a_sign_that_it_was_the_module)
{
	struct bl_gate_module module = { .file = "6.1.ko" };
	struct bl_gate_target t = { .modules = &module };
	struct bl_facts_program p = { .name = (char *)"belay_sensor",
				      .section = (char *)"module.ko",
				      .load = BL_LOAD_ACCEPTED,
				      .insn = -1,
				      .why = (char *)"" };
	struct bl_facts facts = { .programs = &p, .program_count = 1 };
	bl_autofree char *dir = bl_test_tmpdir();
	struct bl_vm_result res = {
		.outcome = BL_VM_HANG,
		.boot_ms = hangs[_i].boot_ms,
		.said_ms = hangs[_i].said_ms,
		.total_ms = hangs[_i].total_ms,
		.reason = "why",
	};
	bl_autofree char *line = bl_answer_line(BL_PROBE_LOAD, &facts);
	bl_autofree char *log = NULL;

	log = bl_path("%s/console.log", dir);
	ck_assert_int_eq(bl_file_write(log, hangs[_i].console,
				       strlen(hangs[_i].console), 0600, NULL),
			 0);
	res.log_path = log;
	t.probe.scale = hangs[_i].scale;
	if (hangs[_i].loaded)
		ck_assert_int_eq(bl_buf_add(&res.output, line, strlen(line)),
				 0);
	begin();
	ck_assert_int_eq(bl_gate_judge_vm(&t, K61, &res, &report), 0);
	says(hangs[_i].verdict, hangs[_i].check, hangs[_i].words);
	ck_assert_int_eq(bl_report_exit(&report),
			 hangs[_i].verdict == BL_VERDICT_REJECT
				 ? BL_EXIT_REJECTED
				 : BL_EXIT_UNDECIDED);
	bl_buf_free(&res.output);
	bl_file_rmtree(dir, NULL);
}
END_TEST

START_TEST(the_first_complaint_behind_the_load_is_the_one_to_tell)
{
	static const char log[] =
		"[    0.1] WARNING: CPU: 0 PID: 0 at boot.c:1\r\n"
		"[    2.0] belay_sensor: loading out-of-tree module taints\r\n"
		"[    2.1] all is well\r\n"
		"WARNING: written by a program\r\n"
		"[    2.2] BUG: unable to handle page fault\r\n"
		"[    2.3] Oops: 0000 [#2]\r\n";
	char line[64] = "untouched";

	ck_assert(
		bl_vm_end_complaint(log, sizeof(log) - 1, line, sizeof(line)));
	ck_assert_str_eq(line, "BUG: unable to handle page fault");
	ck_assert(
		!bl_vm_end_complaint("[ 1.0] fine\n[", 13, line, sizeof(line)));
	ck_assert(!bl_vm_end_complaint("", 0, line, sizeof(line)));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-module");
	TCase *t = tcase_create("module");

	tcase_add_test(t, each_file_is_told_by_its_kernel_and_build);
	tcase_add_test(t, what_no_kernel_could_load_is_rejected_unseen);
	tcase_add_test(t, a_module_without_content_would_say_nothing);
	tcase_add_test(t, what_cannot_be_asked_of_a_module_is_said_and_no_pass);
	tcase_add_test(t, each_kernel_gets_the_module_that_was_built_for_it);
	tcase_add_test(t, a_kernel_that_was_asked_for_and_has_none_rejects);
	tcase_add_test(t, a_module_that_nobody_tried_is_no_pass);
	tcase_add_test(t, the_running_kernel_is_not_tried);
	tcase_add_test(t, a_good_module_is_accepted_with_its_gap_told);
	tcase_add_loop_test(t, what_a_faulty_module_shows_is_found, 0,
			    (int)BL_ARRAY_SIZE(faults));
	tcase_add_test(t, what_a_kernel_takes_by_itself_is_not_held_against_it);
	tcase_add_test(t, a_step_that_did_not_arrive_is_no_pass);
	tcase_add_loop_test(
		t, the_end_of_a_guest_is_told_from_one_that_could_not_run, 0,
		(int)BL_ARRAY_SIZE(ends));
	tcase_add_loop_test(
		t, a_deadline_rejects_only_with_a_sign_that_it_was_the_module,
		0, (int)BL_ARRAY_SIZE(hangs));
	tcase_add_test(t,
		       the_first_complaint_behind_the_load_is_the_one_to_tell);
	suite_add_tcase(s, t);
	return s;
}
