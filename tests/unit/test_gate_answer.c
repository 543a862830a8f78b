/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel tells, how it travels, and what it means when it breaks off. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/gate/kernel/answer.h"
#include "loader/gate/kernel/verify_lab.h"
#include "tests/main.h"

#define KERNEL "6.1.0-56-cloud-amd64"

static struct bl_object object; /* oob: programs direct, called, fine */
static struct bl_report report;
static struct bl_answer answer;
static struct bl_err err;

static void load_object(void)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_file_read(BL_TEST_BUILD_DIR
				      "/tests/lab/objects/oob.bpf.o",
				      1 << 20, &b, NULL),
			 0);
	ck_assert_int_eq(bl_object_open("oob", b.data, b.len, &object, NULL),
			 0);
}

/* A line of the load with these three programs, each as its load went. */
static char *load_line(enum bl_load_status direct, enum bl_load_status called,
		       const char *third)
{
	struct bl_facts_program programs[] = {
		{ .name = (char *)"direct", .load = direct, .insn = -1 },
		{ .name = (char *)"called", .load = called, .insn = -1 },
		{ .name = (char *)third,
		  .load = BL_LOAD_ACCEPTED,
		  .insn = -1,
		  .effort = { 7, 6, 5, 4, 3 } },
	};
	struct bl_facts f = { .programs = programs, .program_count = 3 };

	return bl_answer_line(BL_PROBE_LOAD, &f);
}

static void begin(void)
{
	struct bl_report_kernel k = { .name = (char *)KERNEL };

	bl_report_free(&report);
	ck_assert_int_eq(bl_report_init(&report, "x", "object"), 0);
	ck_assert_int_eq(bl_report_add_kernel(&report, &k), 0);
}

static enum bl_exit judge(const struct bl_vm_result *res)
{
	struct bl_gate_target t = { .object = &object };

	begin();
	ck_assert_int_eq(bl_gate_judge_vm(&t, KERNEL, res, &report), 0);
	return bl_report_exit(&report);
}

static enum bl_exit judge_text(const char *text)
{
	struct bl_vm_result res = { .outcome = BL_VM_EXITED, .boot_ms = 1 };
	enum bl_exit code;

	ck_assert_int_eq(bl_buf_printf(&res.output, "%s", text), 0);
	code = judge(&res);
	bl_buf_free(&res.output);
	return code;
}

START_TEST(all_facts_arrive)
{
	struct bl_facts_program program = {
		.name = (char *)"p",
		.section = (char *)"fentry/x",
		.optional = true,
		.load = BL_LOAD_REJECTED,
		.effort = { 1, 2, 3, 4, 5 },
		.insn = -1,
		.code = -EACCES,
		.why = (char *)"because",
		.log = (char *)"a\nb \xff",
		.attach = BL_ATTACH_MISSING,
		.attach_why = (char *)"gone",
		.swap = BL_SWAP_OVERLAP,
		.runs = 6,
		.run_ns = 7,
		.missed = 8,
	};
	struct bl_facts_map map = { (char *)"m", 4096 };
	struct bl_facts f = {
		.programs = &program,
		.program_count = 1,
		.maps = &map,
		.map_count = 1,
		.exercise = { .ran = true,
			      .sensor = true,
			      .done = { 1, 2, 3 },
			      .events = { 4, 5, 6 },
			      .splats = 1,
			      .first_splat = (char *)"WARNING: x",
			      .broken = (char *)"cannot open",
			      .unseen = (char *)"memory" },
		.swap = { .ran = true,
			  .switches = 2,
			  .sent = 9,
			  .lost = 1,
			  .splats = 4,
			  .first_splat = (char *)"BUG: y",
			  .left_behind = (char *)"f",
			  .unseen = (char *)"hooks" },
	};
	bl_autobuf struct bl_buf text = { 0 };
	const struct bl_facts_program *p;
	unsigned i;

	ck_assert_int_eq(bl_buf_printf(&f.notes, "a note"), 0);
	for (i = 0; i < BL_PROBE_STEPS; i++) {
		bl_autofree char *line = bl_answer_line(i, &f);

		ck_assert_ptr_nonnull(line);
		ck_assert_int_eq(bl_buf_printf(&text, "%s", line), 0);
	}
	bl_buf_free(&f.notes);
	ck_assert_msg(bl_answer_read(text.data, text.len, &answer, &err) == 0,
		      "%s", err.text);
	for (i = 0; i < BL_PROBE_STEPS; i++)
		ck_assert(answer.have[i]);
	p = answer.facts.programs;
	ck_assert_uint_eq(answer.facts.program_count, 1);
	ck_assert_str_eq(p->name, "p");
	ck_assert_str_eq(p->section, "fentry/x");
	ck_assert(p->optional);
	ck_assert_int_eq(p->load, BL_LOAD_REJECTED);
	ck_assert_mem_eq(&p->effort, &program.effort, sizeof(p->effort));
	ck_assert_int_eq(p->insn, -1);
	ck_assert_int_eq(p->code, -EACCES);
	ck_assert_str_eq(p->log, "a\nb ?");
	ck_assert_int_eq(p->attach, BL_ATTACH_MISSING);
	ck_assert_str_eq(p->attach_why, "gone");
	ck_assert_int_eq(p->swap, BL_SWAP_OVERLAP);
	ck_assert_uint_eq(p->runs + p->run_ns + p->missed, 21);
	ck_assert_uint_eq(answer.facts.maps[0].bytes, 4096);
	ck_assert_uint_eq(answer.facts.exercise.events[2], 6);
	ck_assert_str_eq(answer.facts.exercise.first_splat, "WARNING: x");
	ck_assert_str_eq(answer.facts.exercise.broken, "cannot open");
	ck_assert_uint_eq(answer.facts.swap.lost, 1);
	ck_assert_uint_eq(answer.facts.swap.splats, 4);
	ck_assert_str_eq(answer.facts.swap.first_splat, "BUG: y");
	ck_assert_str_eq(answer.facts.exercise.unseen, "memory");
	ck_assert_str_eq(answer.facts.swap.left_behind, "f");
	ck_assert_str_eq(answer.facts.swap.unseen, "hooks");
	ck_assert_str_eq(bl_buf_str(&answer.facts.notes), "a note");
	bl_answer_free(&answer);
}
END_TEST

