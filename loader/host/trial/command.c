/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/host/trial/command.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/proc.h"

#define TAIL_BYTES 1024 /* of its output: enough for a last line */

struct bl_commands {
	struct bl_command list[BL_COMMANDS_MAX];
	size_t count;
	uint64_t timeout_ms;
	char **env; /* its strings: the first OWN_ENV are ours */

	/* The one that runs. */
	size_t at; /* the next one, while none runs */
	pid_t pid; /* 0: none runs */
	int out;   /* what it writes; -1 */
	uint64_t until_ms;
	char tail[TAIL_BYTES];
	size_t tail_len;
};

static const char *const own_env[] = { "BELAY_DIGEST", "BELAY_TXN",
				       "BELAY_PHASE" };
#define OWN_ENV BL_ARRAY_SIZE(own_env)

static bool is_own(const char *entry)
{
	for (size_t i = 0; i < OWN_ENV; i++) {
		size_t len = strlen(own_env[i]);

		if (!strncmp(entry, own_env[i], len) && entry[len] == '=')
			return true;
	}
	return false;
}

/* Ours, then what we have ourselves. */
static char **make_env(const struct bl_commands_spec *spec)
{
	char txn[24], **env, **p;
	const char *const values[OWN_ENV] = { spec->digest, txn, "trial" };
	size_t n = OWN_ENV;

	for (p = environ; *p; p++)
		n++;
	env = calloc(n + 1, sizeof(*env));
	if (!env)
		return NULL;
	snprintf(txn, sizeof(txn), "%" PRIu64, spec->txn);
	for (n = 0; n < OWN_ENV; n++)
		if (asprintf(&env[n], "%s=%s", own_env[n], values[n]) < 0) {
			while (n--)
				free(env[n]);
			free(env);
			return NULL;
		}
	for (p = environ; *p; p++)
		if (!is_own(*p))
			env[n++] = *p;
	return env;
}

int bl_commands_new(const struct bl_commands_spec *spec,
		    struct bl_commands **ret, struct bl_err *err)
{
	struct bl_commands *c = calloc(1, sizeof(*c));

	assert(spec->count <= BL_COMMANDS_MAX);
	if (!c || !(c->env = make_env(spec))) {
		free(c);
		return bl_err_errno(err, -ENOMEM, "probe commands");
	}
	for (size_t i = 0; i < spec->count; i++)
		c->list[i].text = spec->texts[i];
	c->count = spec->count;
	c->timeout_ms = spec->timeout_ms ? spec->timeout_ms
					 : BL_COMMAND_TIMEOUT_MS;
	c->out = -1;
	*ret = c;
	return 0;
}

/* What it writes is read as it comes, or it would wait for us; the end of it is
 * kept. */
static void drain(struct bl_commands *c)
{
	char chunk[TAIL_BYTES];
	ssize_t n;

	/* Not for ever, if it never stops. */
	for (int i = 0; i < 1024; i++) {
		size_t len, drop;

		n = read(c->out, chunk, sizeof(chunk));
		if (n <= 0)
			return;
		len = (size_t)n;
		drop = c->tail_len + len > TAIL_BYTES
			       ? c->tail_len + len - TAIL_BYTES
			       : 0;
		memmove(c->tail, c->tail + drop, c->tail_len - drop);
		memcpy(c->tail + c->tail_len - drop, chunk, len);
		c->tail_len += len - drop;
	}
}

static void last_line(const struct bl_commands *c, char *ret, size_t size)
{
	size_t end = c->tail_len, start;

	while (end && (c->tail[end - 1] == '\n' || c->tail[end - 1] == ' '))
		end--;
	for (start = end; start && c->tail[start - 1] != '\n';)
		start--;
	snprintf(ret, size, "%.*s", (int)(end - start), c->tail + start);
}

static void conclude(struct bl_commands *c, enum bl_command_end end, int status)
{
	struct bl_command *cmd = &c->list[c->at];

	drain(c);
	last_line(c, cmd->line, sizeof(cmd->line));
	if (status == BL_PROC_FILTERED)
		snprintf(cmd->line, sizeof(cmd->line), "%s",
			 BL_PROC_FILTERED_WORDS);
	cmd->end = end;
	cmd->status = status;
	cmd->runs++;
	close(c->out);
	c->out = -1;
	c->pid = 0;
	c->at = (c->at + 1) % c->count;
}

static void end_by_status(struct bl_commands *c, int st)
{
	int status = WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
	bool broken = status == BL_PROC_FILTERED ||
		      (WIFEXITED(st) && (status == 126 || status == 127));

	conclude(c,
		 broken	  ? BL_COMMAND_BROKEN
		 : status ? BL_COMMAND_BAD
			  : BL_COMMAND_GOOD,
		 status);
}

/* It stays a zombie: its number, which is its group's, is not given away. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	       info.si_pid == pid;
}

static int kill_group(pid_t pid)
{
	int st = 0;

	kill(-pid, SIGKILL);
	while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	return st;
}

static void start(struct bl_commands *c, uint64_t now_ms)
{
	struct bl_command *cmd = &c->list[c->at];
	const char *const argv[] = { "/bin/sh", "-c", cmd->text, NULL };
	bl_autoclose int rd = -1;
	bl_autoclose int wr = -1;
	struct bl_err why = { 0 };
	int fds[2];
	int r;

	c->tail_len = 0;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		r = bl_err_errno(&why, -errno, "pipe");
	} else {
		rd = fds[0];
		wr = fds[1];
		/* Only our end must not wait. */
		fcntl(wr, F_SETFL, 0);
		r = bl_proc_spawn_env(argv, (const char *const *)c->env, -1, wr,
				      wr, &c->pid, &why);
	}
	if (r) {
		c->pid = 0;
		cmd->end = BL_COMMAND_BROKEN;
		cmd->runs++;
		snprintf(cmd->line, sizeof(cmd->line), "%.*s",
			 BL_COMMAND_LINE_LEN - 1, why.text);
		return;
	}
	c->out = BL_TAKE_FD(rd);
	c->until_ms = now_ms + c->timeout_ms;
}

void bl_commands_step(struct bl_commands *c, uint64_t now_ms)
{
	if (!c->count)
		return;
	if (c->pid) {
		drain(c);
		if (has_ended(c->pid)) {
			/* What it left behind goes with it. */
			end_by_status(c, kill_group(c->pid));
		} else if (now_ms >= c->until_ms) {
			kill_group(c->pid);
			conclude(c, BL_COMMAND_LATE, 0);
		} else {
			return;
		}
	}
	start(c, now_ms);
}

const struct bl_command *bl_commands_list(const struct bl_commands *c,
					  size_t *ret_count)
{
	*ret_count = c->count;
	return c->list;
}

void bl_commands_free(struct bl_commands *c)
{
	if (!c)
		return;
	if (c->pid)
		kill_group(c->pid);
	if (c->out >= 0)
		close(c->out);
	for (size_t i = 0; i < OWN_ENV; i++)
		free(c->env[i]);
	free(c->env);
	free(c);
}
