/* SPDX-License-Identifier: Apache-2.0 */
/* The talker as a process: how it begins, and how it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/agent/daemon_state.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/proc.h"

#define GRACE_MS 2000

/* No secret is among these: anybody on this host may list them. */
static int spawn(const struct bl_daemon_opts *o, int sock, int prints,
		 pid_t *ret_pid, struct bl_err *err)
{
	const int fds[] = { -1, -1, prints, sock };
	char interval[32], user[32];
	const char *argv[20] = {
		o->program ? o->program : "/proc/self/exe",
		"agent",
		"--talker",
		"--name",
		o->name,
		"--interval",
		interval,
	};
	size_t n = 7;

	snprintf(interval, sizeof(interval), "%.3f",
		 (double)o->interval_ms / 1000);
	if (o->user.uid) {
		snprintf(user, sizeof(user), "%u:%u", o->user.uid, o->user.gid);
		argv[n++] = "--user";
		argv[n++] = user;
	}
	if (o->url) {
		argv[n++] = "--controller";
		argv[n++] = o->url;
	}
	if (o->plaintext)
		argv[n++] = "--plaintext";
	if (o->tls_dir) {
		argv[n++] = "--tls-dir";
		argv[n++] = o->tls_dir;
	}
	return bl_proc_spawn_fds(argv, fds, BL_ARRAY_SIZE(fds), ret_pid, err);
}

int bl_daemon_spawn(const struct bl_daemon_opts *o, pid_t *ret_pid,
		    int *ret_sock, int *ret_prints, struct bl_err *err)
{
	bl_autoclose int ours = -1, theirs = -1, reads = -1, prints = -1;
	int pipe[2], r = bl_pair_make(&ours, &theirs, err);

	if (r < 0)
		return r;
	/* Not this one's standard error: the log is the host part's. Nobody waits
	 * at it, whoever writes too much or reads too little. */
	if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return bl_err_errno(err, -errno, "cannot make a pipe");
	reads = pipe[0];
	prints = pipe[1];
	r = spawn(o, theirs, prints, ret_pid, err);
	if (r < 0)
		return r;
	*ret_sock = BL_TAKE_FD(ours);
	*ret_prints = BL_TAKE_FD(reads);
	return 0;
}

/* If not as this one, as its own user, who may: without CAP_KILL. Nothing but
 * system calls in the child. */
static void kill_talker(const struct bl_sandbox_user *user, pid_t pid)
{
	pid_t child;

	if (!kill(pid, SIGKILL) || errno != EPERM)
		return;
	child = fork();
	if (!child) {
		if (!syscall(SYS_setresuid, user->uid, user->uid, user->uid))
			kill(pid, SIGKILL);
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

/* Its end of the pair is closed: it ends by itself, or is made to. */
int bl_daemon_reap(const struct bl_sandbox_user *user, pid_t pid)
{
	uint64_t end = bl_clock_mono_ms() + GRACE_MS;
	bool killed = false;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (bl_clock_mono_ms() < end) {
			bl_clock_sleep_ms(10);
			continue;
		}
		/* What does not even die of that is not waited for: the leases
		 * of this host do not wait either. */
		if (killed)
			break;
		kill_talker(user, pid);
		killed = true;
		end = bl_clock_mono_ms() + GRACE_MS;
	}
	return status;
}
