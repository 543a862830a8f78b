/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every verb has in common. A verb is
 *
 *	int bl_cmd_NAME(int argc, char **argv, struct bl_err *err);
 *
 * with argv[0] the verb itself. It prints its result and returns an exit code.
 * If err->text is set on return, main.c prints it (and the hint) on standard
 * error; a verb never prints an error itself.
 */
#ifndef BL_BASE_CLI_H
#define BL_BASE_CLI_H

#include "loader/base/err.h"

enum bl_exit {
	BL_EXIT_OK = 0,	       /* accepted, done */
	BL_EXIT_REJECTED = 1,  /* rejected, rolled back */
	BL_EXIT_UNDECIDED = 2, /* could not be checked or done: never a pass */
	BL_EXIT_USAGE = 64,    /* EX_USAGE of sysexits.h */
};

struct bl_verb {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv, struct bl_err *err);
};

/*
 * Runs argv[1] of @verbs ("lab run", "bundle build"); argv[0] is the verb that
 * these belong to, "" for belay itself. Prints @usage and the
 * list for --help, -h or nothing; an unknown verb is BL_EXIT_USAGE with the
 * known ones named.
 */
int bl_cli_dispatch(const char *usage, const struct bl_verb *verbs,
		    unsigned count, int argc, char **argv, struct bl_err *err);

/* Wrong usage: sets the error with "try 'belay VERB --help'" as its hint and
 * returns BL_EXIT_USAGE. */
int bl_cli_usage(struct bl_err *err, const char *verb, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The exit code where a file of the caller's was not taken, @r: what it says is
 * wrong (-EBADMSG) is wrong usage; one that cannot be read leaves it undone. */
enum bl_exit bl_cli_exit_of_file(int r);

/*
 * Interruption. bl_cli_catch_signals installs handlers for SIGINT, SIGTERM and
 * SIGHUP (a terminal that is gone; not if it was ignored: nohup) that only set
 * a flag; system calls return EINTR. Long loops ask bl_cli_interrupted() and
 * leave through their cleanup.
 */
void bl_cli_catch_signals(void);
int bl_cli_interrupted(void); /* the signal number, 0 if none came */

/* For verbs that know keys or tokens: no core dump is made of this process, and
 * nobody but root traces it or reads its memory. Its children are as ever. */
void bl_cli_guard_secrets(void);

#endif
