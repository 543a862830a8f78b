/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/agent_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/agent/daemon.h"
#include "canary/agent/parts.h"
#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/text.h"
#include "tests/main.h"
#include "tests/support/talkers.h"

/* What an agent is begun with. */
struct birth {
	char url[512];
	char program[256]; /* the talker */
	int64_t interval_ms;
};

static void note(void *ctx, const char *text)
{
	struct agent_notes *n = ctx;
	unsigned i = n->count++;

	if (strpbrk(text, "\x1b\n\r\t"))
		n->dirty = true;
	if (i < BL_ARRAY_SIZE(n->line)) {
		bl_text_copy(n->line[i].text, sizeof(n->line[i].text), text);
		n->line[i].there = true;
	}
	fprintf(stderr, "agent: %s\n", text);
}

_Noreturn static void run_agent(struct agent_process *a, const struct birth *b)
{
	const struct bl_host_config config = { .state_dir = a->one.state_dir,
					       .ops = &fake_kern_ops,
					       .kern = a->one.fake };
	struct bl_daemon_opts opts = { .config = &config,
				       .recovered = "",
				       .program = b->program,
				       .state_dir = a->one.state_dir,
				       .url = b->url,
				       .name = "web-1",
				       .interval_ms = b->interval_ms,
				       .note = note,
				       .note_ctx = a->notes };
	/* Where the tests are root, there is this user. */
	const struct bl_parts_opts parts = { .user = "nobody", .fleet = true };
	struct bl_recover_result recovered = { 0 };
	struct bl_err err = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bl_cli_catch_signals();
	if (bl_parts_begin(&parts, &opts.user, &err) < 0 ||
	    bl_host_open(&config, &opts.host, &err) < 0 ||
	    bl_host_recover(opts.host, &recovered, &err) < 0 ||
	    bl_daemon_run(&opts, &err) < 0) {
		fprintf(stderr, "agent: %s\n", err.text);
		_exit(1);
	}
	bl_host_close(opts.host);
	_exit(0);
}

/*
 * Agents are forked where there was never a thread: of a process with threads a
 * child may inherit a lock that one of them holds (under sanitizers that of the
 * allocator, which no fork takes care of) and wait for ever. struct birth in;
 * pid_t, then its status out.
 */
_Noreturn static void nurse(struct agent_process *a, int births, int news)
{
	struct birth b;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(births, &b, sizeof(b)) == sizeof(b)) {
		int status = 0;
		pid_t pid = fork();

		if (!pid)
			run_agent(a, &b);
		if (write(news, &pid, sizeof(pid)) != sizeof(pid) ||
		    waitpid(pid, &status, 0) != pid ||
		    write(news, &status, sizeof(status)) != sizeof(status))
			_exit(1);
	}
	_exit(0);
}

static void open_nursery(struct agent_process *a)
{
	int births[2], news[2];

	ck_assert_int_eq(pipe(births), 0);
	ck_assert_int_eq(pipe(news), 0);
	a->nursery.pid = fork();
	a->nursery.births = births[1];
	a->nursery.news = news[0];
	if (!a->nursery.pid) {
		close(births[1]);
		close(news[0]);
		nurse(a, births[0], news[1]);
	}
	close(births[0]);
	close(news[1]);
}

void agent_set_up(struct agent_process *a)
{
	unsetenv("BELAY_CONTROLLER");
	unsetenv("NOTIFY_SOCKET");
	one_host_set_up(&a->one);
	a->one.fake->refuses = true; /* what can refuse has a lease */
	one_host_apply(&a->one, &a->one.v1, NULL, BL_APPLY_COMMITTED);
	bl_host_close(a->one.host);
	a->one.host = NULL;
	a->notes = mmap(NULL, sizeof(*a->notes), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(a->notes, MAP_FAILED);
	open_nursery(a);
	liar_start(&a->liar, a->one.v2.raw.data, a->one.v2.raw.len);
}

void agent_tear_down(struct agent_process *a)
{
	close(a->nursery.births);
	close(a->nursery.news);
	ck_assert_int_eq(waitpid(a->nursery.pid, NULL, 0), a->nursery.pid);
	liar_stop(&a->liar);
	one_host_tear_down(&a->one);
	munmap(a->notes, sizeof(*a->notes));
}

/* In a process of its own, as it is on a host. */
void agent_start_with(struct agent_process *a, const char *program,
		      const char *url, int64_t interval_ms)
{
	struct birth b = { .interval_ms = interval_ms };

	ck_assert_uint_lt(strlen(url), sizeof(b.url));
	ck_assert_uint_lt(strlen(program), sizeof(b.program));
	strcpy(b.url, url);
	strcpy(b.program, program);
	ck_assert_int_eq(write(a->nursery.births, &b, sizeof(b)), sizeof(b));
	ck_assert_int_eq(read(a->nursery.news, &a->pid, sizeof(a->pid)),
			 sizeof(a->pid));
}

void agent_start(struct agent_process *a, const char *url)
{
	agent_start_with(a, BL_TEST_BUILD_DIR "/belay", url, 100);
}

int agent_kill(struct agent_process *a, int signal)
{
	int status;

	ck_assert_int_eq(kill(a->pid, signal), 0);
	ck_assert_int_eq(read(a->nursery.news, &status, sizeof(status)),
			 sizeof(status));
	return status;
}

void agent_end(struct agent_process *a)
{
	int status = agent_kill(a, SIGTERM);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "it ended with %#x", status);
}

void agent_crash(struct agent_process *a)
{
	agent_kill(a, SIGKILL);
	fake_kern_process_died(a->one.fake);
}

pid_t agent_talker(const struct agent_process *a)
{
	pid_t pid;

	while (!(pid = talkers_child(a->pid)))
		bl_clock_sleep_ms(10);
	return pid;
}

void agent_noted(const struct agent_process *a, const char *text)
{
	for (;; bl_clock_sleep_ms(10))
		for (size_t i = 0; i < BL_ARRAY_SIZE(a->notes->line); i++)
			if (a->notes->line[i].there &&
			    strstr(a->notes->line[i].text, text))
				return;
}

void agent_keeps(struct agent_process *a)
{
	a->one.fake->verdict_ms = 0;
	while (!*(volatile uint64_t *)&a->one.fake->verdict_ms)
		bl_clock_sleep_ms(10);
}
