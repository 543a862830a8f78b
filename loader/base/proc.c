/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/proc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

#define OUTPUT_DEFAULT (1024 * 1024)
#define TERM_GRACE_MS  2000

void bl_proc_result_free(struct bl_proc_result *r)
{
	bl_buf_free(&r->out);
}

/* In the child: descriptor @fd (or /dev/null) becomes @as. */
static void child_fd(int fd, int as)
{
	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	if (fd != as)
		dup2(fd, as);
	else
		fcntl(fd, F_SETFD, 0);
}

static void child_exec(const char *const *argv, const char *const *env,
		       const char *cwd, const int *fds, size_t count,
		       int status_fd)
{
	int moved[BL_PROC_FDS_MAX], code;
	sigset_t none;
	size_t i;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	/* Out of the way first, so that no dup2 destroys a source. */
	status_fd = fcntl(status_fd, F_DUPFD_CLOEXEC, BL_PROC_FDS_MAX);
	for (i = 0; i < count; i++)
		moved[i] = fds[i] < 0 ? -1
				      : fcntl(fds[i], F_DUPFD_CLOEXEC,
					      BL_PROC_FDS_MAX);
	for (i = 0; i < count; i++)
		child_fd(moved[i], (int)i);
	if (!cwd || chdir(cwd) == 0)
		execvpe(argv[0], (char *const *)argv,
			env ? (char *const *)env : environ);
	code = errno;
	if (write(status_fd, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

static int spawn(const char *const *argv, const char *const *env,
		 const char *cwd, const int *fds, size_t count, pid_t *ret_pid,
		 struct bl_err *err)
{
	int status[2], code = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(status, O_CLOEXEC) < 0)
		return bl_err_errno(err, -errno, "cannot start %s", argv[0]);
	pid = fork();
	if (pid == 0)
		child_exec(argv, env, cwd, fds, count, status[1]);
	close(status[1]);
	if (pid < 0) {
		code = errno;
		close(status[0]);
		return bl_err_errno(err, -code, "cannot start %s", argv[0]);
	}
	do
		n = read(status[0], &code, sizeof(code));
	while (n < 0 && errno == EINTR);
	close(status[0]);
	if (n == (ssize_t)sizeof(code)) {
		waitpid(pid, NULL, 0);
		return bl_err_errno(err, -code, "cannot run %s", argv[0]);
	}
	*ret_pid = pid;
	return 0;
}

int bl_proc_spawn(const char *const *argv, int in, int out, int errfd,
		  pid_t *ret_pid, struct bl_err *err)
{
	return bl_proc_spawn_env(argv, NULL, in, out, errfd, ret_pid, err);
}

int bl_proc_spawn_env(const char *const *argv, const char *const *env, int in,
		      int out, int errfd, pid_t *ret_pid, struct bl_err *err)
{
	return spawn(argv, env, NULL, (const int[]){ in, out, errfd }, 3,
		     ret_pid, err);
}

int bl_proc_spawn_fds(const char *const *argv, const int *fds, size_t count,
		      pid_t *ret_pid, struct bl_err *err)
{
	assert(count >= 3 && count <= BL_PROC_FDS_MAX);
	return spawn(argv, NULL, NULL, fds, count, ret_pid, err);
}

/*
 * What interrupts us is held back from before the tool starts until we wait for
 * it: in between nobody would see it, and it would be waited for to its end.
 */
static void hold_signals(sigset_t *ret_before)
{
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ours, ret_before);
}

/*
 * Waits for the end of @fd until the deadline (0: none). With @out it is a pipe
 * and is read to its end of file, its first @max bytes kept; without, it is a
 * pidfd, which is readable when its process has ended. @mask: of signals,
 * meanwhile; NULL: as it is.
 */
static int wait_end(int fd, uint64_t deadline_ms, const sigset_t *mask,
		    size_t max, struct bl_buf *out)
{
	char chunk[4096];

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = bl_clock_mono_ms(), left;
		struct timespec wait;
		ssize_t n;
		int r;

		if (deadline_ms && now >= deadline_ms)
			return -ETIMEDOUT;
		left = deadline_ms ? deadline_ms - now : 0;
		wait.tv_sec = (time_t)(left / 1000);
		wait.tv_nsec = (long)(left % 1000) * 1000000;
		r = ppoll(&p, 1, deadline_ms ? &wait : NULL, mask);
		if (r < 0)
			return -errno;
		if (r == 0)
			continue;
		if (!out)
			return 0;
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if (out->len < max) {
			size_t take = (size_t)n;

			if (take > max - out->len)
				take = max - out->len;
			r = bl_buf_add(out, chunk, take);
			if (r < 0)
				return r;
		}
	}
}

