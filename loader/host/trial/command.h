/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's own probes: commands that run on the host while a generation is on
 * trial, each by `/bin/sh -c` as whoever runs belay, with standard input empty
 * and its own process group. One at a time, in turns, beside the trial's own
 * probes, which never wait for them:
 *
 *	r = bl_commands_new(&spec, &c, err);
 *	…at every probe…	bl_commands_step(c, now_ms);
 *				…let trial.c judge bl_commands_list(c, &n)…
 *	bl_commands_free(c);		ends what still runs
 *
 * Exit status 0 is good, any other bad, as is one that does not end in time.
 * What cannot be run (126 and 127 of a shell, no shell; ended by a filter of
 * system calls, as an agent's ends 32-bit programs) is undecided: that the probe is
 * broken says nothing about the sensor.
 *
 * They are an option of the host, never part of a bundle: what is shipped runs
 * nothing but its programs in the kernel.
 */
#ifndef BL_HOST_COMMAND_H
#define BL_HOST_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

#define BL_COMMANDS_MAX	      16
#define BL_COMMAND_TIMEOUT_MS 10000
#define BL_COMMAND_LINE_LEN   120

enum bl_command_end {
	BL_COMMAND_NONE, /* no run of it has ended */
	BL_COMMAND_GOOD,
	BL_COMMAND_BAD,	   /* status is not 0 */
	BL_COMMAND_LATE,   /* killed when its time was up */
	BL_COMMAND_BROKEN, /* it could not be run */
};

struct bl_command {
	const char *text;
	enum bl_command_end end; /* of its last run */
	int status;		 /* 128+N if signal N ended it */
	unsigned runs;		 /* that ended */
	/* The last line that it wrote, or why it could not be run. */
	char line[BL_COMMAND_LINE_LEN];
};

struct bl_commands_spec {
	const char *const *texts; /* borrowed until free */
	size_t count;		  /* 0 to BL_COMMANDS_MAX */
	uint64_t timeout_ms;	  /* 0: BL_COMMAND_TIMEOUT_MS */
	/* Into their environment: BELAY_DIGEST, BELAY_TXN; and BELAY_PHASE is
	 * "trial". */
	const char *digest;
	uint64_t txn;
};

struct bl_commands;

int bl_commands_new(const struct bl_commands_spec *spec,
		    struct bl_commands **ret, struct bl_err *err);
void bl_commands_free(struct bl_commands *c); /* NULL is fine */
static inline void bl_commands_freep(struct bl_commands **c)
{
	bl_commands_free(*c);
}

/* Looks after the one that runs, and starts the next when it has ended. Does
 * not wait. */
void bl_commands_step(struct bl_commands *c, uint64_t now_ms);

const struct bl_command *bl_commands_list(const struct bl_commands *c,
					  size_t *ret_count);

#endif
