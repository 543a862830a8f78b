/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations whose cost guest_sensor takes, and how it takes it: each is
 * timed by itself, by the time stamp counter, and the lower quarter of many
 * counts. What comes on top of an operation (a timer, a page that had to be
 * found) is somebody else's, and spoils one of them and not the figure. Where
 * the counter counts instructions (bl_vm_spec.icount), that is exact.
 *
 * An operation has a target that content names and one that it does not; the
 * two differ in nothing but their last letters. A question to DNS also has one
 * that is none: the same datagram to another port.
 */
#ifndef BL_TESTS_SENSOR_OPS_H
#define BL_TESTS_SENSOR_OPS_H

#include <stdbool.h>

#include "bpf/event.h"

enum sensor_outcome {
	SENSOR_FILTERED,
	SENSOR_EMITTED,
	SENSOR_ELSEWHERE,
	SENSOR_OUTCOMES,
};

/* Peers are asked for the kinds before this one. */
#define SENSOR_PEER_KINDS BL_EVENT_DNS

/* "filtered", "emitted", "elsewhere" */
extern const char *const sensor_outcome_names[SENSOR_OUTCOMES];

/* The path, the address as text, the name; NULL: there is no such target. */
extern const char *const sensor_targets[BL_EVENT_KINDS][SENSOR_OUTCOMES];

/* Puts the files there. @program is the smallest program that ends well.
 * 0 or -errno. */
int sensor_ops_prepare(const char *program);

/* Does it @count times (an exec once more, before); the lower quarter
 * of what one took, in ticks. -errno. */
double sensor_ops_ticks(enum bl_event_kind kind, enum sensor_outcome outcome,
			unsigned count);

/* Does it once, untimed. 0 or -errno. */
int sensor_ops_once(enum bl_event_kind kind, enum sensor_outcome outcome);

/* Runs @program (guest_exec, anywhere) that often. 0 or -errno. */
int sensor_ops_execs(const char *program, unsigned count);

#endif
