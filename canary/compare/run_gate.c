/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate says of the version in question: `belay check`, as a process of
 * its own, for the fleet must be heard meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "canary/compare/run.h"
#include "canary/ledger/record.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/base/text.h"

#define GATE_MS	   240000 /* whatever it does */
#define GATE_S	   "100"  /* of it for the kernel: some faults hang it */
#define REPORT_MAX (16u << 20)

static bool has_ended(struct bl_run *run)
{
	if (run->check && waitpid(run->check, NULL, WNOHANG) == run->check)
		run->check = 0;
	return !run->check;
}

static void end(struct bl_run *run)
{
	if (!run->check)
		return;
	kill(run->check, SIGTERM);
	while (waitpid(run->check, NULL, 0) < 0 && errno == EINTR)
		;
	run->check = 0;
}

static int spawn(struct bl_run *run, const char *report, const char *logs,
		 const char *words, struct bl_err *err)
{
	const char *const argv[] = {
		"/proc/self/exe",
		"check",
		run->bad.path,
		"--previous",
		run->good.path,
		"--kernel",
		run->runner->kernel->release,
		"--report",
		report,
		"--log-dir",
		logs,
		"--quiet",
		"--jobs",
		"1",
		"--deadline",
		GATE_S,
		NULL,
	};
	bl_autoclose int fd =
		open(words, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot write %s", words);
	return bl_proc_spawn(argv, -1, fd, fd, &run->check, err);
}

/* A report that is not there is a check that could not be made. */
static int read_verdict(struct bl_run *run, const char *report,
			struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	struct bl_compare_result *r = run->result;
	struct bl_judge_gate gate = { BL_COMPARE_UNDECIDED, BL_COMPARE_GATE, "",
				      "there is no report of it" };

	if (bl_json_load(report, REPORT_MAX, &doc, NULL) == 0)
		bl_judge_report(doc.root, &gate);
	run->judged.verdict = gate.verdict;
	run->judged.gate = gate.line;
	bl_text_copy(r->gate.check, sizeof(r->gate.check), gate.check);
	return bl_compare_set(&r->gate.words, gate.words) < 0
		       ? bl_err_set(err, -ENOMEM, "out of memory")
		       : 0;
}

static int keep_words(struct bl_run *run, const char *words, struct bl_err *err)
{
	bl_autobuf struct bl_buf text = { 0 };

	if (bl_file_read(words, REPORT_MAX, &text, NULL) < 0 || !text.len)
		return 0;
	return bl_compare_log(run->result, "belay check", text.data) < 0
		       ? bl_err_set(err, -ENOMEM, "out of memory")
		       : 0;
}

int bl_run_gate(struct bl_run *run, struct bl_err *err)
{
	bl_autofree char *dir = bl_path("%s/gate", run->runner->work);
	bl_autofree char *report =
		bl_path("%s/gate/report.json", run->runner->work);
	bl_autofree char *words =
		bl_path("%s/gate/words.txt", run->runner->work);
	int r = dir && report && words
			? bl_file_rmtree(dir, err)
			: bl_err_set(err, -ENOMEM, "out of memory");

	if (!r)
		r = bl_file_mkdirs(dir, 0755, err);
	if (!r)
		r = spawn(run, report, dir, words, err);
	if (r)
		return r;
	bl_run_say(run, "is at the gate");
	r = bl_run_until(run, has_ended, GATE_MS, err);
	end(run);
	if (r < 0)
		return r;
	r = read_verdict(run, report, err);
	return r ? r : keep_words(run, words, err);
}