static int reap(pid_t pid)
{
	int st;

	while (waitpid(pid, &st, 0) < 0)
		if (errno != EINTR)
			return 255;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

static int fail_run(const char *tool, int r, const struct bl_proc_opts *o,
		    struct bl_err *err)
{
	if (r == -ETIMEDOUT)
		return bl_err_set(
			err, r,
			"%s did not finish within %llu ms and was killed", tool,
			(unsigned long long)o->timeout_ms);
	if (r == -ECANCELED)
		return bl_err_set(err, r, "%s was interrupted", tool);
	return bl_err_errno(err, r, "%s did not finish", tool);
}

int bl_proc_run(const char *const *argv, const struct bl_proc_opts *opts,
		struct bl_proc_result *ret, struct bl_err *err)
{
	static const struct bl_proc_opts none;
	const struct bl_proc_opts *o = opts ? opts : &none;
	size_t max = o->max_output ? o->max_output : OUTPUT_DEFAULT;
	uint64_t deadline = o->timeout_ms ? bl_clock_mono_ms() + o->timeout_ms
					  : 0;
	BL_CLEANUP(bl_proc_result_free) struct bl_proc_result res = { 0 };
	struct bl_buf *out = o->passthrough ? NULL : &res.out;
	bl_autoclose int rd = -1;
	bl_autoclose int wr = -1;
	int fds[2], r;
	sigset_t mask;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return bl_err_errno(err, -errno, "cannot start %s", argv[0]);
	rd = fds[0];
	wr = fds[1];
	hold_signals(&mask);
	r = spawn(argv, NULL, o->cwd,
		  (const int[]){ -1, out ? wr : 1, out ? wr : 2 }, 3, &pid,
		  err);
	if (r < 0) {
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
		return r;
	}
	close(BL_TAKE_FD(wr));
	/* A child with our own descriptors holds no pipe whose end could be
	 * waited for: its process is. */
	if (!out) {
		close(BL_TAKE_FD(rd));
		rd = (int)syscall(SYS_pidfd_open, pid, 0);
	}
	r = !out && rd < 0 ? -errno : wait_end(rd, deadline, &mask, max, out);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (r == -EINTR) {
		kill(-pid, SIGTERM);
		wait_end(rd, bl_clock_mono_ms() + TERM_GRACE_MS, NULL, max,
			 out);
		r = -ECANCELED;
	}
	if (r < 0)
		kill(-pid, SIGKILL);
	res.status = reap(pid);
	if (r < 0)
		return fail_run(argv[0], r, o, err);
	*ret = res;
	res = (struct bl_proc_result){ 0 };
	return 0;
}

/* The last @lines lines of @text. */
static const char *tail(const char *text, int lines)
{
	const char *p = text + strlen(text);

	while (p > text && p[-1] == '\n')
		p--;
	while (p > text)
		if (*--p == '\n' && --lines == 0)
			return p + 1;
	return p;
}

int bl_proc_check(const char *const *argv, const struct bl_proc_opts *opts,
		  struct bl_err *err)
{
	bl_autoproc struct bl_proc_result res = { 0 };
	int r = bl_proc_run(argv, opts, &res, err);

	if (r < 0)
		return r;
	if (res.status == 0)
		return 0;
	if (res.status == BL_PROC_FILTERED)
		return bl_err_set(err, -EREMOTEIO,
				  "%s: " BL_PROC_FILTERED_WORDS, argv[0]);
	return bl_err_set(err, -EREMOTEIO, "%s ended with status %d: %s",
			  argv[0], res.status, tail(bl_buf_str(&res.out), 5));
}
