/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How people see a rollout: the answer of GET /v1/rollouts/ID as a screen that
 * is drawn again and again, as text once, or as lines that say what changed.
 *
 * Pure but for the stream it writes to: no HTTP, no clock.
 */
#ifndef BL_CANARY_WATCH_H
#define BL_CANARY_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "loader/base/buf.h"

/* Of a large fleet a person is shown so many hosts; --json has all. */
#define BL_WATCH_ROWS 50

/* The whole view. @rows: at most so many hosts (0: all); the troubled ones
 * first, the rest as a count. */
void bl_watch_print(const json_t *rollout, FILE *f, bool colour, unsigned rows);

/* One line for each thing that is in @now and was not in @before (NULL: all of
 * it): states of the rollout, waves, hosts. */
void bl_watch_changes(const json_t *before, const json_t *now, FILE *f);

/* Draws over what it drew before. */
struct bl_watch_screen {
	FILE *f;
	bool colour;
	unsigned drawn; /* lines */
};
void bl_watch_draw(struct bl_watch_screen *s, const json_t *rollout,
		   unsigned columns, unsigned lines);

#endif
