/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent as a process, on a host over the fake kernel, with a controller that
 * says what the test wants (liar.h):
 *
 *	agent_set_up(&a);			v1 runs, and can refuse
 *	agent_start(&a, a.liar.url);
 *	…
 *	agent_end(&a);				or agent_crash
 *	agent_tear_down(&a);
 *
 * One agent at a time; one talker, or a program in its place. What does not work
 * out fails the running test.
 */
#ifndef BL_TESTS_AGENT_PROCESS_H
#define BL_TESTS_AGENT_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/support/liar.h"
#include "tests/support/one_host.h"

/* Lines of the log, of all agents of the test; shared with them. */
struct agent_notes {
	_Atomic unsigned count;
	_Atomic bool dirty; /* one was not for a terminal */
	struct {
		_Atomic bool there;
		char text[256];
	} line[1024]; /* the first; what is beyond is only counted */
};

struct agent_process {
	struct one_host one;
	struct liar liar;
	struct agent_notes *notes;
	pid_t pid;
	struct {
		pid_t pid;
		int births, news;
	} nursery;
};

void agent_set_up(struct agent_process *a);
void agent_tear_down(struct agent_process *a);

/* @program: in the talker's place. */
void agent_start_with(struct agent_process *a, const char *program,
		      const char *url, int64_t interval_ms);
/* With belay's talker, each 100 ms. */
void agent_start(struct agent_process *a, const char *url);

/* Its status. */
int agent_kill(struct agent_process *a, int signal);
void agent_end(struct agent_process *a);
void agent_crash(struct agent_process *a);

/* Waits until its talker is there, and until a line of its log has this in it. */
pid_t agent_talker(const struct agent_process *a);
void agent_noted(const struct agent_process *a, const char *text);

/* Waits until what can refuse has its lease renewed from now on. */
void agent_keeps(struct agent_process *a);

#endif
