/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that dies before its Nth system call, or whose Nth call on files
 * fails, by ptrace: for every N, until a run ends by itself.
 *
 *	child:	crash_begin();			// stops here
 *		…what is under test…
 *	parent:	struct crash_plan plan = { .kill_at = n };
 *		crash_follow(pid, &plan, &seen);
 *
 * Who is killed at a call has not made it: the kernel does not begin a call of
 * a process with a deadly signal. So N and N + 1 lie around one call, and all N
 * are all the states that a death can leave behind, as far as others see them.
 * A call that fails has not been made either.
 *
 * Only the process itself is followed, not its children. Processors with x86-64
 * registers only.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <sys/types.h>

struct crash_plan {
	unsigned kill_at; /* 1, 2, …; 0: is not killed */
	unsigned fail_at; /* the Nth that crash_fails; 0: none */
	int code;	  /* what that returns: -EIO, -ENOSPC (mmap: ENOMEM) */
	bool sticky;	  /* and all of the kind after it */
	/* Counts from the first call of this number on; 0: from the begin. */
	long from;
};

struct crash_seen {
	unsigned calls;	   /* begun, by the counting of the plan */
	unsigned on_files; /* of them, that could fail with the plan's code */
	unsigned failed;   /* of them, that were made to */
	char first[32];	   /* name of the first of them */
	int status;	   /* as waitpid has it */
	bool killed;	   /* by us */
};

/* Whether a process may be followed here at all; else errno says why not. */
bool crash_possible(void);

/* In the child: lets the parent follow, and waits for it. */
void crash_begin(void);

/* A call that does nothing, to stand for one of a fake: a place to die at. */
void crash_point(void);

/* To the end of @pid, which has called crash_begin, or PTRACE_TRACEME and then
 * execve. 0 or -errno of ptrace. */
int crash_follow(pid_t pid, const struct crash_plan *plan,
		 struct crash_seen *ret);

/* The name of a call that crash_follow makes fail with @code; NULL if it is
 * none: no call on files, or one that cannot fail like that. */
const char *crash_fails(long call, int code);

#endif
