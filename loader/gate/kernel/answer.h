/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel's answer on its way from where it was asked (a guest, a child
 * process) to where it is judged: one line of JSON for each step of the probe,
 * written as soon as the step is over. So what is known arrives even if the
 * next step takes the kernel down.
 *
 *	{"step":"load","programs":[…],"maps":[…],"notes":"…"}
 *	{"step":"attach","programs":[…]}
 *	{"step":"exercise",…}
 *	{"step":"swap",…}
 *	{"error":"libbpf cannot open …"}	instead of a step
 *
 * Both ends are one version of belay, but the far one ran a stranger's object
 * in its kernel: a line that is not what it should be is an error, and a step
 * that did not arrive is not there.
 */
#ifndef BL_GATE_ANSWER_H
#define BL_GATE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/err.h"
#include "loader/kern/ask/probe.h"
#include "loader/kern/facts.h"

#define BL_ANSWER_MAX	       (64u << 20) /* bytes of an answer */
#define BL_ANSWER_PROGRAMS_MAX 4096
#define BL_ANSWER_MAPS_MAX     4096

struct bl_answer {
	struct bl_facts facts;
	bool have[BL_PROBE_STEPS]; /* these steps are in facts */
	char *error;		   /* why it could not go on; NULL: nothing */
};

#define bl_autoanswer __attribute__((cleanup(bl_answer_free)))
void bl_answer_free(struct bl_answer *a);

/* The line of one step, with its newline. NULL: out of memory. Caller frees. */
char *bl_answer_line(enum bl_probe_step step, const struct bl_facts *facts);
char *bl_answer_error_line(const char *text);

/*
 * Reads all lines of an answer; a last one without a newline was cut off and
 * does not count. -EBADMSG names the line that is none; -ENOMEM.
 */
int bl_answer_read(const char *text, size_t len, struct bl_answer *ret,
		   struct bl_err *err);

#endif