/* A later step without the earlier, a step twice, numbers out of range. */
static const char *const wrong[] = {
	"hello\n",
	"{}\n",
	"[]\n",
	"{\"step\":\"dance\"}\n",
	"{\"step\":\"load\"}\n",
	"{\"step\":\"load\",\"programs\":[{}],\"maps\":[],\"notes\":\"\"}\n",
	"{\"step\":\"attach\",\"programs\":[]}\n",
	"{\"step\":\"load\",\"programs\":[],\"maps\":[],\"notes\":\"\"}\n"
	"{\"step\":\"load\",\"programs\":[],\"maps\":[],\"notes\":\"\"}\n",
	"{\"step\":\"load\",\"programs\":[],\"maps\":[{\"name\":\"m\","
	"\"bytes\":-1}],\"notes\":\"\"}\n",
	"{\"step\":\"load\",\"programs\":[],\"maps\":[],\"notes\":\"\"}\n"
	"{\"step\":\"attach\",\"programs\":[{\"attach\":\"attached\",\"why\":"
	"\"\",\"swap\":\"none\"}]}\n",
};

START_TEST(what_is_no_answer_is_refused)
{
	ck_assert_int_eq(bl_answer_read(wrong[_i], strlen(wrong[_i]), &answer,
					&err),
			 -EBADMSG);
	ck_assert_int_eq(judge_text(wrong[_i]), BL_EXIT_UNDECIDED);
}
END_TEST

START_TEST(line_that_was_cut_off_does_not_count)
{
	bl_autofree char *line =
		load_line(BL_LOAD_ACCEPTED, BL_LOAD_ACCEPTED, "fine");

	ck_assert_int_eq(judge_text(line), BL_EXIT_OK);
	line[strlen(line) - 1] = '\0';
	ck_assert_int_eq(judge_text(line), BL_EXIT_UNDECIDED);
}
END_TEST

START_TEST(program_that_is_left_out_is_undecided)
{
	bl_autofree char *line =
		load_line(BL_LOAD_ACCEPTED, BL_LOAD_ACCEPTED, "other");

	ck_assert_int_eq(judge_text(line), BL_EXIT_UNDECIDED);
	ck_assert_int_eq(judge_text(""), BL_EXIT_UNDECIDED);
	ck_assert_uint_eq(report.count, 3);
}
END_TEST

