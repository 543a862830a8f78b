/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/verify_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/gate/report_json.h"
#include "loader/gate/source.h"
#include "loader/kern/verify.h"
#include "loader/kern/vlog.h"

#define POLL_MS 200

static enum bl_status status_of(enum bl_verify_status s)
{
	switch (s) {
	case BL_VERIFY_ACCEPTED:
		return BL_STATUS_ACCEPTED;
	case BL_VERIFY_REJECTED:
		return BL_STATUS_REJECTED;
	case BL_VERIFY_MISSING:
		return BL_STATUS_MISSING;
	case BL_VERIFY_REFUSED:
		return BL_STATUS_REFUSED;
	default:
		return BL_STATUS_UNKNOWN;
	}
}

/* Where the program was rejected: by instruction if it lies in the program
 * itself, else by what the log says of the line. */
static int find_source(const struct bl_object *o,
		       const struct bl_verify_program *v,
		       const struct bl_vlog *log, struct bl_source *ret)
{
	const struct bl_object_program *p = bl_object_program(o, v->name);
	size_t at = (size_t)v->insn * 8;

	if (p && v->insn >= 0 && at < p->size &&
	    bl_source_find(o, p->section_index, p->offset + at, ret) == 0)
		return 0;
	if (bl_source_find_text(o, log->source, log->line, ret) == 0)
		return 0;
	*ret = (struct bl_source){ log->file, log->source, log->line };
	return log->source[0] ? 0 : -ENOENT;
}

static int add_program(const struct bl_object *o,
		       const struct bl_verify_program *v, struct bl_report *r)
{
	enum bl_status status = status_of(v->status);
	struct bl_finding f = {
		.verdict = bl_gate_judge(status, v->optional, true),
		.status = status,
		.optional = v->optional,
		.effort.insns = v->insns,
		.check = (char *)"verifier",
		.kernel = (char *)"host",
		.program = v->name,
		.section = v->section,
		.message = v->why,
		.log = v->log,
	};
	struct bl_source src;
	struct bl_vlog log;

	bl_vlog_read(v->log ? v->log : "", &log);
	if (status == BL_STATUS_REJECTED &&
	    find_source(o, v, &log, &src) == 0) {
		f.file = (char *)src.file;
		f.source = (char *)src.text;
		f.line = src.line;
	}
	return bl_report_add(r, &f);
}

static int add_notes(const char *notes, struct bl_report *r)
{
	const char *end;
	int e = 0;

	for (; e == 0 && *notes; notes = *end ? end + 1 : end) {
		end = strchrnul(notes, '\n');
		e = bl_report_note(r, BL_VERDICT_WARN, "map", NULL, "%.*s",
				   (int)(end - notes), notes);
	}
	return e;
}

/* All of the child's work: the report as JSON, NULL if not even that. */
static char *child_report(const struct bl_object *o)
{
	BL_CLEANUP(bl_verify_result_free) struct bl_verify_result v = { 0 };
	struct bl_report_kernel k = { .name = (char *)"host" };
	bl_autoreport struct bl_report r = { 0 };
	struct bl_err err = { 0 };
	size_t i;

	if (bl_report_init(&r, "object", "object") < 0 ||
	    bl_report_add_kernel(&r, &k) < 0)
		return NULL;
	if (bl_kern_verify("the object", o->copy, o->len, &v, &err) < 0 &&
	    bl_report_note(&r, BL_VERDICT_UNDECIDED, "verifier", "host", "%s",
			   err.text) < 0)
		return NULL;
	if (add_notes(bl_buf_str(&v.notes), &r) < 0)
		return NULL;
	for (i = 0; i < v.count; i++)
		if (add_program(o, &v.programs[i], &r) < 0)
			return NULL;
	return bl_report_to_json(&r);
}

static void child_main(const struct bl_object *o, int fd)
{
	char *text;
	size_t len, done = 0;
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	text = child_report(o);
	len = text ? strlen(text) : 0;
	while (done < len) {
		n = write(fd, text + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	_exit(len && done == len ? 0 : 1);
}

/* Reads until the child closes its end. -ETIME, -EINTR, -EFBIG. */
static int read_answer(const struct bl_gate_target *t, int fd,
		       uint64_t deadline_ms, struct bl_buf *ret)
{
	uint64_t until = bl_clock_mono_ms() + deadline_ms;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int r;

	for (;;) {
		if (bl_cli_interrupted())
			return -EINTR;
		if (bl_clock_mono_ms() >= until)
			return -ETIME;
		if (poll(&pfd, 1, POLL_MS) <= 0) {
			if (t->opts->progress)
				t->opts->progress(t->opts->progress_ctx, 0, 1,
						  NULL);
			continue;
		}
		r = bl_buf_reserve(ret, 64 * 1024);
		if (r < 0)
			return r;
		n = read(fd, ret->data + ret->len, 64 * 1024);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0)
			ret->len += (size_t)n;
		if (ret->len > BL_REPORT_JSON_MAX)
			return -EFBIG;
	}
}

static int fork_child(const struct bl_object *o, pid_t *ret_pid, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return -errno;
	}
	if (pid == 0) {
		close(fds[0]);
		child_main(o, fds[1]);
	}
	close(fds[1]);
	*ret_pid = pid;
	*ret_fd = fds[0];
	return 0;
}

static int no_answer(struct bl_report *report, const char *why, int number)
{
	return bl_report_note(report, BL_VERDICT_UNDECIDED, "verifier", "host",
			      "no answer from this kernel: %s %d", why, number);
}

int bl_gate_verify_host(const struct bl_gate_target *t,
			struct bl_report *report, struct bl_err *err)
{
	struct bl_report_kernel k = { .name = (char *)"host" };
	uint64_t start = bl_clock_mono_ms();
	uint64_t deadline_ms = t->opts->deadline_ms;
	bl_autobuf struct bl_buf answer = { 0 };
	bl_autoclose int fd = -1;
	int status = 0, r, e;
	pid_t pid = -1;

	r = fork_child(t->object, &pid, &fd);
	if (r < 0)
		return bl_err_errno(err, r, "cannot start a child process");
	r = read_answer(t, fd, deadline_ms, &answer);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == -EINTR || r == -ENOMEM)
		return bl_err_errno(err, r, "verifying on this kernel");
	k.total_ms = bl_clock_mono_ms() - start;
	e = bl_report_add_kernel(report, &k);
	if (e < 0)
		return bl_err_errno(err, e, "this kernel's report");
	if (r == -ETIME)
		e = no_answer(report, "still verifying after seconds:",
			      (int)(deadline_ms / 1000));
	else if (r < 0)
		e = no_answer(report, "its report could not be read: errno",
			      -r);
	else if (WIFSIGNALED(status))
		e = no_answer(report, "libbpf died over the object by signal",
			      WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		e = no_answer(report, "the child process failed with status",
			      WEXITSTATUS(status));
	else
		e = bl_gate_merge(t->object, "host", true, bl_buf_str(&answer),
				  answer.len, t->log_dir, report);
	return e < 0 ? bl_err_errno(err, e, "this kernel's report") : 0;
}
