/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command and kills it at its Nth system call after it took the host's
 * lock (tests/support/crash.h says what that means).
 *
 * usage: killer N COMMAND…	(0: only counts)
 * Prints "killed" or "calls C"; exit status 0 if that was done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/crash.h"

int main(int argc, char **argv)
{
	struct crash_plan plan = { .from = SYS_flock };
	struct crash_seen seen;
	pid_t pid;
	int r;

	if (argc < 3)
		return 64;
	plan.kill_at = (unsigned)strtoul(argv[1], NULL, 10);
	pid = fork();
	if (!pid) {
		if (!ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			execvp(argv[2], argv + 2);
		_exit(126);
	}
	r = crash_follow(pid, &plan, &seen);
	if (r) {
		fprintf(stderr, "killer: %s\n", strerror(-r));
		return 1;
	}
	if (seen.killed)
		printf("killed\n");
	else
		printf("calls %u\n", seen.calls);
	return 0;
}