START_TEST(load_is_judged_program_by_program)
{
	bl_autofree char *rejected =
		load_line(BL_LOAD_REJECTED, BL_LOAD_ACCEPTED, "fine");
	bl_autofree char *missing =
		load_line(BL_LOAD_ACCEPTED, BL_LOAD_MISSING, "fine");
	bl_autofree char *silent =
		load_line(BL_LOAD_ACCEPTED, BL_LOAD_UNDECIDED, "fine");

	ck_assert_int_eq(judge_text(rejected), BL_EXIT_REJECTED);
	ck_assert_uint_eq(report.findings[2].effort.stack_bytes, 3);
	ck_assert_int_eq(judge_text(missing), BL_EXIT_REJECTED);
	ck_assert_int_eq(judge_text(silent), BL_EXIT_UNDECIDED);
}
END_TEST

START_TEST(object_that_libbpf_refuses_is_undecided)
{
	bl_autofree char *line = bl_answer_error_line("libbpf cannot open it");

	ck_assert_int_eq(judge_text(line), BL_EXIT_UNDECIDED);
	ck_assert_str_eq(report.findings[0].message, "libbpf cannot open it");
}
END_TEST

/* How a VM ends: @load, its answer so far holds the load of all three. */
static const struct {
	enum bl_vm_outcome outcome;
	uint64_t boot_ms;
	int status;
	bool load;
	const char *output;
	size_t lost;
	enum bl_exit exit;
	const char *says;
} ends[] = {
	{ BL_VM_PANIC, 900, 0, false, "", 0, BL_EXIT_REJECTED,
	  "panicked while it verified this object: why" },
	{ BL_VM_PANIC, 900, 0, true, "", 0, BL_EXIT_REJECTED,
	  "panicked while this object was attached: why" },
	{ BL_VM_PANIC, 0, 0, false, "", 0, BL_EXIT_UNDECIDED,
	  "could not boot" },
	{ BL_VM_HANG, 0, 0, false, "", 0, BL_EXIT_UNDECIDED, "could not boot" },
	{ BL_VM_HANG, 900, 0, true, "", 0, BL_EXIT_UNDECIDED,
	  "deadline while this object was attached" },
	{ BL_VM_LOST, 900, 0, false, "", 0, BL_EXIT_UNDECIDED,
	  "lost while it verified this object: why" },
	{ BL_VM_EXITED, 900, 139, false, "Segmentation fault\n", 0,
	  BL_EXIT_UNDECIDED, "this object: Segmentation fault" },
	{ BL_VM_EXITED, 900, 137, false, "Killed\n", 0, BL_EXIT_UNDECIDED,
	  "want of memory" },
	{ BL_VM_EXITED, 900, 0, false, "hello\n", 0, BL_EXIT_UNDECIDED,
	  "its answer cannot be read" },
	{ BL_VM_EXITED, 900, 0, true, "", 10, BL_EXIT_UNDECIDED,
	  "its answer is larger" },
};

START_TEST(ends_of_a_vm_are_told_apart)
{
	bl_autofree char *line =
		load_line(BL_LOAD_ACCEPTED, BL_LOAD_ACCEPTED, "fine");
	struct bl_vm_result res = {
		.outcome = ends[_i].outcome,
		.boot_ms = ends[_i].boot_ms,
		.exit_status = ends[_i].status,
		.output_lost = ends[_i].lost,
		.log_path = (char *)"/logs/6.1.console.log",
		.reason = "why",
	};
	const struct bl_finding *f;

	ck_assert_int_eq(bl_buf_printf(&res.output, "%s%s",
				       ends[_i].load ? line : "",
				       ends[_i].output),
			 0);
	ck_assert_int_eq(judge(&res), ends[_i].exit);
	f = &report.findings[0];
	ck_assert_msg(strstr(f->message, ends[_i].says), "%s", f->message);
	if (ends[_i].outcome != BL_VM_EXITED)
		ck_assert_str_eq(f->log_path, "/logs/6.1.console.log");
	/* What was known before the end is not lost. */
	if (ends[_i].load)
		ck_assert_uint_ge(report.count, 4);
	bl_buf_free(&res.output);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("gate-answer");
	TCase *t = tcase_create("answer");

	tcase_add_checked_fixture(t, load_object, NULL);
	tcase_add_test(t, all_facts_arrive);
	tcase_add_loop_test(t, what_is_no_answer_is_refused, 0,
			    (int)BL_ARRAY_SIZE(wrong));
	tcase_add_test(t, line_that_was_cut_off_does_not_count);
	tcase_add_test(t, program_that_is_left_out_is_undecided);
	tcase_add_test(t, load_is_judged_program_by_program);
	tcase_add_test(t, object_that_libbpf_refuses_is_undecided);
	tcase_add_loop_test(t, ends_of_a_vm_are_told_apart, 0,
			    (int)BL_ARRAY_SIZE(ends));
	suite_add_tcase(s, t);
	return s;
}
