/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/crash.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

/* The address sanitizer gives up when it gets no memory. */
#ifdef __SANITIZE_ADDRESS__
#define NO_MEMORY false
#else
#define NO_MEMORY true
#endif

/* Calls on files: whether the disk can say EIO to them, whether ENOSPC. */
static const struct {
	long call;
	const char *name;
	bool io, space;
} calls[] = {
	{ SYS_openat, "openat", true, true },
	{ SYS_open, "open", true, true },
	{ SYS_read, "read", true, false },
	{ SYS_pread64, "pread64", true, false },
	{ SYS_write, "write", true, true },
	{ SYS_pwrite64, "pwrite64", true, true },
	{ SYS_fsync, "fsync", true, true },
	{ SYS_fdatasync, "fdatasync", true, true },
	{ SYS_ftruncate, "ftruncate", true, true },
	{ SYS_fallocate, "fallocate", true, true },
	{ SYS_rename, "rename", true, true },
	{ SYS_renameat, "renameat", true, true },
	{ SYS_renameat2, "renameat2", true, true },
	{ SYS_unlink, "unlink", true, true },
	{ SYS_unlinkat, "unlinkat", true, true },
	{ SYS_mkdir, "mkdir", true, true },
	{ SYS_mkdirat, "mkdirat", true, true },
	{ SYS_chmod, "chmod", true, true },
	{ SYS_fchmod, "fchmod", true, true },
	{ SYS_fchown, "fchown", true, true },
	{ SYS_stat, "stat", true, false },
	{ SYS_lstat, "lstat", true, false },
	{ SYS_fstat, "fstat", true, false },
	{ SYS_newfstatat, "newfstatat", true, false },
	{ SYS_access, "access", true, false },
	{ SYS_getdents64, "getdents64", true, false },
	{ SYS_lseek, "lseek", true, false },
	{ SYS_flock, "flock", true, false },
	{ SYS_fcntl, "fcntl", true, false },
	{ SYS_mmap, "mmap", NO_MEMORY, false },
};

const char *crash_fails(long call, int code)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(calls); i++)
		if (calls[i].call == call)
			return (code == -ENOSPC ? calls[i].space : calls[i].io)
				       ? calls[i].name
				       : NULL;
	return NULL;
}

void crash_begin(void)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(errno);
	raise(SIGSTOP);
}

void crash_point(void)
{
	syscall(SYS_getppid);
}

#ifdef __x86_64__
#define REG_CALL   offsetof(struct user, regs.orig_rax)
#define REG_RESULT offsetof(struct user, regs.rax)

static long peek(pid_t pid, size_t reg)
{
	return ptrace(PTRACE_PEEKUSER, pid, (void *)reg, NULL);
}

static int poke(pid_t pid, size_t reg, long value)
{
	return ptrace(PTRACE_POKEUSER, pid, (void *)reg, (void *)value) ? -errno
									: 0;
}
#else
#define REG_CALL   0
#define REG_RESULT 0

static long peek(pid_t pid, size_t reg)
{
	(void)pid;
	return (long)reg - 1;
}

static int poke(pid_t pid, size_t reg, long value)
{
	(void)pid;
	return reg || value ? -ENOSYS : 0;
}
#endif

/* One process that is followed. */
struct follow {
	pid_t pid;
	const struct crash_plan *plan;
	struct crash_seen seen;
	bool inside;  /* of a call */
	bool begun;   /* plan->from has come */
	long failing; /* what the call that it is inside of will return */
	bool hurried; /* it is inside of a sleep that is none */
};

static bool wanted(const struct follow *f, const char *name)
{
	const struct crash_plan *p = f->plan;

	if (!p->fail_at || !name)
		return false;
	return f->seen.on_files == p->fail_at ||
	       (p->sticky && f->seen.on_files > p->fail_at);
}

/* Before a call. */
static int enter(struct follow *f)
{
	const struct crash_plan *p = f->plan;
	bool look = p->fail_at || (!f->begun && p->from);
	long call = look ? peek(f->pid, REG_CALL) : -1;
	const char *name;

	if (!f->begun && p->from && call != p->from)
		return 0;
	f->begun = true;
	if (++f->seen.calls == p->kill_at) {
		f->seen.killed = true;
		return kill(f->pid, SIGKILL) ? -errno : 0;
	}
	if (!p->fail_at)
		return 0;
	/* SQLite takes a lock that fails for one that another holds, and waits
	 * for seconds. Nothing will change meanwhile. */
	f->hurried = call == SYS_nanosleep || call == SYS_clock_nanosleep;
	if (f->hurried)
		return poke(f->pid, REG_CALL, -1);
	name = crash_fails(call, p->code);
	f->seen.on_files += name != NULL;
	if (!wanted(f, name))
		return 0;
	if (!f->seen.failed++)
		snprintf(f->seen.first, sizeof(f->seen.first), "%s", name);
	f->failing = call == SYS_mmap ? -ENOMEM : p->code;
	return poke(f->pid, REG_CALL, -1);
}

/* After it. */
static int leave(struct follow *f)
{
	long code = f->failing;
	bool changed = code || f->hurried;

	f->failing = 0;
	f->hurried = false;
	return changed ? poke(f->pid, REG_RESULT, code) : 0;
}

/* One stop of the process; *ret_signal is what it is to be given. */
static int stopped(struct follow *f, int *ret_signal)
{
	int sig = WSTOPSIG(f->seen.status);

	*ret_signal = 0;
	if (sig == (SIGTRAP | 0x80)) {
		f->inside = !f->inside;
		return f->inside ? enter(f) : leave(f);
	}
	/* That of crash_begin or execve is ours. */
	if (sig != SIGSTOP && sig != SIGTRAP)
		*ret_signal = sig;
	return 0;
}

static int follow(struct follow *f)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
	int sig = 0, r = 0;

	if (waitpid(f->pid, &f->seen.status, 0) < 0)
		return -errno;
	if (!WIFSTOPPED(f->seen.status))
		return -EPERM; /* it may not be followed */
	if (ptrace(PTRACE_SETOPTIONS, f->pid, NULL, (void *)options))
		return -errno;
	while (!r && WIFSTOPPED(f->seen.status)) {
		if (!f->seen.killed &&
		    ptrace(PTRACE_SYSCALL, f->pid, NULL, (void *)(long)sig))
			return -errno;
		if (waitpid(f->pid, &f->seen.status, 0) < 0)
			return -errno;
		if (WIFSTOPPED(f->seen.status))
			r = stopped(f, &sig);
	}
	return r;
}

int crash_follow(pid_t pid, const struct crash_plan *plan,
		 struct crash_seen *ret)
{
	struct follow f = { .pid = pid, .plan = plan };
	int r = follow(&f);

	if (r) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	*ret = f.seen;
	return 0;
}

bool crash_possible(void)
{
	const struct crash_plan plan = { .kill_at = 2 };
	struct crash_seen seen;
	pid_t pid;
	int r;

#ifndef __x86_64__
	errno = ENOSYS;
	return false;
#endif
	pid = fork();
	if (!pid) {
		crash_begin();
		crash_point();
		crash_point();
		crash_point();
		_exit(0);
	}
	r = pid < 0 ? -errno : crash_follow(pid, &plan, &seen);
	errno = r < 0 ? -r : 0;
	return !r && seen.killed;
}
