/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running an outside tool: argv (never a shell), a deadline, its output kept
 * up to a limit. The child gets its own process group and dies with us (on
 * Linux: with the thread that started it).
 */
#ifndef BL_BASE_PROC_H
#define BL_BASE_PROC_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/base/buf.h"
#include "loader/base/err.h"

struct bl_proc_opts {
	uint64_t timeout_ms; /* 0: none */
	const char *cwd;     /* NULL: ours */
	bool passthrough;    /* stdout/stderr are ours, nothing is kept */
	size_t max_output;   /* bytes kept of stdout+stderr; 0: 1 MiB */
};

struct bl_proc_result {
	int status;	   /* exit status 0..255, 128+N if signal N ended it */
	struct bl_buf out; /* stdout and stderr, interleaved; caller frees */
};

#define bl_autoproc __attribute__((cleanup(bl_proc_result_free)))
void bl_proc_result_free(struct bl_proc_result *r);

/*
 * Runs argv[0] (looked up in PATH) to its end. 0 whatever its status is;
 * -ENOENT if there is no such tool. When the deadline passes (-ETIMEDOUT) it is
 * killed with all of its process group; when a signal interrupts us
 * (-ECANCELED, see bl_cli_catch_signals) it is asked to end, then killed.
 */
int bl_proc_run(const char *const *argv, const struct bl_proc_opts *opts,
		struct bl_proc_result *ret, struct bl_err *err);

/* Of what a filter of system calls (sandbox.h) ended, or a shell whose child that
 * was, and what a person is told of it: an agent's filter ends each program of
 * another architecture, which 32-bit ones are. */
#define BL_PROC_FILTERED (128 + SIGSYS)
#define BL_PROC_FILTERED_WORDS \
	"a filter of system calls ended it (SIGSYS): an agent runs no 32-bit programs"

/* As bl_proc_run, and any status but 0 is an error (-EREMOTEIO) with the last
 * lines of its output. */
int bl_proc_check(const char *const *argv, const struct bl_proc_opts *opts,
		  struct bl_err *err);

#define BL_PROC_FDS_MAX 8

/* Starts argv with the given descriptors as 0, 1, 2 (-1: /dev/null) and goes
 * on. The child dies with us. The caller waits for *ret_pid. */
int bl_proc_spawn(const char *const *argv, int in, int out, int errfd,
		  pid_t *ret_pid, struct bl_err *err);

/* As above, with an environment of its own ("NAME=value", NULL at the end). */
int bl_proc_spawn_env(const char *const *argv, const char *const *env, int in,
		      int out, int errfd, pid_t *ret_pid, struct bl_err *err);

/* As bl_proc_spawn with fds[i] as descriptor i, for 3 to BL_PROC_FDS_MAX of them. */
int bl_proc_spawn_fds(const char *const *argv, const int *fds, size_t count,
		      pid_t *ret_pid, struct bl_err *err);

#endif
