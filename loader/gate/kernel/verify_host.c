/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/kernel/verify_host.h"

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
#include "loader/gate/kernel/answer.h"
#include "loader/gate/kernel/ask.h"

#define POLL_MS 200

/* The load alone: this kernel is somebody's. */
static void child_main(const struct bl_gate_target *t, int fd)
{
	struct bl_probe p = t->probe;
	struct bl_err err = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	p.last = BL_PROBE_LOAD;
	_exit(bl_gate_ask(&p, fd, &err) < 0);
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
		if (ret->len > BL_ANSWER_MAX)
			return -EFBIG;
	}
}

static int fork_child(const struct bl_gate_target *t, pid_t *ret_pid,
		      int *ret_fd)
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
		child_main(t, fds[1]);
	}
	close(fds[1]);
	*ret_pid = pid;
	*ret_fd = fds[0];
	return 0;
}

static int judge(const struct bl_gate_target *t, const struct bl_buf *text,
		 struct bl_report *report)
{
	bl_autoanswer struct bl_answer answer = { 0 };
	struct bl_err why = { 0 };
	int r = bl_answer_read(bl_buf_str(text), text->len, &answer, &why);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		r = bl_report_note(report, BL_VERDICT_UNDECIDED, "verifier",
				   "host", "its answer cannot be read: %s",
				   why.text);
	return r < 0 ? r
		     : bl_gate_judge_answer(t, "host", true, &answer, report);
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

	r = fork_child(t, &pid, &fd);
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
		e = judge(t, &answer, report);
	return e < 0 ? bl_err_errno(err, e, "this kernel's report") : 0;
}
