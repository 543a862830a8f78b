/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guest.sh needs of belay in a host of the fleet; no verbs for people.
 *
 *	belay compare beat		a line for each look at this host, for ever
 *	belay compare line PREFIX	standard input as one line, at once
 */
#ifndef BL_CANARY_COMPARE_CMD_GUEST_H
#define BL_CANARY_COMPARE_CMD_GUEST_H

#include "loader/base/err.h"

#define BL_BEAT_MS 250

int bl_cmd_compare_beat(void);
int bl_cmd_compare_line(int argc, char **argv, struct bl_err *err);

#endif
